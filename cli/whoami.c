#include "cli/groups.h"
#include "cli/view.h"

struct whoami {
    const char *actor, *token, *name;
    struct json_texts scopes;
    int64_t expires_at;
};

static const struct json_field whoami_fields[] = {
    {"actor", JSON_TEXT, offsetof(struct whoami, actor), JSON_REQUIRED, 0, 0, NULL},
    {"token", JSON_TEXT, offsetof(struct whoami, token), JSON_NULLABLE, 0, 0, NULL},
    {"name", JSON_TEXT, offsetof(struct whoami, name), JSON_NULLABLE, 0, 0, NULL},
    {"scopes", JSON_TEXTS, offsetof(struct whoami, scopes), JSON_NULLABLE, 0, 0, NULL},
    {"expires_at", JSON_TIME, offsetof(struct whoami, expires_at), JSON_NULLABLE, 0, 0, NULL},
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
