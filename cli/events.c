#include "cli/groups.h"
#include "cli/view.h"

struct event {
    const char *id;
    int64_t time;
    const char *kind, *device, *product;
    const char *detail; /* as JSON */
};

static const struct json_field event_fields[] = {
    JSON_FIELD(struct event, id, JSON_TEXT, JSON_REQUIRED),      JSON_FIELD(struct event, time, JSON_TIME, JSON_REQUIRED),
    JSON_FIELD(struct event, kind, JSON_TEXT, JSON_REQUIRED),    JSON_FIELD(struct event, device, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct event, product, JSON_TEXT, JSON_NULLABLE), JSON_FIELD(struct event, detail, JSON_RAW, JSON_NULLABLE),
};
static const struct json_shape event_shape = JSON_SHAPE_OPEN(struct event, event_fields);

static const struct cli_column event_columns[] = {
    {.title = "EVENT", .field = "id"},      {.title = "TIME", .field = "time"},       {.title = "KIND", .field = "kind"},
    {.title = "DEVICE", .field = "device"}, {.title = "PRODUCT", .field = "product"}, {.title = "DETAIL", .field = "detail"},
};
static const struct cli_view event_view = {
    .shape = &event_shape, .list = event_columns, .list_count = ARRAY_LEN(event_columns), .none = "no such events"};

struct list_args {
    const char *kind, *device, *product, *since;
    struct cli_paging paging;
};

static const struct cli_option list_options[] = {
    {"kind", 0, OPTION_TEXT, offsetof(struct list_args, kind), "KIND", "only of this kind"},
    {"device", 0, OPTION_TEXT, offsetof(struct list_args, device), "DEVICE", "only of this device"},
    {"product", 0, OPTION_TEXT, offsetof(struct list_args, product), "PRODUCT", "only of this product"},
    {"since", 0, OPTION_TEXT, offsetof(struct list_args, since), "TIME", "not older than 2026-11-22T08:00:00Z"},
    CLI_PAGING_OPTIONS(offsetof(struct list_args, paging), "time", "-time"),
};
const struct cli_options cli_events_list_options = CLI_OPTIONS(struct list_args, list_options);

bool cli_events_list(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct list_args *list = args;
    const struct cli_query query[] = {{"kind", list->kind}, {"device", list->device}, {"product", list->product}, {"since", list->since}};
    return cli_view_list(cli, "/api/v1/events", query, ARRAY_LEN(query), &list->paging, &event_view, err);
}
