/* What struct db holds, for the files of this room that keep something in memory. */
#ifndef PAWL_DB_STORE_H
#define PAWL_DB_STORE_H

#include <pthread.h>

#include "db/catalog.h"
#include "db/engine.h"
#include "db/registry.h"

struct db_writer;
struct db_registry;
struct db_token_uses;

struct db {
    char *folder;
    char *file;   /* <folder>/pawl.db */
    char *images; /* <folder>/images */
    char *tmp;    /* <folder>/tmp */
    int lock_fd;
    int busy_timeout_ms;

    struct db_conn *conn;     /* the writer thread's, and db_open's before that thread runs */
    struct db_writer *writer; /* db/writer.c */

    struct db_registry *registry; /* db/registry.c */

    pthread_mutex_t catalog_mutex; /* guards the pointer; the snapshot is immutable */
    const struct db_catalog *catalog;
    bool catalog_stale; /* writer thread only: a commit changed products or releases */

    struct db_token_uses *token_uses; /* db/token.c */

    pthread_mutex_t wake_mutex; /* guards what follows; db/rollout_cells.c */
    pthread_cond_t wake;        /* on the monotonic clock */
    bool woken;
    bool rollouts_end;

    struct db_rollout_runner *runner; /* db/rollout_run.c, its caller's thread only; NULL: it never ran */

    void (*event_told)(void *context); /* db/event.c; NULL: nobody listens */
    void *event_context;
};

/* "<folder>/<name>" on the heap; NULL: no memory. */
char *db_path_in(const char *folder, const char *name);

/* db/writer.c. Start after everything is loaded; stop runs what is queued. */
bool db_writer_start(struct db *db, size_t queue_max, void (*fatal)(void *context, const struct err *err), void *fatal_context,
                     struct err *err) MUST_USE;
void db_writer_stop(struct db *db);

/* Stops every acknowledgement and calls the owner's fatal(). Writer thread. */
void db_writer_fail(struct db *db, const struct err *err);

/* db/registry.c, registry_load.c */
bool db_registry_open(struct db *db, struct err *err) MUST_USE;
void db_registry_close(struct db *db);

/* After a change of anything that the registry mirrors: reads the device again inside the transaction, and puts it into the registry after COMMIT.
 * installed: the transaction wrote what the device runs; else what was reported meanwhile and is not flushed yet stays. */
bool db_registry_touch(struct db_conn *tx, const char *id, bool installed, struct err *err) MUST_USE;

/* The device as the transaction sees it, with what is reported and not flushed yet. ERR_NOT_FOUND. */
bool db_registry_read(struct db_conn *conn, const char *id, struct db_device_hot *ret_hot, struct err *err) MUST_USE;

/* For what a device says otherwise than at a poll: false when its last event of the kind (fall: "rolled-back", else "identity-mismatch") is not an
 * hour old. True: it counts as told now. */
bool db_registry_may_tell(struct db *db, const char *id, bool fall, int64_t now) MUST_USE;

/* What is noted in memory and not flushed yet. False: nothing. */
struct db_unflushed {
    int64_t last_seen;
    bool has_installed;
    int64_t installed_sequence;
    bool installed_known;
    char installed_version[DB_VERSION_SIZE];
};
bool db_registry_unflushed(struct db *db, const char *id, struct db_unflushed *ret_values) MUST_USE;

/* db/catalog.c. touch: the snapshot is rebuilt after COMMIT. */
bool db_catalog_open(struct db *db, struct err *err) MUST_USE;
void db_catalog_close(struct db *db);
bool db_catalog_touch(struct db_conn *tx, struct err *err) MUST_USE;

/* db/token.c */
bool db_token_open(struct db *db, struct err *err) MUST_USE;
void db_token_close(struct db *db);
void db_token_flush(struct db *db);

/* db/image.c. Before a database is made: ERR_IO when there are images, to which the new one would be a stranger. */
bool db_image_check_base(struct db *db, struct err *err) MUST_USE;
/* Removes temporary files, and files without a row. */
bool db_image_clean(struct db *db, struct err *err) MUST_USE;

#endif
