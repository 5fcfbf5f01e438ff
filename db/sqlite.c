#include "db/sqlite.h"

#include <stdlib.h>
#include <string.h>

bool db_sqlite_error(sqlite3 *handle, const char *what, struct err *err) {
    int code = handle ? sqlite3_errcode(handle) : SQLITE_NOMEM;
    const char *text = handle ? sqlite3_errmsg(handle) : "out of memory";
    enum err_code mapped;

    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        mapped = ERR_BUSY;
        break;
    case SQLITE_FULL:
        mapped = ERR_NO_SPACE;
        break;
    case SQLITE_NOMEM:
        mapped = ERR_NO_MEMORY;
        break;
    case SQLITE_CONSTRAINT:
        mapped = ERR_CONFLICT;
        break;
    default:
        mapped = ERR_IO;
        break;
    }
    return err_set(err, mapped, "database: %s: %s", what, text);
}

bool db_sqlite_exec(sqlite3 *handle, const char *sql, const char *what, struct err *err) {
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        return db_sqlite_error(handle, what, err);
    return true;
}

/* Every pragma that reliability rests on. The log is folded back by the writer, not inside some request's COMMIT. */
static const char pragmas[] = "PRAGMA journal_mode = WAL;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA foreign_keys = ON;"
                              "PRAGMA wal_autocheckpoint = 0;"
                              "PRAGMA journal_size_limit = 67108864;"
                              "PRAGMA trusted_schema = OFF;"
                              "PRAGMA cell_size_check = ON;"
                              "PRAGMA temp_store = MEMORY;";

bool db_sqlite_open(const char *path, int flags, int busy_timeout_ms, sqlite3 **ret_handle, struct err *err) {
    sqlite3 *handle = NULL;

    if (sqlite3_open_v2(path, &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL) != SQLITE_OK) {
        db_sqlite_error(handle, path, err);
        sqlite3_close(handle);
        return false;
    }
    sqlite3_busy_timeout(handle, busy_timeout_ms);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL); /* db_close() does it, unless the disk has failed */
    if (!db_sqlite_exec(handle, pragmas, path, err)) {
        sqlite3_close(handle);
        return false;
    }
    *ret_handle = handle;
    return true;
}

static int count_frames(void *context, sqlite3 *handle, const char *name, int frames) {
    struct db_conn *conn = context;

    (void)handle;
    (void)name;
    conn->log_frames = frames;
    return SQLITE_OK;
}

static bool copy_names(struct db_stmt *stmt, struct err *err) {
    stmt->columns = sqlite3_column_count(stmt->handle);
    if (stmt->columns == 0)
        return true;
    stmt->names = calloc((size_t)stmt->columns, sizeof *stmt->names);
    for (int i = 0; stmt->names && i < stmt->columns; i++) {
        stmt->names[i] = strdup(sqlite3_column_name(stmt->handle, i));
        if (!stmt->names[i])
            return err_no_memory(err);
    }
    return stmt->names || err_no_memory(err);
}

static void finalize(struct db_stmt *stmt) {
    for (int i = 0; stmt->names && i < stmt->columns; i++)
        free(stmt->names[i]);
    free(stmt->names);
    sqlite3_finalize(stmt->handle);
}

static bool prepare_all(struct db_conn *conn, struct err *err) {
    for (int i = 0; i < DB_QUERY_COUNT; i++) {
        struct db_stmt *stmt = &conn->stmts[i];

        stmt->conn = conn;
        stmt->query = (enum db_query)i;
        if (sqlite3_prepare_v3(conn->handle, db_query_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &stmt->handle, NULL) != SQLITE_OK)
            return db_sqlite_error(conn->handle, db_query_name[i], err);
        if (!copy_names(stmt, err))
            return false;
        for (int number = 1; number <= DB_SQLITE_MAX_PARAMS; number++) {
            char name[8];

            sqlite3_snprintf(sizeof name, name, "$%d", number);
            stmt->params[number] = sqlite3_bind_parameter_index(stmt->handle, name);
        }
    }
    return true;
}

bool db_engine_open(struct db *db, const char *path, bool writer, int busy_timeout_ms, struct db_conn **ret_conn, struct err *err) {
    struct db_conn *conn = calloc(1, sizeof *conn);
    int flags = writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE;

    if (!conn)
        return err_no_memory(err);
    conn->db = db;
    conn->writer = writer;
    if (!db_sqlite_open(path, flags, busy_timeout_ms, &conn->handle, err) || !prepare_all(conn, err) ||
        (!writer && !db_sqlite_exec(conn->handle, "PRAGMA query_only = ON", path, err))) {
        db_engine_close(conn);
        return false;
    }
    if (writer)
        sqlite3_wal_hook(conn->handle, count_frames, conn);
    *ret_conn = conn;
    return true;
}

void db_engine_close(struct db_conn *conn) {
    if (!conn)
        return;
    for (int i = 0; i < DB_QUERY_COUNT; i++)
        finalize(&conn->stmts[i]);
    sqlite3_close(conn->handle);
    free(conn);
}

bool db_engine_is_writer(const struct db_conn *conn) {
    return conn->writer;
}

struct db *db_conn_db(struct db_conn *conn) {
    return conn->db;
}

bool db_engine_begin(struct db_conn *conn, struct err *err) {
    return db_sqlite_exec(conn->handle, "BEGIN IMMEDIATE", "begin", err);
}

bool db_engine_commit(struct db_conn *conn, struct err *err) {
    return db_sqlite_exec(conn->handle, "COMMIT", "commit", err);
}

void db_engine_rollback(struct db_conn *conn) {
    for (int i = 0; i < DB_QUERY_COUNT; i++)
        sqlite3_reset(conn->stmts[i].handle);
    if (!sqlite3_get_autocommit(conn->handle))
        sqlite3_exec(conn->handle, "ROLLBACK", NULL, NULL, NULL);
}

bool db_engine_in_transaction(const struct db_conn *conn) {
    return sqlite3_get_autocommit(conn->handle) == 0;
}

bool db_engine_savepoint(struct db_conn *conn, struct err *err) {
    return db_sqlite_exec(conn->handle, "SAVEPOINT job", "savepoint", err);
}

bool db_engine_release(struct db_conn *conn, struct err *err) {
    return db_sqlite_exec(conn->handle, "RELEASE job", "release", err);
}

bool db_engine_undo(struct db_conn *conn, struct err *err) {
    return db_sqlite_exec(conn->handle, "ROLLBACK TO job; RELEASE job", "undo", err);
}

bool db_engine_checkpoint(struct db_conn *conn, bool always, struct err *err) {
    int code;

    if (!always && conn->log_frames < DB_CHECKPOINT_FRAMES)
        return true;
    code = sqlite3_wal_checkpoint_v2(conn->handle, NULL, always ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    conn->log_frames = 0;
    code &= 0xff;
    if (code == SQLITE_OK || code == SQLITE_BUSY || code == SQLITE_LOCKED || code == SQLITE_FULL)
        return true;
    return db_sqlite_error(conn->handle, "checkpoint", err);
}
