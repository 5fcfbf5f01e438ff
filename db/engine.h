/* What the rest of db/ asks of the database engine: connections, transactions, migrations. Implemented in db/sqlite*.c alone. */
#ifndef PAWL_DB_ENGINE_H
#define PAWL_DB_ENGINE_H

#include "db/db.h"
#include "db/work.h"

enum { DB_CHECKPOINT_FRAMES = 2000 }; /* of the write-ahead log; past it the writer folds it back */

/* Opens a connection and prepares every statement. writer: may write; else the file must exist and reads only. */
bool db_engine_open(struct db *db, const char *path, bool writer, int busy_timeout_ms, struct db_conn **ret_conn, struct err *err) MUST_USE;
void db_engine_close(struct db_conn *conn);
bool db_engine_is_writer(const struct db_conn *conn);

bool db_engine_begin(struct db_conn *conn, struct err *err) MUST_USE;
bool db_engine_commit(struct db_conn *conn, struct err *err) MUST_USE;
void db_engine_rollback(struct db_conn *conn);
bool db_engine_in_transaction(const struct db_conn *conn); /* false after the engine itself undid everything */

bool db_engine_savepoint(struct db_conn *conn, struct err *err) MUST_USE;
bool db_engine_release(struct db_conn *conn, struct err *err) MUST_USE;
bool db_engine_undo(struct db_conn *conn, struct err *err) MUST_USE; /* back to the savepoint, which is gone then */

/* Folds the write-ahead log back when it has grown past DB_CHECKPOINT_FRAMES, or in any case. ERR_IO only for the disk; readers in the way are fine.
 */
bool db_engine_checkpoint(struct db_conn *conn, bool always, struct err *err) MUST_USE;

/* Copies the database as it is at this moment into a new file, without ever keeping its writer waiting. ERR_BUSY: work was stopped. */
bool db_engine_copy(const char *from, const char *to, int busy_timeout_ms, const struct db_work *work, struct err *err) MUST_USE;

/* Checks every page of a database that nobody else has open (ERR_IO: damaged), and leaves it as one file without a log. */
bool db_engine_seal(const char *path, struct err *err) MUST_USE;

/* Applies what is pending, each in its own transaction. *ret_from 0: an empty database. only_check: ERR_CONFLICT when something is pending.
 * A newer database is ERR_CONFLICT. */
bool db_engine_migrate(const char *path, int busy_timeout_ms, bool only_check, int *ret_from, struct err *err) MUST_USE;

#endif
