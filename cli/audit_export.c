/* `pawl audit export` and `pawl audit checkpoint`: what `pawl audit verify` needs later, offline. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/groups.h"
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
    if (file_write_new(out->out, reply.body, reply.len, 0644, err))
        return true;
    err->code = ERR_IO;
    return false;
}

/* The file as it grows. */
struct export {
    int fd;
    int64_t bytes;
    struct err err;
};

static bool take(void *context, const void *data, size_t len) {
    struct export *export = context;
    export->bytes += (int64_t)len;
    return file_write_all(export->fd, data, len, &export->err);
}

bool cli_audit_export(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    const char *path = operands->items[0];
    const char *part = arena_printf(&cli->arena, "%s.part", path);
    struct cli_reply reply;
    if (part == NULL)
        return err_no_memory(err);
    if (file_exists(path))
        return err_set(err, ERR_IO, "%s exists already; an export never replaces another", path);
    CLEANUP(file_close) int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        err_errno(err, "%s", part);
        err->code = ERR_IO;
        return false;
    }
    struct export export = {.fd = fd};
    const struct cli_request request = {
        .method = "GET", .path = "/api/v1/audit", .accept = "application/x-ndjson", .sink = take, .sink_context = &export};
    bool done = cli_client_call(cli, &request, &reply, err);
    if (!done && export.err.code != ERR_NONE)
        *err = export.err;
    if (done && (fsync(fd) != 0 || rename(part, path) != 0)) {
        done = err_errno(err, "%s", path);
        err->code = ERR_IO;
    }
    if (!done)
        unlink(part);
    else
        cli_note(cli, "%s: %lld bytes", path, (long long)export.bytes);
    return done;
}
