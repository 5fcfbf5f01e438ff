#include "db/rollout.h"

#include <string.h>

#include "api/env.h"
#include "api/find.h"
#include "api/handlers.h"
#include "api/list.h"
#include "api/rollout.h"
#include "api/rollout_plan.h"
#include "common/text.h"

bool api_rollout_reply(struct api_call *call, int status, int64_t id, struct err *err) {
    struct db_rollout rollout;
    struct api_rollout reply;
    return db_rollout_get(call->db, id, call->arena, &rollout, err) && api_rollout_shape_from(call->arena, &rollout, call->now, &reply, err) &&
           api_reply_etag(call, rollout.revision, err) && api_reply_json(call, status, &api_rollout_shape, &reply, err);
}

bool api_rollout_list(struct api_call *call, struct err *err) {
    struct db_list list;
    struct db_rollouts page;
    struct db_rollout_filter filter = {.product = api_query(call, "product"), .by_state = api_query(call, "state") != NULL};
    if (!api_allow_list(call, err) || !api_list_begin(call, &list, err))
        return false;
    if (filter.by_state && !fleet_rollout_state_parse(api_query(call, "state"), &filter.state))
        return err_set_field(err, ERR_INVALID, "state", "'state' must be draft, scheduled, running, paused, completed or stopped");
    if (!db_rollout_list(call->db, &filter, &list, call->arena, &page, err))
        return false;
    struct api_rollout *items = arena_array(call->arena, page.count, sizeof(*items));
    if (items == NULL && page.count > 0)
        return err_no_memory(err);
    for (size_t i = 0; i < page.count; i++)
        if (!api_rollout_shape_from(call->arena, &page.items[i], call->now, &items[i], err))
            return false;
    return api_list_reply(call, &api_rollout_shape, items, page.count, page.next, err);
}

/* For the audit: the body as it came, which has no secret in it; a long one (a list of ids) only by its release. */
static const char *told(struct api_call *call, const char *version) {
    enum { DETAIL_MAX = 4096 };
    return call->body_len <= DETAIL_MAX ? arena_strndup(call->arena, call->body, call->body_len) : api_detail(call, "version", version, (char *)NULL);
}

bool api_rollout_create(struct api_call *call, struct err *err) {
    struct db_rollout_plan plan;
    int64_t id;
    if (!api_rollout_plan_read(call, &plan, err) || !db_rollout_create(call->db, &plan, call->operator_.actor, call->now, &id, err))
        return false;
    const char *number = arena_printf(call->arena, "%lld", (long long)id);
    if (number == NULL)
        return err_no_memory(err);
    return api_audit(call, "rollout.create", "rollout", number, told(call, NULL), err) &&
           api_reply_headerf(call, err, "Location", "/api/v1/rollouts/%s", number) && api_rollout_reply(call, 201, id, err);
}

bool api_rollout_get(struct api_call *call, struct err *err) {
    struct db_rollout rollout;
    return api_find_rollout(call, &rollout, err) && api_rollout_reply(call, 0, rollout.id, err);
}

bool api_rollout_patch(struct api_call *call, struct err *err) {
    struct db_rollout rollout;
    struct db_rollout_plan plan;
    return api_find_rollout(call, &rollout, err) && api_if_match(call, rollout.revision, err) &&
           api_rollout_plan_patch(call, &rollout.plan, &plan, err) &&
           db_rollout_update(call->db, rollout.id, rollout.revision, &plan, call->operator_.actor, err) &&
           api_audit(call, "rollout.update", "rollout", api_var(call, "rollout"), told(call, rollout.version), err) &&
           api_rollout_reply(call, 0, rollout.id, err);
}

bool api_rollout_delete(struct api_call *call, struct err *err) {
    struct db_rollout rollout;
    if (!api_find_rollout(call, &rollout, err) || !api_if_match(call, rollout.revision, err) ||
        !db_rollout_delete(call->db, rollout.id, rollout.revision, err) ||
        !api_audit(call, "rollout.delete", "rollout", api_var(call, "rollout"), NULL, err))
        return false;
    call->reply.status = 204;
    return true;
}

static bool reply_preview(struct api_call *call, const struct db_rollout_plan *plan, struct err *err) {
    struct db_rollout_preview *preview = arena_alloc(call->arena, sizeof(*preview));
    struct api_rollout_preview reply;
    if (preview == NULL)
        return err_no_memory(err);
    return db_rollout_preview(call->db, plan, preview, err) &&
           api_rollout_shape_preview_from(call->arena, preview, call->env->settings.approval_above, &reply, err) &&
           api_reply_json(call, 0, &api_rollout_shape_preview, &reply, err);
}

bool api_rollout_preview(struct api_call *call, struct err *err) {
    struct db_rollout_plan plan;
    return api_rollout_plan_read(call, &plan, err) && reply_preview(call, &plan, err);
}

bool api_rollout_preview_draft(struct api_call *call, struct err *err) {
    struct db_rollout rollout;
    if (!api_find_rollout(call, &rollout, err))
        return false;
    if (rollout.state != FLEET_ROLLOUT_DRAFT && rollout.state != FLEET_ROLLOUT_SCHEDULED)
        return err_set(err, ERR_CONFLICT, "rollout %lld is %s: its devices are chosen, a preview is of a draft", (long long)rollout.id,
                       fleet_rollout_state_name(rollout.state));
    return reply_preview(call, &rollout.plan, err);
}

static bool devices_from(struct api_call *call, const struct db_rollout_members *page, struct api_rollout_device **ret_items, struct err *err) {
    struct api_rollout_device *items = arena_array(call->arena, page->count + 1, sizeof(*items));
    if (items == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < page->count; i++) {
        const struct db_rollout_member *member = &page->items[i];
        items[i] = (struct api_rollout_device){
            .device = member->device,
            .phase = member->phase,
            .state = fleet_member_state_name(member->state),
            .deployment = member->deployment != 0 ? arena_printf(call->arena, "%lld", (long long)member->deployment) : NULL,
            .due_at = member->due_at,
            .updated_at = member->updated_at,
        };
        if (member->deployment != 0 && items[i].deployment == NULL)
            return err_no_memory(err);
    }
    *ret_items = items;
    return true;
}

bool api_rollout_devices(struct api_call *call, struct err *err) {
    struct db_rollout rollout;
    struct db_list list;
    struct db_rollout_members page;
    struct db_rollout_member_filter filter = {.by_state = api_query(call, "state") != NULL};
    struct api_rollout_device *items;
    if (!api_find_rollout(call, &rollout, err) || !api_list_begin(call, &list, err))
        return false;
    if (filter.by_state && !fleet_member_state_parse(api_query(call, "state"), &filter.state))
        return err_set_field(err, ERR_INVALID, "state", "'state' is no state of a rollout's device");
    if (api_query(call, "phase") != NULL && !text_to_int(api_query(call, "phase"), 1, FLEET_PHASE_MAX, &filter.phase))
        return err_set_field(err, ERR_INVALID, "phase", "'phase' must be a number from 1 to %d", FLEET_PHASE_MAX);
    return db_rollout_member_list(call->db, rollout.id, &filter, &list, call->arena, &page, err) && devices_from(call, &page, &items, err) &&
           api_list_reply(call, &api_rollout_shape_device, items, page.count, page.next, err);
}
