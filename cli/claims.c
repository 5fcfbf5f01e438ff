#include "cli/groups.h"
#include "cli/secret.h"
#include "cli/verb.h"
#include "cli/view.h"
#include "common/text.h"

#define CLAIMS "/api/v1/claims"

struct claim {
    const char *id, *state, *device, *product, *note, *created_by, *spent_device;
    int64_t created_at, expires_at, spent_at, revoked_at;
};

static const struct json_field claim_fields[] = {
    JSON_FIELD(struct claim, id, JSON_TEXT, JSON_REQUIRED),         JSON_FIELD(struct claim, state, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct claim, device, JSON_TEXT, JSON_NULLABLE),     JSON_FIELD(struct claim, product, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct claim, note, JSON_TEXT, JSON_NULLABLE),       JSON_FIELD(struct claim, created_by, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct claim, created_at, JSON_TIME, JSON_NULLABLE), JSON_FIELD(struct claim, expires_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct claim, spent_at, JSON_TIME, JSON_NULLABLE),   JSON_FIELD(struct claim, spent_device, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct claim, revoked_at, JSON_TIME, JSON_NULLABLE),
};
static const struct json_shape claim_shape = JSON_SHAPE_OPEN(struct claim, claim_fields);

static const struct cli_column claim_columns[] = {
    {.title = "CLAIM", .field = "id"},        {.title = "STATE", .field = "state"},        {.title = "DEVICE", .field = "device"},
    {.title = "PRODUCT", .field = "product"}, {.title = "EXPIRES", .field = "expires_at"}, {.title = "SPENT BY", .field = "spent_device"},
    {.title = "BY", .field = "created_by"},   {.title = "NOTE", .field = "note"},
};
static const struct cli_view claim_view = {.shape = &claim_shape, .list = claim_columns, .list_count = ARRAY_LEN(claim_columns), .none = "no claims"};

struct list_args {
    const char *device, *product;
    struct cli_paging paging;
};

static const struct cli_option list_options[] = {
    {"device", 0, OPTION_TEXT, offsetof(struct list_args, device), "DEVICE", "only those for this id"},
    {"product", 0, OPTION_TEXT, offsetof(struct list_args, product), "PRODUCT", "only those for new devices of this product"},
    CLI_PAGING_OPTIONS(offsetof(struct list_args, paging), "id, created_at or expires_at", "id"),
};
const struct cli_options cli_claims_list_options = CLI_OPTIONS(struct list_args, list_options);

struct create_args {
    const char *device, *product, *note, *expires, *out;
};

static const struct cli_option create_options[] = {
    {"device", 0, OPTION_TEXT, offsetof(struct create_args, device), "DEVICE", "for this id, known already or not"},
    {"product", 0, OPTION_TEXT, offsetof(struct create_args, product), "PRODUCT", "for one new device of this product"},
    {"expires", 0, OPTION_TEXT, offsetof(struct create_args, expires), "DURATION", "30m, 12h, 7d; at most 30d [24h]"},
    {"note", 0, OPTION_TEXT, offsetof(struct create_args, note), "TEXT", "a note for people"},
    {"out", 'o', OPTION_TEXT, offsetof(struct create_args, out), "FILE", "write the claim to a new file of mode 0400 instead of showing it"},
};
const struct cli_options cli_claims_create_options = CLI_OPTIONS(struct create_args, create_options);

struct claim_input {
    const char *device, *product, *note;
    int64_t expires_in_s;
};

static const struct json_field input_fields[] = {
    JSON_FIELD(struct claim_input, device, JSON_TEXT, 0),
    JSON_FIELD(struct claim_input, product, JSON_TEXT, 0),
    JSON_FIELD(struct claim_input, note, JSON_TEXT, 0),
    JSON_FIELD(struct claim_input, expires_in_s, JSON_INT, 0),
};
static const struct json_shape input_shape = JSON_SHAPE(struct claim_input, input_fields);

enum { EXPIRES_DEFAULT_S = 86400, EXPIRES_MIN_S = 60, EXPIRES_MAX_S = 30 * 86400 };

bool cli_claims_list(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct list_args *list = args;
    const struct cli_query query[] = {{"device", list->device}, {"product", list->product}};
    return cli_view_list(cli, CLAIMS, query, ARRAY_LEN(query), &list->paging, &claim_view, err);
}

bool cli_claims_show(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    return cli_view_get(cli, cli_view_path(&cli->arena, CLAIMS, operands->items[0], (char *)NULL), &claim_view, err);
}

bool cli_claims_create(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct create_args *create = args;
    struct claim_input input = {.device = create->device, .product = create->product, .note = create->note, .expires_in_s = EXPIRES_DEFAULT_S};
    if ((create->device == NULL) == (create->product == NULL))
        return err_set(err, ERR_USAGE, "give either --device or --product");
    if (create->expires != NULL &&
        (!text_to_duration(create->expires, &input.expires_in_s) || input.expires_in_s < EXPIRES_MIN_S || input.expires_in_s > EXPIRES_MAX_S))
        return err_set(err, ERR_USAGE, "--expires '%s' must be from 60s to 30d", create->expires);
    CLEANUP(buf_free) struct buf body = BUF_INIT(16 * 1024);
    json_write(&body, &input_shape, &input);
    const struct cli_secret secret = {.kind = "claim", .out = create->out, .mode = 0400};
    return cli_secret_make(cli, &secret, CLAIMS, &body, err);
}

bool cli_claims_revoke(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    const struct cli_verb verb = {.collection = CLAIMS, .name = "revoke", .question = "refuse it from now on?"};
    return cli_verb_delete(cli, &verb, operands->items[0], "refused from now on", err);
}
