/* What existing clients leave in the store: the bounded log, and the bits that the registry mirrors, also after a restart. */
#include "db/ddi.h"
#include "db/deployment_row.h"
#include "db/store.h"
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

    for (int i = 0; i < many->count; i++)
        if (!db_ddi_feedback(tx, "dev-1", &feedback, NOW, &many->verdict, err))
            return false;
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
    assert_ok(db_ddi_log_list(store->reader, many.deployment, PAGE(2 * DB_DDI_LOG_ENTRIES), &store->arena, &page, &err), err);
    assert_int_equal(page.count, DB_DDI_LOG_ENTRIES);
    assert_int_equal(page.items[0].seq, 7);
    assert_int_equal(page.items[page.count - 1].seq, DB_DDI_LOG_ENTRIES + 6);
    assert_string_equal(page.items[page.count - 1].finished, "failure");
    assert_ok(db_ddi_log_list(store->reader, many.deployment, PAGE_AFTER("time/7", 1), &store->arena, &page, &err), err);
    assert_int_equal(page.items[0].seq, 8);
    assert_non_null(page.next);
}

static bool run_purge(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_deployment_prune(tx, args->number, args->out, err);
}

static size_t log_left(struct store *store, int64_t deployment) {
    struct db_ddi_entries page;
    struct err err;

    assert_ok(db_ddi_log_list(store->reader, deployment, PAGE(2 * DB_DDI_LOG_ENTRIES), &store->arena, &page, &err), err);
    return page.count;
}

static void test_log_of_what_is_closed_goes(void **state) {
    struct store *store = *state;
    struct many many = {.deployment = fetched(store), .count = DB_DDI_LOG_ENTRIES, .execution = FLEET_DDI_PROCEEDING};
    struct many last = {.deployment = many.deployment, .count = 1, .execution = FLEET_DDI_CLOSED, .finished = FLEET_DDI_FAILURE};
    struct many again = {.count = 2, .execution = FLEET_DDI_PROCEEDING};
    size_t removed = 7;
    struct write_args purge = {.number = NOW + 1, .out = &removed};
    struct err err;

    assert_ok(WRITE(store, run_many, &many, &err), err);
    assert_ok(WRITE(store, run_purge, &purge, &err), err);
    assert_int_equal(removed, 0); /* it is open */
    assert_ok(WRITE(store, run_many, &last, &err), err);
    purge.number = NOW;
    assert_ok(WRITE(store, run_purge, &purge, &err), err);
    assert_int_equal(removed, 0); /* not for long enough */

    again.deployment = assign(store, "dev-1", make_release(store, "router", 2));
    offer(store, "dev-1");
    assert_ok(WRITE(store, run_fetched, &again, &err), err);
    assert_ok(WRITE(store, run_many, &again, &err), err);
    purge.number = NOW + 1;
    assert_ok(WRITE(store, run_purge, &purge, &err), err);
    assert_int_equal(removed, 1);
    assert_int_equal(log_left(store, many.deployment), 0);
    assert_int_equal(log_left(store, again.deployment), 2);
    assert_ok(WRITE(store, run_purge, &purge, &err), err);
    assert_int_equal(removed, 0);
    assert_ok(WRITE(store, run_many, &again, &err), err); /* the count of the open one is as it was */
    assert_int_equal(log_left(store, again.deployment), 4);
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

/* ---- an assignment that waits for the end of the open one ---- */

struct wait {
    int64_t release, id, waits_for;
};

static bool run_wait(struct db_conn *tx, void *arg, struct err *err) {
    struct wait *wait = arg;

    return db_deployment_assign_or_wait(tx, "dev-1", wait->release, NOW, &wait->id, &wait->waits_for, err);
}

static bool run_answer(struct db_conn *tx, void *arg, struct err *err) {
    struct many *many = arg;
    const struct db_ddi_feedback feedback = {.deployment = many->deployment,
                                             .cancel = true,
                                             .execution = many->execution,
                                             .finished = many->finished,
                                             .progress_count = -1,
                                             .progress_of = -1,
                                             .code = -1};

    return db_ddi_feedback(tx, "dev-1", &feedback, NOW, &many->verdict, err);
}

static bool run_confirm(struct db_conn *tx, void *arg, struct err *err) {
    struct many *many = arg;
    const struct db_report_new report = {.deployment = many->deployment,
                                         .report_seq = 900,
                                         .event = FLEET_REPORT_CONFIRMED,
                                         .progress = -1,
                                         .installed_known = true,
                                         .installed_sequence = 1};
    struct db_reported reported;

    return db_deployment_report(tx, "dev-1", &report, NOW, &reported, err);
}

static bool run_force(struct db_conn *tx, void *arg, struct err *err) {
    struct many *many = arg;

    return db_deployment_force_close(tx, many->deployment, "", NOW, err);
}

static bool run_time_out(struct db_conn *tx, void *arg, struct err *err) {
    struct many *many = arg;

    return db_deployment_apply(tx, many->deployment, FLEET_INSTALLING, FLEET_TIME_OUT, "silent", NOW, err) &&
           db_registry_touch(tx, "dev-1", false, err);
}

static bool run_cancel(struct db_conn *tx, void *arg, struct err *err) {
    struct many *many = arg;

    return db_deployment_cancel(tx, many->deployment, "", NOW, err);
}

static bool run_revoke(struct db_conn *tx, void *arg UNUSED, struct err *err) {
    return db_device_move(tx, "dev-1", FLEET_DEVICE_REVOKED, 0, NOW, err);
}

static void wait_for(struct store *store, int64_t open, int64_t release) {
    struct wait wait = {.release = release};
    struct err err;

    assert_ok(WRITE(store, run_wait, &wait, &err), err);
    assert_int_equal(wait.waits_for, open);
    assert_int_equal(wait.id, 0);
    assert_int_equal(hot_of(store, "dev-1").open_deployment, open);
}

static int64_t count_events(struct store *store, const char *kind) {
    struct db_event_filter filter = {.kind = kind};
    struct db_events events;
    struct err err;

    assert_ok(db_event_list(store->reader, &filter, PAGE(100), &store->arena, &events, &err), err);
    return (int64_t)events.count;
}

enum { ACCEPTED, FAILED, CONFIRMED, FORCED, REFUSED_CONFIRMED, REFUSED_FAILED, REFUSED_TIMED_OUT, REFUSED_ANSWERED_CANCELLED, WAYS };

/* However the open one ends, what waited is open next; once. */
static void test_waiting_follows(void **state) {
    static const struct {
        bool refused;
        enum fleet_ddi_finished says; /* on the way; NONE: nothing */
        bool (*end)(struct db_conn *tx, void *arg, struct err *err);
        enum fleet_ddi_finished finished;
        enum fleet_deployment_state left;
    } ways[WAYS] = {
        [ACCEPTED] = {false, FLEET_DDI_NONE, run_answer, FLEET_DDI_SUCCESS, FLEET_CANCELLED},
        [FAILED] = {false, FLEET_DDI_NONE, run_many, FLEET_DDI_FAILURE, FLEET_FAILED},
        [CONFIRMED] = {false, FLEET_DDI_NONE, run_confirm, FLEET_DDI_NONE, FLEET_CONFIRMED},
        [FORCED] = {false, FLEET_DDI_NONE, run_force, FLEET_DDI_NONE, FLEET_CANCELLED},
        [REFUSED_CONFIRMED] = {true, FLEET_DDI_NONE, run_confirm, FLEET_DDI_NONE, FLEET_CONFIRMED},
        [REFUSED_FAILED] = {true, FLEET_DDI_NONE, run_many, FLEET_DDI_FAILURE, FLEET_FAILED},
        [REFUSED_TIMED_OUT] = {true, FLEET_DDI_NONE, run_time_out, FLEET_DDI_NONE, FLEET_TIMED_OUT},
        [REFUSED_ANSWERED_CANCELLED] = {true, FLEET_DDI_SUCCESS, run_cancel, FLEET_DDI_NONE, FLEET_CANCELLED},
    };

    for (size_t i = 0; i < WAYS; i++) {
        struct store *store = *state;
        struct many many = {.deployment = fetched(store), .count = 1, .execution = FLEET_DDI_CLOSED, .finished = FLEET_DDI_FAILURE};
        int64_t replaced = make_release(store, "router", 2), wanted = make_release(store, "router", 3);
        struct db_deployment old;
        struct db_device_hot hot;
        struct err err;

        wait_for(store, many.deployment, replaced);
        wait_for(store, many.deployment, wanted); /* a newer one replaces it */
        assert_int_equal(hot_of(store, "dev-1").open_state, FLEET_CANCELLING);
        if (ways[i].refused) {
            assert_ok(WRITE(store, run_answer, &many, &err), err);
            assert_int_equal(hot_of(store, "dev-1").open_state, FLEET_INSTALLING);
        }
        many.finished = ways[i].says;
        if (ways[i].says != FLEET_DDI_NONE)
            assert_ok(WRITE(store, run_many, &many, &err), err);
        assert_int_equal(hot_of(store, "dev-1").open_deployment, many.deployment);
        many.finished = ways[i].finished;
        assert_ok(WRITE(store, ways[i].end, &many, &err), err);
        assert_ok(db_deployment_get(store->reader, many.deployment, &store->arena, &old, &err), err);
        assert_int_equal(old.state, ways[i].left);
        hot = hot_of(store, "dev-1");
        assert_int_equal(hot.open_release, wanted);
        assert_int_equal(hot.open_state, FLEET_ASSIGNED);
        many.deployment = hot.open_deployment;
        assert_ok(WRITE(store, run_force, &many, &err), err);
        assert_int_equal(hot_of(store, "dev-1").open_deployment, 0);
        store_teardown(state);
        store_setup(state);
    }
}

static bool run_withdraw(struct db_conn *tx, void *arg, struct err *err) {
    return db_release_withdraw(tx, *(int64_t *)arg, NOW, err);
}

/* The rules are asked at once, and once more when its turn comes. */
static void test_waiting_is_refused(void **state) {
    struct store *store = *state;
    struct many many = {.deployment = fetched(store)};
    int64_t second = make_release(store, "router", 2), third = make_release(store, "router", 3);
    struct wait wait = {.release = second};
    struct err err;

    wait_for(store, many.deployment, third);
    assert_ok(WRITE(store, run_withdraw, &second, &err), err);
    assert_fails(WRITE(store, run_wait, &wait, &err), err, ERR_GONE);
    assert_ok(WRITE(store, run_withdraw, &third, &err), err);
    assert_ok(WRITE(store, run_force, &many, &err), err);
    assert_int_equal(hot_of(store, "dev-1").open_deployment, 0);
    assert_int_equal(count_events(store, "deployment-not-assigned"), 1);
}

static void test_waiting_ends_with_the_device(void **state) {
    struct store *store = *state;
    struct many many = {.deployment = fetched(store)};
    struct err err;

    wait_for(store, many.deployment, make_release(store, "router", 2));
    assert_ok(WRITE(store, run_revoke, NULL, &err), err);
    assert_int_equal(hot_of(store, "dev-1").open_deployment, 0);
    assert_int_equal(count_events(store, "deployment-not-assigned"), 1);
}

static bool run_configure(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;
    const struct db_ddi_attributes attributes = {.json = "{}", .product = args->text2, .hardware = "board", .version = args->text};

    return db_ddi_device_configure(tx, "dev-1", &attributes, args->number, err);
}

static void configure(struct store *store, const char *version, const char *product, int64_t now) {
    struct write_args args = {.text = version, .text2 = product, .number = now};
    struct err err;

    assert_ok(WRITE(store, run_configure, &args, &err), err);
}

/* A client that says now this and now that is an event an hour; what it runs is known all the same. */
static void test_attributes_are_no_flood(void **state) {
    struct store *store = *state;

    make_product(store, "router", FLEET_POLICY_ROLLOUT);
    make_device(store, "dev-1", "router", "board");
    make_release(store, "router", 1);
    make_release(store, "router", 2);
    for (int i = 0; i < 5; i++) {
        configure(store, "1.2.0", "kettle", NOW + i);
        assert_int_equal(hot_of(store, "dev-1").installed_sequence, 2);
        configure(store, "1.1.0", "toaster", NOW + i);
        assert_int_equal(hot_of(store, "dev-1").installed_sequence, 1);
    }
    assert_int_equal(events_of(store, "rolled-back", "dev-1"), 1);
    assert_int_equal(events_of(store, "identity-mismatch", "dev-1"), 1);
    configure(store, "1.2.0", "router", NOW + 3600);
    configure(store, "1.1.0", "toaster", NOW + 3600);
    assert_int_equal(events_of(store, "rolled-back", "dev-1"), 2);
    assert_int_equal(events_of(store, "identity-mismatch", "dev-1"), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_log_has_a_ceiling, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(test_log_of_what_is_closed_goes, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(test_registry_mirrors, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(test_attributes_are_no_flood, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(test_waiting_follows, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(test_waiting_is_refused, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(test_waiting_ends_with_the_device, store_setup, store_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
