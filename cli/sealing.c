#include "cli/sealing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/hex.h"
#include "common/random.h"

bool cli_sealing_wanted(const struct cli_sealing_args *args) {
    return args->recipients.count > 0 || args->recipient_files.count > 0;
}

bool cli_sealing_recipients(const struct option_texts *texts, const struct option_texts *files, struct seal_recipients *ret_recipients,
                            struct err *err) {
    struct seal_recipients recipients = {0};
    for (size_t i = 0; i < texts->count; i++)
        if (!seal_recipients_add(&recipients, texts->items[i], err)) {
            err->code = ERR_USAGE;
            return false;
        }
    for (size_t i = 0; i < files->count; i++)
        if (!seal_recipients_read(files->items[i], &recipients, err)) {
            err->code = err->code == ERR_NOT_FOUND ? ERR_IO : ERR_USAGE;
            return false;
        }
    if (recipients.count == 0)
        return err_set(err, ERR_USAGE, "seal to whom? no recipient is given");
    *ret_recipients = recipients;
    return true;
}

bool cli_sealing_read(void *context, void *data, size_t cap, size_t *ret_len, struct err *err) {
    const int *fd = context;
    ssize_t got;
    do
        got = read(*fd, data, cap);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_errno(err, "read");
    *ret_len = (size_t)got;
    return true;
}

bool cli_sealing_write(void *context, const void *data, size_t len, struct err *err) {
    const int *fd = context;
    return file_write_all(*fd, data, len, err);
}

static const char *temporary_path(struct arena *arena) {
    const char *folder = getenv("TMPDIR");
    char unique[17];
    random_hex(unique, sizeof(unique) / 2);
    return arena_printf(arena, "%s/pawl-sealed-%s", folder != NULL && folder[0] == '/' ? folder : "/tmp", unique);
}

/* An image that is hashed on its way. */
struct reading {
    const char *path;
    int fd;
    int64_t length;
    struct hash hash;
};

static bool read_hashing(void *context, void *data, size_t cap, size_t *ret_len, struct err *err) {
    struct reading *reading = context;
    size_t len = 0;
    if (!cli_sealing_read(&reading->fd, data, cap, &len, err) || !hash_update(&reading->hash, data, len, err))
        return err_prefix(err, "%s", reading->path);
    reading->length += (int64_t)len;
    *ret_len = len;
    return true;
}

static void close_reading(struct reading *reading) {
    file_close(&reading->fd);
    hash_free(&reading->hash);
}

static bool seal_into(struct arena *arena, const struct seal_recipients *recipients, const char *image, int out, struct cli_sealed *sealed,
                      struct err *err) {
    CLEANUP(close_reading) struct reading in = {.path = image, .fd = open(image, O_RDONLY | O_CLOEXEC)};
    uint8_t digest[SHA256_SIZE];
    char sha256[SHA256_HEX_SIZE];
    if (in.fd < 0) {
        err_errno(err, "%s", image);
        err->code = ERR_IO;
        return false;
    }
    const struct seal_source source = {.read = read_hashing, .context = &in};
    const struct seal_sink sink = {.write = cli_sealing_write, .context = &out};
    if (!hash_sha256_begin(&in.hash, err))
        return false;
    if (!seal_seal(recipients, &source, &sink, err) || !hash_sha256_end(&in.hash, digest, err))
        return false;
    if (in.length == 0)
        return err_set(err, ERR_IO, "%s is not a file with an image in it", image);
    hex_encode(digest, sizeof(digest), sha256);
    sealed->plain_length = in.length;
    sealed->plain_sha256 = arena_strdup(arena, sha256);
    if (sealed->plain_sha256 == NULL)
        return err_no_memory(err);
    return fsync(out) == 0 || err_errno(err, "the sealed image");
}

bool cli_sealing_seal(struct cli *cli, const struct cli_sealing_args *args, const char *image, struct cli_sealed *ret_sealed, struct err *err) {
    struct seal_recipients recipients;
    const char *path = args->out != NULL ? args->out : temporary_path(&cli->arena);
    if (path == NULL)
        return err_no_memory(err);
    if (!cli_sealing_recipients(&args->recipients, &args->recipient_files, &recipients, err))
        return false;
    CLEANUP(file_close) int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, args->out != NULL ? 0644 : 0600);
    if (out < 0) {
        err_errno(err, "%s", path);
        err->code = ERR_IO;
        return false;
    }
    struct cli_sealed sealed = {.path = path};
    if (!seal_into(&cli->arena, &recipients, image, out, &sealed, err)) {
        unlink(path);
        return false;
    }
    *ret_sealed = sealed;
    return true;
}

void cli_sealing_keep(struct cli_sealed *sealed) {
    sealed->kept = true;
}

void cli_sealing_drop(struct cli_sealed *sealed) {
    if (sealed->path != NULL && !sealed->kept)
        unlink(sealed->path);
    sealed->path = NULL;
}
