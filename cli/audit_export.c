/* `pawl audit export` and `pawl audit checkpoint`: what `pawl audit verify` needs later, offline. */
#include "cli/groups.h"
#include "cli/local.h"
#include "cli/newfile.h"
#include "cli/view.h"
#include "common/file.h"

struct out_args {
    const char *out;
};

static const struct cli_option checkpoint_options[] = {
    {"out", 'o', OPTION_TEXT, offsetof(struct out_args, out), "FILE", "write it to a new file"},
};
const struct cli_options cli_audit_checkpoint_options = CLI_OPTIONS(struct out_args, checkpoint_options);

bool cli_audit_checkpoint(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct out_args *out = args;
    struct cli_reply reply;
    if (!cli_client_get(cli, "/api/v1/audit/checkpoint", &reply, err))
        return false;
    if (out->out == NULL)
        return cli_view_json(cli, reply.body, reply.len, err);
    return cli_local_write_new(out->out, reply.body, reply.len, 0644, err);
}

/* The file as it grows. */
struct export {
    struct cli_newfile file;
    int64_t bytes;
    struct err err;
};

static void drop_export(struct export *export) {
    cli_newfile_drop(&export->file);
}

static bool take(void *context, const void *data, size_t len) {
    struct export *export = context;
    export->bytes += (int64_t)len;
    return file_write_all(export->file.fd, data, len, &export->err);
}

bool cli_audit_export(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    CLEANUP(drop_export) struct export export = {.file = {.fd = -1}};
    const struct cli_request request = {
        .method = "GET", .path = "/api/v1/audit", .accept = "application/x-ndjson", .sink = take, .sink_context = &export};
    struct cli_reply reply;
    if (!cli_newfile_open(&cli->arena, operands->items[0], 0644, &export.file, err))
        return false;
    if (!cli_client_call(cli, &request, &reply, err)) {
        if (export.err.code != ERR_NONE)
            *err = export.err;
        return false;
    }
    if (!cli_newfile_keep(&export.file, err))
        return false;
    cli_note(cli, "%s: %lld bytes", operands->items[0], (long long)export.bytes);
    return true;
}
