#include "cli/groups.h"
#include "cli/view.h"

struct whoami {
    const char *actor, *token, *name;
    struct json_texts scopes;
    int64_t expires_at;
};

static const struct json_field whoami_fields[] = {
    JSON_FIELD(struct whoami, actor, JSON_TEXT, JSON_REQUIRED),      JSON_FIELD(struct whoami, token, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct whoami, name, JSON_TEXT, JSON_NULLABLE),       JSON_FIELD(struct whoami, scopes, JSON_TEXTS, JSON_NULLABLE),
    JSON_FIELD(struct whoami, expires_at, JSON_TIME, JSON_NULLABLE),
};
static const struct json_shape whoami_shape = JSON_SHAPE_OPEN(struct whoami, whoami_fields);

static const struct cli_column whoami_columns[] = {
    {.title = "actor", .field = "actor"},   {.title = "token", .field = "token"},        {.title = "name", .field = "name"},
    {.title = "scopes", .field = "scopes"}, {.title = "expires", .field = "expires_at"},
};
static const struct cli_view whoami_view = {.shape = &whoami_shape, .list = whoami_columns, .list_count = ARRAY_LEN(whoami_columns)};

bool cli_whoami_show(struct cli *cli, const void *args UNUSED, const struct option_texts *operands UNUSED, struct err *err) {
    return cli_view_get(cli, "/api/v1/whoami", &whoami_view, err);
}
