#include "db/delivery.h"

#include <string.h>

#include "api/call.h"
#include "api/handlers.h"
#include "api/list.h"
#include "api/shapes.h"
#include "db/event.h"
#include "db/webhook.h"

struct delivery {
    const char *webhook, *event, *state;
    int64_t attempts, created_at, last_at, next_at;
    const char *status; /* a number as text, or NULL */
    const char *error;
};

static const struct json_field fields[] = {
    {.name = "webhook", .type = JSON_TEXT, .offset = offsetof(struct delivery, webhook)},
    {.name = "event", .type = JSON_TEXT, .offset = offsetof(struct delivery, event)},
    {.name = "state", .type = JSON_TEXT, .offset = offsetof(struct delivery, state)},
    {.name = "attempts", .type = JSON_INT, .offset = offsetof(struct delivery, attempts)},
    {.name = "created_at", .type = JSON_TIME, .offset = offsetof(struct delivery, created_at)},
    {.name = "last_at", .type = JSON_TIME, .offset = offsetof(struct delivery, last_at), .flags = JSON_NULLABLE},
    {.name = "next_at", .type = JSON_TIME, .offset = offsetof(struct delivery, next_at), .flags = JSON_NULLABLE},
    {.name = "status", .type = JSON_RAW, .offset = offsetof(struct delivery, status), .flags = JSON_NULLABLE},
    {.name = "error", .type = JSON_TEXT, .offset = offsetof(struct delivery, error), .flags = JSON_NULLABLE},
};
static const struct json_shape shape = JSON_SHAPE(struct delivery, fields);

static bool delivery_from(struct arena *arena, const struct db_delivery *row, struct delivery *ret_delivery, struct err *err) {
    *ret_delivery = (struct delivery){
        .webhook = row->webhook,
        .event = arena_printf(arena, "%lld", (long long)row->event),
        .state = row->state,
        .attempts = row->attempts,
        .created_at = row->created_at,
        .last_at = row->last_at,
        .next_at = strcmp(row->state, "waiting") == 0 ? row->next_at : 0,
        .status = row->status != 0 ? arena_printf(arena, "%lld", (long long)row->status) : NULL,
        .error = api_or_null(row->error),
    };
    return (ret_delivery->event != NULL && (row->status == 0 || ret_delivery->status != NULL)) || err_no_memory(err);
}

static bool get_webhook(struct api_call *call, struct db_webhook *ret_row, struct err *err) {
    return db_webhook_get(call->db, api_var(call, "webhook"), call->arena, ret_row, err);
}

static bool reply_delivery(struct api_call *call, int status, const char *webhook, int64_t event, struct err *err) {
    struct db_delivery row;
    struct delivery shown;
    return db_delivery_get(call->db, webhook, event, call->arena, &row, err) && delivery_from(call->arena, &row, &shown, err) &&
           api_reply_json(call, status, &shape, &shown, err);
}

bool api_delivery_list(struct api_call *call, struct err *err) {
    struct db_list list;
    struct db_webhook webhook;
    struct db_deliveries page;
    const char *state = api_query(call, "state");
    if (!api_list_begin(call, &list, err))
        return false;
    if (state != NULL && strcmp(state, "waiting") != 0 && strcmp(state, "delivered") != 0 && strcmp(state, "dead") != 0)
        return err_set_field(err, ERR_INVALID, "state", "'state' must be waiting, delivered or dead");
    if (!get_webhook(call, &webhook, err) || !db_delivery_list(call->db, webhook.id, state, &list, call->arena, &page, err))
        return false;
    struct delivery *items = arena_array(call->arena, page.count, sizeof(*items));
    if (items == NULL && page.count > 0)
        return err_no_memory(err);
    for (size_t i = 0; i < page.count; i++)
        if (!delivery_from(call->arena, &page.items[i], &items[i], err))
            return false;
    return api_list_reply(call, &shape, items, page.count, page.next, err);
}

/* An event of its own, for this webhook alone, whatever kinds it wants. */
bool api_delivery_test(struct api_call *call, struct err *err) {
    struct db_webhook webhook;
    const char *reason;
    int64_t event_id;
    if (!get_webhook(call, &webhook, err) || !api_reason(call, &reason, err))
        return false;
    if (strcmp(webhook.state, "enabled") != 0)
        return err_set(err, ERR_CONFLICT, "webhook '%s' is disabled", webhook.id);
    const struct db_event_new event = {
        .time = call->now, .kind = "webhook-test", .product = webhook.product, .detail = api_detail(call, "webhook", webhook.id, (char *)NULL)};
    return db_event_add(call->db, &event, &event_id, err) && db_delivery_add(call->db, webhook.id, call->now, err) &&
           api_audit(call, "webhook.test", "webhook", webhook.id, api_detail(call, "reason", reason, (char *)NULL), err) &&
           reply_delivery(call, 202, webhook.id, event_id, err);
}

bool api_delivery_retry(struct api_call *call, struct err *err) {
    struct db_webhook webhook;
    struct db_event event;
    struct db_delivery row;
    const char *reason;
    int64_t id;
    if (!api_number(api_var(call, "event"), "delivery of event", &id, err) || !get_webhook(call, &webhook, err) || !api_reason(call, &reason, err) ||
        !db_delivery_get(call->db, webhook.id, id, call->arena, &row, err) || !db_event_get(call->db, id, call->arena, &event, err) ||
        !db_delivery_retry(call->db, webhook.id, id, call->now, err))
        return false;
    const char *detail = api_detail(call, "event", api_var(call, "event"), "reason", reason, (char *)NULL);
    return api_audit(call, "webhook.retry", "webhook", webhook.id, detail, err) && reply_delivery(call, 202, webhook.id, id, err);
}
