#include "db/deployment.h"

#include "db/deployment_row.h"
#include "db/rollout_row.h"
#include "db/store.h"

enum { SCRATCH_BYTES = DB_ROLLOUT_SCRATCH_BYTES };

/* May it be tried again? What is open is under way, what is confirmed has succeeded. */
static bool check_retry(const struct db_deployment *deployment, struct err *err) {
    const char *instead = deployment->state == FLEET_CONFIRMED    ? "it has succeeded"
                          : deployment->state == FLEET_CANCELLING ? "wait for the client's answer or close it by force"
                                                                  : "it is under way; cancel it first";

    if (!fleet_deployment_is_open(deployment->state) && deployment->state != FLEET_CONFIRMED)
        return true;
    return err_set(err, ERR_CONFLICT, "deployment %lld is %s: retry is refused: %s", (long long)deployment->id,
                   fleet_deployment_state_name(deployment->state), instead);
}

/* In its rollout, while that is under way; else by hand. */
static bool assign_again(struct db_conn *tx, const struct db_deployment *deployment, struct arena *arena, int64_t now, int64_t *ret_id,
                         struct err *err) {
    const struct db_deployment_source source = {.origin = "rollout", .rollout = deployment->rollout, .phase = deployment->phase};
    struct db_rollout rollout = {.state = FLEET_ROLLOUT_STOPPED};

    if (deployment->rollout != 0 && !db_rollout_get(tx, deployment->rollout, arena, &rollout, err))
        return false;
    if (!fleet_rollout_is_active(rollout.state))
        return db_deployment_assign(tx, deployment->device, deployment->release, now, ret_id, err);
    return db_deployment_assign_from(tx, deployment->device, deployment->release, &source, now, ret_id, err) &&
           db_rollout_member_apply(tx, rollout.id, deployment->device, FLEET_MEMBER_RETRY, 0, now, err) &&
           db_rollout_member_apply(tx, rollout.id, deployment->device, FLEET_MEMBER_OFFER, *ret_id, now, err);
}

bool db_deployment_retry(struct db_conn *tx, int64_t id, int64_t now, int64_t *ret_id, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_deployment deployment;
    struct db_device_hot hot;

    arena_init(&arena, SCRATCH_BYTES);
    if (!db_deployment_get(tx, id, &arena, &deployment, err) || !check_retry(&deployment, err) || !db_registry_read(tx, deployment.device, &hot, err))
        return false;
    if (hot.open_deployment > id && hot.open_release == deployment.release) {
        *ret_id = hot.open_deployment;
        return true;
    }
    return assign_again(tx, &deployment, &arena, now, ret_id, err);
}

bool db_deployment_force_close(struct db_conn *tx, int64_t id, const char *reason, int64_t now, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_deployment deployment;

    arena_init(&arena, SCRATCH_BYTES);
    if (!db_deployment_get(tx, id, &arena, &deployment, err))
        return false;
    if (deployment.state == FLEET_CANCELLED)
        return true;
    return db_deployment_apply(tx, id, deployment.state, FLEET_FORCE_CLOSE, reason && reason[0] ? reason : "closed by an operator", now, err) &&
           db_deployment_quarantine(tx, DB_QUERY_QUARANTINE_HOLD, deployment.device, deployment.release, err) &&
           db_registry_touch(tx, deployment.device, false, err);
}
