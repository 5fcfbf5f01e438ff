#include "cli/groups.h"
#include "cli/view.h"
#include "common/text.h"

#define PRODUCTS "/api/v1/products"

struct product {
    const char *id;
    const char *policy, *description;
    int64_t created_at;
};

static const struct json_field product_fields[] = {
    JSON_FIELD(struct product, id, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct product, policy, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct product, description, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct product, created_at, JSON_TIME, JSON_NULLABLE),
};
static const struct json_shape product_shape = JSON_SHAPE_OPEN(struct product, product_fields);

static const struct cli_column product_columns[] = {
    {.title = "PRODUCT", .field = "id"},
    {.title = "POLICY", .field = "policy"},
    {.title = "CREATED", .field = "created_at"},
    {.title = "DESCRIPTION", .field = "description"},
};
static const struct cli_view product_view = {
    .shape = &product_shape, .list = product_columns, .list_count = ARRAY_LEN(product_columns), .none = "no products"};

/* What a creation or a change sends; absent members are left out. */
struct product_input {
    const char *id, *policy, *description;
};

static const struct json_field input_fields[] = {
    JSON_FIELD(struct product_input, id, JSON_TEXT, 0),
    JSON_FIELD(struct product_input, policy, JSON_TEXT, 0),
    JSON_FIELD(struct product_input, description, JSON_TEXT, 0),
};
static const struct json_shape input_shape = JSON_SHAPE(struct product_input, input_fields);

struct create_args {
    const char *policy, *description;
};

static const struct cli_option create_options[] = {
    {"policy", 0, OPTION_TEXT, offsetof(struct create_args, policy), "latest|rollout",
     "latest: each device is offered the newest release that fits; rollout: only what is assigned [latest]"},
    {"description", 0, OPTION_TEXT, offsetof(struct create_args, description), "TEXT", "a note for people"},
};
const struct cli_options cli_products_create_options = CLI_OPTIONS(struct create_args, create_options);

static const struct cli_option list_options[] = {CLI_PAGING_OPTIONS(0, "name or created_at", "name")};
const struct cli_options cli_products_list_options = CLI_OPTIONS(struct cli_paging, list_options);

bool cli_products_list(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    return cli_view_list(cli, PRODUCTS, NULL, 0, args, &product_view, err);
}

bool cli_products_show(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    return cli_view_get(cli, cli_view_path(&cli->arena, PRODUCTS, operands->items[0], (char *)NULL), &product_view, err);
}

bool cli_products_create(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct create_args *create = args;
    const struct product_input input = {.id = operands->items[0], .policy = create->policy, .description = create->description};
    CLEANUP(buf_free) struct buf body = BUF_INIT(4096);
    struct cli_reply reply;
    json_write(&body, &input_shape, &input);
    return cli_client_post(cli, PRODUCTS, &body, &reply, err) && cli_view_show(cli, &reply, &product_view, err);
}

bool cli_products_set_policy(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    const struct product_input input = {.policy = operands->items[1]};
    CLEANUP(buf_free) struct buf body = BUF_INIT(4096);
    struct cli_reply reply;
    json_write(&body, &input_shape, &input);
    const char *path = cli_view_path(&cli->arena, PRODUCTS, operands->items[0], (char *)NULL);
    return cli_client_update(cli, "PATCH", path, &body, &reply, err) && cli_view_show(cli, &reply, &product_view, err);
}
