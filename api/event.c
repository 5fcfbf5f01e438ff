#include "db/event.h"

#include "api/call.h"
#include "api/handlers.h"
#include "api/list.h"
#include "api/shapes.h"

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

bool api_event_list(struct api_call *call, struct err *err) {
    static const char *const filters[] = {"kind", "device", "product", NULL};
    struct api_list list;
    struct db_events page;
    const struct db_event_filter filter = {
        .kind = api_query(call, "kind"),
        .device = api_query(call, "device"),
        .product = api_query(call, "product"),
    };
    if (!api_allow_list(call, err) || !api_list_begin(call, filters, true, &list, err) ||
        !db_event_list(call->db, &filter, list.after_number, list.limit, call->arena, &page, err))
        return false;
    struct event *items = arena_array(call->arena, page.count, sizeof(*items));
    if (items == NULL && page.count > 0)
        return err_no_memory(err);
    for (size_t i = 0; i < page.count; i++) {
        const struct db_event *event = &page.items[i];
        items[i] = (struct event){
            .id = arena_printf(call->arena, "%lld", (long long)event->id),
            .time = event->time,
            .kind = event->kind,
            .device = api_or_null(event->device),
            .product = api_or_null(event->product),
            .detail = api_or_null(event->detail),
        };
        if (items[i].id == NULL)
            return err_no_memory(err);
    }
    return api_list_reply(call, &shape, items, page.count, page.more ? items[page.count - 1].id : NULL, err);
}
