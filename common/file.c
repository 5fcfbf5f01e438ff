#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/random.h"

void file_close(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* From where the descriptor stands to the end. */
static bool read_all(int fd, const char *path, struct buf *out, struct err *err) {
    char chunk[16 * 1024];
    ssize_t got;
    do {
        got = read(fd, chunk, sizeof(chunk));
        if (got > 0)
            buf_append(out, chunk, (size_t)got);
    } while ((got > 0 && out->failed == ERR_NONE) || (got < 0 && errno == EINTR));
    int number = errno;
    explicit_bzero(chunk, sizeof(chunk)); /* it may have been a key */
    errno = number;
    if (got < 0)
        return err_errno(err, "read %s", path);
    return buf_ok(out, path, err);
}

bool file_read(const char *path, struct buf *out, struct err *err) {
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "open %s", path);
    return read_all(fd, path, out, err);
}

bool file_read_secret(const char *path, struct buf *out, struct err *err) {
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    if (fd < 0)
        return err_errno(err, "open %s", path);
    if (fstat(fd, &info) != 0)
        return err_errno(err, "look at %s", path);
    if (!S_ISREG(info.st_mode))
        return err_set(err, ERR_KEY, "%s is not a regular file", path);
    if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return err_set(err, ERR_KEY, "%s is open to others (mode %04o): use 0400 or 0600", path, (unsigned)info.st_mode & 07777U);
    return read_all(fd, path, out, err);
}

bool file_write_all(int fd, const void *data, size_t len, struct err *err) {
    const char *at = data;
    while (len > 0) {
        ssize_t put = write(fd, at, len);
        if (put < 0 && errno != EINTR)
            return err_errno(err, "write");
        if (put > 0) {
            at += put;
            len -= (size_t)put;
        }
    }
    return true;
}

/* The folder a path lies in. */
static bool parent_of(const char *path, char ret_folder[PATH_MAX], struct err *err) {
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (len >= PATH_MAX)
        return err_set(err, ERR_INVALID, "path of %zu bytes is too long", len);
    if (len == 0) {
        ret_folder[0] = '.';
        len = 1;
    } else {
        memcpy(ret_folder, path, len);
    }
    ret_folder[len] = '\0';
    return true;
}

bool file_sync_dir(const char *path, struct err *err) {
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "open folder %s", path);
    if (fsync(fd) != 0)
        return err_errno(err, "sync folder %s", path);
    return true;
}

bool file_sync_parent(const char *path, struct err *err) {
    char folder[PATH_MAX];
    return parent_of(path, folder, err) && file_sync_dir(folder, err);
}

/* Creates a file that is complete and on the disk, under a name of its own beside path. */
static bool write_temporary(const char *path, const void *data, size_t len, mode_t mode, char ret_name[PATH_MAX], struct err *err) {
    char folder[PATH_MAX];
    char name[PATH_MAX];
    char id[17];
    if (!parent_of(path, folder, err))
        return false;
    random_hex(id, sizeof(id) / 2);
    if (snprintf(name, sizeof(name), "%s/.tmp-%s", folder, id) >= (int)sizeof(name))
        return err_set(err, ERR_INVALID, "path %s is too long", path);
    CLEANUP(file_close) int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, "create a file in %s", folder);
    bool written = file_write_all(fd, data, len, err);
    if (written && fchmod(fd, mode) != 0)
        written = err_errno(err, "set the mode");
    if (written && fsync(fd) != 0)
        written = err_errno(err, "sync");
    if (!written) {
        unlink(name);
        return err_prefix(err, "write %s", path);
    }
    memcpy(ret_name, name, strlen(name) + 1);
    return true;
}

bool file_sweep_temporaries(const char *folder, struct err *err) {
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return errno == ENOENT || err_errno(err, "open folder %s", folder);
    bool swept = true;
    for (const struct dirent *entry = readdir(dir); entry != NULL && swept; entry = readdir(dir))
        if (strncmp(entry->d_name, ".tmp-", 5) == 0 && unlinkat(dirfd(dir), entry->d_name, 0) != 0)
            swept = err_errno(err, "remove %s/%s", folder, entry->d_name);
    closedir(dir);
    return swept;
}

bool file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct err *err) {
    char temporary[PATH_MAX];
    if (!write_temporary(path, data, len, mode, temporary, err))
        return false;
    if (rename(temporary, path) != 0) {
        err_errno(err, "rename to %s", path);
        unlink(temporary);
        return false;
    }
    return file_sync_parent(path, err);
}

/* Some file systems know only one of the two ways to rename without replacing. */
int file_rename_new(const char *from, const char *to) {
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    return link(from, to) == 0 ? unlink(from) : -1;
}

bool file_write_new(const char *path, const void *data, size_t len, mode_t mode, struct err *err) {
    char temporary[PATH_MAX];
    if (!write_temporary(path, data, len, mode, temporary, err))
        return false;
    if (file_rename_new(temporary, path) != 0) {
        if (errno == EEXIST)
            err_set(err, ERR_CONFLICT, "%s exists already", path);
        else
            err_errno(err, "rename to %s", path);
        unlink(temporary);
        return false;
    }
    return file_sync_parent(path, err);
}

bool file_make_dirs(const char *path, mode_t mode, struct err *err) {
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(part))
        return err_set(err, ERR_INVALID, "cannot make a folder of a path of %zu bytes", len);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, mode) != 0 && errno != EEXIST)
            return err_errno(err, "make folder %s", part);
    }
    struct stat info;
    if (stat(path, &info) != 0)
        return err_errno(err, "look at %s", path);
    if (!S_ISDIR(info.st_mode))
        return err_set(err, ERR_CONFLICT, "%s is not a folder", path);
    return true;
}

bool file_free_space(const char *path, int64_t *ret_bytes, struct err *err) {
    struct statvfs info;
    if (statvfs(path, &info) != 0)
        return err_errno(err, "%s", path);
    bool files = info.f_files == 0 || info.f_favail > 0; /* some file systems do not count them */
    uint64_t unit = info.f_frsize > 0 ? info.f_frsize : 1;
    *ret_bytes = !files ? 0 : info.f_bavail > INT64_MAX / unit ? INT64_MAX : (int64_t)(info.f_bavail * unit);
    return true;
}

bool file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool file_lock(const char *path, int *ret_fd, struct err *err) {
    CLEANUP(file_close) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, "open lock %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return err_set(err, ERR_BUSY, "%s is locked: another process uses it", path);
        return err_errno(err, "lock %s", path);
    }
    *ret_fd = fd;
    fd = -1;
    return true;
}
