#include "cli/local.h"

#include <fcntl.h>

#include "common/file.h"

static bool is_local(struct err *err) {
    if (err->code != ERR_NO_MEMORY && err->code != ERR_NO_SPACE)
        err->code = ERR_IO;
    return false;
}

bool cli_local_read(const char *path, struct buf *out, struct err *err) {
    buf_text(out, "");
    return file_read(path, out, err) || is_local(err);
}

bool cli_local_write_new(const char *path, const void *data, size_t len, mode_t mode, struct err *err) {
    return file_write_new(path, data, len, mode, err) || is_local(err);
}

bool cli_local_open(const char *path, int *ret_fd, struct err *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        (void)err_errno(err, "%s", path);
        return is_local(err);
    }
    *ret_fd = fd;
    return true;
}

bool cli_local_public_key(const char *path, struct key **ret_key, struct err *err) {
    CLEANUP(buf_free) struct buf pem = BUF_INIT(KEY_FILE_MAX);
    if (!cli_local_read(path, &pem, err)) {
        err->code = ERR_KEY;
        return false;
    }
    return key_from_pem(pem.data, ret_key, err) || err_prefix(err, "%s", path);
}
