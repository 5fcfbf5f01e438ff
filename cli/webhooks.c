#include "cli/groups.h"
#include "cli/secret.h"
#include "cli/verb.h"
#include "common/text.h"

#define WEBHOOKS "/api/v1/webhooks"

enum { BODY_MAX_BYTES = 16384 };

struct webhook {
    const char *id, *url, *description, *product, *state, *created_by;
    struct json_texts kinds;
    int64_t created_at, old_secret_until;
};

static const struct json_field webhook_fields[] = {
    JSON_FIELD(struct webhook, id, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct webhook, url, JSON_TEXT, JSON_REQUIRED, .max = 4096),
    JSON_FIELD(struct webhook, description, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct webhook, product, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct webhook, kinds, JSON_TEXTS, JSON_NULLABLE),
    JSON_FIELD(struct webhook, state, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct webhook, created_by, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct webhook, created_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct webhook, old_secret_until, JSON_TIME, JSON_NULLABLE),
};
static const struct json_shape webhook_shape = JSON_SHAPE_OPEN(struct webhook, webhook_fields);

static const struct cli_column webhook_columns[] = {
    {.title = "WEBHOOK", .field = "id"},      {.title = "STATE", .field = "state"}, {.title = "URL", .field = "url"},
    {.title = "PRODUCT", .field = "product"}, {.title = "KINDS", .field = "kinds"}, {.title = "DESCRIPTION", .field = "description"},
};
static const struct cli_column webhook_lines[] = {
    {.title = "webhook", .field = "id"},      {.title = "state", .field = "state"},   {.title = "url", .field = "url"},
    {.title = "product", .field = "product"}, {.title = "kinds", .field = "kinds"},   {.title = "description", .field = "description"},
    {.title = "made", .field = "created_at"}, {.title = "by", .field = "created_by"}, {.title = "old secret until", .field = "old_secret_until"},
};
static const struct cli_view webhook_view = {.shape = &webhook_shape,
                                             .list = webhook_columns,
                                             .list_count = ARRAY_LEN(webhook_columns),
                                             .show = webhook_lines,
                                             .show_count = ARRAY_LEN(webhook_lines),
                                             .none = "no webhooks"};

struct delivery {
    const char *webhook, *event, *state, *status, *error;
    int64_t attempts, created_at, last_at, next_at;
};

static const struct json_field delivery_fields[] = {
    JSON_FIELD(struct delivery, webhook, JSON_TEXT, JSON_REQUIRED),    JSON_FIELD(struct delivery, event, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct delivery, state, JSON_TEXT, JSON_REQUIRED),      JSON_FIELD(struct delivery, attempts, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct delivery, created_at, JSON_TIME, JSON_NULLABLE), JSON_FIELD(struct delivery, last_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct delivery, next_at, JSON_TIME, JSON_NULLABLE),    JSON_FIELD(struct delivery, status, JSON_RAW, JSON_NULLABLE),
    JSON_FIELD(struct delivery, error, JSON_TEXT, JSON_NULLABLE),
};
static const struct json_shape delivery_shape = JSON_SHAPE_OPEN(struct delivery, delivery_fields);

static const struct cli_column delivery_columns[] = {
    {.title = "EVENT", .field = "event"},  {.title = "STATE", .field = "state"},  {.title = "ATTEMPTS", .field = "attempts", .right = true},
    {.title = "LAST", .field = "last_at"}, {.title = "NEXT", .field = "next_at"}, {.title = "STATUS", .field = "status", .right = true},
    {.title = "ERROR", .field = "error"},
};
static const struct cli_view delivery_view = {
    .shape = &delivery_shape, .list = delivery_columns, .list_count = ARRAY_LEN(delivery_columns), .none = "no deliveries"};

/* ---- options ---- */

struct webhook_args {
    const char *url, *product, *description, *out;
    struct option_texts kinds;
    bool all_products, all_kinds;
};

static const struct cli_option create_options[] = {
    {"kind", 0, OPTION_TEXTS, offsetof(struct webhook_args, kinds), "KIND", "only events of this kind (repeat for more) [all]"},
    {"product", 0, OPTION_TEXT, offsetof(struct webhook_args, product), "PRODUCT", "only events of this product [all]"},
    {"description", 0, OPTION_TEXT, offsetof(struct webhook_args, description), "TEXT", "a note for people"},
    {"out", 'o', OPTION_TEXT, offsetof(struct webhook_args, out), "FILE", "write the secret to a new file of mode 0600 instead of showing it"},
};
const struct cli_options cli_webhooks_create_options = CLI_OPTIONS(struct webhook_args, create_options);

static const struct cli_option set_options[] = {
    {"url", 0, OPTION_TEXT, offsetof(struct webhook_args, url), "URL", "send there"},
    {"kind", 0, OPTION_TEXTS, offsetof(struct webhook_args, kinds), "KIND", "only events of this kind (repeat for more)"},
    {"all-kinds", 0, OPTION_FLAG, offsetof(struct webhook_args, all_kinds), NULL, "events of all kinds"},
    {"product", 0, OPTION_TEXT, offsetof(struct webhook_args, product), "PRODUCT", "only events of this product"},
    {"all-products", 0, OPTION_FLAG, offsetof(struct webhook_args, all_products), NULL, "events of all products"},
    {"description", 0, OPTION_TEXT, offsetof(struct webhook_args, description), "TEXT", "a note for people"},
};
const struct cli_options cli_webhooks_set_options = CLI_OPTIONS(struct webhook_args, set_options);

static const struct cli_option rotate_options[] = {
    {"out", 'o', OPTION_TEXT, offsetof(struct webhook_args, out), "FILE", "write the secret to a new file of mode 0600 instead of showing it"},
};
const struct cli_options cli_webhooks_rotate_options = CLI_OPTIONS(struct webhook_args, rotate_options);

struct deliveries_args {
    const char *state;
    struct cli_paging paging;
};

static const struct cli_option deliveries_options[] = {
    {"state", 0, OPTION_TEXT, offsetof(struct deliveries_args, state), "STATE", "only waiting, delivered or dead ones"},
    CLI_PAGING_OPTIONS(offsetof(struct deliveries_args, paging), "created_at", "-created_at"),
};
const struct cli_options cli_webhooks_deliveries_options = CLI_OPTIONS(struct deliveries_args, deliveries_options);

/* ---- bodies ---- */

static void add_member(struct buf *body, const char *name, const char *text) {
    buf_text(body, body->len > 1 ? "," : "");
    json_write_text(body, name);
    buf_byte(body, ':');
    if (text != NULL)
        json_write_text(body, text);
    else
        buf_text(body, "null");
}

/* Only what is given: the rest stays, or has its default. */
static void write_body(const struct webhook_args *given, const char *url, const char *state, struct buf *body) {
    buf_byte(body, '{');
    if (url != NULL)
        add_member(body, "url", url);
    if (state != NULL)
        add_member(body, "state", state);
    if (given->description != NULL)
        add_member(body, "description", given->description);
    if (given->product != NULL || given->all_products)
        add_member(body, "product", given->all_products ? NULL : given->product);
    if (given->kinds.count > 0 || given->all_kinds) {
        buf_text(body, body->len > 1 ? ",\"kinds\":[" : "\"kinds\":[");
        for (size_t i = 0; i < given->kinds.count && !given->all_kinds; i++) {
            buf_text(body, i > 0 ? "," : "");
            json_write_text(body, given->kinds.items[i]);
        }
        buf_byte(body, ']');
    }
    buf_byte(body, '}');
}

static const char *path_of(struct cli *cli, const struct option_texts *operands, const char *verb) {
    return cli_view_path(&cli->arena, WEBHOOKS, operands->items[0], verb, (char *)NULL);
}

/* ---- verbs ---- */

static const struct cli_option list_options[] = {CLI_PAGING_OPTIONS(0, "id or created_at", "id")};
const struct cli_options cli_webhooks_list_options = CLI_OPTIONS(struct cli_paging, list_options);

bool cli_webhooks_list(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    return cli_view_list(cli, WEBHOOKS, NULL, 0, args, &webhook_view, err);
}

bool cli_webhooks_show(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    return cli_view_get(cli, path_of(cli, operands, NULL), &webhook_view, err);
}

bool cli_webhooks_create(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct webhook_args *given = args;
    CLEANUP(buf_free) struct buf body = BUF_INIT(BODY_MAX_BYTES);
    write_body(given, operands->items[0], NULL, &body);
    return cli_secret_make(cli, &(struct cli_secret){.kind = "webhook", .out = given->out, .mode = 0600}, WEBHOOKS, &body, err);
}

static bool patch(struct cli *cli, const struct option_texts *operands, const struct buf *body, struct err *err) {
    struct cli_reply reply;
    return cli_client_update(cli, "PATCH", path_of(cli, operands, NULL), body, &reply, err) && cli_view_show(cli, &reply, &webhook_view, err);
}

bool cli_webhooks_set(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct webhook_args *given = args;
    CLEANUP(buf_free) struct buf body = BUF_INIT(BODY_MAX_BYTES);
    if ((given->kinds.count > 0 && given->all_kinds) || (given->product != NULL && given->all_products))
        return err_set(err, ERR_USAGE, "all of them or some: both are given");
    write_body(given, given->url, NULL, &body);
    if (body.len <= 2)
        return err_set(err, ERR_USAGE, "nothing to change is given");
    return patch(cli, operands, &body, err);
}

static bool set_state(struct cli *cli, const struct option_texts *operands, const char *state, struct err *err) {
    const struct webhook_args none = {.url = NULL};
    CLEANUP(buf_free) struct buf body = BUF_INIT(BODY_MAX_BYTES);
    write_body(&none, NULL, state, &body);
    return patch(cli, operands, &body, err);
}

bool cli_webhooks_enable(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    return set_state(cli, operands, "enabled", err);
}

bool cli_webhooks_disable(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    return set_state(cli, operands, "disabled", err);
}

bool cli_webhooks_delete(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    const struct cli_verb verb = {.collection = WEBHOOKS, .name = "delete", .question = "take it away, with its deliveries?"};
    return cli_verb_delete(cli, &verb, operands->items[0], "taken away", err);
}

bool cli_webhooks_rotate(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct webhook_args *given = args;
    const struct cli_secret secret = {.kind = "webhook", .out = given->out, .mode = 0600};
    return cli_secret_make(cli, &secret, path_of(cli, operands, "rotate"), NULL, err);
}

bool cli_webhooks_test(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    struct cli_reply reply;
    return cli_client_post(cli, path_of(cli, operands, "test"), NULL, &reply, err) && cli_view_show(cli, &reply, &delivery_view, err);
}

bool cli_webhooks_deliveries(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct deliveries_args *given = args;
    const struct cli_query query[] = {{"state", given->state}};
    return cli_view_list(cli, path_of(cli, operands, "deliveries"), query, ARRAY_LEN(query), &given->paging, &delivery_view, err);
}

bool cli_webhooks_retry(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    const char *path = cli_view_path(&cli->arena, WEBHOOKS, operands->items[0], "deliveries", operands->items[1], "retry", (char *)NULL);
    struct cli_reply reply;
    return cli_client_post(cli, path, NULL, &reply, err) && cli_view_show(cli, &reply, &delivery_view, err);
}
