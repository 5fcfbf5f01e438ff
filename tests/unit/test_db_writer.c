/* The one writer: groups, savepoints, order of what follows a commit, a full queue, a locked database. */
#include <pthread.h>
#include <sqlite3.h>

#include "common/clock.h"
#include "tests/unit/db_fixture.h"

static bool run_event(struct db_conn *tx, void *arg, struct err *err) {
    return db_event_insert(tx, NOW, arg, NULL, "", err);
}

static bool run_event_then_fail(struct db_conn *tx, void *arg, struct err *err) {
    return run_event(tx, arg, err) && err_set(err, ERR_CONFLICT, "on purpose");
}

enum { THREADS = 8, WRITES = 200 };

static void *write_many(void *arg) {
    struct store *store = arg;
    struct err err;

    for (int i = 0; i < WRITES; i++)
        if (!db_write(store->db, run_event, "many", &err))
            return "failed";
    return NULL;
}

static void test_group_commit(void **state) {
    struct store *store = *state;
    pthread_t threads[THREADS];
    struct db_stats before, after;
    struct db_events page;
    struct db_event_filter filter = {.kind = "many"};
    size_t found = 0;
    struct err err;

    db_stats_get(store->db, &before);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, store), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;

        pthread_join(threads[i], &result);
        assert_null(result);
    }
    db_stats_get(store->db, &after);
    assert_int_equal(after.jobs - before.jobs, THREADS * WRITES);
    assert_true(after.commits - before.commits < THREADS * WRITES); /* grouped */
    assert_true(after.commit_us_total > before.commit_us_total);
    assert_true(after.commit_us_max > 0);
    page.next = NULL;
    do {
        assert_ok(db_event_list(store->reader, &filter, PAGE_AFTER(page.next, DB_MAX_PAGE), &store->arena, &page, &err), err);
        found += page.count;
    } while (page.next);
    assert_int_equal(found, THREADS * WRITES);
}

/* Several jobs that are sure to be in one group: the first one waits until the others are queued. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t opened;
    bool open;
    bool entered;
};

static bool run_wait(struct db_conn *tx, void *arg, struct err *err) {
    struct gate *gate = arg;

    (void)tx;
    (void)err;
    pthread_mutex_lock(&gate->mutex);
    gate->entered = true;
    while (!gate->open)
        pthread_cond_wait(&gate->opened, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
    return true;
}

static void open_gate(struct gate *gate) {
    pthread_mutex_lock(&gate->mutex);
    gate->open = true;
    pthread_cond_broadcast(&gate->opened);
    pthread_mutex_unlock(&gate->mutex);
}

static void wait_entered(struct gate *gate) {
    bool entered = false;

    while (!entered) {
        clock_sleep_ms(1);
        pthread_mutex_lock(&gate->mutex);
        entered = gate->entered;
        pthread_mutex_unlock(&gate->mutex);
    }
}

/* What happened, in order: one letter each. */
struct journal {
    char text[32];
    size_t len;
};

struct noted {
    struct journal *journal;
    char name;
    bool fails;
    enum err_code code;
};

static void note(struct journal *journal, char letter) {
    journal->text[journal->len++] = letter;
}

static void noted_commit(struct db *db, void *arg, bool committed) {
    struct noted *noted = arg;

    (void)db;
    note(noted->journal, committed ? (char)(noted->name - 'a' + 'A') : '!');
}

static bool noted_run(struct db_conn *tx, void *arg, struct err *err) {
    struct noted *noted = arg;
    char kind[] = {noted->name, '\0'};

    note(noted->journal, noted->name);
    return db_on_commit(tx, noted_commit, noted, err) && db_event_insert(tx, NOW, kind, NULL, "", err) &&
           (!noted->fails || err_set(err, ERR_CONFLICT, "on purpose"));
}

static void noted_done(void *arg, bool ok, const struct err *err) {
    struct noted *noted = arg;

    noted->code = ok ? ERR_NONE : err->code;
    note(noted->journal, ok ? '+' : '-');
}

static void test_order_and_savepoints(void **state) {
    struct store *store = *state;
    struct gate gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    struct db_job wait = {.run = run_wait, .arg = &gate};
    struct journal journal = {.len = 0};
    struct noted jobs[] = {{&journal, 'a', false, 0}, {&journal, 'b', true, 0}, {&journal, 'c', false, 0}};
    struct err err;

    assert_ok(db_submit(store->db, &wait, &err), err);
    wait_entered(&gate);
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        struct db_job job = {.run = noted_run, .done = noted_done, .arg = &jobs[i]};

        assert_ok(db_submit(store->db, &job, &err), err);
    }
    open_gate(&gate);
    assert_ok(db_write(store->db, run_event, "end", &err), err);
    /* a and c ran, b was undone at once; after COMMIT the registry's turn, then the owners are told. */
    assert_string_equal(journal.text, "ab!cAC+-+");
    assert_int_equal(jobs[1].code, ERR_CONFLICT);
    assert_int_equal(events_of(store, "a", NULL), 1);
    assert_int_equal(events_of(store, "b", NULL), 0);
    assert_int_equal(events_of(store, "c", NULL), 1);
}

static void test_failing_job(void **state) {
    struct store *store = *state;
    struct err err;

    assert_fails(db_write(store->db, run_event_then_fail, "undone", &err), err, ERR_CONFLICT);
    assert_string_equal(err.text, "on purpose");
    assert_int_equal(events_of(store, "undone", NULL), 0);
    assert_ok(db_write(store->db, run_event, "kept", &err), err);
    assert_int_equal(events_of(store, "kept", NULL), 1);
}

static bool run_nested(struct db_conn *tx, void *arg, struct err *err) {
    return db_write(db_conn_db(tx), run_event, arg, err);
}

static void test_job_in_job(void **state) {
    struct store *store = *state;
    struct err err;

    assert_fails(db_write(store->db, run_nested, "nested", &err), err, ERR_INTERNAL);
}

static void test_readers_only_read(void **state) {
    struct store *store = *state;
    struct err err;

    assert_false(db_event_insert(store->reader, NOW, "no", NULL, "", &err));
    assert_false(db_on_commit(store->reader, noted_commit, NULL, &err));
    assert_int_equal(events_of(store, "no", NULL), 0);
}

static void test_queue_full(void **state) {
    struct store store = {.fatal_count = 0};
    struct gate gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    struct db_job wait = {.run = run_wait, .arg = &gate}, event = {.run = run_event, .arg = "queued"};
    struct db_options options = {.folder = store.folder, .queue_max = 4};
    struct db_stats stats;
    struct err err;

    (void)state;
    temporary_folder(store.folder);
    arena_init(&store.arena, 1 << 20);
    assert_ok(db_open(&options, &store.db, &err), err);
    assert_ok(db_reader_open(store.db, &store.reader, &err), err);
    assert_ok(db_submit(store.db, &wait, &err), err);
    wait_entered(&gate);
    for (int i = 0; i < 4; i++)
        assert_ok(db_submit(store.db, &event, &err), err);
    assert_fails(db_submit(store.db, &event, &err), err, ERR_BUSY);
    db_stats_get(store.db, &stats);
    assert_int_equal(stats.queue_depth, 4);
    assert_int_equal(stats.refused, 1);
    open_gate(&gate);
    store_shut(&store);
    store_reopen(&store);
    assert_int_equal(events_of(&store, "queued", NULL), 4);
    store_shut(&store);
    arena_clear(&store.arena);
    temporary_remove(store.folder);
}

/* What is queued at the end is still done. */
static void test_close_drains(void **state) {
    struct store *store = *state;
    struct db_job event = {.run = run_event, .arg = "drained"};
    struct err err;

    for (int i = 0; i < 500; i++)
        assert_ok(db_submit(store->db, &event, &err), err);
    store_shut(store);
    store_reopen(store);
    assert_int_equal(events_of(store, "drained", NULL), 500);
}

/* Another process holds the database's lock: writes are refused in time, reads go on, and nothing is broken afterwards. */
static void test_locked(void **state) {
    struct store store = {.fatal_count = 0};
    struct db_options options = {.folder = store.folder, .busy_timeout_ms = 100, .fatal = store_fatal, .fatal_context = &store};
    char path[128];
    sqlite3 *other;
    struct err err;
    int64_t start;

    (void)state;
    temporary_folder(store.folder);
    arena_init(&store.arena, 1 << 20);
    assert_ok(db_open(&options, &store.db, &err), err);
    assert_ok(db_reader_open(store.db, &store.reader, &err), err);
    snprintf(path, sizeof path, "%s/pawl.db", store.folder);
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    start = clock_mono_ms();
    assert_fails(db_write(store.db, run_event, "locked", &err), err, ERR_BUSY);
    assert_true(clock_mono_ms() - start < 2000);
    assert_int_equal(events_of(&store, "locked", NULL), 0);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_ok(db_write(store.db, run_event, "free", &err), err);
    assert_int_equal(store.fatal_count, 0);
    store_shut(&store);
    arena_clear(&store.arena);
    temporary_remove(store.folder);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, store_setup, store_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_group_commit),      WITH_STORE(test_order_and_savepoints), WITH_STORE(test_failing_job),  WITH_STORE(test_job_in_job),
        WITH_STORE(test_readers_only_read), cmocka_unit_test(test_queue_full),     WITH_STORE(test_close_drains), cmocka_unit_test(test_locked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
