/* The simulation of tests/unit/test_fleet_simulation.c in the store: 10,000 devices poll, install and report, and 3 % of them install and are never
 * heard of again. The rollout pauses itself in phase 1, in 100 of 100 runs (in 5 of 5 under a sanitizer), and nobody outside that phase was ever
 * offered the release. Each run is a world of its own: its seed is the rollout's salt, says who dies, who comes late, and in which order they poll.
 */
#include "db/offer.h"
#include "tests/unit/rollout_fixture.h"
#include "tests/unit/sanitized.h"

enum {
    DEVICES = 10000,
    RUNS = SANITIZED ? 5 : 100,
    DYING_PER_MILLE = 30,
    POLL_S = 3600, /* how often a device comes; by its next poll it has installed */
    LATE_POLLS = 2,
    DEADLINE_S = 4 * POLL_S,
    SEQUENCE = 1, /* of the release */
};

struct device {
    char id[16];
    int64_t first_poll;
    bool dies; /* after it has installed */
    bool dead;
    int64_t deployment; /* that it was offered; 0: none yet */
    bool confirmed;
    int64_t polled_at;
    bool failed; /* what its last poll wrote */
};

static uint64_t seed;

/* SplitMix64: the same seed is the same run. */
static uint64_t next_random(void) {
    uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The store's randomness, which the build of this test wraps: so the salt comes out of the seed. */
void __wrap_random_bytes(void *ret_data, size_t len);
void __wrap_random_bytes(void *ret_data, size_t len) {
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)ret_data)[i] = (uint8_t)next_random();
}

/* All of them, in the order in which they poll. */
static void make_devices(struct device *devices, unsigned dying_per_mille) {
    for (size_t i = 0; i < DEVICES; i++) {
        size_t at = (size_t)(next_random() % (i + 1)); /* shuffles */
        struct device *device = &devices[at];

        devices[i] = *device;
        *device = (struct device){.first_poll = NOW + (int64_t)(next_random() % LATE_POLLS) * POLL_S, .dies = next_random() % 1000 < dying_per_mille};
        snprintf(device->id, sizeof device->id, "dev-%06zu", i);
    }
}

/* Its report, or the offer that memory has for it made durable. */
static bool run_device_poll(struct db_conn *tx, void *arg, struct err *err) {
    struct device *device = arg;
    const struct db_report_new report = report_of(device->deployment, 1, FLEET_REPORT_CONFIRMED, SEQUENCE);
    struct db_offered offered;
    struct db_reported reported;

    if (device->deployment != 0) {
        if (!db_deployment_report(tx, device->id, &report, device->polled_at, &reported, err))
            return false;
        device->confirmed = reported.state == FLEET_CONFIRMED;
        return true;
    }
    if (!db_deployment_offer(tx, device->id, device->polled_at, &offered, err))
        return false;
    device->deployment = offered.deployment;
    return offered.reason == FLEET_REASON_OFFERED ||
           err_set(err, ERR_INTERNAL, "offered in memory, %s in the store", fleet_reason_name(offered.reason));
}

static void poll_done(void *arg, bool ok, const struct err *err) {
    struct device *device = arg;

    device->failed = !ok;
    if (!ok)
        print_error("device %s: %s\n", device->id, err->text);
}

static bool nothing(UNUSED struct db_conn *tx, UNUSED void *arg, UNUSED struct err *err) {
    return true;
}

/* Has it something to write: a report, or an offer to be made durable? */
static bool poll(struct store *store, struct device *device, int64_t now) {
    const struct db_catalog *catalog;
    struct db_device_hot hot;
    struct fleet_offer offer;

    if (device->deployment != 0 && !device->confirmed) {
        device->dead = device->dies;
        return !device->dead;
    }
    hot = hot_of(store, device->id);
    catalog = db_catalog_get(store->db);
    offer = db_offer_decide(store->db, catalog, &hot, now);
    db_catalog_put(catalog);
    if (offer.reason == FLEET_REASON_OFFERED && device->confirmed)
        fail_msg("device %s is offered what it runs", device->id);
    return offer.reason == FLEET_REASON_OFFERED;
}

/* All that live poll once, each with a job of its own for the writer as in the server; then the server has its round. */
static void poll_all(struct store *store, struct device *devices, int64_t now) {
    struct err err;

    for (size_t i = 0; i < DEVICES; i++) {
        struct device *device = &devices[i];
        const struct db_job job = {.run = run_device_poll, .done = poll_done, .arg = device};

        if (device->dead || device->first_poll > now || !poll(store, device, now))
            continue;
        device->polled_at = now;
        assert_ok(db_submit(store->db, &job, &err), err);
    }
    assert_ok(db_write(store->db, nothing, NULL, &err), err); /* all before it are done */
    for (size_t i = 0; i < DEVICES; i++)
        assert_false(devices[i].failed);
    rollout_round(store, now, NULL);
}

/* 10 %, 30 %, the rest; 99 % to advance, 1 % failed to pause. Polls up to the deadline. */
static int64_t run_to_deadline(struct store *store, struct device *devices, unsigned dying_per_mille) {
    struct fleet_rollout_phase phases[] = {{.size = {FLEET_PHASE_PERCENT, 10}}, {.size = {FLEET_PHASE_PERCENT, 30}}, {.size = {FLEET_PHASE_REST, 0}}};
    const struct db_rollout_plan plan = {
        .product = "hub", .release = 1, .name = "simulation", .filter = "", .phase_count = ARRAY_LEN(phases), .phases = phases};
    int64_t id;

    for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
        phases[i].success_percent = 99;
        phases[i].error = (struct fleet_phase_size){FLEET_PHASE_PERCENT, 1};
        phases[i].deadline_s = DEADLINE_S;
    }
    make_devices(devices, dying_per_mille);
    id = rollout_begin(store, &plan);
    for (int64_t now = NOW; now < NOW + DEADLINE_S; now += POLL_S)
        poll_all(store, devices, now);
    return id;
}

static int by_id(const void *a, const void *b) {
    return strcmp(((const struct device *)a)->id, ((const struct device *)b)->id);
}

/* Those who were offered the release are the members of phase 1, by their own word and by the store's. Sorts the devices. */
static void assert_only_phase_1_touched(struct store *store, int64_t id, struct device *devices) {
    struct db_rollout_members members = members_of(store, id, 1);
    const struct db_deployment_filter all = {.device = NULL};
    struct db_deployments deployments;
    struct err err;
    size_t touched = 0;

    assert_int_equal(members.count, DEVICES / 10);
    qsort(devices, DEVICES, sizeof devices[0], by_id);
    for (size_t i = 0; i < DEVICES; i++) {
        if (devices[i].deployment == 0)
            continue;
        assert_true(touched < members.count);
        assert_string_equal(devices[i].id, members.items[touched++].device);
    }
    assert_int_equal(touched, members.count);

    assert_ok(db_deployment_list(store->reader, &all, PAGE(DB_MAX_PAGE), &store->arena, &deployments, &err), err);
    assert_int_equal(deployments.count, members.count);
    assert_null(deployments.next);
    for (size_t i = 0; i < deployments.count; i++)
        assert_true(deployments.items[i].rollout == id && deployments.items[i].phase == 1);
}

/* One world; how many died in it. */
static int64_t simulate_dying(struct store *store, struct device *devices) {
    int64_t id = run_to_deadline(store, devices, DYING_PER_MILLE), dead = 0;
    struct db_rollout rollout;
    const int64_t *members;

    /* Until the deadline nobody can tell the dead from the slow. */
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1);
    poll_all(store, devices, NOW + DEADLINE_S);
    assert_rollout(store, id, FLEET_ROLLOUT_PAUSED, 1);

    /* A day later it still is: nothing but an operator moves it, and nobody is offered anything. */
    poll_all(store, devices, NOW + 86400);
    assert_rollout(store, id, FLEET_ROLLOUT_PAUSED, 1);
    assert_only_phase_1_touched(store, id, devices);

    for (size_t i = 0; i < DEVICES; i++)
        dead += devices[i].dead;
    rollout = rollout_get(store, id);
    assert_int_equal(rollout.halt, FLEET_HALT_ERRORS);
    members = rollout.plan.phases[0].members;
    assert_int_equal(members[FLEET_MEMBER_TIMED_OUT], dead);
    assert_int_equal(members[FLEET_MEMBER_CONFIRMED], DEVICES / 10 - dead);
    assert_int_equal(rollout.plan.phases[1].members[FLEET_MEMBER_WAITING], DEVICES * 3 / 10);
    assert_int_equal(rollout.plan.phases[2].members[FLEET_MEMBER_WAITING], DEVICES * 6 / 10);
    return dead;
}

/* The product, its release and all its devices, made once; every run begins there. */
static int setup(void **state) {
    struct store *store;

    store_setup(state);
    store = *state;
    make_product(store, "hub", FLEET_POLICY_ROLLOUT);
    assert_int_equal(make_release(store, "hub", SEQUENCE), 1);
    make_crowd(store, "hub", DEVICES);
    store_keep(store);
    return 0;
}

static void begin_run(struct store *store, uint64_t run) {
    seed = run;
    store_restore(store);
    arena_clear(&store->arena);
}

static void test_dying_devices_pause_it_in_phase_1(void **state) {
    static struct device devices[DEVICES];
    int64_t fewest = DEVICES, most = 0;

    for (uint64_t run = 1; run <= RUNS; run++) {
        int64_t dead;

        begin_run(*state, run);
        dead = simulate_dying(*state, devices);
        fewest = dead < fewest ? dead : fewest;
        most = dead > most ? dead : most;
    }
    print_message("simulation: paused by itself in phase 1 in %d of %d runs with %d devices, of which %lld to %lld died in that phase\n", RUNS, RUNS,
                  DEVICES, (long long)fewest, (long long)most);
    assert_true(fewest < most); /* they were not one and the same run */
}

/* The same world without the fault goes on, so that the test above is about the fault. */
static void test_a_good_release_goes_on(void **state) {
    static struct device devices[DEVICES];
    int64_t id;

    begin_run(*state, 1);
    id = run_to_deadline(*state, devices, 0);
    assert_rollout(*state, id, FLEET_ROLLOUT_RUNNING, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dying_devices_pause_it_in_phase_1),
        cmocka_unit_test(test_a_good_release_goes_on),
    };

    temporary_in_memory();
    return cmocka_run_group_tests(tests, setup, store_teardown);
}
