/* `pawl release renew`, `reissue` and `withdraw`: what happens to releases after they were published. */
#include "cli/groups.h"
#include "cli/job.h"
#include "cli/prompt.h"
#include "cli/verb.h"
#include "cli/view.h"
#include "common/clock.h"
#include "common/text.h"

struct change_args {
    struct cli_signing_args signing;
    const char *role, *confirm, *out, *as, *file, *notes, *reason;
};

#define CHANGE_OPTIONS                                                                                                                               \
    {"out", 'o', OPTION_TEXT, offsetof(struct change_args, out), "FILE", "write a bundle for `pawl release sign` instead of publishing"},            \
        {"confirm", 0, OPTION_TEXT, offsetof(struct change_args, confirm), "HASH", "the hash of the draft; nothing is asked then"},                  \
        CLI_SIGNING_OPTIONS(struct change_args, signing)

static const struct cli_option renew_options[] = {
    {"role", 0, OPTION_TEXT, offsetof(struct change_args, role), "ROLE", "a delegated role instead of targets"},
    CHANGE_OPTIONS,
};
const struct cli_options cli_renew_options = CLI_OPTIONS(struct change_args, renew_options);

static const struct cli_option reissue_options[] = {
    {"as", 0, OPTION_TEXT, offsetof(struct change_args, as), "VERSION", "the new release's version"},
    {"file", 0, OPTION_TEXT, offsetof(struct change_args, file), "NAME", "name that it is served under [as before]"},
    {"notes", 0, OPTION_TEXT, offsetof(struct change_args, notes), "TEXT", "release notes, ASCII [\"reissue of VERSION\"]"},
    CHANGE_OPTIONS,
};
const struct cli_options cli_reissue_options = CLI_OPTIONS(struct change_args, reissue_options);

static const struct cli_option withdraw_options[] = {
    {"reason", 0, OPTION_TEXT, offsetof(struct change_args, reason), "TEXT", "why, for the audit"},
    CHANGE_OPTIONS,
};
const struct cli_options cli_withdraw_options = CLI_OPTIONS(struct change_args, withdraw_options);

/* From the finished draft to the end: a bundle, or everything at once. quiet: the command has had its say. */
static bool finish(struct cli *cli, const struct change_args *change, struct cli_job *job, bool quiet, struct err *err) {
    CLEANUP(cli_signing_close) struct cli_signing signing = {0};
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    struct cli_reply reply;
    if (!cli_job_review(job, change->confirm, change->out != NULL ? "Write the bundle?" : "Sign and publish this?", err))
        return false;
    if (change->out != NULL)
        return cli_job_save(job, change->out, err);
    if (!cli_signing_open(cli, &change->signing, &signing, err) || !cli_job_sign(job, &signing, job->signers->threshold, NULL, err) ||
        !cli_job_publish(job, &signing, NULL, &reply, err))
        return false;
    if (quiet)
        return true;
    if (cli->json)
        return cli_view_json(cli, reply.body, reply.len, err);
    buf_printf(&out, "published %s %lld", job->role, (long long)job->next->version);
    if (job->added.count > 0)
        buf_printf(&out, " with %s, sequence %lld", job->added.items[0].path, (long long)job->added.items[0].sequence);
    buf_byte(&out, '\n');
    return cli_view_write(cli, &out, err);
}

static bool begin(struct cli *cli, const struct change_args *change, bool renews, struct cli_job *ret_job, struct err *err) {
    return (change->out != NULL || cli_signing_check(&change->signing, err)) && cli_job_open(cli, &change->signing, NULL, renews, ret_job, err);
}

bool cli_lifecycle_renew(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    CLEANUP(cli_job_close) struct cli_job job = {0};
    const struct change_args *change = args;
    return begin(cli, change, true, &job, err) && cli_job_choose(&job, change->role, NULL, err) && cli_job_draft(&job, NULL, err) &&
           finish(cli, change, &job, false, err);
}

static const struct release *find_release(const struct trusted_releases *releases, const char *product, const char *version) {
    for (size_t i = 0; i < releases->count; i++)
        if (text_equal(releases->items[i].product, product) && text_equal(releases->items[i].version, version))
            return &releases->items[i];
    return NULL;
}

static bool find_published(const struct cli_job *job, const struct option_texts *operands, const struct release **ret_release, struct err *err) {
    *ret_release = find_release(&job->releases, operands->items[0], operands->items[1]);
    return *ret_release != NULL || err_set(err, ERR_NOT_FOUND, "no verified metadata lists a release %s %s", operands->items[0], operands->items[1]);
}

/* The same bits, with a place of their own in the order; what they say of security they keep, which may forbid them. */
static bool again(struct cli_job *job, const struct change_args *change, const struct release *old, struct release *ret_next, struct err *err) {
    struct arena *arena = &job->cli->arena;
    struct release last = *old;
    struct release next = *old;
    bool has_last = cli_tuf_last_release(&job->releases, old->product, &last);
    next.version = change->as;
    next.file = change->file != NULL ? change->file : old->file;
    next.path = arena_printf(arena, "%s/%s/%s", old->product, change->as, next.file);
    next.notes = change->notes != NULL ? change->notes : arena_printf(arena, "reissue of %s", old->version);
    next.sequence = has_last ? last.sequence + 1 : old->sequence + 1;
    next.requires_sequence = 0;
    next.created_at = job->now;
    next.withdrawn = false;
    if (next.path == NULL || next.notes == NULL)
        return err_no_memory(err);
    if (!release_check(&next, err)) {
        err->code = ERR_USAGE;
        return false;
    }
    *ret_next = next;
    return true;
}

bool cli_lifecycle_reissue(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    CLEANUP(cli_job_close) struct cli_job job = {0};
    const struct change_args *change = args;
    const struct release *old = NULL;
    struct release next;
    if (change->as == NULL)
        return err_set_field(err, ERR_USAGE, "as", "--as VERSION is needed: a release never changes, so the old bits get a new one");
    return begin(cli, change, false, &job, err) && find_published(&job, operands, &old, err) && again(&job, change, old, &next, err) &&
           cli_job_choose(&job, change->role, next.path, err) && cli_job_draft(&job, next.product, err) &&
           repository_add_release(job.draft, &next, err) && finish(cli, change, &job, false, err);
}

/* With --json the release as it is now. A token that may not see devices learns how somebody else can. */
static bool show_withdrawn(struct cli *cli, const struct cli_reply *reply, const char *product, const char *version, struct err *err) {
    if (cli->json)
        return cli_view_json(cli, reply->body, reply->len, err);
    cli_note(cli, "%s %s is withdrawn: offered and downloadable no more. Devices that run it:", product, version);
    if (cli_devices_list_on(cli, product, version, err))
        return true;
    if (err->code != ERR_SCOPE && err->code != ERR_FORBIDDEN)
        return false;
    cli_note(cli, "this token may not see devices: pawl devices list --product %s --installed %s", product, version);
    return true;
}

/* At once on the server, whose word is enough to stop an update. */
static bool tell_server(struct cli *cli, const struct change_args *change, const struct option_texts *operands, struct err *err) {
    const char *path = cli_view_path(&cli->arena, "/api/v1/releases", operands->items[0], operands->items[1], "withdraw", (char *)NULL);
    struct cli_reply reply;
    return cli_verb_post(cli, path, NULL, change->reason, &reply, err) && show_withdrawn(cli, &reply, operands->items[0], operands->items[1], err);
}

/* For this one release; whatever else the server says is withdrawn is its own word. */
static bool sign_withdrawn(struct cli *cli, const struct change_args *change, const struct option_texts *operands, struct err *err) {
    CLEANUP(cli_job_close) struct cli_job job = {0};
    const struct release *release = NULL;
    if (!begin(cli, change, false, &job, err) || !find_published(&job, operands, &release, err))
        return false;
    if (release->withdrawn) {
        cli_note(cli, "the signed metadata says so already");
        return true;
    }
    return cli_job_choose(&job, NULL, release->path, err) &&
           repository_targets(job.base, repository_expiry(METADATA_TARGETS, job.now), &job.draft, err) &&
           repository_withdraw(job.draft, release->path, err) && finish(cli, change, &job, true, err);
}

bool cli_lifecycle_withdraw(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct change_args *change = args;
    const char *question = arena_printf(&cli->arena, "Withdraw %s %s for ever?", operands->items[0], operands->items[1]);
    bool sign = change->signing.keys != NULL || change->signing.key_files.count > 0 || change->out != NULL;
    if (!cli_prompt_confirm(cli, question, err) || !tell_server(cli, change, operands, err))
        return false;
    if (!sign) {
        cli_note(cli, "the signed metadata does not say so: the same again with --keys signs that");
        return true;
    }
    return sign_withdrawn(cli, change, operands, err);
}
