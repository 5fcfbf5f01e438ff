/* The simulation of tests/unit/test_fleet_simulation.c in the store: 10,000 devices, 3 % of the first phase install and are never heard of again. The
 * rollout pauses itself there, and no device behind that phase was offered anything. PAWL_SIMULATION_RUNS=100 does it a hundred times. */
#include "tests/unit/rollout_fixture.h"

enum { DEVICES = 10000, DEADLINE_S = 6 * 3600, DYING_EVERY = 33 };

struct wave {
    struct store *store;
    const struct db_rollout_members *members;
    size_t first, count;
    int64_t sequence;
    int64_t now;
};

/* Each of them polls, installs, and confirms, but for those that die. */
static bool run_wave(struct db_conn *tx, void *arg, struct err *err) {
    const struct wave *wave = arg;

    for (size_t i = wave->first; i < wave->first + wave->count; i++) {
        const char *device = wave->members->items[i].device;
        struct db_offered offered;
        struct db_reported reported;

        if (!db_deployment_offer(tx, device, wave->now, &offered, err))
            return false;
        if (offered.reason != FLEET_REASON_OFFERED)
            return err_set(err, ERR_INTERNAL, "device %s: %s", device, fleet_reason_name(offered.reason));
        if (i % DYING_EVERY == 0)
            continue;
        struct db_report_new report = report_of(offered.deployment, 1, FLEET_REPORT_CONFIRMED, wave->sequence);
        if (!db_deployment_report(tx, device, &report, wave->now, &reported, err))
            return false;
    }
    return true;
}

static void serve(struct store *store, const struct db_rollout_members *members, int64_t sequence, int64_t now) {
    for (size_t at = 0; at < members->count; at += 200) {
        struct wave wave = {.store = store,
                            .members = members,
                            .first = at,
                            .count = members->count - at < 200 ? members->count - at : 200,
                            .sequence = sequence,
                            .now = now};
        struct err err;

        assert_ok(db_write(store->db, run_wave, &wave, &err), err);
    }
}

static int64_t count_members(const struct db_rollout *rollout, size_t phase, enum fleet_member_state state) {
    return rollout->plan.phases[phase - 1].members[state];
}

static void simulate(struct store *store, int64_t release, int64_t sequence) {
    struct fleet_rollout_phase phases[] = {{.size = {FLEET_PHASE_PERCENT, 10}}, {.size = {FLEET_PHASE_PERCENT, 30}}, {.size = {FLEET_PHASE_REST, 0}}};
    const struct db_rollout_plan plan = {
        .product = "hub", .release = release, .name = "simulation", .filter = "", .phase_count = ARRAY_LEN(phases), .phases = phases};
    struct db_rollout_members members;
    struct db_rollout rollout;
    int64_t id, dying = 0;

    for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
        phases[i].success_percent = 99;
        phases[i].error = (struct fleet_phase_size){FLEET_PHASE_PERCENT, 1};
        phases[i].deadline_s = DEADLINE_S;
    }
    id = rollout_begin(store, &plan);
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1);
    members = members_of(store, id, 1);
    assert_int_equal(members.count, DEVICES / 10);
    for (size_t i = 0; i < members.count; i++)
        dying += i % DYING_EVERY == 0;
    serve(store, &members, sequence, NOW + 60);

    /* Three in a hundred are silent, which nobody can tell from slow until the deadline. */
    rollout_round(store, NOW + DEADLINE_S - 1, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1);
    rollout_round(store, NOW + DEADLINE_S + 1, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_PAUSED, 1);

    rollout = rollout_get(store, id);
    assert_int_equal(rollout.halt, FLEET_HALT_ERRORS);
    assert_int_equal(count_members(&rollout, 1, FLEET_MEMBER_TIMED_OUT), dying);
    assert_int_equal(count_members(&rollout, 1, FLEET_MEMBER_CONFIRMED), DEVICES / 10 - dying);
    assert_int_equal(count_members(&rollout, 2, FLEET_MEMBER_WAITING), DEVICES * 3 / 10);
    assert_int_equal(count_members(&rollout, 3, FLEET_MEMBER_WAITING), DEVICES * 6 / 10);

    /* A day later it is still paused: nothing but an operator moves it. */
    rollout_round(store, NOW + 86400, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_PAUSED, 1);
    assert_true(rollout_move(store, id, FLEET_ROLLOUT_STOP, NOW + 86400));
    rollout_round(store, NOW + 86400, NULL);
}

static void test_paused_in_phase_1(void **state) {
    struct store *store = *state;
    const char *text = getenv("PAWL_SIMULATION_RUNS");
    int64_t runs = text ? strtol(text, NULL, 10) : 2;

    make_product(store, "hub", FLEET_POLICY_ROLLOUT);
    make_crowd(store, "hub", DEVICES);
    for (int sequence = 1; sequence <= runs; sequence++)
        simulate(store, make_release(store, "hub", sequence), sequence);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_paused_in_phase_1, store_setup, store_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
