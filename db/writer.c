/* The one writer thread: takes jobs from a bounded queue, runs each in a savepoint, commits them in groups, then tells their owners. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "db/store.h"

const int64_t db_commit_classes_us[DB_COMMIT_CLASSES] = {500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 500000, 2500000};

enum { GROUP_MAX_JOBS = 256, GROUP_MAX_US = 20000 };

struct hook {
    void (*apply)(struct db *db, void *arg, bool committed);
    void *arg;
};

/* A job that ran, waiting for its group's COMMIT. */
struct ran {
    struct db_job job;
    bool ok;
    struct err err; /* when not ok */
};

struct db_writer {
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows, up to the blank line */
    pthread_cond_t wake;
    struct db_job *queue; /* ring */
    size_t queue_max;
    size_t head;
    size_t depth;
    bool stopping;
    struct db_stats stats;

    /* The writer thread's own. */
    struct ran group[GROUP_MAX_JOBS];
    size_t group_count;
    struct hook *hooks;
    size_t hook_count;
    size_t hook_capacity;
    void (*fatal)(void *context, const struct err *err);
    void *fatal_context;
};

static bool pop(struct db_writer *writer, struct db_job *ret_job, bool wait) {
    bool found;

    pthread_mutex_lock(&writer->mutex);
    while (wait && writer->depth == 0 && !writer->stopping)
        pthread_cond_wait(&writer->wake, &writer->mutex);
    found = writer->depth > 0;
    if (found) {
        *ret_job = writer->queue[writer->head];
        writer->head = (writer->head + 1) % writer->queue_max;
        writer->depth--;
    }
    pthread_mutex_unlock(&writer->mutex);
    return found;
}

/* Calls and forgets the hooks from `from` on. */
static void run_hooks(struct db *db, size_t from, bool committed) {
    struct db_writer *writer = db->writer;

    for (size_t i = from; i < writer->hook_count; i++)
        writer->hooks[i].apply(db, writer->hooks[i].arg, committed);
    writer->hook_count = from;
}

bool db_on_commit(struct db_conn *tx, void (*apply)(struct db *db, void *arg, bool committed), void *arg, struct err *err) {
    struct db_writer *writer = db_conn_db(tx)->writer;

    if (!db_engine_is_writer(tx) || !writer)
        return err_set(err, ERR_INTERNAL, "database: not inside a transaction");
    if (writer->hook_count == writer->hook_capacity) {
        size_t capacity = writer->hook_capacity ? writer->hook_capacity * 2 : 64;
        struct hook *hooks = reallocarray(writer->hooks, capacity, sizeof *hooks);

        if (!hooks)
            return err_no_memory(err);
        writer->hooks = hooks;
        writer->hook_capacity = capacity;
    }
    writer->hooks[writer->hook_count++] = (struct hook){.apply = apply, .arg = arg};
    return true;
}

/* Runs one job in its savepoint. False when the engine has undone the whole group: then nothing of it may be told as done. */
static bool run_job(struct db *db, struct ran *ran) {
    struct db_writer *writer = db->writer;
    size_t first_hook = writer->hook_count;
    struct err undo_err;
    bool undone;

    ran->err = (struct err){.code = ERR_NONE};
    ran->ok = db_engine_savepoint(db->conn, &ran->err);
    if (ran->ok) {
        ran->ok = ran->job.run(db->conn, ran->job.arg, &ran->err);
        if (ran->ok && db_engine_in_transaction(db->conn))
            ran->ok = db_engine_release(db->conn, &ran->err);
    }
    if (ran->ok && db_engine_in_transaction(db->conn))
        return true;
    if (ran->ok)
        err_set(&ran->err, ERR_IO, "database: the transaction was undone");
    ran->ok = false;
    undone = db_engine_in_transaction(db->conn) && db_engine_undo(db->conn, &undo_err);
    run_hooks(db, first_hook, false); /* they see what is left */
    return undone;
}

/* Takes what waits, up to the limits of a group. The first job is there already. */
static bool run_group(struct db *db) {
    struct db_writer *writer = db->writer;
    int64_t start_us = clock_mono_us();

    for (size_t next = 0;; next++) {
        if (!run_job(db, &writer->group[next]))
            return false;
        if (writer->group_count == GROUP_MAX_JOBS || clock_mono_us() - start_us > GROUP_MAX_US ||
            !pop(writer, &writer->group[writer->group_count].job, false))
            return true;
        writer->group_count++;
    }
}

/* Nothing of the group is on the disk: every job that had gone well gets this error. */
static void fail_group(struct db *db, const struct err *err) {
    struct db_writer *writer = db->writer;

    db_engine_rollback(db->conn);
    run_hooks(db, 0, false);
    for (size_t i = 0; i < writer->group_count; i++) {
        if (writer->group[i].ok || writer->group[i].err.code == ERR_NONE) {
            writer->group[i].ok = false;
            writer->group[i].err = *err;
        }
    }
}

void db_writer_fail(struct db *db, const struct err *err) {
    struct db_writer *writer = db->writer;
    bool first;

    pthread_mutex_lock(&writer->mutex);
    first = !writer->stats.failed;
    writer->stats.failed = true;
    pthread_mutex_unlock(&writer->mutex);
    if (first && writer->fatal)
        writer->fatal(writer->fatal_context, err);
}

static bool has_failed(struct db_writer *writer) {
    bool failed;

    pthread_mutex_lock(&writer->mutex);
    failed = writer->stats.failed;
    pthread_mutex_unlock(&writer->mutex);
    return failed;
}

static size_t class_of(uint64_t took_us) {
    size_t i = 0;

    while (i < DB_COMMIT_CLASSES && took_us > (uint64_t)db_commit_classes_us[i])
        i++;
    return i;
}

static void count_commit(struct db_writer *writer, uint64_t took_us) {
    pthread_mutex_lock(&writer->mutex);
    writer->stats.commits++;
    writer->stats.commit_us_total += took_us;
    writer->stats.commit_classes[class_of(took_us)]++;
    if (took_us > writer->stats.commit_us_max)
        writer->stats.commit_us_max = took_us;
    pthread_mutex_unlock(&writer->mutex);
}

/* COMMIT; a failure of the disk ends every further acknowledgement. */
static void commit_group(struct db *db) {
    int64_t start_us = clock_mono_us();
    struct err err = {.code = ERR_NONE};

    if (!db_engine_commit(db->conn, &err)) {
        fail_group(db, &err);
        if (err.code != ERR_BUSY && err.code != ERR_NO_SPACE)
            db_writer_fail(db, &err);
        return;
    }
    count_commit(db->writer, (uint64_t)(clock_mono_us() - start_us));
    run_hooks(db, 0, true);
}

static void tell_group(struct db *db) {
    struct db_writer *writer = db->writer;
    pthread_mutex_lock(&writer->mutex); /* counted first: who was told may ask for the counts */
    for (size_t i = 0; i < writer->group_count; i++)
        writer->stats.failed_jobs += !writer->group[i].ok;
    writer->stats.jobs += writer->group_count;
    pthread_mutex_unlock(&writer->mutex);
    for (size_t i = 0; i < writer->group_count; i++) {
        struct ran *ran = &writer->group[i];

        if (ran->job.done)
            ran->job.done(ran->job.arg, ran->ok, &ran->err);
    }
}

/* The transaction could not begin, or is gone: whoever waits is told at once instead of waiting for the same lock one after the other. */
static void give_up_group(struct db *db, const struct err *err) {
    struct db_writer *writer = db->writer;

    while (writer->group_count < GROUP_MAX_JOBS && pop(writer, &writer->group[writer->group_count].job, false)) {
        writer->group[writer->group_count].ok = false;
        writer->group[writer->group_count++].err.code = ERR_NONE;
    }
    fail_group(db, err);
}

static void work(struct db *db) {
    struct db_writer *writer = db->writer;
    struct err err = {.code = ERR_NONE};

    writer->group_count = 1;
    writer->group[0].ok = false;
    writer->group[0].err.code = ERR_NONE;
    if (has_failed(writer)) {
        err_set(&err, ERR_IO, "database: a commit failed before, nothing is written any more");
        give_up_group(db, &err);
    } else if (!db_engine_begin(db->conn, &err)) {
        give_up_group(db, &err);
    } else if (!run_group(db)) {
        err = writer->group[writer->group_count - 1].err;
        fail_group(db, &err);
    } else {
        commit_group(db);
    }
    tell_group(db);
    if (!has_failed(writer) && !db_engine_checkpoint(db->conn, false, &err))
        db_writer_fail(db, &err);
}

static void *thread_main(void *arg) {
    struct db *db = arg;

    while (pop(db->writer, &db->writer->group[0].job, true))
        work(db);
    return NULL;
}

bool db_writer_start(struct db *db, size_t queue_max, void (*fatal)(void *context, const struct err *err), void *fatal_context, struct err *err) {
    struct db_writer *writer = calloc(1, sizeof *writer);

    if (!writer)
        return err_no_memory(err);
    writer->queue = calloc(queue_max, sizeof *writer->queue);
    if (!writer->queue) {
        free(writer);
        return err_no_memory(err);
    }
    writer->queue_max = queue_max;
    writer->fatal = fatal;
    writer->fatal_context = fatal_context;
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_cond_init(&writer->wake, NULL);
    db->writer = writer;
    if (pthread_create(&writer->thread, NULL, thread_main, db) == 0)
        return true;
    db->writer = NULL;
    free(writer->queue);
    free(writer);
    return err_set(err, ERR_INTERNAL, "cannot start the writer thread");
}

void db_writer_stop(struct db *db) {
    struct db_writer *writer = db->writer;

    pthread_mutex_lock(&writer->mutex);
    writer->stopping = true;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->mutex);
    pthread_join(writer->thread, NULL);
    pthread_mutex_destroy(&writer->mutex);
    pthread_cond_destroy(&writer->wake);
    free(writer->queue);
    free(writer->hooks);
    free(writer);
    db->writer = NULL;
}

/* While closing, the writer thread alone may go on queueing: it takes out everything before it ends. */
bool db_submit(struct db *db, const struct db_job *job, struct err *err) {
    struct db_writer *writer = db->writer;
    bool ok = false;

    pthread_mutex_lock(&writer->mutex);
    if (writer->stats.failed) {
        err_set(err, ERR_IO, "database: a commit failed before, nothing is written any more");
    } else if (writer->stopping && !pthread_equal(pthread_self(), writer->thread)) {
        err_set(err, ERR_BUSY, "database: closing");
    } else if (writer->depth == writer->queue_max) {
        writer->stats.refused++;
        err_set(err, ERR_BUSY, "database: %zu writes are waiting already", writer->depth);
    } else {
        writer->queue[(writer->head + writer->depth) % writer->queue_max] = *job;
        writer->depth++;
        pthread_cond_signal(&writer->wake);
        ok = true;
    }
    pthread_mutex_unlock(&writer->mutex);
    return ok;
}

/* A caller that waits for its job. */
struct waiter {
    bool (*run)(struct db_conn *tx, void *arg, struct err *err);
    void *arg;
    pthread_mutex_t mutex;
    pthread_cond_t end;
    bool ended;
    bool ok;
    struct err err;
};

static bool waiter_run(struct db_conn *tx, void *arg, struct err *err) {
    struct waiter *waiter = arg;

    return waiter->run(tx, waiter->arg, err);
}

static void waiter_done(void *arg, bool ok, const struct err *err) {
    struct waiter *waiter = arg;

    pthread_mutex_lock(&waiter->mutex);
    waiter->ended = true;
    waiter->ok = ok;
    waiter->err = *err;
    pthread_cond_signal(&waiter->end);
    pthread_mutex_unlock(&waiter->mutex);
}

bool db_write(struct db *db, bool (*run)(struct db_conn *tx, void *arg, struct err *err), void *arg, struct err *err) {
    struct waiter waiter = {.run = run, .arg = arg, .mutex = PTHREAD_MUTEX_INITIALIZER, .end = PTHREAD_COND_INITIALIZER};
    struct db_job job = {.run = waiter_run, .done = waiter_done, .arg = &waiter};

    if (pthread_equal(pthread_self(), db->writer->thread))
        return err_set(err, ERR_INTERNAL, "database: a job cannot wait for another job");
    if (!db_submit(db, &job, err))
        return false;
    pthread_mutex_lock(&waiter.mutex);
    while (!waiter.ended)
        pthread_cond_wait(&waiter.end, &waiter.mutex);
    pthread_mutex_unlock(&waiter.mutex);
    pthread_mutex_destroy(&waiter.mutex);
    pthread_cond_destroy(&waiter.end);
    if (!waiter.ok)
        *err = waiter.err;
    return waiter.ok;
}

void db_stats_get(struct db *db, struct db_stats *ret_stats) {
    struct db_writer *writer = db->writer;

    pthread_mutex_lock(&writer->mutex);
    *ret_stats = writer->stats;
    ret_stats->queue_depth = writer->depth;
    pthread_mutex_unlock(&writer->mutex);
}
