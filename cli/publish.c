/* `pawl release publish`, `prepare` and `reissue`: what comes into a new release. Everything after that is a job's (job.h). */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/groups.h"
#include "cli/job.h"
#include "cli/local.h"
#include "cli/sealing.h"
#include "cli/view.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/json.h"
#include "common/text.h"

struct publish_args {
    struct cli_signing_args signing;
    struct cli_sealing_args sealing;
    const char *product, *version, *file, *notes, *notes_file, *security_version, *role, *confirm, *bundle, *out;
    struct option_texts hardware;
    int64_t sequence, requires_sequence;
};

#define RELEASE_OPTIONS                                                                                                                              \
    {"product", 0, OPTION_TEXT, offsetof(struct publish_args, product), "PRODUCT", "its line of versions"},                                          \
        {"version", 0, OPTION_TEXT, offsetof(struct publish_args, version), "VERSION", "for people (SemVer)"},                                       \
        {"hardware", 0, OPTION_TEXTS, offsetof(struct publish_args, hardware), "ID", "what it runs on (repeat for more)"},                           \
        {"sequence", 0, OPTION_INT, offsetof(struct publish_args, sequence), "N", "place in the order of releases [the last one's + 1]"},            \
        {"security-version",                                                                                                                         \
         0,                                                                                                                                          \
         OPTION_TEXT,                                                                                                                                \
         offsetof(struct publish_args, security_version),                                                                                            \
         "N",                                                                                                                                        \
         "raise it only when older releases must never run again [the last one's]"},                                                                 \
        {"requires-sequence", 0, OPTION_INT, offsetof(struct publish_args, requires_sequence), "N", "only for devices that have this one at least"}, \
        {"notes", 0, OPTION_TEXT, offsetof(struct publish_args, notes), "TEXT", "release notes, ASCII"},                                             \
        {"notes-file", 0, OPTION_TEXT, offsetof(struct publish_args, notes_file), "FILE", "the same from a file"},                                   \
        {"file", 0, OPTION_TEXT, offsetof(struct publish_args, file), "NAME", "name that it is served under [the image's own]"}, {                   \
        "role", 0, OPTION_TEXT, offsetof(struct publish_args, role), "ROLE", "who says so [the role that the product is delegated to, else targets]" \
    }

static const struct cli_option publish_options[] = {
    RELEASE_OPTIONS,
    CLI_SEALING_OPTIONS(struct publish_args, sealing),
    {"bundle", 0, OPTION_TEXT, offsetof(struct publish_args, bundle), "FILE", "what was prepared and signed elsewhere; IMAGE only if it is new"},
    {"confirm", 0, OPTION_TEXT, offsetof(struct publish_args, confirm), "HASH", "the hash of the draft; nothing is asked then"},
    CLI_SIGNING_OPTIONS(struct publish_args, signing),
};
const struct cli_options cli_publish_options = CLI_OPTIONS(struct publish_args, publish_options);

static const struct cli_option prepare_options[] = {
    RELEASE_OPTIONS,
    CLI_SEALING_OPTIONS(struct publish_args, sealing),
    {"out", 'o', OPTION_TEXT, offsetof(struct publish_args, out), "FILE", "the bundle: a new file for `pawl release sign`"},
    CLI_ROOT_OPTIONS(struct publish_args, signing),
};
const struct cli_options cli_prepare_options = CLI_OPTIONS(struct publish_args, prepare_options);

/* One release on its way. */
struct making {
    struct cli *cli;
    const struct publish_args *args;
    const char *image; /* path */
    struct cli_sealed sealed;
    struct cli_job job;
    struct release next;
};

static void close_making(struct making *making) {
    cli_sealing_drop(&making->sealed);
    cli_job_close(&making->job);
}

static bool require_options(const struct publish_args *args, struct err *err) {
    const struct { const char *value, *name; } needed[] = {{args->product, "product"}, {args->version, "version"}};
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        if (needed[i].value == NULL)
            return err_set_field(err, ERR_USAGE, needed[i].name, "--%s is needed", needed[i].name);
    if (args->hardware.count == 0)
        return err_set_field(err, ERR_USAGE, "hardware", "--hardware is needed: what does the image run on?");
    if (args->notes != NULL && args->notes_file != NULL)
        return err_set_field(err, ERR_USAGE, "notes", "give --notes or --notes-file, not both");
    return true;
}

/* Length and hash of the image as it will be downloaded: sealed first, if it is to be. */
static bool measure(const char *path, int64_t *ret_length, const char **ret_sha256, struct arena *arena, struct err *err) {
    CLEANUP(file_close) int fd = -1;
    struct stat info;
    char sha256[SHA256_HEX_SIZE];
    if (!cli_local_open(path, &fd, err))
        return false;
    if (fstat(fd, &info) != 0)
        return err_errno(err, "%s", path);
    if (!S_ISREG(info.st_mode) || info.st_size == 0)
        return err_set(err, ERR_IO, "%s is not a file with an image in it", path);
    if (!hash_sha256_fd(fd, sha256, err))
        return err_prefix(err, "%s", path);
    *ret_length = info.st_size;
    *ret_sha256 = arena_strdup(arena, sha256);
    return *ret_sha256 != NULL || err_no_memory(err);
}

static bool describe_image(struct making *making, struct err *err) {
    struct arena *arena = &making->cli->arena;
    struct release *next = &making->next;
    if (!cli_sealing_wanted(&making->args->sealing)) {
        if (!measure(making->image, &next->length, &next->sha256, arena, err))
            return false;
        next->plain_length = next->length;
        next->plain_sha256 = next->sha256;
        return true;
    }
    if (!cli_sealing_seal(making->cli, &making->args->sealing, making->image, &making->sealed, err))
        return false;
    next->encryption = RELEASE_AGE;
    next->plain_length = making->sealed.plain_length;
    next->plain_sha256 = making->sealed.plain_sha256;
    return measure(making->sealed.path, &next->length, &next->sha256, arena, err);
}

static bool read_notes(struct making *making, struct err *err) {
    making->next.notes = making->args->notes == NULL ? "" : making->args->notes;
    if (making->args->notes_file == NULL)
        return true;
    CLEANUP(buf_free) struct buf notes = BUF_INIT(RELEASE_NOTES_MAX + 1);
    if (!cli_local_read(making->args->notes_file, &notes, err))
        return false;
    while (notes.len > 0 && notes.data[notes.len - 1] == '\n')
        notes.data[--notes.len] = '\0';
    making->next.notes = notes.len == 0 ? "" : arena_strndup(&making->cli->arena, notes.data, notes.len);
    return making->next.notes != NULL || err_no_memory(err);
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every field of the new release that does not depend on the last one. */
static bool describe(struct making *making, struct err *err) {
    const struct publish_args *args = making->args;
    struct arena *arena = &making->cli->arena;
    const char *slash = strrchr(making->image, '/');
    const char **hardware = arena_array(arena, args->hardware.count, sizeof(*hardware));
    if (hardware == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < args->hardware.count; i++)
        hardware[i] = args->hardware.items[i];
    qsort(hardware, args->hardware.count, sizeof(*hardware), compare_texts);
    making->next.product = args->product;
    making->next.version = args->version;
    making->next.hardware = hardware;
    making->next.hardware_count = args->hardware.count;
    making->next.file = args->file != NULL ? args->file : slash != NULL ? slash + 1 : making->image;
    making->next.path = arena_printf(arena, "%s/%s/%s", args->product, args->version, making->next.file);
    making->next.requires_sequence = args->requires_sequence;
    making->next.created_at = clock_now();
    if (making->next.path == NULL)
        return err_no_memory(err);
    return describe_image(making, err) && read_notes(making, err);
}

/* The counters, which go on from the last release as verified. */
static bool count_on(struct making *making, struct err *err) {
    const struct publish_args *args = making->args;
    struct release *next = &making->next;
    struct release last;
    bool has_last = cli_tuf_last_release(&making->job.releases, args->product, &last);
    next->sequence = args->sequence != 0 ? args->sequence : has_last ? last.sequence + 1 : 1;
    next->security_version = has_last ? last.security_version : 0;
    if (args->security_version != NULL && !text_to_int(args->security_version, 0, JSON_INT_MAX, &next->security_version))
        return err_set_field(err, ERR_USAGE, "security-version", "--security-version '%s' is not a whole number from 0", args->security_version);
    if (!release_check(next, err)) {
        err->code = ERR_USAGE;
        return false;
    }
    return true;
}

static bool draft(struct making *making, struct err *err) {
    return require_options(making->args, err) && describe(making, err) &&
           cli_job_open(making->cli, &making->args->signing, NULL, false, &making->job, err) && count_on(making, err) &&
           cli_job_choose(&making->job, making->args->role, making->next.path, err) && cli_job_draft(&making->job, making->next.product, err) &&
           repository_add_release(making->job.draft, &making->next, err);
}

static bool print_published(struct cli *cli, const struct cli_job *job, const struct cli_reply *reply, struct err *err) {
    if (cli->json)
        return cli_view_json(cli, reply->body, reply->len, err);
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    if (job->added.count == 0)
        buf_printf(&out, "published %s %lld\n", job->role, (long long)job->next->version);
    else
        buf_printf(&out, "published %s: sequence %lld, security version %lld, sha256 %s\n", job->added.items[0].path,
                   (long long)job->added.items[0].sequence, (long long)job->added.items[0].security_version, job->added.items[0].sha256);
    return cli_view_write(cli, &out, err);
}

/* What was prepared and signed elsewhere. */
static bool publish_bundle(struct making *making, struct cli_reply *ret_reply, struct err *err) {
    CLEANUP(cli_signing_close) struct cli_signing signing = {0};
    const struct publish_args *args = making->args;
    struct cli_job *job = &making->job;
    struct cli_bundle bundle;
    int64_t length = 0;
    const char *sha256 = NULL;
    if (!cli_signing_check(&args->signing, err) || !cli_bundle_read(&making->cli->arena, args->bundle, &bundle, err) ||
        !cli_job_open(making->cli, &args->signing, NULL, true, job, err) || !cli_job_choose(job, bundle.role, NULL, err) ||
        !cli_job_load(job, &bundle, err) || !cli_job_review(job, args->confirm, "Publish this?", err))
        return false;
    if (making->image != NULL && !measure(making->image, &length, &sha256, &making->cli->arena, err))
        return false;
    if (making->image != NULL && (job->added.count == 0 || !text_equal(job->added.items[0].sha256, sha256)))
        return err_set(err, ERR_HASH, "%s is not the image that the bundle speaks of", making->image);
    return cli_signing_open(making->cli, &args->signing, &signing, err) && cli_job_publish(job, &signing, making->image, ret_reply, err);
}

static bool publish_image(struct making *making, struct cli_reply *ret_reply, struct err *err) {
    CLEANUP(cli_signing_close) struct cli_signing signing = {0};
    const struct publish_args *args = making->args;
    struct cli_job *job = &making->job;
    if (making->image == NULL)
        return err_set(err, ERR_USAGE, "publish what? give IMAGE, or --bundle FILE");
    if (!cli_signing_check(&args->signing, err) || !draft(making, err) || !cli_job_review(job, args->confirm, "Sign and publish this?", err))
        return false;
    const char *image = making->sealed.path != NULL ? making->sealed.path : making->image;
    return cli_signing_open(making->cli, &args->signing, &signing, err) && cli_job_sign(job, &signing, job->signers->threshold, image, err) &&
           cli_job_publish(job, &signing, image, ret_reply, err);
}

bool cli_publish_release(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    CLEANUP(close_making) struct making making = {.cli = cli, .args = args, .image = operands->count > 0 ? operands->items[0] : NULL};
    struct cli_reply reply;
    bool published = making.args->bundle != NULL ? publish_bundle(&making, &reply, err) : publish_image(&making, &reply, err);
    return published && (cli_sealing_keep(&making.sealed, err) || err_prefix(err, "published, but")) &&
           print_published(cli, &making.job, &reply, err);
}

bool cli_publish_prepare(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    CLEANUP(close_making) struct making making = {.cli = cli, .args = args, .image = operands->items[0]};
    if (making.args->out == NULL)
        return err_set_field(err, ERR_USAGE, "out", "--out FILE is needed: where does the bundle go?");
    if (cli_sealing_wanted(&making.args->sealing) && making.args->sealing.out == NULL)
        return err_set_field(err, ERR_USAGE, "sealed-out", "--sealed-out FILE is needed: the sealed image is what will be published");
    if (!draft(&making, err) || !cli_job_review(&making.job, NULL, "Prepare this?", err) || !cli_job_save(&making.job, making.args->out, err) ||
        !cli_sealing_keep(&making.sealed, err))
        return false;
    cli_note(cli, "%s: %zu signature%s needed (pawl release sign)", making.args->out, making.job.signers->threshold,
             making.job.signers->threshold == 1 ? "" : "s");
    return true;
}
