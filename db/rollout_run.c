#include "db/rollout_run.h"

#include <stdlib.h>
#include <string.h>

#include "db/query.h"
#include "db/rollout_choose.h"
#include "db/rollout_slice.h"
#include "db/store.h"

/* A slice of work on the writer. The rollout is read again there: an operator may have moved it. */
struct job {
    struct db_rollout_round *round;
    int64_t rollout;
    bool (*run)(struct db_conn *tx, struct db_rollout *rollout, int64_t now, bool *ret_more, struct err *err);
    bool more;
};

static bool run_job(struct db_conn *tx, void *arg, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct job *job = arg;
    struct db_rollout rollout;

    arena_init(&arena, DB_ROLLOUT_SCRATCH_BYTES);
    return db_rollout_get(tx, job->rollout, &arena, &rollout, err) && job->run(tx, &rollout, job->round->now, &job->more, err);
}

bool db_rollout_round_take_slice(struct db_rollout_round *round) {
    if (round->rules->max_slices > 0 && round->slices == round->rules->max_slices)
        return false;
    round->slices++;
    return true;
}

/* One job after the other until there is nothing more to do. */
static bool run_slices(struct db_rollout_round *round, int64_t rollout,
                       bool (*run)(struct db_conn *tx, struct db_rollout *rollout, int64_t now, bool *ret_more, struct err *err), struct err *err) {
    struct job job = {.round = round, .rollout = rollout, .run = run, .more = true};

    while (job.more && db_rollout_round_take_slice(round))
        if (!db_write(round->db, run_job, &job, err))
            return false;
    return true;
}

/* Cancelling or retrying; at the end it says that it is through. */
static bool work(struct db_conn *tx, struct db_rollout *rollout, int64_t now, bool *ret_more, struct err *err) {
    bool ok;

    *ret_more = false;
    if (!rollout->working)
        return true;
    ok = rollout->state == FLEET_ROLLOUT_STOPPED ? db_rollout_slice_cancel(tx, rollout, now, ret_more, err)
                                                 : db_rollout_slice_retry(tx, rollout, now, ret_more, err);
    return ok && (*ret_more || db_rollout_finish_work(tx, rollout, err));
}

static bool reach(struct db_conn *tx, struct db_rollout *rollout, size_t phase, int64_t now, struct err *err) {
    rollout->plan.phases[phase - 1].reached_clock = db_rollout_clock(rollout, now);
    rollout->plan.phases[phase - 1].reached_at = now;
    return db_rollout_write_phase(tx, rollout, phase, err) && db_rollout_event(tx, rollout, "rollout-phase-reached", (int64_t)phase, NULL, now, err);
}

static bool advance(struct db_conn *tx, struct db_rollout *rollout, int64_t now, struct err *err) {
    rollout->phase++;
    rollout->plan.phases[rollout->phase - 1].opened_clock = db_rollout_clock(rollout, now);
    rollout->plan.phases[rollout->phase - 1].opened_at = now;
    return db_rollout_write_phase(tx, rollout, (size_t)rollout->phase, err) &&
           db_rollout_write_state(tx, rollout, rollout->state, rollout->working ? "retry" : NULL, err) &&
           db_rollout_event(tx, rollout, "rollout-phase-opened", rollout->phase, NULL, now, err);
}

static bool expire(struct db_conn *tx, struct db_rollout *rollout, size_t phase, int64_t now, struct err *err) {
    bool more;

    if (!db_rollout_slice_time_out(tx, rollout, phase, now, &more, err))
        return false;
    rollout->plan.phases[phase - 1].expired = true;
    return more || db_rollout_write_phase(tx, rollout, phase, err);
}

/* What the table says, applied; *ret_more while it says something. */
static bool step(struct db_conn *tx, struct db_rollout *rollout, int64_t now, bool *ret_more, struct err *err) {
    struct fleet_step step = db_rollout_step(rollout, now);
    enum fleet_rollout_move move;
    bool more;

    *ret_more = true;
    switch (step.kind) {
    case FLEET_STEP_HALT:
        return db_rollout_apply(tx, rollout, FLEET_ROLLOUT_HALT, step.halt, now, &move, err);
    case FLEET_STEP_TIME_OUT:
        return expire(tx, rollout, step.phase, now, err);
    case FLEET_STEP_DUE:
        return db_rollout_slice_due(tx, rollout, now, &more, err);
    case FLEET_STEP_REACH:
        return reach(tx, rollout, step.phase, now, err);
    case FLEET_STEP_ADVANCE:
        return advance(tx, rollout, now, err);
    case FLEET_STEP_COMPLETE:
        return db_rollout_apply(tx, rollout, FLEET_ROLLOUT_COMPLETE, FLEET_HALT_NONE, now, &move, err);
    default:
        *ret_more = false;
        return true;
    }
}

/* Nothing is written while there is nothing to do. */
static bool run_steps(struct db_rollout_round *round, int64_t id, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_rollout rollout;
    enum fleet_step_kind kind;

    arena_init(&arena, DB_ROLLOUT_SCRATCH_BYTES);
    if (!db_rollout_get(round->reader, id, &arena, &rollout, err))
        return false;
    kind = db_rollout_step(&rollout, round->now).kind;
    return kind == FLEET_STEP_NONE || kind == FLEET_STEP_WAIT || run_slices(round, id, step, err);
}

static bool is_due(const struct db_catalog_rollout *head, int64_t now) {
    return head->state == FLEET_ROLLOUT_SCHEDULED && head->start_at <= now && (head->approved || !head->awaits_approval);
}

static bool run_one(struct db_rollout_round *round, const struct db_catalog *catalog, const struct db_catalog_rollout *head, struct err *err) {
    if (head->working && !run_slices(round, head->id, work, err))
        return false;
    if (is_due(head, round->now) && !db_rollout_choose(round, catalog, head, err))
        return false;
    return (head->state != FLEET_ROLLOUT_RUNNING && !is_due(head, round->now)) || run_steps(round, head->id, err);
}

/* The first trouble is told; it holds up nobody else. */
static void note(bool ok, const struct err *trouble, bool *all_ok, struct err *err) {
    if (!ok && *all_ok)
        *err = *trouble;
    *all_ok = *all_ok && ok;
}

bool db_rollout_run(struct db *db, struct db_conn *reader, const struct db_rollout_rules *rules, int64_t now, struct err *err) {
    const struct db_catalog *catalog = db_catalog_get(db);
    struct db_rollout_round round = {.db = db, .reader = reader, .rules = rules, .now = now};
    struct err trouble;
    bool all_ok = true;

    for (size_t i = 0; i < catalog->rollout_count; i++) {
        bool ok = run_one(&round, catalog, &catalog->rollouts[i], &trouble);

        if (!ok)
            err_prefix(&trouble, "rollout %lld", (long long)catalog->rollouts[i].id);
        note(ok, &trouble, &all_ok, err);
    }
    db_catalog_put(catalog);
    note(db_rollout_take_newcomers(&round, &trouble), &trouble, &all_ok, err);
    return all_ok;
}
