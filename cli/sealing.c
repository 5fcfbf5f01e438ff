#include "cli/sealing.h"
#include "cli/local.h"

#include <errno.h>
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
    CLEANUP(close_reading) struct reading in = {.path = image, .fd = -1};
    uint8_t digest[SHA256_SIZE];
    char sha256[SHA256_HEX_SIZE];
    if (!cli_local_open(image, &in.fd, err))
        return false;
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

/* Nobody needs a name for it, so it has none: however this process ends, nothing is left. */
static bool open_nameless(struct arena *arena, struct cli_sealed *sealed, struct err *err) {
    const char *folder = getenv("TMPDIR");
    char unique[17];
    random_hex(unique, sizeof(unique) / 2);
    const char *path = arena_printf(arena, "%s/pawl-sealed-%s", folder != NULL && folder[0] == '/' ? folder : "/tmp", unique);
    if (path == NULL)
        return err_no_memory(err);
    if (!cli_newfile_open(arena, path, 0600, &sealed->file, err))
        return false;
    (void)unlink(sealed->file.temporary);
    sealed->file.temporary = NULL;
    sealed->path = arena_printf(arena, "/proc/self/fd/%d", sealed->file.fd);
    return sealed->path != NULL || err_no_memory(err);
}

bool cli_sealing_seal(struct cli *cli, const struct cli_sealing_args *args, const char *image, struct cli_sealed *sealed, struct err *err) {
    struct seal_recipients recipients;
    if (!cli_sealing_recipients(&args->recipients, &args->recipient_files, &recipients, err))
        return false;
    if (!(args->out != NULL ? cli_newfile_open(&cli->arena, args->out, 0644, &sealed->file, err) : open_nameless(&cli->arena, sealed, err)))
        return false;
    sealed->path = args->out != NULL ? sealed->file.temporary : sealed->path;
    return seal_into(&cli->arena, &recipients, image, sealed->file.fd, sealed, err);
}

bool cli_sealing_keep(struct cli_sealed *sealed, struct err *err) {
    return sealed->file.temporary == NULL || cli_newfile_keep(&sealed->file, err);
}

void cli_sealing_drop(struct cli_sealed *sealed) {
    if (sealed->path != NULL)
        cli_newfile_drop(&sealed->file);
    sealed->path = NULL;
}
