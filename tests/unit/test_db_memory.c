/* Every allocation of the store fails once: the call says so, nothing is half done, nothing leaks (the address sanitizer looks). */
#include "tests/unit/db_fixture.h"
#include "tests/unit/memory_fault.h"

enum { FAULTS_MAX = 400 };

/* A store that lost a piece of memory after a commit says so and stops: a restart reads the truth. */
static void recover(struct store *store) {
    struct db_stats stats;

    db_stats_get(store->db, &stats);
    assert_int_equal(stats.failed, store->fatal_count > 0);
    if (store->fatal_count == 0)
        return;
    store_shut(store);
    store->fatal_count = 0;
    store_reopen(store);
}

/* Repeats an operation, each time with the next allocation failing, until one goes through untouched. Returns how many failed. */
static int each_fault(struct store *store, bool (*run)(struct db_conn *tx, void *arg, struct err *err), void *arg,
                      void (*check_undone)(struct store *store)) {
    int failures = 0;

    for (int nth = 1; nth < FAULTS_MAX; nth++) {
        struct err err = {.code = ERR_NONE};
        bool ok, struck;

        fault_countdown = nth;
        ok = db_write(store->db, run, arg, &err);
        struck = fault_countdown == 0;
        fault_countdown = 0;
        if (ok && !struck)
            return failures;
        if (ok) { /* a spare part failed: last-seen, or the registry after the commit */
            recover(store);
            return failures;
        }
        assert_int_equal(err.code, ERR_NO_MEMORY);
        failures++;
        recover(store);
        check_undone(store);
    }
    fail_msg("%d allocations and no end", FAULTS_MAX);
    return 0;
}

static void no_device(struct store *store) {
    struct db_device_hot hot;
    struct db_device device;
    struct err err;

    assert_false(db_registry_get(store->db, "d1", &hot));
    assert_fails(db_device_get(store->reader, "d1", &store->arena, &device, &err), err, ERR_NOT_FOUND);
}

static void no_deployment(struct store *store) {
    assert_int_equal(hot_of(store, "d1").open_deployment, 0);
    assert_int_equal(device_of(store, "d1").open_deployment, 0);
}

static void not_confirmed(struct store *store) {
    assert_int_equal(hot_of(store, "d1").floor.sequence, 0);
    assert_int_equal(device_of(store, "d1").floor.sequence, 0);
    assert_int_equal(events_of(store, "deployment-confirmed", "d1"), 0);
}

static void test_operations(void **state) {
    struct store *store = *state;
    struct db_device_new device = {.id = "d1", .state = FLEET_DEVICE_ACTIVE, .product = "hub", .hardware = "board"};
    struct write_args insert = {.object = &device}, assignment = {.text = "d1"};
    struct db_reported reported;
    struct db_report_new confirmed;
    struct write_args confirm = {.text = "d1", .object = &confirmed, .out = &reported};

    make_product(store, "hub", FLEET_POLICY_ROLLOUT);
    assignment.number = make_release(store, "hub", 5);
    assert_true(each_fault(store, run_device, &insert, no_device) >= 2);
    assert_string_equal(hot_of(store, "d1").product, "hub");
    assert_true(each_fault(store, run_assign, &assignment, no_deployment) >= 2);
    assert_int_equal(hot_of(store, "d1").open_deployment, 1001);
    confirmed = report_of(offer(store, "d1").deployment, 1, FLEET_REPORT_CONFIRMED, 5);
    assert_true(each_fault(store, run_report, &confirm, not_confirmed) >= 2);
    assert_int_equal(hot_of(store, "d1").floor.sequence, 5);
}

static void test_open(void **state) {
    struct store *store = *state;
    struct db_options options = {.folder = store->folder, .fatal = store_fatal, .fatal_context = store};
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    make_release(store, "hub", 5);
    offer(store, "d1");
    db_close(store->db);
    for (int nth = 1;; nth++) {
        bool ok, struck;

        fault_countdown = nth;
        ok = db_open(&options, &store->db, &err);
        struck = fault_countdown == 0;
        fault_countdown = 0;
        if (ok && !struck)
            break;
        assert_false(ok);
        assert_int_equal(err.code, ERR_NO_MEMORY);
        assert_true(nth < 5000);
    }
    assert_int_equal(hot_of(store, "d1").open_deployment, 1001);
}

static void test_image(void **state) {
    struct store *store = *state;
    char sha256[DB_SHA256_SIZE];
    struct err err;

    assert_ok(hash_sha256_hex("abc", 3, sha256, &err), err);
    for (int nth = 1;; nth++) {
        struct db_image_upload *upload;
        bool ok;

        fault_countdown = nth;
        ok = db_image_begin(store->db, sha256, 3, &upload, &err);
        fault_countdown = 0;
        if (ok) {
            db_image_abort(upload);
            break;
        }
        assert_int_equal(err.code, ERR_NO_MEMORY);
        assert_int_equal(count_files(store, "tmp"), 0);
    }
    assert_int_equal(count_files(store, "tmp"), 0);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, store_setup, store_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {WITH_STORE(test_operations), WITH_STORE(test_open), WITH_STORE(test_image)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
