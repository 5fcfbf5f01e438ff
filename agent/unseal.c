#include "agent/unseal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/install.h"
#include "common/file.h"
#include "trust/seal.h"

/* On the heap: 64 identities are too much for a small device's stack. */
static void drop_identities(struct seal_identities **identities) {
    if (*identities != NULL)
        seal_identities_wipe(*identities);
    free(*identities);
}

static bool read_identities(const struct agent_settings *settings, struct seal_identities **ret_identities, struct err *err) {
    struct seal_identities *identities = calloc(1, sizeof(*identities));
    if (identities == NULL)
        return err_no_memory(err);
    if (!seal_identities_read(settings->seal_identity, identities, err)) {
        drop_identities(&identities);
        err->code = err->code == ERR_NOT_FOUND ? ERR_CONFIG : err->code;
        return err_prefix(err, "[device] seal_identity");
    }
    *ret_identities = identities;
    return true;
}

bool agent_unseal_examine(const struct agent_settings *settings, struct err *err) {
    CLEANUP(drop_identities) struct seal_identities *identities = NULL;
    return settings->seal_identity == NULL || read_identities(settings, &identities, err);
}

struct opening {
    int from, to;
    int64_t read_bytes, written_bytes;
    const struct release *release;
};

static bool read_sealed(void *context, void *data, size_t cap, size_t *ret_len, struct err *err) {
    struct opening *opening = context;
    ssize_t got;
    do
        got = pread(opening->from, data, cap, opening->read_bytes);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_errno(err, "read the sealed image");
    opening->read_bytes += got;
    *ret_len = (size_t)got;
    return true;
}

static bool write_plain(void *context, const void *data, size_t len, struct err *err) {
    struct opening *opening = context;
    if ((int64_t)len > opening->release->plain_length - opening->written_bytes)
        return err_set(err, ERR_DECRYPT, "%s: opened it is longer than the %lld bytes that are signed", opening->release->path,
                       (long long)opening->release->plain_length);
    if (!file_write_all(opening->to, data, len, err))
        return err_prefix(err, "the opened image");
    opening->written_bytes += (int64_t)len;
    return true;
}

bool agent_unseal_to(const struct agent_settings *settings, int sealed_fd, int to_fd, const struct release *release, struct err *err) {
    CLEANUP(drop_identities) struct seal_identities *identities = NULL;
    struct opening opening = {.from = sealed_fd, .to = to_fd, .release = release};
    const struct seal_source source = {.read = read_sealed, .context = &opening};
    const struct seal_sink sink = {.write = write_plain, .context = &opening};
    if (settings->seal_identity == NULL)
        return err_set(err, ERR_DECRYPT, "%s is sealed, and [device] seal_identity is not set", release->path);
    if (!read_identities(settings, &identities, err))
        return false;
    if (!seal_open(identities, &source, &sink, err)) {
        if (err->code == ERR_FORMAT) /* signed as sealed, and is not */
            err->code = ERR_DECRYPT;
        return err_prefix(err, "%s", release->path);
    }
    if (opening.written_bytes != release->plain_length)
        return err_set(err, ERR_DECRYPT, "%s: opened it has %lld bytes, %lld are signed", release->path, (long long)opening.written_bytes,
                       (long long)release->plain_length);
    return true;
}

static bool write_file(const struct agent_settings *settings, int sealed_fd, const char *path, const struct release *release, struct err *err) {
    CLEANUP(file_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, "%s", path);
    return agent_unseal_to(settings, sealed_fd, fd, release, err) && (fsync(fd) == 0 || err_errno(err, "sync %s", path));
}

bool agent_unseal_file(const struct agent_settings *settings, int sealed_fd, const char *path, const struct release *release, struct err *err) {
    if (write_file(settings, sealed_fd, path, release, err) && agent_install_compare(path, release->plain_length, release->plain_sha256, err))
        return true;
    (void)unlink(path);
    return false;
}
