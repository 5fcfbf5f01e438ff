#include "agent/install.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/hook.h"
#include "agent/unseal.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/hex.h"

enum { CHUNK = 1 << 20, ALIGNMENT = 4096 };

bool agent_install_verify(int fd, const struct release *release, struct err *err) {
    struct stat info;
    char found[SHA256_HEX_SIZE];
    if (fstat(fd, &info) != 0)
        return err_errno(err, "look at the downloaded file");
    if (info.st_size != release->length)
        return err_set(err, ERR_LENGTH, "%s: %lld bytes came, %lld are signed", release->path, (long long)info.st_size, (long long)release->length);
    if (!hash_sha256_fd(fd, found, err))
        return false;
    if (!hash_equal(found, release->sha256, SHA256_HEX_SIZE - 1))
        return err_set(err, ERR_HASH, "%s: SHA-256 %s came, %s is signed", release->path, found, release->sha256);
    return true;
}

static bool cannot_use(const char *slot, struct err *err) {
    (void)err_errno(err, "slot %s", slot);
    err->code = ERR_INSTALL;
    return false;
}

/* The same file, or the same device behind two nodes. */
static bool same_place(const struct stat *a, const struct stat *b) {
    if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
        return a->st_rdev == b->st_rdev;
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* What is not there is not made: a partition that has not appeared would become a file in /dev, which reads back well and never boots. */
static bool open_slot(const char *slot, const char *running, int *ret_fd, struct stat *ret_info, struct err *err) {
    struct stat info, other;
    if (stat(slot, &info) != 0)
        return cannot_use(slot, err);
    bool block = S_ISBLK(info.st_mode);
    if (!block && !S_ISREG(info.st_mode))
        return err_set(err, ERR_INSTALL, "slot %s is neither a file nor a block device", slot);
    CLEANUP(file_close) int fd = open(slot, O_WRONLY | O_CLOEXEC | (block ? O_EXCL : 0)); /* O_EXCL: a block device that is mounted is EBUSY */
    if (fd < 0 || fstat(fd, &info) != 0)
        return cannot_use(slot, err);
    if (stat(running, &other) != 0 ? errno != ENOENT : same_place(&info, &other))
        return err_set(err, ERR_INSTALL, "slot %s is the one that runs (%s), or that cannot be ruled out", slot, running);
    *ret_info = info;
    *ret_fd = fd;
    fd = -1;
    return true;
}

static bool check_room(int fd, const struct stat *info, int64_t length, const char *slot, struct err *err) {
    uint64_t size = 0;
    if (!S_ISBLK(info->st_mode))
        return true;
    if (ioctl(fd, BLKGETSIZE64, &size) != 0)
        return err_errno(err, "size of slot %s", slot);
    if (size < (uint64_t)length)
        return err_set(err, ERR_NO_SPACE, "slot %s has %llu bytes, the image %lld", slot, (unsigned long long)size, (long long)length);
    return true;
}

static bool copy(int from, int to, int64_t length, const char *slot, struct err *err) {
    char *chunk = malloc(CHUNK);
    if (chunk == NULL)
        return err_no_memory(err);
    bool ok = true;
    for (int64_t at = 0; ok && at < length;) {
        size_t want = length - at < CHUNK ? (size_t)(length - at) : CHUNK;
        ssize_t got = pread(from, chunk, want, at);
        if (got < 0)
            ok = errno == EINTR || err_errno(err, "read the image");
        else if (got == 0)
            ok = err_set(err, ERR_LENGTH, "the image ends at %lld of %lld bytes", (long long)at, (long long)length);
        else if (file_write_all(to, chunk, (size_t)got, err))
            at += got;
        else
            ok = err_prefix(err, "slot %s", slot);
    }
    free(chunk);
    return ok;
}

static bool write_slot(const struct agent_settings *settings, int image_fd, const struct release *release, const char *slot, const char *running,
                       struct err *err) {
    CLEANUP(file_close) int fd = -1;
    struct stat info;
    if (!open_slot(slot, running, &fd, &info, err) || !check_room(fd, &info, release->plain_length, slot, err))
        return false;
    if (S_ISREG(info.st_mode) && ftruncate(fd, 0) != 0)
        return err_errno(err, "empty slot %s", slot);
    bool sealed = release->encryption != RELEASE_PLAIN;
    if (sealed ? !agent_unseal_to(settings, image_fd, fd, release, err) : !copy(image_fd, fd, release->length, slot, err))
        return false;
    return fsync(fd) == 0 || err_errno(err, "sync slot %s", slot);
}

/* O_DIRECT reads the medium; a file system that cannot (tmpfs) is asked to drop its cached pages instead. */
static int open_uncached(const char *slot) {
    int fd = open(slot, O_RDONLY | O_CLOEXEC | O_DIRECT);
    if (fd < 0 && errno == EINVAL) {
        fd = open(slot, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    }
    return fd;
}

static bool hash_slot(int fd, char *chunk, int64_t length, const char *slot, char ret_hex[SHA256_HEX_SIZE], struct err *err) {
    CLEANUP(hash_free) struct hash hash = {0};
    uint8_t digest[SHA256_SIZE];
    if (!hash_sha256_begin(&hash, err))
        return false;
    for (int64_t at = 0; at < length;) {
        ssize_t got = read(fd, chunk, CHUNK); /* aligned: only the last one may be short of a block */
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "read slot %s back", slot);
        if (got == 0)
            return err_set(err, ERR_LENGTH, "slot %s ends at %lld of %lld bytes", slot, (long long)at, (long long)length);
        size_t use = length - at < got ? (size_t)(length - at) : (size_t)got;
        if (!hash_update(&hash, chunk, use, err))
            return false;
        at += (int64_t)use;
    }
    if (!hash_sha256_end(&hash, digest, err))
        return false;
    hex_encode(digest, sizeof(digest), ret_hex);
    return true;
}

bool agent_install_compare(const char *slot, int64_t length, const char *sha256, struct err *err) {
    CLEANUP(file_close) int fd = open_uncached(slot);
    char found[SHA256_HEX_SIZE];
    if (fd < 0)
        return err_errno(err, "read slot %s back", slot);
    char *chunk = aligned_alloc(ALIGNMENT, CHUNK);
    if (chunk == NULL)
        return err_no_memory(err);
    bool ok = hash_slot(fd, chunk, length, slot, found, err);
    free(chunk);
    if (ok && !hash_equal(found, sha256, SHA256_HEX_SIZE - 1))
        return err_set(err, ERR_HASH, "slot %s holds SHA-256 %s after writing, %s is signed", slot, found, sha256);
    return ok;
}

bool agent_install_slot(const struct agent_settings *settings, int image_fd, const struct release *release, const char *slot, const char *running,
                        struct err *err) {
    return write_slot(settings, image_fd, release, slot, running, err) &&
           agent_install_compare(slot, release->plain_length, release->plain_sha256, err);
}

bool agent_install_command(const struct agent_settings *settings, const char *image, const struct release *release, const char *deployment,
                           struct err *err) {
    char sequence[24];
    snprintf(sequence, sizeof(sequence), "%lld", (long long)release->sequence);
    const struct agent_hook_env env[] = {
        {"PAWL_ACTION", "install"},         {"PAWL_IMAGE", image},       {"PAWL_PRODUCT", release->product},
        {"PAWL_VERSION", release->version}, {"PAWL_SEQUENCE", sequence}, {"PAWL_SHA256", release->plain_sha256},
        {"PAWL_DEPLOYMENT", deployment},
    };
    const struct agent_hook hook = {.what = "installer",
                                    .command = settings->install_command,
                                    .last = image,
                                    .env = env,
                                    .env_count = ARRAY_LEN(env),
                                    .timeout_s = settings->hook_timeout_s};
    return agent_hook_run(&hook, NULL, err);
}
