/* `pawl release publish`: verify what stands, show the difference, sign offline, upload the image, then the metadata. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/groups.h"
#include "cli/keyring.h"
#include "cli/plan.h"
#include "cli/prompt.h"
#include "cli/signing.h"
#include "cli/tuf.h"
#include "cli/view.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/text.h"

struct publish_args {
    const char *product, *version, *file, *notes, *notes_file, *security_version, *keys, *passphrase_file, *passphrase_fd;
    struct option_texts hardware;
    int64_t sequence, requires_sequence;
};

static const struct cli_option publish_options[] = {
    {"product", 0, OPTION_TEXT, offsetof(struct publish_args, product), "PRODUCT", "its line of versions"},
    {"version", 0, OPTION_TEXT, offsetof(struct publish_args, version), "VERSION", "for people (SemVer)"},
    {"hardware", 0, OPTION_TEXTS, offsetof(struct publish_args, hardware), "ID", "what it runs on (repeat for more)"},
    {"keys", 'k', OPTION_TEXT, offsetof(struct publish_args, keys), "DIR", "folder made by `pawl keys init`"},
    {"sequence", 0, OPTION_INT, offsetof(struct publish_args, sequence), "N", "place in the order of releases [the last one's + 1]"},
    {"security-version", 0, OPTION_TEXT, offsetof(struct publish_args, security_version), "N",
     "raise it only when older releases must never run again [the last one's]"},
    {"requires-sequence", 0, OPTION_INT, offsetof(struct publish_args, requires_sequence), "N", "only for devices that have this one at least"},
    {"notes", 0, OPTION_TEXT, offsetof(struct publish_args, notes), "TEXT", "release notes, ASCII"},
    {"notes-file", 0, OPTION_TEXT, offsetof(struct publish_args, notes_file), "FILE", "the same from a file"},
    {"file", 0, OPTION_TEXT, offsetof(struct publish_args, file), "NAME", "name that it is served under [the image's own]"},
    {"passphrase-file", 0, OPTION_TEXT, offsetof(struct publish_args, passphrase_file), "FILE", "passphrase of the keys, mode 0400 or 0600"},
    {"passphrase-fd", 0, OPTION_TEXT, offsetof(struct publish_args, passphrase_fd), "N", "the same from an open descriptor"},
};
const struct cli_options cli_publish_options = CLI_OPTIONS(struct publish_args, publish_options);

/* One publication on its way. */
struct job {
    struct cli *cli;
    const struct publish_args *args;
    const char *image; /* path */
    int fd;
    int64_t now;
    struct cli_keyring ring;
    struct cli_tuf tuf;
    struct release last, next;
    bool has_last;
    struct buf targets, snapshot; /* signed files */
    bool has_signature;
    struct key_signature signature; /* of the image file */
};

static void close_job(struct job *job) {
    file_close(&job->fd);
    cli_tuf_close(&job->tuf);
    buf_free(&job->targets);
    buf_free(&job->snapshot);
}

/* Body of POST /api/v1/releases. */
struct image_signature {
    const char *sha256;
    struct json_bytes signature;
};

struct publish_input {
    struct json_bytes targets, snapshot;
    struct json_list signatures;
};

static const struct json_field signature_fields[] = {
    {"sha256", JSON_TEXT, offsetof(struct image_signature, sha256), 0, 0, 0, NULL},
    {"signature", JSON_BASE64, offsetof(struct image_signature, signature), 0, 0, 0, NULL},
};
static const struct json_shape signature_shape = JSON_SHAPE(struct image_signature, signature_fields);
static const struct json_field publish_fields[] = {
    {"targets", JSON_BASE64, offsetof(struct publish_input, targets), 0, 0, 0, NULL},
    {"snapshot", JSON_BASE64, offsetof(struct publish_input, snapshot), 0, 0, 0, NULL},
    {"signatures", JSON_STRUCTS, offsetof(struct publish_input, signatures), 0, 0, 0, &signature_shape},
};
static const struct json_shape publish_shape = JSON_SHAPE(struct publish_input, publish_fields);

static bool require_options(const struct publish_args *args, struct err *err) {
    const struct { const char *value, *name; } needed[] = {{args->product, "product"}, {args->version, "version"}, {args->keys, "keys"}};
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        if (needed[i].value == NULL)
            return err_set_field(err, ERR_USAGE, needed[i].name, "--%s is needed", needed[i].name);
    if (args->hardware.count == 0)
        return err_set_field(err, ERR_USAGE, "hardware", "--hardware is needed: what does the image run on?");
    if (args->notes != NULL && args->notes_file != NULL)
        return err_set_field(err, ERR_USAGE, "notes", "give --notes or --notes-file, not both");
    return true;
}

static bool open_image(struct job *job, struct err *err) {
    struct stat info;
    char sha256[SHA256_HEX_SIZE];
    job->fd = open(job->image, O_RDONLY | O_CLOEXEC);
    if (job->fd < 0 || fstat(job->fd, &info) != 0) {
        err_errno(err, "%s", job->image);
        err->code = ERR_IO;
        return false;
    }
    if (!S_ISREG(info.st_mode) || info.st_size == 0)
        return err_set(err, ERR_IO, "%s is not a file with an image in it", job->image);
    if (!hash_sha256_fd(job->fd, sha256, err))
        return err_prefix(err, "%s", job->image);
    job->next.length = info.st_size;
    job->next.sha256 = arena_strdup(&job->cli->arena, sha256);
    return job->next.sha256 != NULL || err_no_memory(err);
}

static bool read_notes(struct job *job, struct err *err) {
    job->next.notes = job->args->notes == NULL ? "" : job->args->notes;
    if (job->args->notes_file == NULL)
        return true;
    CLEANUP(buf_free) struct buf notes = BUF_INIT(RELEASE_NOTES_MAX + 1);
    if (!file_read(job->args->notes_file, &notes, err)) {
        err->code = err->code == ERR_NOT_FOUND ? ERR_IO : err->code;
        return false;
    }
    while (notes.len > 0 && notes.data[notes.len - 1] == '\n')
        notes.data[--notes.len] = '\0';
    job->next.notes = notes.len == 0 ? "" : arena_strndup(&job->cli->arena, notes.data, notes.len);
    return job->next.notes != NULL || err_no_memory(err);
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every field of the new release that does not depend on the last one. */
static bool describe(struct job *job, struct err *err) {
    const struct publish_args *args = job->args;
    struct arena *arena = &job->cli->arena;
    const char *slash = strrchr(job->image, '/');
    const char **hardware = arena_array(arena, args->hardware.count, sizeof(*hardware));
    if (hardware == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < args->hardware.count; i++)
        hardware[i] = args->hardware.items[i];
    qsort(hardware, args->hardware.count, sizeof(*hardware), compare_texts);
    job->next.product = args->product;
    job->next.version = args->version;
    job->next.hardware = hardware;
    job->next.hardware_count = args->hardware.count;
    job->next.file = args->file != NULL ? args->file : slash != NULL ? slash + 1 : job->image;
    job->next.path = arena_printf(arena, "%s/%s/%s", args->product, args->version, job->next.file);
    job->next.requires_sequence = args->requires_sequence;
    job->next.created_at = job->now;
    if (job->next.path == NULL)
        return err_no_memory(err);
    return open_image(job, err) && read_notes(job, err);
}

/* The counters, which go on from the last release as verified. */
static bool count_on(struct job *job, struct err *err) {
    const struct publish_args *args = job->args;
    struct trusted_releases releases = {0};
    if (!job->tuf.unpublished && !trusted_releases(job->tuf.trusted, &job->cli->arena, &releases, err))
        return err_prefix(err, "metadata of the server");
    job->has_last = cli_tuf_last_release(&releases, args->product, &job->last);
    job->next.sequence = args->sequence != 0 ? args->sequence : job->has_last ? job->last.sequence + 1 : 1;
    job->next.security_version = job->has_last ? job->last.security_version : 0;
    if (args->security_version != NULL && !text_to_int(args->security_version, 0, (INT64_C(1) << 53) - 1, &job->next.security_version))
        return err_set_field(err, ERR_USAGE, "security-version", "--security-version '%s' is not a whole number from 0", args->security_version);
    job->next.plain_length = job->next.length;
    job->next.plain_sha256 = job->next.sha256;
    for (size_t i = 0; i < releases.count; i++)
        if (text_equal(releases.items[i].product, args->product) && text_equal(releases.items[i].version, args->version))
            return err_set(err, ERR_CONFLICT, "%s %s is published already; a release never changes", args->product, args->version);
    if (!release_check(&job->next, err)) {
        err->code = ERR_USAGE;
        return false;
    }
    return true;
}

static bool confirm(struct job *job, struct err *err) {
    const struct metadata *targets = job->tuf.trusted->targets;
    const struct cli_plan plan = {
        .last = job->has_last ? &job->last : NULL,
        .next = &job->next,
        .first_of_repository = job->tuf.unpublished,
        .targets_version = targets == NULL ? 1 : targets->version + 1,
    };
    CLEANUP(buf_free) struct buf text = BUF_INIT(64 * 1024);
    if (!cli_plan_check(&plan, err))
        return false;
    cli_plan_text(&plan, &text);
    if (!buf_ok(&text, "plan", err))
        return false;
    if (!job->cli->quiet || !job->cli->yes)
        fputs(text.data, job->cli->notes);
    return cli_prompt_confirm(job->cli, "Sign and publish this?", err);
}

/* Targets with the new entry, a snapshot that lists it, and the detached signature of the image. */
static bool sign_drafts(struct job *job, const struct cli_signing_keys *targets_keys, const struct cli_signing_keys *snapshot_keys, struct err *err) {
    const struct trusted *trusted = job->tuf.trusted;
    CLEANUP(draft_cleanup) struct draft *targets = NULL;
    CLEANUP(draft_cleanup) struct draft *snapshot = NULL;
    if (!repository_targets(trusted->targets, repository_expiry(METADATA_TARGETS, job->now), &targets, err) ||
        !repository_add_release(targets, &job->next, err) || !cli_signing_sign(targets_keys, targets, err) ||
        !draft_bytes(targets, &job->targets, err))
        return false;
    const struct repository_file file = {.role = "targets", .data = job->targets.data, .len = job->targets.len};
    if (!repository_snapshot(trusted->snapshot, &file, 1, repository_expiry(METADATA_SNAPSHOT, job->now), &snapshot, err) ||
        !cli_signing_sign(snapshot_keys, snapshot, err) || !draft_bytes(snapshot, &job->snapshot, err))
        return false;
    const struct key *image_key = cli_signing_image_key(targets_keys);
    job->has_signature = image_key != NULL;
    if (image_key == NULL)
        cli_note(job->cli, "no P-256 targets key here: the image gets no detached signature (.sig)");
    return image_key == NULL || key_sign_file(image_key, job->fd, &job->signature, err);
}

static bool sign(struct job *job, struct err *err) {
    const struct cli_passphrase_source source = {
        .file = job->args->passphrase_file,
        .fd = job->args->passphrase_fd,
        .file_option = "passphrase-file",
        .fd_option = "passphrase-fd",
    };
    const struct metadata *root = job->tuf.trusted->root;
    CLEANUP(buf_wipe) struct buf passphrase = {0};
    CLEANUP(cli_signing_close) struct cli_signing_keys targets_keys = {0};
    CLEANUP(cli_signing_close) struct cli_signing_keys snapshot_keys = {0};
    if (!cli_prompt_passphrase(job->cli, &source, "the keys of targets and snapshot", false, &passphrase, err))
        return false;
    const struct cli_keyring_secret secret = {.passphrase = passphrase.data, .len = passphrase.len};
    struct arena *arena = &job->cli->arena;
    return cli_signing_open(arena, &job->ring, "targets", &root->signers[METADATA_TARGETS], &secret, &targets_keys, err) &&
           cli_signing_open(arena, &job->ring, "snapshot", &root->signers[METADATA_SNAPSHOT], &secret, &snapshot_keys, err) &&
           sign_drafts(job, &targets_keys, &snapshot_keys, err);
}

/* Sends the image unless the server has it. */
static bool upload(struct job *job, struct err *err) {
    const char *path = cli_view_path(&job->cli->arena, "/api/v1/images", job->next.sha256, (char *)NULL);
    struct cli_reply reply;
    if (path == NULL)
        return err_no_memory(err);
    const struct cli_request ask = {.method = "GET", .path = path, .missing_ok = true};
    if (!cli_client_call(job->cli, &ask, &reply, err))
        return false;
    if (reply.status != 404) {
        cli_note(job->cli, "the server has this image already");
        return true;
    }
    const struct cli_request put = {.method = "PUT", .path = path, .upload_path = job->image};
    return cli_client_call(job->cli, &put, &reply, err);
}

static bool post(struct job *job, struct cli_reply *ret_reply, struct err *err) {
    struct image_signature signature = {
        .sha256 = job->next.sha256,
        .signature = {.len = job->signature.len, .data = job->signature.bytes},
    };
    const struct publish_input input = {
        .targets = {.len = job->targets.len, .data = (const uint8_t *)job->targets.data},
        .snapshot = {.len = job->snapshot.len, .data = (const uint8_t *)job->snapshot.data},
        .signatures = {.count = job->has_signature ? 1 : 0, .items = &signature},
    };
    CLEANUP(buf_free) struct buf body = BUF_INIT(2 * (METADATA_TARGETS_MAX + METADATA_SNAPSHOT_MAX));
    json_write(&body, &publish_shape, &input);
    return cli_client_post(job->cli, "/api/v1/releases", &body, ret_reply, err);
}

/* The server said that it is published: now a device would see it, so must we. It also keeps our pinned state up to date. */
static bool see_published(struct job *job, struct err *err) {
    struct release seen;
    if (!cli_tuf_refresh(job->cli, &job->tuf, clock_now(), err))
        return err_prefix(err, "published, but");
    if (!trusted_release(job->tuf.trusted, &job->cli->arena, job->next.path, &seen, NULL, err) || !release_equal(&seen, &job->next))
        return err_set(err, ERR_MIX, "the server took the release, but does not serve it as it was signed: %s", job->next.path);
    return true;
}

static bool publish(struct job *job, struct cli_reply *ret_reply, struct err *err) {
    return require_options(job->args, err) && describe(job, err) && cli_keyring_read(&job->cli->arena, job->args->keys, &job->ring, err) &&
           cli_tuf_open(job->cli, job->args->keys, &job->tuf, err) && cli_tuf_refresh(job->cli, &job->tuf, job->now, err) && count_on(job, err) &&
           confirm(job, err) && sign(job, err) && upload(job, err) && post(job, ret_reply, err) && see_published(job, err);
}

bool cli_publish_release(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    CLEANUP(close_job)
    struct job job = {.cli = cli, .args = args, .image = operands->items[0], .fd = -1, .now = clock_now(), .targets = BUF_INIT(METADATA_TARGETS_MAX)};
    struct cli_reply reply;
    buf_init(&job.snapshot, METADATA_SNAPSHOT_MAX);
    if (!publish(&job, &reply, err))
        return false;
    if (cli->json)
        return cli_view_json(cli, reply.body, reply.len, err);
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    buf_printf(&out, "published %s: sequence %lld, security version %lld, sha256 %s\n", job.next.path, (long long)job.next.sequence,
               (long long)job.next.security_version, job.next.sha256);
    return cli_view_write(cli, &out, err);
}
