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
static const struct cli_view row_view = {
    .shape = &row_shape, .list = row_columns, .list_count = ARRAY_LEN(row_columns), .none = "the audit is empty"};

static const struct cli_option list_options[] = {
    CLI_PAGING_OPTIONS(0, "time", "time"),
};
const struct cli_options cli_audit_list_options = CLI_OPTIONS(struct cli_paging, list_options);

bool cli_audit_list(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    return cli_view_list(cli, "/api/v1/audit", NULL, 0, args, &row_view, err);
}
