#include "cli/groups.h"
#include "cli/view.h"

struct audit_row {
    int64_t seq, time;
    const char *actor, *action, *object, *detail;
};

static const struct json_field row_fields[] = {
    JSON_FIELD(struct audit_row, seq, JSON_INT, JSON_REQUIRED),     JSON_FIELD(struct audit_row, time, JSON_TIME, JSON_REQUIRED),
    JSON_FIELD(struct audit_row, actor, JSON_TEXT, JSON_REQUIRED),  JSON_FIELD(struct audit_row, action, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct audit_row, object, JSON_TEXT, JSON_REQUIRED), JSON_FIELD(struct audit_row, detail, JSON_TEXT, JSON_NULLABLE, .max = 65536),
};
static const struct json_shape row_shape = JSON_SHAPE_OPEN(struct audit_row, row_fields);

static const struct cli_column row_columns[] = {
    {.title = "SEQ", .field = "seq", .right = true}, {.title = "TIME", .field = "time"},     {.title = "ACTOR", .field = "actor"},
    {.title = "ACTION", .field = "action"},          {.title = "OBJECT", .field = "object"}, {.title = "DETAIL", .field = "detail"},
};
static const struct cli_view row_view = {.shape = &row_shape, .list = row_columns, .list_count = ARRAY_LEN(row_columns), .none = "no such changes"};

struct list_args {
    const char *action, *actor, *object, *since;
    struct cli_paging paging;
};

static const struct cli_option list_options[] = {
    {"action", 0, OPTION_TEXT, offsetof(struct list_args, action), "ACTION", "only this action: device.accept"},
    {"actor", 0, OPTION_TEXT, offsetof(struct list_args, actor), "ACTOR", "only by this one: token:ab12cd, cert:alice, system"},
    {"object", 0, OPTION_TEXT, offsetof(struct list_args, object), "OBJECT", "only on this one: device:kitchen-1"},
    {"since", 0, OPTION_TEXT, offsetof(struct list_args, since), "TIME", "not older than 2026-11-22T08:00:00Z"},
    CLI_PAGING_OPTIONS(offsetof(struct list_args, paging), "time", "time"),
};
const struct cli_options cli_audit_list_options = CLI_OPTIONS(struct list_args, list_options);

bool cli_audit_list(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct list_args *list = args;
    const struct cli_query query[] = {{"action", list->action}, {"actor", list->actor}, {"object", list->object}, {"since", list->since}};
    return cli_view_list(cli, "/api/v1/audit", query, ARRAY_LEN(query), &list->paging, &row_view, err);
}
