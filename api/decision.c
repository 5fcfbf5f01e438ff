#include "db/decision.h"

#include "api/find.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/shapes.h"
#include "db/product.h"

struct offered {
    const char *product, *version;
    int64_t sequence;
};

struct considered {
    const char *id, *name, *version, *state, *phase, *member, *reason, *text;
    int64_t valid_until;
};

struct decision {
    const char *device, *reason, *text;
    struct offered *release;
    const char *origin;
    struct api_deployment *deployment;
    struct offered *waiting;
    const char *policy;
    struct api_installed *installed;
    struct api_floor *floor;
    struct json_list rollouts; /* struct considered */
    int64_t valid_until;
};

#define MEMBER(of, member, kind, ...)                                                                                                                \
    { .name = #member, .type = (kind), .offset = offsetof(struct of, member), __VA_ARGS__ }

static const struct json_field offered_fields[] = {
    MEMBER(offered, product, JSON_TEXT),
    MEMBER(offered, version, JSON_TEXT),
    MEMBER(offered, sequence, JSON_INT),
};
static const struct json_shape offered_shape = JSON_SHAPE(struct offered, offered_fields);

static const struct json_field considered_fields[] = {
    MEMBER(considered, id, JSON_TEXT),
    MEMBER(considered, name, JSON_TEXT),
    MEMBER(considered, version, JSON_TEXT),
    MEMBER(considered, state, JSON_TEXT),
    MEMBER(considered, phase, JSON_RAW, .flags = JSON_NULLABLE),
    MEMBER(considered, member, JSON_TEXT, .flags = JSON_NULLABLE),
    MEMBER(considered, reason, JSON_TEXT),
    MEMBER(considered, text, JSON_TEXT),
    MEMBER(considered, valid_until, JSON_TIME, .flags = JSON_NULLABLE),
};
static const struct json_shape considered_shape = JSON_SHAPE(struct considered, considered_fields);

static const struct json_field decision_fields[] = {
    MEMBER(decision, device, JSON_TEXT),
    MEMBER(decision, reason, JSON_TEXT),
    MEMBER(decision, text, JSON_TEXT),
    MEMBER(decision, release, JSON_STRUCT, .flags = JSON_NULLABLE, .shape = &offered_shape),
    MEMBER(decision, origin, JSON_TEXT, .flags = JSON_NULLABLE),
    MEMBER(decision, deployment, JSON_STRUCT, .flags = JSON_NULLABLE, .shape = &api_shape_deployment),
    MEMBER(decision, waiting, JSON_STRUCT, .flags = JSON_NULLABLE, .shape = &offered_shape),
    MEMBER(decision, policy, JSON_TEXT, .flags = JSON_NULLABLE),
    MEMBER(decision, installed, JSON_STRUCT, .flags = JSON_NULLABLE, .shape = &api_shape_installed),
    MEMBER(decision, floor, JSON_STRUCT, .flags = JSON_NULLABLE, .shape = &api_shape_floor),
    MEMBER(decision, rollouts, JSON_STRUCTS, .flags = JSON_NULLABLE, .shape = &considered_shape),
    MEMBER(decision, valid_until, JSON_TIME, .flags = JSON_NULLABLE),
};
static const struct json_shape decision_shape = JSON_SHAPE(struct decision, decision_fields);

static bool consider(struct api_call *call, const struct db_decision *decision, struct json_list *ret_list, struct err *err) {
    struct considered *items = arena_array(call->arena, decision->rollout_count + 1, sizeof(*items));
    if (items == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < decision->rollout_count; i++) {
        const struct db_decision_rollout *rollout = &decision->rollouts[i];
        items[i] = (struct considered){
            .id = arena_printf(call->arena, "%lld", (long long)rollout->id),
            .name = rollout->name,
            .version = rollout->version,
            .state = fleet_rollout_state_name(rollout->state),
            .phase = rollout->is_member ? arena_printf(call->arena, "%lld", (long long)rollout->phase) : NULL,
            .member = rollout->is_member ? fleet_member_state_name(rollout->member) : NULL,
            .reason = fleet_reason_name(rollout->reason),
            .text = fleet_reason_text(rollout->reason),
            .valid_until = rollout->until,
        };
        if (items[i].id == NULL || (rollout->is_member && items[i].phase == NULL))
            return err_no_memory(err);
    }
    *ret_list = (struct json_list){.count = decision->rollout_count, .items = items};
    return true;
}

static bool show_release(struct api_call *call, int64_t id, struct offered **ret_shown, struct err *err) {
    struct db_release release;
    struct offered *shown = arena_alloc(call->arena, sizeof(*shown));
    *ret_shown = NULL;
    if (id == 0)
        return true;
    if (shown == NULL)
        return err_no_memory(err);
    if (!db_release_get(call->db, id, call->arena, &release, err))
        return false;
    *shown = (struct offered){.product = release.product, .version = release.version, .sequence = release.sequence};
    *ret_shown = shown;
    return true;
}

/* What is read with rollout:read: the open deployment, the one that waits for its end, the rollouts. */
static bool show_plans(struct api_call *call, const struct db_decision *decision, struct decision *out, struct err *err) {
    struct db_deployment deployment;
    if (decision->open_deployment != 0) {
        out->deployment = arena_alloc(call->arena, sizeof(*out->deployment));
        if (out->deployment == NULL)
            return err_no_memory(err);
        if (!db_deployment_get(call->db, decision->open_deployment, call->arena, &deployment, err) ||
            !api_deployment_from(call->arena, &deployment, out->deployment, err))
            return false;
    }
    return show_release(call, decision->waiting, &out->waiting, err) && consider(call, decision, &out->rollouts, err);
}

bool api_decision_get(struct api_call *call, struct err *err) {
    struct db_device device;
    struct api_device shown;
    struct db_decision decision;
    if (!api_find_device(call, api_var(call, "device"), &device, err) || !api_device_from(call->arena, &device, &shown, err) ||
        !db_decision_get(call->db, device.id, call->now, call->arena, &decision, err))
        return false;
    struct decision out = {
        .device = device.id,
        .reason = fleet_reason_name(decision.reason),
        .text = fleet_reason_text(decision.reason),
        .origin = api_or_null(decision.origin),
        .policy = shown.product != NULL ? fleet_policy_name(decision.policy) : NULL,
        .installed = shown.installed,
        .floor = shown.floor,
        .valid_until = decision.until,
    };
    return show_release(call, decision.release, &out.release, err) &&
           (!api_holds(call, "rollout:read", device.product) || show_plans(call, &decision, &out, err)) &&
           api_reply_json(call, 0, &decision_shape, &out, err);
}
