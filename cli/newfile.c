#include "cli/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/file.h"
#include "common/random.h"

/* A file of ours that is not there is no word of the server. */
static bool failed(const char *path, struct err *err) {
    (void)err_errno(err, "%s", path);
    err->code = err->code == ERR_NOT_FOUND ? ERR_IO : err->code;
    return false;
}

bool cli_newfile_open(struct arena *arena, const char *path, mode_t mode, struct cli_newfile *ret_file, struct err *err) {
    char unique[17];
    if (file_exists(path))
        return err_set(err, ERR_IO, "%s exists already", path);
    random_hex(unique, sizeof(unique) / 2);
    struct cli_newfile file = {.path = path, .temporary = arena_printf(arena, "%s.new-%s", path, unique)};
    if (file.temporary == NULL)
        return err_no_memory(err);
    file.fd = open(file.temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file.fd < 0)
        return failed(path, err);
    *ret_file = file;
    return true;
}

bool cli_newfile_keep(struct cli_newfile *file, struct err *err) {
    if (fsync(file->fd) != 0)
        return failed(file->path, err);
    if (file_rename_new(file->temporary, file->path) != 0)
        return errno == EEXIST ? err_set(err, ERR_IO, "%s exists already", file->path) : failed(file->path, err);
    file->temporary = NULL;
    return file_sync_parent(file->path, err);
}

void cli_newfile_drop(struct cli_newfile *file) {
    file_close(&file->fd);
    if (file->temporary != NULL)
        (void)unlink(file->temporary);
    file->temporary = NULL;
}
