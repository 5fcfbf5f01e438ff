#include "cli/groups.h"
#include "cli/view.h"

struct expiring {
    const char *device, *product, *state;
    int64_t expires_at, last_seen;
};

static const struct json_field expiring_fields[] = {
    {"device", JSON_TEXT, offsetof(struct expiring, device), JSON_REQUIRED, 0, 0, NULL},
    {"product", JSON_TEXT, offsetof(struct expiring, product), JSON_NULLABLE, 0, 0, NULL},
    {"state", JSON_TEXT, offsetof(struct expiring, state), JSON_REQUIRED, 0, 0, NULL},
    {"expires_at", JSON_TIME, offsetof(struct expiring, expires_at), JSON_REQUIRED, 0, 0, NULL},
    {"last_seen", JSON_TIME, offsetof(struct expiring, last_seen), JSON_NULLABLE, 0, 0, NULL},
};
static const struct json_shape expiring_shape = JSON_SHAPE_OPEN(struct expiring, expiring_fields);

static const struct cli_column expiring_columns[] = {
    {.title = "DEVICE", .field = "device"},      {.title = "PRODUCT", .field = "product"},     {.title = "STATE", .field = "state"},
    {.title = "EXPIRES", .field = "expires_at"}, {.title = "LAST SEEN", .field = "last_seen"},
};
static const struct cli_view expiring_view = {
    .shape = &expiring_shape, .list = expiring_columns, .list_count = ARRAY_LEN(expiring_columns), .none = "no certificate ends that soon"};

struct expiring_args {
    const char *within, *product;
    int64_t limit;
};

static const struct cli_option expiring_options[] = {
    {"within", 0, OPTION_TEXT, offsetof(struct expiring_args, within), "TIME", "that end within 12h, 30d … [the server's expiry_warning]"},
    {"product", 0, OPTION_TEXT, offsetof(struct expiring_args, product), "PRODUCT", "only of this product"},
    {"limit", 0, OPTION_INT, offsetof(struct expiring_args, limit), "N", "at most N rows [all]"},
};
const struct cli_options cli_certificates_expiring_options = CLI_OPTIONS(struct expiring_args, expiring_options);

bool cli_certificates_expiring(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct expiring_args *asked = args;
    const struct cli_query query[] = {{"within", asked->within}, {"product", asked->product}};
    return cli_view_list(cli, "/api/v1/certificates/expiring", query, ARRAY_LEN(query), asked->limit, &expiring_view, err);
}
