#include <string.h>

#include "api/call.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/list.h"
#include "api/shapes.h"
#include "common/text.h"
#include "db/expiry.h"

enum { WITHIN_MAX_S = 10 * 366 * 86400 };

struct expiring {
    const char *device, *product, *state;
    int64_t expires_at, last_seen;
};

static const struct json_field fields[] = {
    {.name = "device", .type = JSON_TEXT, .offset = offsetof(struct expiring, device)},
    {.name = "product", .type = JSON_TEXT, .offset = offsetof(struct expiring, product), .flags = JSON_NULLABLE},
    {.name = "state", .type = JSON_TEXT, .offset = offsetof(struct expiring, state)},
    {.name = "expires_at", .type = JSON_TIME, .offset = offsetof(struct expiring, expires_at)},
    {.name = "last_seen", .type = JSON_TIME, .offset = offsetof(struct expiring, last_seen), .flags = JSON_NULLABLE},
};
static const struct json_shape shape = JSON_SHAPE(struct expiring, fields);

static bool read_within(const struct api_call *call, int64_t *ret_within, struct err *err) {
    const char *text = api_query(call, "within");
    *ret_within = call->env->settings.expiry_warning_s;
    if (text == NULL || (text_to_duration(text, ret_within) && *ret_within >= 0 && *ret_within <= WITHIN_MAX_S))
        return true;
    return err_set_field(err, ERR_INVALID, "within", "'within' must be a duration of at most ten years: 12h, 30d");
}

bool api_expiring_list(struct api_call *call, struct err *err) {
    struct db_list list;
    struct db_expiries page;
    int64_t within;
    if (!api_allow_list(call, err) || !api_list_begin(call, &list, err) || !read_within(call, &within, err) ||
        !db_expiry_list(call->db, call->now + within, api_query(call, "product"), &list, call->arena, &page, err))
        return false;
    struct expiring *items = arena_array(call->arena, page.count, sizeof(*items));
    if (items == NULL && page.count > 0)
        return err_no_memory(err);
    for (size_t i = 0; i < page.count; i++)
        items[i] = (struct expiring){
            .device = page.items[i].device,
            .product = api_or_null(page.items[i].product),
            .state = fleet_device_state_name(page.items[i].state),
            .expires_at = page.items[i].expires_at,
            .last_seen = page.items[i].last_seen,
        };
    return api_list_reply(call, &shape, items, page.count, page.next, err);
}
