#include "api/event.h"

#include "api/call.h"
#include "api/handlers.h"
#include "api/list.h"
#include "api/shapes.h"
#include "db/event_kind.h"

struct event {
    const char *id;
    int64_t time;
    const char *kind, *device, *product, *detail;
};

static const struct json_field fields[] = {
    {.name = "id", .type = JSON_TEXT, .offset = offsetof(struct event, id)},
    {.name = "time", .type = JSON_TIME, .offset = offsetof(struct event, time)},
    {.name = "kind", .type = JSON_TEXT, .offset = offsetof(struct event, kind)},
    {.name = "device", .type = JSON_TEXT, .offset = offsetof(struct event, device), .flags = JSON_NULLABLE},
    {.name = "product", .type = JSON_TEXT, .offset = offsetof(struct event, product), .flags = JSON_NULLABLE},
    {.name = "detail", .type = JSON_RAW, .offset = offsetof(struct event, detail), .flags = JSON_NULLABLE},
};
static const struct json_shape shape = JSON_SHAPE(struct event, fields);

static bool event_from(struct arena *arena, const struct db_event *event, struct event *ret_event, struct err *err) {
    *ret_event = (struct event){
        .id = arena_printf(arena, "%lld", (long long)event->id),
        .time = event->time,
        .kind = event->kind,
        .device = api_or_null(event->device),
        .product = api_or_null(event->product),
        .detail = api_or_null(event->detail),
    };
    return ret_event->id != NULL || err_no_memory(err);
}

bool api_event_write(struct arena *arena, const struct db_event *event, struct buf *out, struct err *err) {
    struct event shown;
    if (!event_from(arena, event, &shown, err))
        return false;
    json_write(out, &shape, &shown);
    return true;
}

bool api_event_read_kind(const struct api_call *call, const char **ret_kind, struct err *err) {
    *ret_kind = api_query(call, "kind");
    return *ret_kind == NULL || db_event_kind_known(*ret_kind) || err_set_field(err, ERR_INVALID, "kind", "'%.48s' is no kind of event", *ret_kind);
}

bool api_event_list(struct api_call *call, struct err *err) {
    struct db_list list;
    struct db_events page;
    struct db_event_filter filter = {
        .device = api_query(call, "device"),
        .product = api_query(call, "product"),
    };
    if (!api_allow_list(call, err) || !api_list_begin(call, &list, err) || !api_event_read_kind(call, &filter.kind, err) ||
        !api_query_time(call, "since", &filter.since, err) || !db_event_list(call->db, &filter, &list, call->arena, &page, err))
        return false;
    struct event *items = arena_array(call->arena, page.count, sizeof(*items));
    if (items == NULL && page.count > 0)
        return err_no_memory(err);
    for (size_t i = 0; i < page.count; i++)
        if (!event_from(call->arena, &page.items[i], &items[i], err))
            return false;
    return api_list_reply(call, &shape, items, page.count, page.next, err);
}
