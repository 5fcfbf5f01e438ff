/* `pawl devices import` and `pawl devices export`: many devices at once. */
#include <string.h>

#include "cli/groups.h"
#include "cli/newfile.h"
#include "cli/view.h"
#include "common/file.h"
#include "common/text.h"

#define DEVICES "/api/v1/devices"

enum { PATIENCE_S = 1800, LINE_MAX_BYTES = 1 << 20 };

/* ---- import ---- */

struct import_args {
    bool dry_run;
};

static const struct cli_option import_options[] = {
    {"dry-run", 'n', OPTION_FLAG, offsetof(struct import_args, dry_run), NULL, "say what would be done and which lines are bad; apply nothing"},
};
const struct cli_options cli_devices_import_options = CLI_OPTIONS(struct import_args, import_options);

struct bad_line {
    int64_t line;
    const char *field, *detail;
};

struct result {
    bool dry_run;
    int64_t rows, created, updated, unchanged, error_count;
    struct json_list errors;
};

static const struct json_field bad_line_fields[] = {
    JSON_FIELD(struct bad_line, line, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct bad_line, field, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct bad_line, detail, JSON_TEXT, JSON_REQUIRED),
};
static const struct json_shape bad_line_shape = JSON_SHAPE_OPEN(struct bad_line, bad_line_fields);
static const struct json_field result_fields[] = {
    JSON_FIELD(struct result, dry_run, JSON_BOOL, JSON_REQUIRED),
    JSON_FIELD(struct result, rows, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct result, created, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct result, updated, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct result, unchanged, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct result, error_count, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct result, errors, JSON_STRUCTS, JSON_REQUIRED, .shape = &bad_line_shape),
};
static const struct json_shape result_shape = JSON_SHAPE_OPEN(struct result, result_fields);

static bool show_result(struct cli *cli, const struct cli_reply *reply, const struct result *result, struct err *err) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(1 << 20);
    const struct bad_line *bad = result->errors.items;
    if (cli->json)
        return cli_view_json(cli, reply->body, reply->len, err);
    for (size_t i = 0; i < result->errors.count; i++)
        buf_printf(&text, "line %lld: %s\n", (long long)bad[i].line, bad[i].detail);
    if (result->error_count > (int64_t)result->errors.count)
        buf_printf(&text, "… and %lld more bad lines\n", (long long)(result->error_count - (int64_t)result->errors.count));
    buf_printf(&text, "%lld rows: %lld new, %lld changed, %lld as they are%s\n", (long long)result->rows, (long long)result->created,
               (long long)result->updated, (long long)result->unchanged, result->dry_run ? " (nothing was applied)" : "");
    return buf_ok(&text, "the result", err) && cli_view_write(cli, &text, err);
}

bool cli_devices_import(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct import_args *import = args;
    const struct cli_request request = {
        .method = "POST",
        .path = import->dry_run ? DEVICES "/import?dry_run=true" : DEVICES "/import",
        .upload_path = operands->items[0],
        .upload_type = text_ends(operands->items[0], ".csv") ? "text/csv" : "application/x-ndjson",
        .patience_s = PATIENCE_S,
    };
    struct cli_reply reply;
    struct result result;
    if (!cli_client_call(cli, &request, &reply, err)) {
        if (err->code == ERR_INVALID && !import->dry_run)
            cli_note(cli, "`pawl devices import --dry-run` lists all bad lines");
        return false;
    }
    if (!json_read(&cli->arena, reply.body, reply.len, &result_shape, &result, NULL, err))
        return err_prefix(err, "reply of the server");
    if (!show_result(cli, &reply, &result, err))
        return false;
    return result.error_count == 0 || err_set(err, ERR_INVALID, "%s: %lld bad lines", operands->items[0], (long long)result.error_count);
}

/* ---- export ---- */

struct export_args {
    const char *filter;
};

static const struct cli_option export_options[] = {
    {"filter", 'f', OPTION_TEXT, offsetof(struct export_args, filter), "FILTER", "only those it matches"},
};
const struct cli_options cli_devices_export_options = CLI_OPTIONS(struct export_args, export_options);

/* What an import takes, out of what the server says of a device. */
struct exported {
    const char *id, *product, *hardware, *spki_sha256, *pin_origin;
    struct json_texts tags, pins;
    struct json_map attributes;
};

static const struct json_field device_fields[] = {
    JSON_FIELD(struct exported, id, JSON_TEXT, JSON_REQUIRED),         JSON_FIELD(struct exported, product, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct exported, hardware, JSON_TEXT, JSON_NULLABLE),   JSON_FIELD(struct exported, tags, JSON_TEXTS, JSON_NULLABLE),
    JSON_FIELD(struct exported, attributes, JSON_MAP, JSON_NULLABLE),  JSON_FIELD(struct exported, pins, JSON_TEXTS, JSON_NULLABLE),
    JSON_FIELD(struct exported, pin_origin, JSON_TEXT, JSON_NULLABLE),
};
static const struct json_shape device_shape = JSON_SHAPE_OPEN(struct exported, device_fields);
static const struct json_field row_fields[] = {
    JSON_FIELD(struct exported, id, JSON_TEXT, 0),        JSON_FIELD(struct exported, product, JSON_TEXT, 0),
    JSON_FIELD(struct exported, hardware, JSON_TEXT, 0),  JSON_FIELD(struct exported, tags, JSON_TEXTS, 0),
    JSON_FIELD(struct exported, attributes, JSON_MAP, 0), JSON_FIELD(struct exported, spki_sha256, JSON_TEXT, 0),
};
static const struct json_shape row_shape = JSON_SHAPE(struct exported, row_fields);

struct export {
    struct cli *cli;
    int fd; /* -1: to cli->out */
    struct buf line;
    int64_t devices;
    struct err err;
};

static bool put_line(struct export *export) {
    CLEANUP(arena_clear) struct arena arena;
    CLEANUP(buf_free) struct buf text = BUF_INIT(LINE_MAX_BYTES);
    struct exported device;
    arena_init(&arena, 4 * LINE_MAX_BYTES);
    if (!buf_ok(&export->line, "a line of the server", &export->err) ||
        !json_read(&arena, export->line.data, export->line.len, &device_shape, &device, NULL, &export->err))
        return false;
    /* An import vouches for the keys in it. */
    device.spki_sha256 = device.pins.count > 0 && !text_equal(device.pin_origin, "requested") ? device.pins.items[0] : NULL;
    json_write(&text, &row_shape, &device);
    buf_byte(&text, '\n');
    export->devices++;
    buf_reset(&export->line);
    return buf_ok(&text, "a line", &export->err) &&
           (export->fd >= 0 ? file_write_all(export->fd, text.data, text.len, &export->err) : cli_view_write(export->cli, &text, &export->err));
}

static bool take(void *context, const void *data, size_t len) {
    struct export *export = context;
    const char *text = data;
    while (len > 0) {
        const char *newline = memchr(text, '\n', len);
        size_t part = newline != NULL ? (size_t)(newline - text) : len;
        buf_append(&export->line, text, part);
        if (newline == NULL)
            return true;
        if (!put_line(export))
            return false;
        text += part + 1;
        len -= part + 1;
    }
    return true;
}

static bool export_to(struct cli *cli, const struct export_args *args, int fd, int64_t *ret_devices, struct err *err) {
    CLEANUP(buf_free) struct buf path = BUF_INIT(32 * 1024);
    const struct cli_query query[] = {{"filter", args->filter}};
    struct export export = {.cli = cli, .fd = fd, .line = BUF_INIT(LINE_MAX_BYTES)};
    struct cli_reply reply;
    buf_text(&path, DEVICES);
    cli_view_query(&path, query, ARRAY_LEN(query));
    if (!buf_ok(&path, "the query", err))
        return false;
    const struct cli_request request = {.method = "GET", .path = path.data, .accept = "application/x-ndjson", .sink = take, .sink_context = &export};
    bool done = cli_client_call(cli, &request, &reply, err);
    if (!done && export.err.code != ERR_NONE)
        *err = export.err;
    buf_free(&export.line);
    *ret_devices = export.devices;
    return done;
}

bool cli_devices_export(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    CLEANUP(cli_newfile_drop) struct cli_newfile file = {.fd = -1};
    int64_t devices;
    if (operands->count == 0)
        return export_to(cli, args, -1, &devices, err);
    if (!cli_newfile_open(&cli->arena, operands->items[0], 0644, &file, err) || !export_to(cli, args, file.fd, &devices, err) ||
        !cli_newfile_keep(&file, err))
        return false;
    cli_note(cli, "%s: %lld devices", operands->items[0], (long long)devices);
    return true;
}
