/* The SQLite engine's own structures; only db/sqlite*.c include this. */
#ifndef PAWL_DB_SQLITE_H
#define PAWL_DB_SQLITE_H

#include <sqlite3.h>

#include "db/engine.h"
#include "db/query.h"

enum { DB_SQLITE_MAX_PARAMS = 16 };

struct db_stmt {
    struct db_conn *conn;
    sqlite3_stmt *handle;
    enum db_query query;
    int params[DB_SQLITE_MAX_PARAMS + 1]; /* index of "$n"; 0: the statement has none */
    int columns;
    char **names; /* copies of the columns' names: the engine's own are slow to ask for, and freed when it prepares the statement anew */
    int hint;     /* where the next column is probably found */
    int failed;   /* first failed bind, as an SQLite code */
};

struct db_conn {
    struct db *db;
    sqlite3 *handle;
    bool writer;
    int log_frames; /* of the write-ahead log after the last commit */
    struct db_stmt stmts[DB_QUERY_COUNT];
};

/* Turns the connection's last error into ours: busy, full, constraint, disk. */
bool db_sqlite_error(sqlite3 *handle, const char *what, struct err *err);

/* Opens the file with the pragmas of durability. */
bool db_sqlite_open(const char *path, int flags, int busy_timeout_ms, sqlite3 **ret_handle, struct err *err) MUST_USE;
bool db_sqlite_exec(sqlite3 *handle, const char *sql, const char *what, struct err *err) MUST_USE;

#endif
