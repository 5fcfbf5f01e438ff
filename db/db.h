/* The store: one SQLite file, a folder of images, one writer thread, a read connection for each worker, the registry and the catalog in memory.
 *
 * Every function of a table takes a struct db_conn: a reader's (reads only) or the transaction that a job was given (reads and writes).
 * What a job changes in memory (registry, catalog) becomes visible after its COMMIT and before its done(). */
#ifndef PAWL_DB_DB_H
#define PAWL_DB_DB_H

#include "common/arena.h"
#include "common/err.h"

struct db;
struct db_conn;

enum {
    DB_ID_SIZE = 65, /* identifiers of 64 bytes and a NUL: device, product, hardware */
    DB_DEVICE_ID_SIZE = DB_ID_SIZE,
    DB_VERSION_SIZE = 65,
    DB_PIN_SIZE = 32,    /* SHA-256 of SubjectPublicKeyInfo */
    DB_SHA256_SIZE = 65, /* in hex, with the NUL */
    DB_MAX_PAGE = 1000,  /* rows a list gives at most */
};

struct db_texts {
    size_t count;
    const char **items;
};

/* Which page of a list: every list takes it. */
struct db_list {
    const char *sort;  /* an order's name (db/queries, "-- sort:"), with "-" before it for descending; NULL: the list's own, its first */
    const char *after; /* the "next" of the page before; NULL or "": from the start */
    size_t limit;      /* ≤ DB_MAX_PAGE, but for callers of our own */
};

struct db_options {
    const char *folder;   /* holds pawl.db, images/, tmp/, lock; made when missing */
    size_t queue_max;     /* jobs waiting for the writer; 0: 4,096 */
    int busy_timeout_ms;  /* how long to wait for another process's lock; 0: 2,000 */
    bool refuse_outdated; /* ERR_CONFLICT for a database with pending migrations instead of applying them */

    /* Called once, on the writer thread, when a commit failed on the disk: nothing is acknowledged from then on and the process should exit. */
    void (*fatal)(void *context, const struct err *err);
    void *fatal_context;
};

/* Opens (or makes) the store: takes the lock (ERR_BUSY: another process has it), applies migrations (ERR_CONFLICT: the database is newer than this
 * program), checks every statement, removes orphaned images and temporary files, loads registry and catalog, starts the writer. */
bool db_open(const struct db_options *options, struct db **ret_db, struct err *err) MUST_USE;

/* Runs what is queued, flushes last-seen values, stops the writer, folds the log back (unless a commit failed), closes. Readers must be closed
 * before. NULL is fine. */
void db_close(struct db *db);

struct db_migrate_report {
    int from; /* 0: there was no database */
    int to;
};

/* Migrations alone, for `pawld migrate`; takes the same lock. Each migration is a transaction: a crash leaves the old or the new schema. */
bool db_migrate(const char *folder, struct db_migrate_report *ret_report, struct err *err) MUST_USE;

/* A read connection, for one thread at a time. */
bool db_reader_open(struct db *db, struct db_conn **ret_conn, struct err *err) MUST_USE;
void db_reader_close(struct db_conn *conn);

struct db *db_conn_db(struct db_conn *conn);

/* One unit of work for the writer thread, inside a savepoint: when run() returns false, what it changed is undone and nobody else is hurt. */
struct db_job {
    bool (*run)(struct db_conn *tx, void *arg, struct err *err);
    void (*done)(void *arg, bool ok, const struct err *err); /* may be NULL; writer thread; ok only after COMMIT is on the disk */
    void *arg;
};

/* Copies the job into the queue. ERR_BUSY: full or closing; ERR_IO: a commit failed before. done() is called exactly once iff this returns true. */
bool db_submit(struct db *db, const struct db_job *job, struct err *err) MUST_USE;

/* The same, waiting for the end. Never from the writer thread. */
bool db_write(struct db *db, bool (*run)(struct db_conn *tx, void *arg, struct err *err), void *arg, struct err *err) MUST_USE;

/* Registers apply(): called once on the writer thread, with committed = true after COMMIT and before every done() of the group, in order of
 * registration; or with committed = false when the job or the group was undone (to free arg). */
bool db_on_commit(struct db_conn *tx, void (*apply)(struct db *db, void *arg, bool committed), void *arg, struct err *err) MUST_USE;

/* Upper ends of the classes that the time of a COMMIT is counted in; one class more for what is longer. */
enum { DB_COMMIT_CLASSES = 10 };
extern const int64_t db_commit_classes_us[DB_COMMIT_CLASSES];

/* For /metrics and /readyz. */
struct db_stats {
    uint64_t commits;
    uint64_t jobs; /* finished, whatever the result */
    uint64_t failed_jobs;
    uint64_t commit_us_total; /* time inside COMMIT */
    uint64_t commit_us_max;
    uint64_t commit_classes[DB_COMMIT_CLASSES + 1];
    uint64_t refused; /* queue was full */
    size_t queue_depth;
    bool failed; /* a commit failed: the store acknowledges nothing any more */
};

void db_stats_get(struct db *db, struct db_stats *ret_stats);

/* The number of the newest migration that this program knows. */
int db_schema_version(void);

#endif
