/* Rollouts when something is wrong: one that is broken holds up no other, and a store that fails is asked again. */
#include <sqlite3.h>

#include "tests/unit/rollout_fixture.h"

static void execute(const struct store *store, const char *sql) {
    char path[128];
    sqlite3 *handle;

    snprintf(path, sizeof path, "%s/pawl.db", store->folder);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

static struct db_rollout_plan five_devices(struct store *store, struct fleet_rollout_phase *phases) {
    make_product(store, "hub", FLEET_POLICY_ROLLOUT);
    make_crowd(store, "hub", 5);
    return (struct db_rollout_plan){
        .product = "hub", .release = make_release(store, "hub", 2), .name = "spring", .filter = "", .phases = phases, .phase_count = 1};
}

/* Its counts contradict its members: no deadline can be written. The one before it and the one behind it go on. */
static void test_one_is_broken(void **state) {
    const struct db_rollout_rules none = {.approval_above = 0};
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = five_devices(store, phases);
    int64_t ids[3];
    struct err err;

    for (int i = 0; i < 3; i++)
        ids[i] = rollout_begin(store, &plan);
    store_shut(store);
    execute(store, "UPDATE rollout_phase SET waiting = 0 WHERE rollout = 2");
    store_reopen(store);
    for (int i = 0; i < 2; i++) {
        assert_fails(db_rollout_run(store->db, store->reader, &none, NOW + 3600, &err), err, ERR_CONFLICT);
        assert_int_equal(strncmp(err.text, "rollout 2", 9), 0);
        assert_rollout(store, ids[0], FLEET_ROLLOUT_PAUSED, 1);
        assert_rollout(store, ids[1], FLEET_ROLLOUT_RUNNING, 1);
        assert_rollout(store, ids[2], FLEET_ROLLOUT_PAUSED, 1);
    }
}

/* A newcomer that could not be written is found again, though it did not change a second time. */
static void test_newcomer_is_not_forgotten(void **state) {
    const struct db_rollout_rules none = {.approval_above = 0};
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = five_devices(store, phases);
    struct err err;
    int64_t id;

    plan.continuous = true;
    id = rollout_begin(store, &plan);
    rollout_round(store, NOW, NULL);
    store_shut(store);
    execute(store, "CREATE TRIGGER no_room BEFORE INSERT ON rollout_member BEGIN SELECT RAISE(ABORT, 'no room'); END");
    store_reopen(store);
    rollout_round(store, NOW, NULL); /* nobody is new */
    make_device(store, "later", "hub", "board");
    assert_fails(db_rollout_run(store->db, store->reader, &none, NOW, &err), err, ERR_CONFLICT);
    assert_int_equal(members_of(store, id, 0).count, 5);
    execute(store, "DROP TRIGGER no_room");
    rollout_round(store, NOW, NULL);
    assert_int_equal(members_of(store, id, 0).count, 6);
}

/* Dies after the installation, without a word: three in a hundred. */
static bool dies(const char *device) {
    return fleet_phase_hash(device, 1) % 100 < 3;
}

struct poll_all {
    const struct db_rollout_members *members;
    int64_t deaths;
};

static bool run_poll_all(struct db_conn *tx, void *arg, struct err *err) {
    struct poll_all *all = arg;

    for (size_t i = 0; i < all->members->count; i++) {
        const char *device = all->members->items[i].device;
        bool dead = dies(device);
        struct db_report_new last;
        struct db_offered offered;
        struct db_reported reported;

        if (!db_deployment_offer(tx, device, NOW, &offered, err))
            return false;
        last = report_of(offered.deployment, 1, dead ? FLEET_REPORT_INSTALLING : FLEET_REPORT_CONFIRMED, dead ? 0 : 2);
        if (!db_deployment_report(tx, device, &last, NOW, &reported, err))
            return false;
        all->deaths += dead;
    }
    return true;
}

/* The pure rules are simulated elsewhere, over and over; here once with the store: the first phase is the last one. */
static void test_silent_deaths_stop_it(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(PERCENT, 25), PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = {.product = "hub", .name = "deadly", .filter = "", .phases = phases, .phase_count = 2};
    struct db_rollout_members members;
    struct poll_all all = {.members = &members};
    struct db_rollout rollout;
    struct err err;
    int64_t id;

    make_product(store, "hub", FLEET_POLICY_ROLLOUT);
    make_crowd(store, "hub", 4000);
    plan.release = make_release(store, "hub", 2);
    phases[0].success_percent = 90;
    phases[0].error = (struct fleet_phase_size){.unit = FLEET_PHASE_PERCENT, .amount = 1};
    phases[0].soak_s = 7200; /* longer than the deadline: else most had confirmed before the silence was noticed */
    id = rollout_begin(store, &plan);
    members = members_of(store, id, 1);
    assert_int_equal(members.count, 1000);
    assert_ok(db_write(store->db, run_poll_all, &all, &err), err);
    rollout_round(store, NOW + 60, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1);
    rollout_round(store, NOW + 3600, NULL);
    rollout = rollout_get(store, id);
    assert_int_equal(rollout.state, FLEET_ROLLOUT_PAUSED);
    assert_int_equal(rollout.phase, 1);
    assert_int_equal(rollout.halt, FLEET_HALT_ERRORS);
    assert_int_equal(rollout.plan.phases[0].members[FLEET_MEMBER_TIMED_OUT], all.deaths);
    assert_int_equal(rollout.plan.phases[0].members[FLEET_MEMBER_CONFIRMED], 1000 - all.deaths);
    assert_int_equal(rollout.plan.phases[1].members[FLEET_MEMBER_WAITING], 3000);
    assert_counts(store, id);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
    const struct CMUnitTest tests[] = {TEST(test_one_is_broken), TEST(test_newcomer_is_not_forgotten), TEST(test_silent_deaths_stop_it)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
