/* Assign, offer, report, cancel: each one atomic, each refusal without a trace. */
#include <limits.h>

#include "tests/unit/db_fixture.h"

static bool run_cancel(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_deployment_cancel(tx, args->number, args->text, NOW + 1, err);
}

static struct db_deployment deployment_of(struct store *store, int64_t id) {
    struct db_deployment deployment;
    struct err err;

    assert_ok(db_deployment_get(store->reader, id, &store->arena, &deployment, &err), err);
    return deployment;
}

static void test_whole_way(void **state) {
    struct store *store = *state;
    static const enum fleet_event way[] = {FLEET_REPORT_DOWNLOADING, FLEET_REPORT_DOWNLOADING, FLEET_REPORT_DOWNLOADED, FLEET_REPORT_INSTALLING,
                                           FLEET_REPORT_REBOOTING};
    struct db_reported reported;
    struct db_offered offered;
    struct db_deployment deployment;
    int64_t id, number = 0;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_ROLLOUT);
    make_device(store, "d1", "hub", "board");
    id = assign(store, "d1", make_release(store, "hub", 5));
    assert_int_equal(id, 1001);
    assert_int_equal(hot_of(store, "d1").open_state, FLEET_ASSIGNED);
    offered = offer(store, "d1");
    assert_int_equal(offered.deployment, id);
    assert_int_equal(hot_of(store, "d1").open_state, FLEET_OFFERED);
    for (size_t i = 0; i < ARRAY_LEN(way); i++) {
        struct db_report_new step = report_of(id, ++number, way[i], 0);

        step.progress = (int64_t)i;
        assert_ok(report(store, "d1", &step, &reported, &err), err);
        assert_false(reported.repeated);
    }
    assert_int_equal(deployment_of(store, id).progress, 4);
    assert_int_equal(hot_of(store, "d1").open_state, FLEET_REBOOTING);
    assert_int_equal(hot_of(store, "d1").floor.sequence, 0);
    {
        struct db_report_new last = report_of(id, ++number, FLEET_REPORT_CONFIRMED, 5);

        assert_ok(report(store, "d1", &last, &reported, &err), err);
    }
    assert_int_equal(reported.state, FLEET_CONFIRMED);
    assert_int_equal(reported.floor_sequence, 5);
    deployment = deployment_of(store, id);
    assert_int_equal(deployment.state, FLEET_CONFIRMED);
    assert_int_equal(deployment.closed_at, NOW);
    assert_int_equal(deployment.report_seq, number);
    assert_int_equal(hot_of(store, "d1").open_deployment, 0);
    assert_int_equal(hot_of(store, "d1").floor.sequence, 5);
    assert_int_equal(hot_of(store, "d1").floor.security_version, 1);
    assert_int_equal(hot_of(store, "d1").installed_sequence, 5);
    assert_int_equal(device_of(store, "d1").installed_sequence, 5);
    assert_int_equal(device_of(store, "d1").floor.sequence, 5);
    assert_int_equal(events_of(store, "deployment-confirmed", "d1"), 1);
}

static void test_numbers(void **state) {
    struct store *store = *state;
    struct db_report_new first = {0}, other, third, second;
    struct db_reported reported;
    struct db_offered offered;
    struct db_report kept;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    make_device(store, "d2", "hub", "board");
    make_release(store, "hub", 5);
    offered = offer(store, "d1");
    first = report_of(offered.deployment, 1, FLEET_REPORT_DOWNLOADING, 0);
    third = report_of(offered.deployment, 3, FLEET_REPORT_INSTALLING, 0);
    second = report_of(offered.deployment, 2, FLEET_REPORT_DOWNLOADED, 0);
    other = report_of(offered.deployment, 1, FLEET_REPORT_FAILED, 0);
    assert_ok(report(store, "d1", &first, &reported, &err), err);
    assert_ok(report(store, "d1", &third, &reported, &err), err);
    /* Known again: the recorded result, and nothing moves. */
    assert_ok(report(store, "d1", &first, &reported, &err), err);
    assert_true(reported.repeated);
    assert_int_equal(reported.state, FLEET_DOWNLOADING);
    assert_int_equal(deployment_of(store, offered.deployment).state, FLEET_INSTALLING);
    assert_fails(report(store, "d1", &second, &reported, &err), err, ERR_CONFLICT);
    assert_fails(report(store, "d1", &other, &reported, &err), err, ERR_CONFLICT);
    assert_fails(report(store, "d2", &third, &reported, &err), err, ERR_NOT_FOUND);
    assert_fails(db_report_get(store->reader, offered.deployment, 2, &store->arena, &kept, &err), err, ERR_NOT_FOUND);
    assert_ok(db_report_get(store->reader, offered.deployment, 3, &store->arena, &kept, &err), err);
    assert_int_equal(kept.result, FLEET_INSTALLING);
}

static void test_confirmed_must_agree(void **state) {
    struct store *store = *state;
    struct db_report_new other, silent;
    struct db_reported reported;
    struct db_offered offered;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    make_release(store, "hub", 5);
    offered = offer(store, "d1");
    other = report_of(offered.deployment, 1, FLEET_REPORT_CONFIRMED, 4);
    silent = report_of(offered.deployment, 1, FLEET_REPORT_CONFIRMED, 0);
    assert_fails(report(store, "d1", &other, &reported, &err), err, ERR_CONFLICT);
    assert_fails(report(store, "d1", &silent, &reported, &err), err, ERR_INVALID);
    assert_int_equal(hot_of(store, "d1").floor.sequence, 0);
    assert_int_equal(deployment_of(store, offered.deployment).report_seq, 0);
}

static void test_assignment_refused(void **state) {
    struct store *store = *state;
    static const char *wrong[] = {"toaster"};
    struct db_release release;
    struct write_args args = {.text = "d1"};
    struct err err;
    int64_t old, current;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_product(store, "lamp", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    old = make_release(store, "hub", 4);
    current = make_release(store, "hub", 5);
    bring_to(store, "d1", 5);
    args.number = old;
    assert_fails(WRITE(store, run_assign, &args, &err), err, ERR_DOWNGRADE);
    args.number = make_release(store, "lamp", 9);
    assert_fails(WRITE(store, run_assign, &args, &err), err, ERR_CONFLICT);
    args.number = 4711;
    assert_fails(WRITE(store, run_assign, &args, &err), err, ERR_NOT_FOUND);
    release = release_of(store, "hub", 6);
    release.hardware.items = wrong;
    args.object = &release;
    assert_ok(WRITE(store, run_release, &args, &err), err);
    args.number = args.result;
    assert_fails(WRITE(store, run_assign, &args, &err), err, ERR_HARDWARE);
    release = release_of(store, "hub", 7);
    release.requires_sequence = 6;
    assert_ok(WRITE(store, run_release, &args, &err), err);
    args.number = args.result;
    assert_fails(WRITE(store, run_assign, &args, &err), err, ERR_STEPPING_STONE);
    assert_int_equal(hot_of(store, "d1").open_deployment, 0);
    /* The same bits again: a repair. */
    args.number = current;
    assert_ok(WRITE(store, run_assign, &args, &err), err);
    assert_int_equal(offer(store, "d1").release, current);
}

static void test_supersede(void **state) {
    struct store *store = *state;
    int64_t first, second;

    make_product(store, "hub", FLEET_POLICY_ROLLOUT);
    make_device(store, "d1", "hub", "board");
    first = assign(store, "d1", make_release(store, "hub", 5));
    second = assign(store, "d1", make_release(store, "hub", 6));
    assert_int_equal(deployment_of(store, first).state, FLEET_SUPERSEDED);
    assert_string_equal(deployment_of(store, first).reason, "superseded by hub 1.6.0");
    assert_int_equal(hot_of(store, "d1").open_deployment, second);
    assert_int_equal(offer(store, "d1").deployment, second);
}

static void test_cancel_holds(void **state) {
    struct store *store = *state;
    struct write_args args = {.text = ""};
    struct db_offered offered;
    int64_t release;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    release = make_release(store, "hub", 5);
    offered = offer(store, "d1");
    args.number = offered.deployment;
    assert_ok(WRITE(store, run_cancel, &args, &err), err);
    assert_fails(WRITE(store, run_cancel, &args, &err), err, ERR_CONFLICT);
    assert_string_equal(deployment_of(store, offered.deployment).reason, "cancelled by an operator");
    assert_int_equal(offer(store, "d1").reason, FLEET_REASON_QUARANTINED);
    /* An operator's retry lifts it. */
    assign(store, "d1", release);
    assert_int_equal(offer(store, "d1").reason, FLEET_REASON_OFFERED);
}

static void test_late_confirmation_raises_the_floor(void **state) {
    struct store *store = *state;
    struct write_args args = {.text = "too slow"};
    struct db_report_new late, failed;
    struct db_reported reported;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    make_release(store, "hub", 5);
    args.number = offer(store, "d1").deployment;
    assert_ok(WRITE(store, run_cancel, &args, &err), err);
    failed = report_of(args.number, 1, FLEET_REPORT_FAILED, 0);
    late = report_of(args.number, 2, FLEET_REPORT_CONFIRMED, 5);
    assert_fails(report(store, "d1", &failed, &reported, &err), err, ERR_CONFLICT);
    assert_ok(report(store, "d1", &late, &reported, &err), err);
    assert_int_equal(reported.state, FLEET_CANCELLED);
    assert_int_equal(hot_of(store, "d1").floor.sequence, 5);
    assert_string_equal(deployment_of(store, args.number).reason, "too slow");
    late.report_seq = 3;
    assert_fails(report(store, "d1", &late, &reported, &err), err, ERR_CONFLICT); /* once is enough: no row and no event for each */
}

static void test_quarantine_after_three_failures(void **state) {
    struct store *store = *state;
    struct db_reported reported;
    struct err err;
    int64_t release;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    release = make_release(store, "hub", 5);
    for (int i = 0; i < FLEET_MAX_FAILURES; i++) {
        struct db_offered offered = offer(store, "d1");
        struct db_report_new failed = report_of(offered.deployment, 1, i == 1 ? FLEET_REPORT_REJECTED : FLEET_REPORT_FAILED, 0);

        assert_int_equal(offered.reason, FLEET_REASON_OFFERED);
        failed.error_code = "E_SELFTEST";
        assert_ok(report(store, "d1", &failed, &reported, &err), err);
    }
    assert_int_equal(offer(store, "d1").reason, FLEET_REASON_QUARANTINED);
    assert_int_equal(hot_of(store, "d1").quarantined_count, 1);
    assert_int_equal(hot_of(store, "d1").quarantined[0], release);
    store_shut(store);
    store_reopen(store);
    assert_int_equal(hot_of(store, "d1").quarantined_count, 1);
    /* The next release is another matter. */
    make_release(store, "hub", 6);
    assert_int_equal(offer(store, "d1").reason, FLEET_REASON_OFFERED);
}

static bool run_withdraw(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_release_withdraw(tx, args->number, NOW, err);
}

static void test_withdrawn(void **state) {
    struct store *store = *state;
    struct write_args args = {.number = 0};
    struct db_offered first, second;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    make_release(store, "hub", 5);
    args.number = make_release(store, "hub", 6);
    first = offer(store, "d1");
    assert_int_equal(first.release, args.number);
    assert_ok(WRITE(store, run_withdraw, &args, &err), err);
    assert_fails(WRITE(store, run_withdraw, &args, &err), err, ERR_CONFLICT);
    second = offer(store, "d1");
    assert_int_equal(second.release, args.number - 1);
    assert_int_equal(deployment_of(store, first.deployment).state, FLEET_SUPERSEDED);
    args.text = "d1";
    assert_fails(WRITE(store, run_assign, &args, &err), err, ERR_GONE);
}

static void test_offer_is_made_once(void **state) {
    struct store *store = *state;
    struct db_offered first, second;
    struct db_deployments page;
    struct db_deployment_filter filter = {.device = "d1"};
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    make_release(store, "hub", 5);
    first = offer(store, "d1");
    second = offer(store, "d1");
    assert_int_equal(first.deployment, second.deployment);
    assert_ok(db_deployment_list(store->reader, &filter, PAGE(10), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 1);
    assert_string_equal(page.items[0].origin, "latest");
}

static void test_entitlement(void **state) {
    struct store *store = *state;
    int64_t release, other;
    bool entitled;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    other = make_release(store, "hub", 4);
    release = make_release(store, "hub", 5);
    assert_ok(db_deployment_entitles(store->reader, "d1", release, NOW - 60, &entitled, &err), err);
    assert_false(entitled);
    offer(store, "d1");
    assert_ok(db_deployment_entitles(store->reader, "d1", release, NOW - 60, &entitled, &err), err);
    assert_true(entitled);
    assert_ok(db_deployment_entitles(store->reader, "d1", other, NOW - 60, &entitled, &err), err);
    assert_false(entitled);
    bring_to(store, "d1", 5);
    assert_ok(db_deployment_entitles(store->reader, "d1", release, NOW, &entitled, &err), err);
    assert_true(entitled);
    assert_ok(db_deployment_entitles(store->reader, "d1", release, NOW + 1, &entitled, &err), err);
    assert_false(entitled);
}

static void test_report_ceiling(void **state) {
    struct store *store = *state;
    struct db_report_new next;
    struct db_reported reported;
    struct db_offered offered;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    make_release(store, "hub", 5);
    offered = offer(store, "d1");
    for (int64_t i = 1; i <= DB_MAX_REPORTS; i++) {
        next = report_of(offered.deployment, i, FLEET_REPORT_DOWNLOADING, 0);
        assert_ok(report(store, "d1", &next, &reported, &err), err);
    }
    next = report_of(offered.deployment, DB_MAX_REPORTS + 1, FLEET_REPORT_DOWNLOADED, 0);
    assert_fails(report(store, "d1", &next, &reported, &err), err, ERR_RATE);
    next = report_of(offered.deployment, DB_MAX_REPORTS + 1, FLEET_REPORT_FAILED, 0);
    assert_ok(report(store, "d1", &next, &reported, &err), err);
}

static bool run_prune(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_deployment_prune(tx, args->number, args->out, err);
}

/* Of what is closed for long the last report stays: sent again, it is known. */
static void test_old_reports_go(void **state) {
    struct store *store = *state;
    size_t pruned = 7;
    struct write_args prune = {.number = NOW, .out = &pruned};
    struct db_report_new steps[3];
    struct db_reported reported;
    struct db_offered offered;
    struct db_report kept;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    make_release(store, "hub", 5);
    offered = offer(store, "d1");
    steps[0] = report_of(offered.deployment, 1, FLEET_REPORT_DOWNLOADING, 0);
    steps[1] = report_of(offered.deployment, 2, FLEET_REPORT_INSTALLING, 0);
    steps[2] = report_of(offered.deployment, 3, FLEET_REPORT_CONFIRMED, 5);
    assert_ok(report(store, "d1", &steps[0], &reported, &err), err);
    assert_ok(report(store, "d1", &steps[1], &reported, &err), err);
    prune.number = NOW + 1;
    assert_ok(WRITE(store, run_prune, &prune, &err), err);
    assert_int_equal(pruned, 0); /* it is open */
    assert_ok(report(store, "d1", &steps[2], &reported, &err), err);
    prune.number = NOW;
    assert_ok(WRITE(store, run_prune, &prune, &err), err);
    assert_int_equal(pruned, 0); /* not for long enough */
    assert_ok(db_report_get(store->reader, offered.deployment, 1, &store->arena, &kept, &err), err);
    prune.number = NOW + 1;
    assert_ok(WRITE(store, run_prune, &prune, &err), err);
    assert_int_equal(pruned, 1);
    assert_fails(db_report_get(store->reader, offered.deployment, 1, &store->arena, &kept, &err), err, ERR_NOT_FOUND);
    assert_fails(db_report_get(store->reader, offered.deployment, 2, &store->arena, &kept, &err), err, ERR_NOT_FOUND);
    assert_ok(report(store, "d1", &steps[2], &reported, &err), err);
    assert_true(reported.repeated);
    assert_int_equal(reported.state, FLEET_CONFIRMED);
    assert_ok(WRITE(store, run_prune, &prune, &err), err);
    assert_int_equal(pruned, 0);
}

static void test_lists(void **state) {
    struct store *store = *state;
    struct db_deployment_filter none = {.device = NULL}, superseded = {.by_state = true, .state = FLEET_SUPERSEDED}, of_release = {.device = NULL},
                                of_product = {.product = "lamp"};
    int64_t counts[FLEET_DEPLOYMENT_STATE_COUNT];
    struct db_deployments page;
    struct err err;
    int64_t release;

    make_product(store, "hub", FLEET_POLICY_ROLLOUT);
    make_product(store, "lamp", FLEET_POLICY_ROLLOUT);
    make_device(store, "d1", "hub", "board");
    make_device(store, "d2", "hub", "board");
    make_device(store, "l1", "lamp", "board");
    assign(store, "d1", make_release(store, "hub", 5));
    release = make_release(store, "hub", 6);
    assign(store, "d1", release);
    assign(store, "d2", release);
    assign(store, "l1", make_release(store, "lamp", 1));
    assert_ok(db_deployment_list(store->reader, &none, PAGE(3), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 3);
    assert_non_null(page.next);
    assert_int_equal(page.items[0].id, 1004);
    assert_ok(db_deployment_list(store->reader, &none, PAGE_AFTER(page.next, 3), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 1);
    assert_null(page.next);
    assert_int_equal(page.items[0].id, 1001);
    assert_ok(db_deployment_list(store->reader, &superseded, PAGE(10), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 1);
    of_release.release = release;
    assert_ok(db_deployment_list(store->reader, &of_release, PAGE(10), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 2);
    assert_ok(db_deployment_list(store->reader, &of_product, PAGE(10), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 1);
    assert_ok(db_deployment_count(store->reader, counts, &err), err);
    assert_int_equal(counts[FLEET_ASSIGNED], 3);
    assert_int_equal(counts[FLEET_SUPERSEDED], 1);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, store_setup, store_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_whole_way),
        WITH_STORE(test_numbers),
        WITH_STORE(test_confirmed_must_agree),
        WITH_STORE(test_assignment_refused),
        WITH_STORE(test_supersede),
        WITH_STORE(test_cancel_holds),
        WITH_STORE(test_late_confirmation_raises_the_floor),
        WITH_STORE(test_quarantine_after_three_failures),
        WITH_STORE(test_withdrawn),
        WITH_STORE(test_offer_is_made_once),
        WITH_STORE(test_entitlement),
        WITH_STORE(test_report_ceiling),
        WITH_STORE(test_old_reports_go),
        WITH_STORE(test_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
