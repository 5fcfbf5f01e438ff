/* What existing clients leave in the store: the bounded log, and the bits that the registry mirrors, also after a restart. */
#include "db/ddi.h"
#include "tests/unit/db_fixture.h"

struct many {
    int64_t deployment;
    int count;
    enum fleet_ddi_execution execution;
    enum fleet_ddi_finished finished;
    enum fleet_ddi_verdict verdict;
};

static bool run_many(struct db_conn *tx, void *arg, struct err *err) {
    struct many *many = arg;
    const char *detail = "a line";
    const struct db_ddi_feedback feedback = {.deployment = many->deployment,
                                             .execution = many->execution,
                                             .finished = many->finished,
                                             .progress_count = -1,
                                             .progress_of = -1,
                                             .code = -1,
                                             .details = {.count = 1, .items = &detail}};

    for (int i = 0; i < many->count; i++) {
        if (!db_ddi_feedback(tx, "dev-1", &feedback, NOW, &many->verdict, err))
            return false;
    }
    return true;
}

static bool run_fetched(struct db_conn *tx, void *arg, struct err *err) {
    struct many *many = arg;

    return db_ddi_device_client(tx, "dev-1", true, err) && db_ddi_action_fetched(tx, "dev-1", many->deployment, NOW, err);
}

static int64_t fetched(struct store *store) {
    struct many many = {.deployment = 0};
    struct err err;

    make_product(store, "router", FLEET_POLICY_ROLLOUT);
    make_device(store, "dev-1", "router", "board");
    many.deployment = assign(store, "dev-1", make_release(store, "router", 1));
    offer(store, "dev-1");
    assert_ok(WRITE(store, run_fetched, &many, &err), err);
    return many.deployment;
}

static void test_log_has_a_ceiling(void **state) {
    struct store *store = *state;
    struct many many = {.deployment = fetched(store), .count = DB_DDI_LOG_ENTRIES + 5, .execution = FLEET_DDI_PROCEEDING};
    struct db_ddi_entries page;
    struct err err;

    assert_ok(WRITE(store, run_many, &many, &err), err);
    assert_int_equal(many.verdict, FLEET_DDI_NOTED);
    many = (struct many){.deployment = many.deployment, .count = 1, .execution = FLEET_DDI_CLOSED, .finished = FLEET_DDI_FAILURE};
    assert_ok(WRITE(store, run_many, &many, &err), err);
    assert_ok(db_ddi_log_list(store->reader, many.deployment, 0, 2 * DB_DDI_LOG_ENTRIES, &store->arena, &page, &err), err);
    assert_int_equal(page.count, DB_DDI_LOG_ENTRIES);
    assert_int_equal(page.items[0].seq, 7);
    assert_int_equal(page.items[page.count - 1].seq, DB_DDI_LOG_ENTRIES + 6);
    assert_string_equal(page.items[page.count - 1].finished, "failure");
    assert_ok(db_ddi_log_list(store->reader, many.deployment, 7, 1, &store->arena, &page, &err), err);
    assert_int_equal(page.items[0].seq, 8);
    assert_true(page.more);
}

static void test_registry_mirrors(void **state) {
    struct store *store = *state;
    struct many many = {.deployment = fetched(store), .count = 1, .execution = FLEET_DDI_CLOSED, .finished = FLEET_DDI_SUCCESS};
    struct db_device_hot hot = hot_of(store, "dev-1");
    struct err err;

    assert_true(hot.ddi_client && hot.ddi_fetched && !hot.ddi_answered && !hot.ddi_configured);
    assert_ok(WRITE(store, run_many, &many, &err), err);
    hot = hot_of(store, "dev-1");
    assert_true(hot.ddi_answered);
    assert_int_equal(hot.open_state, FLEET_REBOOTING);
    store_shut(store);
    store_reopen(store);
    hot = hot_of(store, "dev-1");
    assert_true(hot.ddi_client && hot.ddi_fetched && hot.ddi_answered && !hot.ddi_configured);
    many = (struct many){.deployment = many.deployment, .count = 1, .execution = FLEET_DDI_CLOSED, .finished = FLEET_DDI_FAILURE};
    assert_ok(WRITE(store, run_many, &many, &err), err);
    hot = hot_of(store, "dev-1");
    assert_true(hot.open_deployment == 0 && !hot.ddi_fetched && !hot.ddi_answered);
    assert_int_equal(hot.quarantined_count, 1); /* one failure is enough */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_log_has_a_ceiling, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(test_registry_mirrors, store_setup, store_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
