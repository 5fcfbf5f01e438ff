#include "db/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "db/rollout_cells.h"
#include "db/rollout_choose.h"
#include "db/rollout_run.h"
#include "db/store.h"

enum { DEFAULT_BUSY_TIMEOUT_MS = 2000, DEFAULT_QUEUE_MAX = 4096 };

char *db_path_in(const char *folder, const char *name) {
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);

    if (path)
        snprintf(path, size, "%s/%s", folder, name);
    return path;
}

static bool set_paths(struct db *db, const char *folder, struct err *err) {
    db->folder = strdup(folder);
    db->file = db_path_in(folder, "pawl.db");
    db->images = db_path_in(folder, "images");
    db->tmp = db_path_in(folder, "tmp");
    return (db->folder && db->file && db->images && db->tmp) || err_no_memory(err);
}

static bool take_lock(struct db *db, struct err *err) {
    char *path = db_path_in(db->folder, "lock");
    bool ok = path ? file_lock(path, &db->lock_fd, err) : err_no_memory(err);

    free(path);
    return ok;
}

/* The folders, and the lock that keeps a second process out. */
static bool enter(struct db *db, const char *folder, struct err *err) {
    return set_paths(db, folder, err) && file_make_dirs(folder, 0750, err) && take_lock(db, err) && file_make_dirs(db->images, 0750, err) &&
           file_make_dirs(db->tmp, 0750, err);
}

static void leave(struct db *db) {
    file_close(&db->lock_fd);
    pthread_mutex_destroy(&db->catalog_mutex);
    pthread_cond_destroy(&db->wake);
    pthread_mutex_destroy(&db->wake_mutex);
    free(db->folder);
    free(db->file);
    free(db->images);
    free(db->tmp);
    free(db);
}

static struct db *make(int busy_timeout_ms) {
    struct db *db = calloc(1, sizeof *db);
    pthread_condattr_t monotonic;

    if (!db)
        return NULL;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&db->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&db->wake_mutex, NULL);
    db->lock_fd = -1;
    db->busy_timeout_ms = busy_timeout_ms ? busy_timeout_ms : DEFAULT_BUSY_TIMEOUT_MS;
    pthread_mutex_init(&db->catalog_mutex, NULL);
    return db;
}

static bool load(struct db *db, const struct db_options *options, struct err *err) {
    int from;

    return db_image_check_base(db, err) && db_engine_migrate(db->file, db->busy_timeout_ms, options->refuse_outdated, &from, err) &&
           db_engine_open(db, db->file, true, db->busy_timeout_ms, &db->conn, err) && file_sync_dir(db->folder, err) && db_image_clean(db, err) &&
           db_token_open(db, err) && db_registry_open(db, err) && db_catalog_open(db, err) && db_rollout_cells_open(db, err) &&
           db_writer_start(db, options->queue_max ? options->queue_max : DEFAULT_QUEUE_MAX, options->fatal, options->fatal_context, err);
}

bool db_open(const struct db_options *options, struct db **ret_db, struct err *err) {
    struct db *db = make(options->busy_timeout_ms);

    if (!db)
        return err_no_memory(err);
    if (!enter(db, options->folder, err) || !load(db, options, err)) {
        db_close(db);
        return false;
    }
    *ret_db = db;
    return true;
}

void db_close(struct db *db) {
    struct db_stats stats = {.failed = false};
    struct err ignored;

    if (!db)
        return;
    if (db->writer) {
        db_stats_get(db, &stats);
        db_registry_flush(db);
        db_writer_stop(db);
    }
    if (db->conn && !stats.failed && !db_engine_checkpoint(db->conn, true, &ignored))
        ignored.code = ERR_NONE; /* the log stays and is read at the next start */
    db_engine_close(db->conn);
    db_catalog_close(db);
    db_rollout_cells_close(db);
    db_rollout_runner_free(db);
    db_registry_close(db);
    db_token_close(db);
    leave(db);
}

bool db_migrate(const char *folder, struct db_migrate_report *ret_report, struct err *err) {
    struct db *db = make(0);
    int from;
    bool ok;

    if (!db)
        return err_no_memory(err);
    ok = enter(db, folder, err) && db_engine_migrate(db->file, db->busy_timeout_ms, false, &from, err) && file_sync_dir(folder, err);
    leave(db);
    if (ok)
        *ret_report = (struct db_migrate_report){.from = from, .to = db_schema_version()};
    return ok;
}

bool db_reader_open(struct db *db, struct db_conn **ret_conn, struct err *err) {
    return db_engine_open(db, db->file, false, db->busy_timeout_ms, ret_conn, err);
}

void db_reader_close(struct db_conn *conn) {
    db_engine_close(conn);
}
