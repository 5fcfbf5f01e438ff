/* Rollouts over a store in a temporary folder, with a clock that the tests turn. */
#ifndef PAWL_TESTS_UNIT_ROLLOUT_FIXTURE_H
#define PAWL_TESTS_UNIT_ROLLOUT_FIXTURE_H

#include "db/decision.h"
#include "db/rollout_run.h"
#include "tests/unit/db_fixture.h"

/* The plan of a phase: success 100 %, one failure pauses, no soak, an hour. */
#define PHASE_OF(size_unit, size_amount)                                                                                                             \
    { .size = {FLEET_PHASE_##size_unit, (size_amount)}, .success_percent = 100, .error = {FLEET_PHASE_DEVICES, 1}, .deadline_s = 3600 }

struct rollout_args {
    const struct db_rollout_plan *plan;
    int64_t id;
    int64_t revision;
    enum fleet_rollout_event event;
    const char *actor;
    int64_t now;
    bool changed;
    struct db_offered offered;
    const char *device;
    enum fleet_event report;
    int64_t sequence;
    int64_t report_seq;
    struct db_reported reported;
};

#define RUN_ROLLOUT(name, call)                                                                                                                      \
    UNUSED static bool name(struct db_conn *tx, void *arg, struct err *err) {                                                                        \
        struct rollout_args *args = arg;                                                                                                             \
        return call;                                                                                                                                 \
    }

RUN_ROLLOUT(rollout_create_job, db_rollout_create(tx, args->plan, args->actor ? args->actor : "token:maker", args->now, &args->id, err))
RUN_ROLLOUT(rollout_update_job, db_rollout_update(tx, args->id, args->revision, args->plan, args->actor ? args->actor : "token:maker", err))
RUN_ROLLOUT(rollout_delete_job, db_rollout_delete(tx, args->id, args->revision, err))
RUN_ROLLOUT(rollout_move_job, db_rollout_move(tx, args->id, args->event, args->now, &args->changed, err))
RUN_ROLLOUT(rollout_approve_job, db_rollout_approve(tx, args->id, args->actor, args->now, &args->changed, err))
RUN_ROLLOUT(rollout_retry_job, db_rollout_retry(tx, args->id, args->now, err))
RUN_ROLLOUT(rollout_offer_job, db_deployment_offer(tx, args->device, args->now, &args->offered, err))

UNUSED static bool rollout_report_job(struct db_conn *tx, void *arg, struct err *err) {
    struct rollout_args *args = arg;
    struct db_report_new report = report_of(args->id, args->report_seq, args->report, args->sequence);

    return db_deployment_report(tx, args->device, &report, args->now, &args->reported, err);
}

UNUSED static int64_t rollout_create(struct store *store, const struct db_rollout_plan *plan) {
    struct rollout_args args = {.plan = plan, .now = NOW};
    struct err err;

    assert_ok(db_write(store->db, rollout_create_job, &args, &err), err);
    return args.id;
}

UNUSED static bool rollout_move(struct store *store, int64_t id, enum fleet_rollout_event event, int64_t now) {
    struct rollout_args args = {.id = id, .event = event, .now = now};
    struct err err;

    assert_ok(db_write(store->db, rollout_move_job, &args, &err), err);
    return args.changed;
}

UNUSED static void rollout_round(struct store *store, int64_t now, const struct db_rollout_rules *rules) {
    static const struct db_rollout_rules none;
    struct err err;

    assert_ok(db_rollout_run(store->db, store->reader, rules ? rules : &none, now, &err), err);
}

UNUSED static struct db_rollout rollout_get(struct store *store, int64_t id) {
    struct db_rollout rollout;
    struct err err;

    assert_ok(db_rollout_get(store->reader, id, &store->arena, &rollout, &err), err);
    return rollout;
}

UNUSED static void assert_rollout(struct store *store, int64_t id, enum fleet_rollout_state state, int64_t phase) {
    struct db_rollout rollout = rollout_get(store, id);

    if (rollout.state != state || rollout.phase != phase)
        fail_msg("rollout %lld is %s in phase %lld, %s in %lld is expected", (long long)id, fleet_rollout_state_name(rollout.state),
                 (long long)rollout.phase, fleet_rollout_state_name(state), (long long)phase);
}

/* Creates, starts and lets it begin. */
UNUSED static int64_t rollout_begin(struct store *store, const struct db_rollout_plan *plan) {
    int64_t id = rollout_create(store, plan);

    assert_true(rollout_move(store, id, FLEET_ROLLOUT_START, NOW));
    rollout_round(store, NOW, NULL);
    return id;
}

UNUSED static struct db_offered rollout_poll(struct store *store, const char *device, int64_t now) {
    struct rollout_args args = {.device = device, .now = now};
    struct err err;
    const struct db_catalog *catalog = db_catalog_get(store->db);
    struct db_device_hot hot = hot_of(store, device);
    struct fleet_offer offer = db_offer_decide(store->db, catalog, &hot, now);

    db_catalog_put(catalog);
    assert_ok(db_write(store->db, rollout_offer_job, &args, &err), err);
    if (offer.reason != args.offered.reason) /* memory and store say the same */
        fail_msg("device %s: %s in memory, %s in the store", device, fleet_reason_name(offer.reason), fleet_reason_name(args.offered.reason));
    return args.offered;
}

UNUSED static void rollout_report(struct store *store, const char *device, int64_t deployment, int64_t number, enum fleet_event event,
                                  int64_t sequence, int64_t now) {
    struct rollout_args args = {.device = device, .id = deployment, .report_seq = number, .report = event, .sequence = sequence, .now = now};
    struct err err;

    assert_ok(db_write(store->db, rollout_report_job, &args, &err), err);
}

struct crowd {
    const char *product;
    size_t first, count;
};

UNUSED static bool run_crowd(struct db_conn *tx, void *arg, struct err *err) {
    const struct crowd *crowd = arg;

    for (size_t i = crowd->first; i < crowd->first + crowd->count; i++) {
        char id[32];
        const struct db_device_new device = {.id = id, .state = FLEET_DEVICE_ACTIVE, .product = crowd->product, .hardware = "board"};

        snprintf(id, sizeof id, "dev-%06zu", i);
        if (!db_device_insert(tx, &device, NOW, err))
            return false;
    }
    return true;
}

/* dev-000000 and so on. */
UNUSED static void make_crowd(struct store *store, const char *product, size_t count) {
    for (size_t at = 0; at < count; at += 5000) {
        struct crowd crowd = {.product = product, .first = at, .count = count - at < 5000 ? count - at : 5000};
        struct err err;

        assert_ok(db_write(store->db, run_crowd, &crowd, &err), err);
    }
}

/* The members of a phase (0: all), sorted by device. */
UNUSED static struct db_rollout_members members_of(struct store *store, int64_t id, int64_t phase) {
    const struct db_rollout_member_filter filter = {.phase = phase};
    struct db_rollout_members page;
    struct err err;

    assert_ok(db_rollout_member_list(store->reader, id, &filter, PAGE(DB_MAX_PAGE), &store->arena, &page, &err), err);
    return page;
}

/* The counts are those of the rows, in every phase. */
UNUSED static void assert_counts(struct store *store, int64_t id) {
    struct db_rollout rollout = rollout_get(store, id);
    int64_t rows[FLEET_PHASE_MAX + 1][FLEET_MEMBER_STATE_COUNT] = {{0}};
    struct db_rollout_members page = {.next = NULL};
    struct err err;

    do {
        assert_ok(db_rollout_member_list(store->reader, id, (&(struct db_rollout_member_filter){.phase = 0}), PAGE_AFTER(page.next, DB_MAX_PAGE),
                                         &store->arena, &page, &err),
                  err);
        for (size_t i = 0; i < page.count; i++)
            rows[page.items[i].phase][page.items[i].state]++;
    } while (page.next);
    for (size_t i = 0; i < rollout.plan.phase_count; i++)
        assert_memory_equal(rows[i + 1], rollout.plan.phases[i].members, sizeof rows[0]);
}

#endif
