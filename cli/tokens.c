#include "cli/groups.h"
#include "cli/secret.h"
#include "cli/verb.h"
#include "cli/view.h"
#include "common/text.h"

#define TOKENS "/api/v1/tokens"

struct token {
    const char *id, *name, *created_by;
    struct json_texts scopes;
    int64_t created_at, expires_at, last_used_at, revoked_at, previous_until;
};

static const struct json_field token_fields[] = {
    JSON_FIELD(struct token, id, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct token, name, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct token, scopes, JSON_TEXTS, JSON_NULLABLE),
    JSON_FIELD(struct token, created_by, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct token, created_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct token, expires_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct token, last_used_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct token, revoked_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct token, previous_until, JSON_TIME, JSON_NULLABLE),
};
static const struct json_shape token_shape = JSON_SHAPE_OPEN(struct token, token_fields);

static const struct cli_column token_columns[] = {
    {.title = "TOKEN", .field = "id"},           {.title = "NAME", .field = "name"},
    {.title = "EXPIRES", .field = "expires_at"}, {.title = "LAST USED", .field = "last_used_at"},
    {.title = "REVOKED", .field = "revoked_at"}, {.title = "BY", .field = "created_by"},
    {.title = "SCOPES", .field = "scopes"},
};
static const struct cli_view token_view = {.shape = &token_shape, .list = token_columns, .list_count = ARRAY_LEN(token_columns), .none = "no tokens"};

struct create_args {
    const char *name, *expires, *out;
    struct option_texts scopes;
};

static const struct cli_option create_options[] = {
    {"scope", 0, OPTION_TEXTS, offsetof(struct create_args, scopes), "SCOPE[@PRODUCT]", "what it may do (repeat for more)"},
    {"name", 0, OPTION_TEXT, offsetof(struct create_args, name), "TEXT", "a note for people"},
    {"expires", 0, OPTION_TEXT, offsetof(struct create_args, expires), "DURATION", "30m, 12h, 90d; at most 365d [90d]"},
    {"out", 'o', OPTION_TEXT, offsetof(struct create_args, out), "FILE", "write the token to a new file of mode 0600 instead of showing it"},
};
const struct cli_options cli_tokens_create_options = CLI_OPTIONS(struct create_args, create_options);

struct token_input {
    const char *name;
    struct json_texts scopes;
    int64_t expires_in_s;
};

static const struct json_field input_fields[] = {
    JSON_FIELD(struct token_input, name, JSON_TEXT, 0),
    JSON_FIELD(struct token_input, scopes, JSON_TEXTS, 0),
    JSON_FIELD(struct token_input, expires_in_s, JSON_INT, 0),
};
static const struct json_shape input_shape = JSON_SHAPE(struct token_input, input_fields);

enum { EXPIRES_DEFAULT_S = 90 * 86400, EXPIRES_MIN_S = 60, EXPIRES_MAX_S = 365 * 86400 };

static const struct cli_option list_options[] = {CLI_PAGING_OPTIONS(0, "id, name, created_at, expires_at or last_used_at", "id")};
const struct cli_options cli_tokens_list_options = CLI_OPTIONS(struct cli_paging, list_options);

bool cli_tokens_list(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    return cli_view_list(cli, TOKENS, NULL, 0, args, &token_view, err);
}

bool cli_tokens_show(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    return cli_view_get(cli, cli_view_path(&cli->arena, TOKENS, operands->items[0], (char *)NULL), &token_view, err);
}

/* expires_s is left alone when the option is not given. */
static bool read_expiry(const char *expires, int64_t *expires_s, struct err *err) {
    if (expires != NULL && (!text_to_duration(expires, expires_s) || *expires_s < EXPIRES_MIN_S || *expires_s > EXPIRES_MAX_S))
        return err_set(err, ERR_USAGE, "--expires '%s' must be from 60s to 365d", expires);
    return true;
}

bool cli_tokens_create(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct create_args *create = args;
    const struct cli_secret secret = {.kind = "token", .out = create->out, .mode = 0600};
    struct token_input input = {.name = create->name, .expires_in_s = EXPIRES_DEFAULT_S};
    CLEANUP(buf_free) struct buf body = BUF_INIT(16 * 1024);
    if (create->scopes.count == 0)
        return err_set(err, ERR_USAGE, "give at least one --scope (device:read, release:publish, …)");
    if (!read_expiry(create->expires, &input.expires_in_s, err))
        return false;
    const char *scopes[ARRAY_LEN(create->scopes.items)];
    for (size_t i = 0; i < create->scopes.count; i++)
        scopes[i] = create->scopes.items[i];
    input.scopes = (struct json_texts){.count = create->scopes.count, .items = scopes};
    json_write(&body, &input_shape, &input);
    return cli_secret_make(cli, &secret, TOKENS, &body, err);
}

struct rotate_args {
    const char *grace, *expires, *out;
};

static const struct cli_option rotate_options[] = {
    {"grace", 0, OPTION_TEXT, offsetof(struct rotate_args, grace), "DURATION", "the secret before stays good for so long, at most 7d [0: no longer]"},
    {"expires", 0, OPTION_TEXT, offsetof(struct rotate_args, expires), "DURATION", "a new expiry, from now; at most 365d [the old one stays]"},
    {"out", 'o', OPTION_TEXT, offsetof(struct rotate_args, out), "FILE", "write the token to a new file of mode 0600 instead of showing it"},
};
const struct cli_options cli_tokens_rotate_options = CLI_OPTIONS(struct rotate_args, rotate_options);

enum { GRACE_MAX_S = 7 * 86400 };

bool cli_tokens_rotate(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct rotate_args *rotate = args;
    const struct cli_secret secret = {.kind = "token", .out = rotate->out, .mode = 0600};
    int64_t grace_s = 0, expires_s = 0;
    CLEANUP(buf_free) struct buf body = BUF_INIT(256);
    if (rotate->grace != NULL && (!text_to_duration(rotate->grace, &grace_s) || grace_s < 0 || grace_s > GRACE_MAX_S))
        return err_set(err, ERR_USAGE, "--grace '%s' must be from 0 to 7d", rotate->grace);
    if (!read_expiry(rotate->expires, &expires_s, err))
        return false;
    buf_printf(&body, "{\"grace_s\":%lld", (long long)grace_s);
    if (rotate->expires != NULL)
        buf_printf(&body, ",\"expires_in_s\":%lld", (long long)expires_s);
    buf_text(&body, "}");
    return cli_secret_make(cli, &secret, cli_view_path(&cli->arena, TOKENS, operands->items[0], "rotate", (char *)NULL), &body, err);
}

bool cli_tokens_revoke(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    const struct cli_verb verb = {.collection = TOKENS, .name = "revoke", .question = "refuse it from now on?"};
    return cli_verb_delete(cli, &verb, operands->items[0], "refused from now on", err);
}
