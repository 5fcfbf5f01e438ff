#include "api/find.h"
#include "api/handlers.h"
#include "api/rollout.h"
#include "api/rollout_shape.h"
#include "api/shapes.h"

/* One audit row for a change; a repeated request that found it done changes nothing and leaves no row. */
static bool tell(struct api_call *call, const char *action, const char *detail, bool changed, struct err *err) {
    return !changed || api_audit(call, action, "rollout", api_var(call, "rollout"), detail, err);
}

/* Pause, resume and stop. */
static bool move(struct api_call *call, enum fleet_rollout_event event, const char *action, struct err *err) {
    struct db_rollout rollout;
    const char *reason;
    bool changed;
    return api_find_rollout(call, &rollout, err) && api_reason(call, &reason, err) &&
           db_rollout_move(call->db, rollout.id, event, call->now, &changed, err) &&
           tell(call, action, api_detail(call, "reason", reason, (char *)NULL), changed, err) && api_rollout_reply(call, 0, rollout.id, err);
}

bool api_rollout_move_pause(struct api_call *call, struct err *err) {
    return move(call, FLEET_ROLLOUT_PAUSE, "rollout.pause", err);
}

bool api_rollout_move_resume(struct api_call *call, struct err *err) {
    return move(call, FLEET_ROLLOUT_RESUME, "rollout.resume", err);
}

bool api_rollout_move_stop(struct api_call *call, struct err *err) {
    return move(call, FLEET_ROLLOUT_STOP, "rollout.stop", err);
}

/* Another time in the body than in the draft is a change of the draft. */
static bool set_time(struct api_call *call, const struct db_rollout *rollout, int64_t start_at, struct err *err) {
    struct db_rollout_plan plan = rollout->plan;
    plan.start_at = start_at;
    return start_at == rollout->plan.start_at || db_rollout_update(call->db, rollout->id, rollout->revision, &plan, call->operator_.actor, err);
}

bool api_rollout_move_start(struct api_call *call, struct err *err) {
    struct db_rollout rollout;
    struct api_rollout_start_input input;
    uint64_t present;
    bool changed;
    if (!api_find_rollout(call, &rollout, err) || !api_body(call, &api_rollout_shape_start, &input, &present, err))
        return false;
    bool timed = (present & API_ROLLOUT_START_HAS_TIME) != 0;
    int64_t start_at = timed ? input.start_at : rollout.plan.start_at;
    bool later = start_at > call->now;
    enum fleet_rollout_event event = later ? FLEET_ROLLOUT_SCHEDULE : FLEET_ROLLOUT_START;
    return (!later || set_time(call, &rollout, start_at, err)) && db_rollout_move(call->db, rollout.id, event, call->now, &changed, err) &&
           tell(call, later ? "rollout.schedule" : "rollout.start", api_detail(call, "reason", input.reason, (char *)NULL), changed, err) &&
           api_rollout_reply(call, 0, rollout.id, err);
}

/* Who says what was seen approves nothing else. */
static bool is_as_seen(const struct api_call *call, const struct db_rollout *rollout, struct err *err) {
    return api_header(call, "If-Match") == NULL || api_if_match(call, rollout->revision, err);
}

bool api_rollout_move_approve(struct api_call *call, struct err *err) {
    struct db_rollout rollout;
    const char *reason;
    bool changed;
    return api_find_rollout(call, &rollout, err) && is_as_seen(call, &rollout, err) && api_reason(call, &reason, err) &&
           db_rollout_approve(call->db, rollout.id, call->operator_.actor, call->now, &changed, err) &&
           tell(call, "rollout.approve", api_detail(call, "reason", reason, (char *)NULL), changed, err) &&
           api_rollout_reply(call, 0, rollout.id, err);
}

bool api_rollout_move_retry(struct api_call *call, struct err *err) {
    struct db_rollout rollout;
    const char *reason;
    return api_find_rollout(call, &rollout, err) && api_reason(call, &reason, err) && db_rollout_retry(call->db, rollout.id, call->now, err) &&
           tell(call, "rollout.retry", api_detail(call, "reason", reason, (char *)NULL), true, err) && api_rollout_reply(call, 0, rollout.id, err);
}
