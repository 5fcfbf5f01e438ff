#include "db/deployment.h"

#include "api/find.h"
#include "api/handlers.h"
#include "api/list.h"
#include "api/shapes.h"
#include "common/text.h"
#include "db/device.h"

static bool reply_deployment(struct api_call *call, int status, int64_t id, struct err *err) {
    struct db_deployment deployment;
    struct api_deployment reply;
    return db_deployment_get(call->db, id, call->arena, &deployment, err) && api_deployment_from(call->arena, &deployment, &reply, err) &&
           api_reply_json(call, status, &api_shape_deployment, &reply, err);
}

struct waiting {
    const char *device;
    const char *product;
    const char *version;
    const char *waits_for;
};

static const struct json_field waiting_fields[] = {
    {.name = "device", .type = JSON_TEXT, .offset = offsetof(struct waiting, device)},
    {.name = "product", .type = JSON_TEXT, .offset = offsetof(struct waiting, product)},
    {.name = "version", .type = JSON_TEXT, .offset = offsetof(struct waiting, version)},
    {.name = "waits_for", .type = JSON_TEXT, .offset = offsetof(struct waiting, waits_for)},
};
static const struct json_shape waiting_shape = JSON_SHAPE(struct waiting, waiting_fields);

bool api_deployment_list(struct api_call *call, struct err *err) {
    struct db_list list;
    struct db_deployments page;
    if (!api_allow_list(call, err) || !api_list_begin(call, &list, err))
        return false;
    struct db_deployment_filter filter = {
        .device = api_query(call, "device"),
        .product = api_query(call, "product"),
        .by_state = api_query(call, "state") != NULL,
    };
    if (filter.by_state && !fleet_deployment_state_parse(api_query(call, "state"), &filter.state))
        return err_set_field(err, ERR_INVALID, "state", "'state' is no state of a deployment");
    if (api_query(call, "rollout") != NULL && !text_to_int(api_query(call, "rollout"), 1, INT64_MAX, &filter.rollout))
        return err_set_field(err, ERR_INVALID, "rollout", "'rollout' must be a rollout's id");
    if (!db_deployment_list(call->db, &filter, &list, call->arena, &page, err))
        return false;
    struct api_deployment *items = arena_array(call->arena, page.count, sizeof(*items));
    if (items == NULL && page.count > 0)
        return err_no_memory(err);
    for (size_t i = 0; i < page.count; i++)
        if (!api_deployment_from(call->arena, &page.items[i], &items[i], err))
            return false;
    return api_list_reply(call, &api_shape_deployment, items, page.count, page.next, err);
}

bool api_deployment_assign(struct api_call *call, struct err *err) {
    struct api_deployment_input input;
    struct db_device device;
    struct db_release release;
    int64_t id;
    int64_t waits_for;
    if (!api_body(call, &api_shape_deployment_input, &input, NULL, err) || !api_check_id(input.device, "device", err) ||
        (input.product != NULL && !api_check_id(input.product, "product", err)))
        return false;
    if (!api_find_device(call, input.device, &device, err))
        return api_missing(err, "device");
    const char *product = input.product != NULL ? input.product : device.product;
    if (product[0] == '\0')
        return err_set(err, ERR_CONFLICT, "device '%s' has no product yet: it says so at its first poll", device.id);
    if (!api_allow(call, product, err))
        return false;
    if (!db_release_get_version(call->db, product, input.version, call->arena, &release, err))
        return api_missing(err, "version");
    if (!db_deployment_assign_or_wait(call->db, device.id, release.id, call->now, &id, &waits_for, err))
        return false;
    const char *number = arena_printf(call->arena, "%lld", (long long)(waits_for != 0 ? waits_for : id));
    if (number == NULL)
        return err_no_memory(err);
    const struct waiting waiting = {.device = device.id, .product = product, .version = release.version, .waits_for = number};
    const char *detail = api_detail(call, "device", device.id, "product", product, "version", release.version, (char *)NULL);
    return api_audit(call, waits_for != 0 ? "deployment.assign-after" : "deployment.assign", "deployment", number, detail, err) &&
           api_reply_headerf(call, err, "Location", "/api/v1/deployments/%s", number) &&
           (waits_for != 0 ? api_reply_json(call, 202, &waiting_shape, &waiting, err) : reply_deployment(call, 201, id, err));
}

bool api_deployment_get(struct api_call *call, struct err *err) {
    struct db_deployment deployment;
    return api_find_deployment(call, &deployment, err) && reply_deployment(call, 0, deployment.id, err);
}

/* Cancel and force-close: two degrees of the same word. */
static bool end(struct api_call *call, const char *action, bool (*close)(struct db_conn *, int64_t, const char *, int64_t, struct err *),
                struct err *err) {
    struct db_deployment deployment;
    const char *reason;
    if (!api_find_deployment(call, &deployment, err) || !api_reason(call, &reason, err) ||
        !close(call->db, deployment.id, reason != NULL ? reason : "", call->now, err))
        return false;
    const char *detail = api_detail(call, "reason", reason, (char *)NULL);
    return api_audit(call, action, "deployment", api_var(call, "deployment"), detail, err) && reply_deployment(call, 0, deployment.id, err);
}

bool api_deployment_cancel(struct api_call *call, struct err *err) {
    return end(call, "deployment.cancel", db_deployment_cancel, err);
}

bool api_deployment_force_close(struct api_call *call, struct err *err) {
    return end(call, "deployment.force-close", db_deployment_force_close, err);
}

bool api_deployment_retry(struct api_call *call, struct err *err) {
    struct db_deployment deployment;
    int64_t next;
    const char *reason;
    if (!api_find_deployment(call, &deployment, err) || !api_reason(call, &reason, err) ||
        !db_deployment_retry(call->db, deployment.id, call->now, &next, err))
        return false;
    const char *number = arena_printf(call->arena, "%lld", (long long)next);
    if (number == NULL)
        return err_no_memory(err);
    const char *detail = api_detail(call, "reason", reason, "deployment", number, (char *)NULL);
    return api_audit(call, "deployment.retry", "deployment", api_var(call, "deployment"), detail, err) && reply_deployment(call, 0, next, err);
}
