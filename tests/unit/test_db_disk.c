/* The disk fails under the database: nothing is acknowledged that is not there, a failed sync ends it, a full disk heals. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "tests/unit/db_fixture.h"
#include "tests/unit/sync_fault.h"

/* The engine calls these two (nm -D libsqlite3.so.0); here stand ours, which fail on demand. */
static atomic_int sync_fails, write_fails;

int fdatasync(int fd) {
    if (atomic_load(&sync_fails)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset) {
    int failure = atomic_load(&write_fails);

    if (failure) {
        errno = failure;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, len, offset);
}

static bool run_event(struct db_conn *tx, void *arg, struct err *err) {
    return db_event_insert(tx, NOW, arg, NULL, "", err);
}

static void test_failed_sync_is_the_end(void **state) {
    struct store *store = *state;
    struct db_stats stats;
    struct err err;

    assert_ok(db_write(store->db, run_event, "before", &err), err);
    atomic_store(&sync_fails, 1);
    assert_fails(db_write(store->db, run_event, "during", &err), err, ERR_IO);
    assert_int_equal(store->fatal_count, 1);
    atomic_store(&sync_fails, 0);
    /* The disk is well again, but what it holds is not known: no more promises. */
    assert_fails(db_write(store->db, run_event, "after", &err), err, ERR_IO);
    assert_int_equal(store->fatal_count, 1);
    db_stats_get(store->db, &stats);
    assert_true(stats.failed);
    store_shut(store);
    store->fatal_count = 0;
    store_reopen(store);
    assert_int_equal(events_of(store, "before", NULL), 1);
    assert_int_equal(events_of(store, "after", NULL), 0);
    assert_ok(db_write(store->db, run_event, "again", &err), err);
}

static void test_registry_does_not_run_ahead(void **state) {
    struct store *store = *state;
    struct db_device_new device = {.id = "d1", .state = FLEET_DEVICE_ACTIVE};
    struct write_args args = {.object = &device};
    struct db_device_hot hot;
    struct err err;

    atomic_store(&sync_fails, 1);
    assert_fails(WRITE(store, run_device, &args, &err), err, ERR_IO);
    atomic_store(&sync_fails, 0);
    assert_false(db_registry_get(store->db, "d1", &hot));
}

static void test_full_disk_heals(void **state) {
    struct store *store = *state;
    struct err err;

    atomic_store(&write_fails, ENOSPC);
    assert_fails(db_write(store->db, run_event, "full", &err), err, ERR_NO_SPACE);
    assert_fails(db_write(store->db, run_event, "full", &err), err, ERR_NO_SPACE);
    assert_int_equal(events_of(store, "full", NULL), 0); /* reads go on */
    assert_int_equal(store->fatal_count, 0);
    atomic_store(&write_fails, 0);
    assert_ok(db_write(store->db, run_event, "room", &err), err);
    assert_int_equal(events_of(store, "full", NULL), 0);
    assert_int_equal(events_of(store, "room", NULL), 1);
}

static void test_failed_write_is_not_acknowledged(void **state) {
    struct store *store = *state;
    struct err err;

    atomic_store(&write_fails, EIO);
    assert_fails(db_write(store->db, run_event, "lost", &err), err, ERR_IO);
    atomic_store(&write_fails, 0);
    store_shut(store);
    store->fatal_count = 0;
    store_reopen(store);
    assert_int_equal(events_of(store, "lost", NULL), 0);
    assert_ok(db_write(store->db, run_event, "again", &err), err);
}

/* First the file, then the folder that has its name: an image is not taken before both are on the disk. */
static void test_image_that_is_not_synced(void **state) {
    struct store *store = *state;
    char sha256[DB_SHA256_SIZE];
    struct db_image image;
    struct err err;

    assert_ok(hash_sha256_hex("abc", 3, sha256, &err), err);
    for (int nth = 1; nth <= 2; nth++) {
        struct image_args args = {.upload = NULL};

        assert_ok(db_image_begin(store->db, sha256, 3, &args.upload, &err), err);
        assert_ok(db_image_write(args.upload, "abc", 3, &err), err);
        atomic_store(&sync_fault_at, nth);
        assert_fails(WRITE(store, run_image, &args, &err), err, ERR_IO);
        assert_int_equal(atomic_load(&sync_fault_at), 0);
        assert_fails(db_image_get(store->reader, sha256, &image, &err), err, ERR_NOT_FOUND);
        assert_int_equal(count_files(store, "tmp"), 0);
    }
    store_shut(store);
    store_reopen(store);
    assert_int_equal(count_files(store, "images"), 0);
}

static void test_migration_on_a_full_disk(void **state) {
    struct store store = {.fatal_count = 0};
    struct db_options options = {.folder = store.folder};
    struct err err;

    (void)state;
    temporary_folder(store.folder);
    arena_init(&store.arena, 1 << 20);
    atomic_store(&write_fails, ENOSPC);
    assert_false(db_open(&options, &store.db, &err));
    atomic_store(&write_fails, 0);
    store_reopen(&store);
    assert_ok(db_write(store.db, run_event, "works", &err), err);
    store_shut(&store);
    arena_clear(&store.arena);
    temporary_remove(store.folder);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, store_setup, store_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_failed_sync_is_the_end),   WITH_STORE(test_registry_does_not_run_ahead),
        WITH_STORE(test_full_disk_heals),          WITH_STORE(test_failed_write_is_not_acknowledged),
        WITH_STORE(test_image_that_is_not_synced), cmocka_unit_test(test_migration_on_a_full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
