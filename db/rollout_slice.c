#include "db/rollout_slice.h"

#include "db/deployment_row.h"
#include "db/offer.h"
#include "db/store.h"

enum { HEAVY_ROWS = 150, LIGHT_ROWS = 500 }; /* with a deployment to be closed, and without */

typedef bool (*change_fn)(struct db_conn *tx, const struct db_rollout *rollout, const struct db_rollout_member *member, int64_t now, struct err *err);

static bool change_all(struct db_conn *tx, const struct db_rollout *rollout, const struct db_rollout_members *members, change_fn change, int64_t now,
                       struct err *err) {
    for (size_t i = 0; i < members->count; i++)
        if (!change(tx, rollout, &members->items[i], now, err))
            return false;
    return true;
}

/* The member's deployment, when it is open. */
static bool find_open(struct db_conn *tx, const struct db_rollout_member *member, struct arena *arena, struct db_deployment *ret_deployment,
                      bool *ret_open, struct err *err) {
    *ret_open = false;
    if (member->deployment == 0)
        return true;
    if (!db_deployment_get(tx, member->deployment, arena, ret_deployment, err))
        return false;
    *ret_open = fleet_deployment_is_open(ret_deployment->state);
    return true;
}

static bool cancel(struct db_conn *tx, const struct db_rollout *rollout, const struct db_rollout_member *member, int64_t now, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_deployment deployment;
    bool open;

    arena_init(&arena, 65536);
    if (!find_open(tx, member, &arena, &deployment, &open, err))
        return false;
    if (open && deployment.state != FLEET_CANCELLING && !db_deployment_cancel_open(tx, deployment.id, "the rollout was stopped", now, err))
        return false;
    return db_rollout_member_apply(tx, rollout->id, member->device, FLEET_MEMBER_CANCEL, 0, now, err);
}

static bool retry(struct db_conn *tx, const struct db_rollout *rollout, const struct db_rollout_member *member, int64_t now, struct err *err) {
    return db_deployment_quarantine(tx, DB_QUERY_QUARANTINE_LIFT, member->device, rollout->plan.release, err) &&
           db_rollout_member_apply(tx, rollout->id, member->device, FLEET_MEMBER_RETRY, 0, now, err) &&
           db_registry_touch(tx, member->device, false, err);
}

/* The next slice of the members in these states, in their order. */
static bool slice_by_state(struct db_conn *tx, const struct db_rollout *rollout, const enum fleet_member_state *states, size_t state_count,
                           change_fn change, int64_t now, bool *ret_more, struct err *err) {
    for (size_t i = 0; i < state_count; i++) {
        CLEANUP(arena_clear) struct arena arena;
        const struct db_rollout_member_filter filter = {.by_state = true, .state = states[i]};
        struct db_rollout_members members;

        arena_init(&arena, DB_ROLLOUT_SCRATCH_BYTES);
        if (!db_rollout_member_list(tx, rollout->id, &filter, &(struct db_list){.limit = HEAVY_ROWS}, &arena, &members, err) ||
            !change_all(tx, rollout, &members, change, now, err))
            return false;
        *ret_more = members.more;
        if (members.more)
            return true;
    }
    return true;
}

bool db_rollout_slice_cancel(struct db_conn *tx, const struct db_rollout *rollout, int64_t now, bool *ret_more, struct err *err) {
    static const enum fleet_member_state states[] = {FLEET_MEMBER_IN_FLIGHT, FLEET_MEMBER_RETRYING};

    return slice_by_state(tx, rollout, states, ARRAY_LEN(states), cancel, now, ret_more, err);
}

bool db_rollout_slice_retry(struct db_conn *tx, const struct db_rollout *rollout, int64_t now, bool *ret_more, struct err *err) {
    static const enum fleet_member_state states[] = {FLEET_MEMBER_FAILED, FLEET_MEMBER_TIMED_OUT, FLEET_MEMBER_CANCELLED};

    return slice_by_state(tx, rollout, states, ARRAY_LEN(states), retry, now, ret_more, err);
}

/* Not silence, but nothing to say: it has the release already, or may not have it any more. */
static bool needs_it_no_more(struct db_conn *tx, const struct db_rollout *rollout, const char *device) {
    struct db *db = db_conn_db(tx);
    const struct db_catalog *catalog;
    const struct fleet_release *rule;
    enum fleet_reason reason = FLEET_REASON_OFFERED;
    struct fleet_facts facts;
    struct db_device_hot hot;

    if (!db_registry_get(db, device, &hot))
        return true;
    catalog = db_catalog_get(db);
    rule = db_catalog_rule(catalog, rollout->plan.release);
    db_offer_facts(&hot, catalog, &facts);
    if (rule)
        reason = fleet_offer_check_fit(&facts, rule);
    db_catalog_put(catalog);
    return reason != FLEET_REASON_OFFERED && reason != FLEET_REASON_QUARANTINED && reason != FLEET_REASON_WITHDRAWN;
}

static bool end_silence(struct db_conn *tx, const struct db_deployment *deployment, int64_t now, struct err *err) {
    enum fleet_deployment_state to;
    bool told = fleet_deployment_move(deployment->state, FLEET_TIME_OUT, &to) == FLEET_MOVE_TAKEN;
    struct db_device_hot hot = {.ddi_client = false};
    struct db_stmt *stmt;

    if (told && !db_registry_read(tx, deployment->device, &hot, err))
        return false;
    if (!db_deployment_apply(tx, deployment->id, deployment->state, told ? FLEET_TIME_OUT : FLEET_FORCE_CLOSE, "silent past the deadline", now, err))
        return false;
    stmt = db_query_begin(tx, DB_QUERY_QUARANTINE_COUNT);
    db_query_text(stmt, 1, deployment->device);
    db_query_int(stmt, 2, deployment->release);
    db_query_int(stmt, 3, hot.ddi_client ? FLEET_MAX_FAILURES_DDI : FLEET_MAX_FAILURES);
    return (!told || db_query_run(stmt, NULL, err)) && db_registry_touch(tx, deployment->device, false, err);
}

/* A waiting member has nothing to be closed; one in flight has failed the release by its silence. */
static bool time_out(struct db_conn *tx, const struct db_rollout *rollout, const struct db_rollout_member *member, int64_t now, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_deployment deployment;
    bool open, skip = member->state == FLEET_MEMBER_WAITING && needs_it_no_more(tx, rollout, member->device);

    arena_init(&arena, 65536);
    return db_rollout_member_apply(tx, rollout->id, member->device, skip ? FLEET_MEMBER_SKIP : FLEET_MEMBER_TIME_OUT, 0, now, err) &&
           find_open(tx, member, &arena, &deployment, &open, err) && (!open || end_silence(tx, &deployment, now, err));
}

bool db_rollout_slice_time_out(struct db_conn *tx, const struct db_rollout *rollout, size_t phase, int64_t now, bool *ret_more, struct err *err) {
    static const enum fleet_member_state states[] = {FLEET_MEMBER_WAITING, FLEET_MEMBER_IN_FLIGHT, FLEET_MEMBER_RETRYING};

    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        CLEANUP(arena_clear) struct arena arena;
        struct db_rollout_members members;

        arena_init(&arena, DB_ROLLOUT_SCRATCH_BYTES);
        if (!db_rollout_member_silent(tx, rollout->id, states[i], phase, states[i] == FLEET_MEMBER_WAITING ? LIGHT_ROWS : HEAVY_ROWS, &arena,
                                      &members, err) ||
            !change_all(tx, rollout, &members, time_out, now, err))
            return false;
        *ret_more = members.more;
        if (members.more)
            return true;
    }
    return true;
}

bool db_rollout_slice_due(struct db_conn *tx, const struct db_rollout *rollout, int64_t now, bool *ret_more, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_rollout_members members;

    arena_init(&arena, DB_ROLLOUT_SCRATCH_BYTES);
    if (!db_rollout_member_due(tx, rollout->id, db_rollout_clock(rollout, now), HEAVY_ROWS, &arena, &members, err) ||
        !change_all(tx, rollout, &members, time_out, now, err))
        return false;
    *ret_more = members.more;
    return true;
}
