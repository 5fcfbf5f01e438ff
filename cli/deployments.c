#include <string.h>

#include "cli/groups.h"
#include "cli/verb.h"
#include "cli/view.h"
#include "common/text.h"

#define DEPLOYMENTS "/api/v1/deployments"

struct failure {
    const char *code, *detail;
};

struct deployment {
    const char *id, *device, *product, *version, *sha256, *state, *origin, *reason;
    int64_t sequence, progress, report_seq, created_at, updated_at, closed_at;
    struct failure *error;
};

static const struct json_field failure_fields[] = {
    JSON_FIELD(struct failure, code, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct failure, detail, JSON_TEXT, JSON_NULLABLE),
};
static const struct json_shape failure_shape = JSON_SHAPE_OPEN(struct failure, failure_fields);
static const struct json_field deployment_fields[] = {
    JSON_FIELD(struct deployment, id, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct deployment, device, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct deployment, product, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct deployment, version, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct deployment, sequence, JSON_INT, 0),
    JSON_FIELD(struct deployment, sha256, JSON_TEXT, 0),
    JSON_FIELD(struct deployment, state, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct deployment, origin, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct deployment, reason, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct deployment, progress, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct deployment, error, JSON_STRUCT, JSON_NULLABLE, .shape = &failure_shape),
    JSON_FIELD(struct deployment, report_seq, JSON_INT, 0),
    JSON_FIELD(struct deployment, created_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct deployment, updated_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct deployment, closed_at, JSON_TIME, JSON_NULLABLE),
};
static const struct json_shape deployment_shape = JSON_SHAPE_OPEN(struct deployment, deployment_fields);

static const char *format_release(struct arena *arena, const void *object) {
    const struct deployment *deployment = object;
    return arena_printf(arena, "%s/%s", deployment->product, deployment->version);
}

static const char *format_failure(struct arena *arena, const void *object) {
    const struct failure *failure = ((const struct deployment *)object)->error;
    if (failure == NULL || failure->detail == NULL)
        return failure == NULL ? NULL : failure->code;
    return arena_printf(arena, "%s: %s", failure->code, failure->detail);
}

static const char *format_progress(struct arena *arena, const void *object) {
    const struct deployment *deployment = object;
    return deployment->progress == 0 ? NULL : arena_printf(arena, "%lld %%", (long long)deployment->progress);
}

static const struct cli_column list_columns[] = {
    {.title = "DEPLOYMENT", .field = "id"},         {.title = "DEVICE", .field = "device"},
    {.title = "RELEASE", .format = format_release}, {.title = "SEQUENCE", .field = "sequence", .right = true},
    {.title = "STATE", .field = "state"},           {.title = "ERROR", .format = format_failure},
    {.title = "UPDATED", .field = "updated_at"},
};
static const struct cli_column show_columns[] = {
    {.title = "deployment", .field = "id"},       {.title = "device", .field = "device"},      {.title = "release", .format = format_release},
    {.title = "sequence", .field = "sequence"},   {.title = "sha256", .field = "sha256"},      {.title = "state", .field = "state"},
    {.title = "origin", .field = "origin"},       {.title = "reason", .field = "reason"},      {.title = "progress", .format = format_progress},
    {.title = "error", .format = format_failure}, {.title = "reports", .field = "report_seq"}, {.title = "created", .field = "created_at"},
    {.title = "updated", .field = "updated_at"},  {.title = "closed", .field = "closed_at"},
};
static const struct cli_view deployment_view = {
    .shape = &deployment_shape,
    .list = list_columns,
    .list_count = ARRAY_LEN(list_columns),
    .show = show_columns,
    .show_count = ARRAY_LEN(show_columns),
    .none = "no such deployments",
};

/* Not assigned yet; id is of the one that it waits for. */
static const struct json_field waiting_fields[] = {
    JSON_FIELD(struct deployment, device, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct deployment, product, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct deployment, version, JSON_TEXT, JSON_REQUIRED),
    {.name = "waits_for", .type = JSON_TEXT, .offset = offsetof(struct deployment, id), .flags = JSON_REQUIRED},
};
static const struct json_shape waiting_shape = JSON_SHAPE_OPEN(struct deployment, waiting_fields);
static const struct cli_column waiting_columns[] = {
    {.title = "device", .field = "device"},
    {.title = "release", .format = format_release},
    {.title = "waits for", .field = "waits_for"},
};
static const struct cli_view waiting_view = {.shape = &waiting_shape, .show = waiting_columns, .show_count = ARRAY_LEN(waiting_columns)};

struct list_args {
    const char *device, *product, *state;
    struct cli_paging paging;
};

static const struct cli_option list_options[] = {
    {"device", 0, OPTION_TEXT, offsetof(struct list_args, device), "DEVICE", "only of this device"},
    {"product", 0, OPTION_TEXT, offsetof(struct list_args, product), "PRODUCT", "only of this product"},
    {"state", 0, OPTION_TEXT, offsetof(struct list_args, state), "STATE", "only in this state"},
    CLI_PAGING_OPTIONS(offsetof(struct list_args, paging), "created_at", "-created_at"),
};
const struct cli_options cli_deployments_list_options = CLI_OPTIONS(struct list_args, list_options);

struct assign_input {
    const char *device, *product, *version;
};

static const struct json_field assign_fields[] = {
    JSON_FIELD(struct assign_input, device, JSON_TEXT, 0),
    JSON_FIELD(struct assign_input, product, JSON_TEXT, 0),
    JSON_FIELD(struct assign_input, version, JSON_TEXT, 0),
};
static const struct json_shape assign_shape = JSON_SHAPE(struct assign_input, assign_fields);

bool cli_deployments_list(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct list_args *list = args;
    const struct cli_query query[] = {{"device", list->device}, {"product", list->product}, {"state", list->state}};
    return cli_view_list(cli, DEPLOYMENTS, query, ARRAY_LEN(query), &list->paging, &deployment_view, err);
}

bool cli_deployments_show(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    return cli_view_get(cli, cli_view_path(&cli->arena, DEPLOYMENTS, operands->items[0], (char *)NULL), &deployment_view, err);
}

/* The release is "VERSION" (of the device's product) or "PRODUCT/VERSION". */
bool cli_deployments_assign(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    struct assign_input input = {.device = operands->items[0], .version = operands->items[1]};
    const char *slash = strchr(operands->items[1], '/');
    if (slash != NULL) {
        input.product = arena_strndup(&cli->arena, operands->items[1], (size_t)(slash - operands->items[1]));
        input.version = slash + 1;
        if (input.product == NULL)
            return err_no_memory(err);
    }
    CLEANUP(buf_free) struct buf body = BUF_INIT(8 * 1024);
    struct cli_reply reply;
    json_write(&body, &assign_shape, &input);
    return cli_client_post(cli, DEPLOYMENTS, &body, &reply, err) &&
           cli_view_show(cli, &reply, reply.status == 202 ? &waiting_view : &deployment_view, err);
}

bool cli_deployments_cancel(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct cli_verb verb = {.collection = DEPLOYMENTS, .name = "cancel", .question = "take it back?", .view = &deployment_view};
    return cli_verb_run(cli, &verb, operands->items[0], args, err);
}

bool cli_deployments_force_close(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct cli_verb verb = {
        .collection = DEPLOYMENTS, .name = "force-close", .question = "end it whatever its device says?", .view = &deployment_view};
    return cli_verb_run(cli, &verb, operands->items[0], args, err);
}

bool cli_deployments_retry(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct cli_verb verb = {.collection = DEPLOYMENTS, .name = "retry", .view = &deployment_view};
    return cli_verb_run(cli, &verb, operands->items[0], args, err);
}
