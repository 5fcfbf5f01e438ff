#include "cli/rollouts_preview.h"

#include "cli/table.h"
#include "cli/view.h"

struct excluded {
    const char *reason, *text;
    int64_t devices;
};

struct share {
    int64_t phase, devices;
};

struct preview {
    int64_t matched, unknown, included;
    struct json_list excluded; /* struct excluded */
    struct json_list phases;   /* struct share */
    bool approval_needed;
};

static const struct json_field excluded_fields[] = {
    JSON_FIELD(struct excluded, reason, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct excluded, text, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct excluded, devices, JSON_INT, JSON_NULLABLE),
};
static const struct json_shape excluded_shape = JSON_SHAPE_OPEN(struct excluded, excluded_fields);
static const struct json_field share_fields[] = {
    JSON_FIELD(struct share, phase, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct share, devices, JSON_INT, JSON_NULLABLE),
};
static const struct json_shape share_shape = JSON_SHAPE_OPEN(struct share, share_fields);
static const struct json_field preview_fields[] = {
    JSON_FIELD(struct preview, matched, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct preview, unknown, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct preview, included, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct preview, excluded, JSON_STRUCTS, JSON_NULLABLE, .shape = &excluded_shape),
    JSON_FIELD(struct preview, phases, JSON_STRUCTS, JSON_NULLABLE, .shape = &share_shape),
    JSON_FIELD(struct preview, approval_needed, JSON_BOOL, JSON_NULLABLE),
};
static const struct json_shape preview_shape = JSON_SHAPE_OPEN(struct preview, preview_fields);

static bool add(struct cli_table *table, const char *name, int64_t devices, const char *text, struct err *err) {
    const char *cells[] = {name, arena_printf(table->arena, "%lld", (long long)devices), text};
    return cli_table_add(table, cells, err);
}

static bool fill_preview(struct cli_table *table, const struct preview *preview, struct err *err) {
    const struct excluded *excluded = preview->excluded.items;
    const struct share *phases = preview->phases.items;
    if (!add(table, "matched", preview->matched, "by the filter or the list", err) ||
        (preview->unknown != 0 && !add(table, "unknown", preview->unknown, "ids that are no devices of the product", err)) ||
        !add(table, "included", preview->included, preview->approval_needed ? "get the release, once a second token approves" : "get the release",
             err))
        return false;
    for (size_t i = 0; i < preview->phases.count; i++) {
        const char *name = arena_printf(table->arena, "phase %lld", (long long)phases[i].phase);
        if (!add(table, name, phases[i].devices, NULL, err))
            return false;
    }
    for (size_t i = 0; i < preview->excluded.count; i++)
        if (!add(table, excluded[i].reason, excluded[i].devices, excluded[i].text, err))
            return false;
    return true;
}

bool cli_rollouts_preview_show(struct cli *cli, const struct cli_reply *reply, struct err *err) {
    struct preview preview;
    struct cli_table table;
    if (cli->json)
        return cli_view_json(cli, reply->body, reply->len, err);
    if (!json_read(&cli->arena, reply->body, reply->len, &preview_shape, &preview, NULL, err))
        return err_prefix(err, "reply of the server");
    cli_table_init(&table, &cli->arena);
    cli_table_column(&table, "WHO", false);
    cli_table_column(&table, "DEVICES", true);
    cli_table_column(&table, "WHY", false);
    return fill_preview(&table, &preview, err) && cli_view_table(cli, &table, err);
}
