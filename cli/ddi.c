/* Existing clients (DDI): what they said of themselves, their tokens, their logs. */
#include "cli/groups.h"
#include "cli/secret.h"
#include "cli/verb.h"
#include "cli/view.h"
#include "common/text.h"

#define DEVICES "/api/v1/devices"

struct client {
    const char *id, *attributes; /* as JSON */
    int64_t attributes_at;
    bool ddi, wanted, has_token;
};

static const struct json_field client_fields[] = {
    JSON_FIELD(struct client, id, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct client, ddi, JSON_BOOL, 0),
    JSON_FIELD(struct client, attributes, JSON_RAW, JSON_NULLABLE),
    JSON_FIELD(struct client, attributes_at, JSON_TIME, JSON_NULLABLE),
    {.name = "attributes_wanted", .type = JSON_BOOL, .offset = offsetof(struct client, wanted)},
    JSON_FIELD(struct client, has_token, JSON_BOOL, 0),
};
static const struct json_shape client_shape = JSON_SHAPE_OPEN(struct client, client_fields);

static const char *format_attributes(struct arena *arena UNUSED, const void *object) {
    const char *attributes = ((const struct client *)object)->attributes;
    return text_equal(attributes, "{}") ? NULL : attributes;
}

static const struct cli_column client_columns[] = {
    {.title = "device", .field = "id"},
    {.title = "polls by DDI", .field = "ddi"},
    {.title = "attributes", .format = format_attributes},
    {.title = "told", .field = "attributes_at"},
    {.title = "asked for", .field = "attributes_wanted"},
    {.title = "has a token", .field = "has_token"},
};
static const struct cli_view client_view = {.shape = &client_shape,
                                            .list = client_columns,
                                            .list_count = ARRAY_LEN(client_columns),
                                            .show = client_columns,
                                            .show_count = ARRAY_LEN(client_columns)};

struct client_args {
    bool ask, new_token, revoke_token;
    const char *out, *reason;
};

static const struct cli_option client_options[] = {
    {"ask", 0, OPTION_FLAG, offsetof(struct client_args, ask), NULL, "ask for its attributes at its next poll"},
    {"new-token", 0, OPTION_FLAG, offsetof(struct client_args, new_token), NULL, "a new token, instead of the one it may have"},
    {"out", 0, OPTION_TEXT, offsetof(struct client_args, out), "FILE", "with --new-token: a new file for it, mode 0600 [standard output]"},
    {"revoke-token", 0, OPTION_FLAG, offsetof(struct client_args, revoke_token), NULL, "end its token"},
    {"reason", 0, OPTION_TEXT, offsetof(struct client_args, reason), "TEXT", "why, for the audit"},
};
const struct cli_options cli_ddi_client_options = CLI_OPTIONS(struct client_args, client_options);

static bool make_token(struct cli *cli, const char *device, const struct client_args *client, struct err *err) {
    const struct cli_secret secret = {.kind = "client", .out = client->out, .mode = 0600};
    struct cli_reply reply;
    return cli_secret_check(&secret, err) &&
           cli_verb_post(cli, cli_view_path(&cli->arena, DEVICES, device, "ddi", "token", (char *)NULL), NULL, client->reason, &reply, err) &&
           cli_secret_hand_over(cli, &secret, &reply, err);
}

bool cli_ddi_client(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct client_args *client = args;
    const char *device = operands->items[0];
    struct cli_reply reply;
    if (client->ask + client->new_token + client->revoke_token > 1)
        return err_set(err, ERR_USAGE, "--ask, --new-token and --revoke-token are different requests: give one");
    if (client->new_token)
        return make_token(cli, device, client, err);
    if (!client->ask && !client->revoke_token)
        return cli_view_get(cli, cli_view_path(&cli->arena, DEVICES, device, "ddi", (char *)NULL), &client_view, err);
    const char *path = client->ask ? cli_view_path(&cli->arena, DEVICES, device, "ddi", "ask", (char *)NULL)
                                   : cli_view_path(&cli->arena, DEVICES, device, "ddi", "token", "revoke", (char *)NULL);
    return cli_verb_post(cli, path, NULL, client->reason, &reply, err) && cli_view_show(cli, &reply, &client_view, err);
}

struct entry {
    const char *execution, *finished;
    struct json_texts details;
    int64_t at;
};

static const struct json_field entry_fields[] = {
    JSON_FIELD(struct entry, at, JSON_TIME, 0),
    JSON_FIELD(struct entry, execution, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct entry, finished, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct entry, details, JSON_TEXTS, JSON_LENIENT, .min = 2048),
};
static const struct json_shape entry_shape = JSON_SHAPE_OPEN(struct entry, entry_fields);

static const char *format_said(struct arena *arena, const void *object) {
    const struct entry *entry = object;
    return text_equal(entry->finished, "none") ? entry->execution : arena_printf(arena, "%s/%s", entry->execution, entry->finished);
}

static const char *format_details(struct arena *arena, const void *object) {
    return cli_view_join(arena, &((const struct entry *)object)->details);
}

static const struct cli_column entry_columns[] = {
    {.title = "TIME", .field = "at"}, {.title = "SAID", .format = format_said}, {.title = "DETAILS", .format = format_details}};
static const struct cli_view entry_view = {
    .shape = &entry_shape, .list = entry_columns, .list_count = ARRAY_LEN(entry_columns), .none = "its client has said nothing"};

static const struct cli_option log_options[] = {CLI_PAGING_OPTIONS(0, "time", "time")};
const struct cli_options cli_ddi_log_options = CLI_OPTIONS(struct cli_paging, log_options);

bool cli_ddi_log(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const char *path = cli_view_path(&cli->arena, "/api/v1/deployments", operands->items[0], "log", (char *)NULL);
    return cli_view_list(cli, path, NULL, 0, args, &entry_view, err);
}
