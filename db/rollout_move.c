/* A rollout's moves, an operator's and its own: state table, phases, events, in one transaction. */
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/text.h"
#include "db/event.h"
#include "db/query.h"
#include "db/rollout_cells.h"
#include "db/rollout_row.h"
#include "db/store.h"
#include "db/token.h"

enum { DETAIL_MAX_BYTES = 2048, MAX_MAKERS = 64 };

bool db_rollout_event(struct db_conn *tx, const struct db_rollout *rollout, const char *kind, int64_t phase, const char *reason, int64_t now,
                      struct err *err) {
    CLEANUP(buf_free) struct buf detail = BUF_INIT(DETAIL_MAX_BYTES);

    buf_printf(&detail, "{\"rollout\":\"%lld\",\"name\":", (long long)rollout->id);
    json_write_text(&detail, rollout->plan.name);
    buf_text(&detail, ",\"version\":");
    json_write_text(&detail, rollout->version);
    if (phase > 0)
        buf_printf(&detail, ",\"phase\":%lld", (long long)phase);
    if (reason && reason[0]) {
        buf_text(&detail, ",\"reason\":");
        json_write_text(&detail, reason);
    }
    buf_text(&detail, "}");
    return buf_ok(&detail, "event", err) && db_event_insert_product(tx, now, kind, rollout->plan.product, detail.data, err);
}

bool db_rollout_write_state(struct db_conn *tx, const struct db_rollout *rollout, enum fleet_rollout_state before, const char *work,
                            struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_ROLLOUT_MOVE);
    int64_t changes;

    db_query_int(stmt, 1, rollout->id);
    db_query_text(stmt, 2, fleet_rollout_state_name(before));
    db_query_text(stmt, 3, fleet_rollout_state_name(rollout->state));
    db_query_text(stmt, 4, fleet_halt_name(rollout->halt));
    db_query_opt_int(stmt, 5, rollout->plan.start_at != 0, rollout->plan.start_at);
    db_query_int(stmt, 6, rollout->phase);
    db_query_text(stmt, 7, work);
    db_query_opt_int(stmt, 8, rollout->started_at != 0, rollout->started_at);
    db_query_opt_int(stmt, 9, rollout->paused_at != 0, rollout->paused_at);
    db_query_int(stmt, 10, rollout->held_s);
    db_query_opt_int(stmt, 11, rollout->ended_at != 0, rollout->ended_at);
    db_query_opt_int(stmt, 12, rollout->matched >= 0, rollout->matched);
    if (!db_query_run(stmt, &changes, err))
        return false;
    if (changes != 1)
        return err_set(err, ERR_CONFLICT, "rollout %lld was moved meanwhile", (long long)rollout->id);
    return db_catalog_touch(tx, err) && db_rollout_cells_watch(tx, rollout, err);
}

bool db_rollout_write_phase(struct db_conn *tx, const struct db_rollout *rollout, size_t phase, struct err *err) {
    const struct fleet_rollout_phase *values = &rollout->plan.phases[phase - 1];
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_ROLLOUT_PHASE_SET);

    db_query_int(stmt, 1, rollout->id);
    db_query_int(stmt, 2, (int64_t)phase);
    db_query_opt_int(stmt, 3, values->opened_clock != 0, values->opened_clock);
    db_query_opt_int(stmt, 4, values->reached_clock != 0, values->reached_clock);
    db_query_int(stmt, 5, values->expired);
    db_query_int(stmt, 6, values->pardoned);
    db_query_opt_int(stmt, 7, values->opened_at != 0, values->opened_at);
    db_query_opt_int(stmt, 8, values->reached_at != 0, values->reached_at);
    return db_query_run(stmt, NULL, err);
}

/* The clock goes on where it stood. */
static bool resume(struct db_conn *tx, struct db_rollout *rollout, enum fleet_halt halted_by, int64_t now, struct err *err) {
    struct fleet_rollout rules = {.phase = (size_t)rollout->phase, .phase_count = rollout->plan.phase_count, .phases = rollout->plan.phases};

    rollout->held_s += now - rollout->paused_at;
    rollout->paused_at = 0;
    fleet_rollout_pardon(&rules, halted_by, db_rollout_clock(rollout, now));
    for (size_t i = 1; i <= rules.phase; i++) {
        if (rollout->plan.phases[i - 1].reached_clock != 0 && rollout->plan.phases[i - 1].reached_at == 0)
            rollout->plan.phases[i - 1].reached_at = now;
        if (!db_rollout_write_phase(tx, rollout, i, err))
            return false;
    }
    return true;
}

static bool begin(struct db_conn *tx, struct db_rollout *rollout, int64_t now, struct err *err) {
    rollout->started_at = now;
    rollout->phase = 1;
    rollout->plan.phases[0].opened_clock = db_rollout_clock(rollout, now);
    rollout->plan.phases[0].opened_at = now;
    return db_rollout_write_phase(tx, rollout, 1, err);
}

/* What goes with a move, beyond the state. */
static bool prepare(struct db_conn *tx, struct db_rollout *rollout, enum fleet_rollout_event event, int64_t now, struct err *err) {
    enum fleet_halt halted_by = rollout->halt;

    rollout->halt = FLEET_HALT_NONE;
    switch (event) {
    case FLEET_ROLLOUT_SCHEDULE:
        return rollout->plan.start_at != 0 ||
               err_set_field(err, ERR_INVALID, "start_at", "rollout %lld has no start_at: give it one, or start it", (long long)rollout->id);
    case FLEET_ROLLOUT_START:
        if (rollout->plan.start_at == 0 || rollout->plan.start_at > now)
            rollout->plan.start_at = now;
        return true;
    case FLEET_ROLLOUT_PAUSE:
    case FLEET_ROLLOUT_HALT:
        rollout->paused_at = now;
        return true;
    case FLEET_ROLLOUT_RESUME:
        return resume(tx, rollout, halted_by, now, err);
    case FLEET_ROLLOUT_BEGIN:
        return begin(tx, rollout, now, err);
    default:
        rollout->ended_at = now;
        return true;
    }
}

/* Scheduled twice: once by schedule, once by start, which means another time. */
static bool is_repeat(const struct db_rollout *rollout, enum fleet_rollout_event event, int64_t now) {
    return rollout->state == FLEET_ROLLOUT_SCHEDULED && event == FLEET_ROLLOUT_START && rollout->plan.start_at != 0 && rollout->plan.start_at <= now;
}

bool db_rollout_apply(struct db_conn *tx, struct db_rollout *rollout, enum fleet_rollout_event event, enum fleet_halt halt, int64_t now,
                      enum fleet_rollout_move *ret_move, struct err *err) {
    enum fleet_rollout_state before = rollout->state, to;
    const char *work = rollout->working ? "retry" : NULL; /* who is cancelling moves no more */
    enum fleet_rollout_move move = fleet_rollout_move(before, event, &to);
    char kind[48];

    if (move == FLEET_ROLLOUT_REFUSED)
        return err_set_field(err, ERR_CONFLICT, "state", "rollout %lld is %s: '%s' does not go from there", (long long)rollout->id,
                             fleet_rollout_state_name(before), fleet_rollout_event_name(event));
    if (move == FLEET_ROLLOUT_SAME || is_repeat(rollout, event, now)) {
        *ret_move = FLEET_ROLLOUT_SAME;
        return true;
    }
    if (!prepare(tx, rollout, event, now, err))
        return false;
    rollout->state = to;
    if (event == FLEET_ROLLOUT_PAUSE || event == FLEET_ROLLOUT_HALT)
        rollout->halt = halt;
    if (event == FLEET_ROLLOUT_STOP)
        work = "cancel";
    snprintf(kind, sizeof kind, "rollout-%s", fleet_rollout_state_name(to));
    *ret_move = move;
    return db_rollout_write_state(tx, rollout, before, work, err) &&
           db_rollout_event(tx, rollout, kind, rollout->phase, fleet_halt_name(rollout->halt), now, err);
}

static bool check_active_count(struct db_conn *tx, const struct db_rollout *rollout, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_ROLLOUT_ACTIVE_COUNT);
    int64_t count = 0;

    db_query_text(stmt, 1, rollout->plan.product);
    if (!db_query_number(stmt, "count", &count, err))
        return false;
    return count < DB_ROLLOUT_MAX_ACTIVE || err_set(err, ERR_CONFLICT, "product '%s' has %lld rollouts under way, %d is the most: end one first",
                                                    rollout->plan.product, (long long)count, DB_ROLLOUT_MAX_ACTIVE);
}

bool db_rollout_move(struct db_conn *tx, int64_t id, enum fleet_rollout_event event, int64_t now, bool *ret_changed, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_rollout rollout;
    enum fleet_rollout_move move;

    arena_init(&arena, DB_ROLLOUT_SCRATCH_BYTES);
    if (event > FLEET_ROLLOUT_STOP)
        return err_set(err, ERR_INTERNAL, "rollout %lld: '%s' is no operator's move", (long long)id, fleet_rollout_event_name(event));
    if (!db_rollout_get(tx, id, &arena, &rollout, err))
        return false;
    if (rollout.state == FLEET_ROLLOUT_DRAFT && event <= FLEET_ROLLOUT_START && !check_active_count(tx, &rollout, err))
        return false;
    if (!db_rollout_apply(tx, &rollout, event, FLEET_HALT_OPERATOR, now, &move, err))
        return false;
    *ret_changed = move == FLEET_ROLLOUT_TAKEN;
    return true;
}

static bool has_planned(const struct db_rollout *rollout, const char *actor) {
    return strcmp(actor, rollout->created_by) == 0 || strcmp(actor, rollout->changed_by) == 0;
}

/* A second token is a second pair of eyes only when the planner has made neither it nor, over however many others, one that it comes from. */
static bool check_approver(struct db_conn *tx, const struct db_rollout *rollout, const char *actor, struct arena *arena, struct err *err) {
    if (has_planned(rollout, actor))
        return err_set(err, ERR_CONFLICT, "rollout %lld: who made or changed it cannot approve it, another token must", (long long)rollout->id);
    for (int makers = 0; text_starts(actor, "token:"); makers++) {
        struct db_token token;
        struct err why;

        if (makers == MAX_MAKERS)
            return err_set(err, ERR_CONFLICT, "rollout %lld: this token comes from more than %d others in turn, another must approve it",
                           (long long)rollout->id, MAX_MAKERS - 1);
        if (!db_token_get(tx, actor + strlen("token:"), arena, &token, &why)) {
            if (why.code == ERR_NOT_FOUND)
                return true;
            *err = why;
            return false;
        }
        if (has_planned(rollout, token.created_by))
            return err_set(err, ERR_CONFLICT, "rollout %lld: this token comes from who made or changed it, another's must approve it",
                           (long long)rollout->id);
        actor = token.created_by;
    }
    return true;
}

bool db_rollout_approve(struct db_conn *tx, int64_t id, const char *actor, int64_t now, bool *ret_changed, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_rollout rollout;
    struct db_stmt *stmt;
    int64_t changes;

    arena_init(&arena, DB_ROLLOUT_SCRATCH_BYTES);
    if (!db_rollout_get(tx, id, &arena, &rollout, err))
        return false;
    *ret_changed = false;
    if (strcmp(actor, rollout.approved_by) == 0)
        return true; /* a repeated request, also when it has begun meanwhile */
    if (rollout.state != FLEET_ROLLOUT_DRAFT && rollout.state != FLEET_ROLLOUT_SCHEDULED && !rollout.awaits_approval)
        return err_set_field(err, ERR_CONFLICT, "state", "rollout %lld is %s: there is nothing to approve", (long long)id,
                             fleet_rollout_state_name(rollout.state));
    if (!check_approver(tx, &rollout, actor, &arena, err))
        return false;
    stmt = db_query_begin(tx, DB_QUERY_ROLLOUT_APPROVE);
    db_query_int(stmt, 1, id);
    db_query_text(stmt, 2, actor);
    db_query_int(stmt, 3, now);
    if (!db_query_run(stmt, &changes, err))
        return false;
    *ret_changed = changes == 1;
    return changes == 0 || (db_catalog_touch(tx, err) && db_rollout_cells_watch(tx, &rollout, err) &&
                            db_rollout_event(tx, &rollout, "rollout-approved", 0, NULL, now, err));
}

static bool set_work(struct db_conn *tx, int64_t id, const char *work, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_ROLLOUT_WORK);

    db_query_int(stmt, 1, id);
    db_query_text(stmt, 2, work);
    return db_query_run(stmt, NULL, err) && db_catalog_touch(tx, err);
}

bool db_rollout_retry(struct db_conn *tx, int64_t id, int64_t now, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_rollout rollout;

    arena_init(&arena, DB_ROLLOUT_SCRATCH_BYTES);
    if (!db_rollout_get(tx, id, &arena, &rollout, err))
        return false;
    if (!fleet_rollout_is_active(rollout.state))
        return err_set_field(err, ERR_CONFLICT, "state", "rollout %lld is %s: only a running or paused one tries again", (long long)id,
                             fleet_rollout_state_name(rollout.state));
    return set_work(tx, id, "retry", err) && db_rollout_cells_watch(tx, &rollout, err) &&
           db_rollout_event(tx, &rollout, "rollout-retried", 0, NULL, now, err);
}

bool db_rollout_finish_work(struct db_conn *tx, const struct db_rollout *rollout, struct err *err) {
    return set_work(tx, rollout->id, NULL, err) && db_rollout_cells_watch(tx, rollout, err);
}
