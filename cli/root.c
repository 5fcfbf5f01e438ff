/* `pawl root`: the first root from public keys, the next ones from the newest verified one, signed by people who never share a machine. */
#include "cli/diff.h"
#include "cli/groups.h"
#include "cli/job.h"
#include "cli/local.h"
#include "cli/prompt.h"
#include "cli/rootplan.h"
#include "cli/view.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/text.h"

enum { DAY_S = 86400, DAYS_MAX = 3650 };

struct root_args {
    struct cli_signing_args signing;
    const char *out, *confirm;
    struct option_texts add, remove, thresholds, previous;
    int64_t expires;
};

#define MAKING_OPTIONS                                                                                                                               \
    {"out", 'o', OPTION_TEXT, offsetof(struct root_args, out), "FILE", "the root: a new file for `pawl root sign`"},                                 \
        {"add-key", 0, OPTION_TEXTS, offsetof(struct root_args, add), "ROLE=FILE", "a public key (PEM) that may sign the role"},                     \
        {"threshold", 0, OPTION_TEXTS, offsetof(struct root_args, thresholds), "ROLE=N", "how many keys must sign the role"}, {                      \
        "expires", 0, OPTION_INT, offsetof(struct root_args, expires), "DAYS", "from now [365]"                                                      \
    }

static const struct cli_option init_options[] = {MAKING_OPTIONS};
const struct cli_options cli_root_init_options = CLI_OPTIONS(struct root_args, init_options);

static const struct cli_option rotate_options[] = {
    MAKING_OPTIONS,
    {"remove-key", 0, OPTION_TEXTS, offsetof(struct root_args, remove), "ROLE=KEYID", "a key that may sign the role no more"},
    CLI_ROOT_OPTIONS(struct root_args, signing),
};
const struct cli_options cli_root_rotate_options = CLI_OPTIONS(struct root_args, rotate_options);

static const struct cli_option show_options[] = {CLI_ROOT_OPTIONS(struct root_args, signing)};
const struct cli_options cli_root_show_options = CLI_OPTIONS(struct root_args, show_options);

static const struct cli_option sign_options[] = {
    {"previous", 0, OPTION_TEXTS, offsetof(struct root_args, previous), "FILE",
     "instead of asking the server: the roots since the first, up to the one before it (repeat, in order)"},
    {"confirm", 0, OPTION_TEXT, offsetof(struct root_args, confirm), "HASH",
     "the hash of the draft, as told by somebody else; nothing is asked then"},
    CLI_SIGNING_OPTIONS(struct root_args, signing),
};
const struct cli_options cli_root_sign_options = CLI_OPTIONS(struct root_args, sign_options);

static const struct cli_option publish_options[] = {CLI_SIGNING_OPTIONS(struct root_args, signing)};
const struct cli_options cli_root_publish_options = CLI_OPTIONS(struct root_args, publish_options);

static bool read_root(const char *path, struct metadata **ret_root, struct draft **ret_draft, struct err *err) {
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(METADATA_ROOT_MAX);
    return cli_local_read(path, &bytes, err) &&
           (metadata_parse(METADATA_ROOT, NULL, bytes.data, bytes.len, ret_root, err) || err_prefix(err, "%s", path)) &&
           (ret_draft == NULL || draft_read(bytes.data, bytes.len, ret_draft, err));
}

/* Writes a draft and shows what it says against the root before it. */
static bool show_draft(struct cli *cli, const struct metadata *base, const struct metadata *next, char ret_hash[CLI_DIFF_HASH_SIZE],
                       struct err *err) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(CLI_DIFF_TEXT_MAX);
    if (!cli_diff_root(base, next, &text, err) || !cli_diff_hash(next, ret_hash, err))
        return false;
    buf_printf(&text, "  %-17s %s\n", "hash to confirm", ret_hash);
    if (!buf_ok(&text, "difference", err))
        return false;
    fputs(text.data, cli->notes);
    return true;
}

static bool make(struct cli *cli, const struct root_args *root, const struct metadata *base, struct cli_rootplan *plan, struct err *err) {
    CLEANUP(draft_cleanup) struct draft *draft = NULL;
    CLEANUP(metadata_cleanup) struct metadata *next = NULL;
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(METADATA_ROOT_MAX);
    char hash[CLI_DIFF_HASH_SIZE];
    int64_t expires_at = root->expires != 0 ? clock_now() + root->expires * DAY_S : repository_expiry(METADATA_ROOT, clock_now());
    if (root->out == NULL)
        return err_set_field(err, ERR_USAGE, "out", "--out FILE is needed: where does the root go?");
    if (root->expires < 0 || root->expires > DAYS_MAX)
        return err_set_field(err, ERR_USAGE, "expires", "--expires %lld is not a number of days from 1 to %d", (long long)root->expires, DAYS_MAX);
    for (size_t i = 0; i < root->add.count; i++)
        if (!cli_rootplan_add(plan, root->add.items[i], err))
            return false;
    for (size_t i = 0; i < root->remove.count; i++)
        if (!cli_rootplan_remove(plan, root->remove.items[i], err))
            return false;
    for (size_t i = 0; i < root->thresholds.count; i++)
        if (!cli_rootplan_threshold(plan, root->thresholds.items[i], err))
            return false;
    if (!cli_rootplan_draft(plan, base == NULL ? 1 : base->version + 1, expires_at, &draft, err) || !draft_bytes(draft, &bytes, err) ||
        !metadata_parse(METADATA_ROOT, NULL, bytes.data, bytes.len, &next, err) || !show_draft(cli, base, next, hash, err))
        return false;
    return cli_local_write_new(root->out, bytes.data, bytes.len, 0644, err);
}

bool cli_root_init(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct root_args *root = args;
    CLEANUP(cli_rootplan_free) struct cli_rootplan plan = {0};
    for (size_t r = 0; r < CLI_ROOTPLAN_ROLES; r++)
        plan.roles[r].threshold = 1;
    return make(cli, root, NULL, &plan, err);
}

bool cli_root_rotate(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct root_args *root = args;
    CLEANUP(cli_job_close) struct cli_job job = {0};
    CLEANUP(cli_rootplan_free) struct cli_rootplan plan = {0};
    return cli_job_open(cli, &root->signing, NULL, true, &job, err) && cli_rootplan_from(job.tuf.trusted->root, &plan, err) &&
           make(cli, root, job.tuf.trusted->root, &plan, err);
}

bool cli_root_show(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct root_args *root = args;
    CLEANUP(cli_job_close) struct cli_job job = {0};
    CLEANUP(metadata_cleanup) struct metadata *given = NULL;
    CLEANUP(buf_free) struct buf out = BUF_INIT(CLI_DIFF_TEXT_MAX);
    const struct metadata *shown = NULL;
    char expires[CLOCK_RFC3339_SIZE];
    char hash[CLI_DIFF_HASH_SIZE];
    if (operands->count > 0 ? !read_root(operands->items[0], &given, NULL, err) : !cli_job_open(cli, &root->signing, NULL, true, &job, err))
        return false;
    shown = given != NULL ? given : job.tuf.trusted->root;
    if (!cli_diff_hash(shown, hash, err))
        return false;
    if (cli->json)
        return cli_view_json(cli, shown->bytes, shown->len, err);
    clock_rfc3339(shown->expires_at, expires);
    buf_printf(&out, "version\t%lld\nexpires\t%s\nhash\t%s\nsignatures\t%zu\n", (long long)shown->version, expires, hash,
               shown->envelope.signature_count);
    for (size_t r = 0; r < CLI_ROOTPLAN_ROLES; r++) {
        const struct signers *signers = cli_rootplan_signers(shown, r);
        buf_printf(&out, "%s\t%zu of %zu\t", cli_rootplan_names[r], signers->threshold, signers->count);
        for (size_t i = 0; i < signers->count; i++)
            buf_printf(&out, "%s%s", i == 0 ? "" : " ", signers->items[i]->id);
        buf_byte(&out, '\n');
    }
    return cli_view_write(cli, &out, err);
}

/* One more root that leads from what is pinned here to the one before the new one. */
static bool follow(struct trusted *trusted, const char *path, struct err *err) {
    CLEANUP(metadata_cleanup) struct metadata *root = NULL;
    if (!read_root(path, &root, NULL, err))
        return false;
    if (root->version > trusted->root->version)
        return trusted_update_root(trusted, root->bytes, root->len, err) || err_prefix(err, "%s", path);
    return root->version < trusted->root->version || text_equal(root->sha256, trusted->root->sha256) ||
           err_set(err, ERR_MIX, "%s is not the root %lld that is pinned here", path, (long long)root->version);
}

/* The root that the new one follows: the newest that our own pinned root comes to, by the server or by the files given. NULL for the first. */
static bool find_base(struct cli *cli, const struct root_args *root, const struct metadata *next, struct cli_job *job, struct trusted **walked,
                      const struct metadata **ret_base, struct err *err) {
    const char *pinned = NULL;
    if (next->version == 1) {
        *ret_base = NULL;
        return true;
    }
    if (root->previous.count == 0) {
        if (!cli_job_open(cli, &root->signing, NULL, true, job, err))
            return false;
        *ret_base = job->tuf.trusted->root;
        return true;
    }
    if (!cli_signing_root(&cli->arena, &root->signing, &pinned, err) || !cli_tuf_open(cli, pinned, &job->tuf, err) ||
        !trusted_open(job->tuf.trusted->root->bytes, job->tuf.trusted->root->len, walked, err))
        return false;
    for (size_t i = 0; i < root->previous.count; i++)
        if (!follow(*walked, root->previous.items[i], err))
            return false;
    *ret_base = (*walked)->root;
    return true;
}

/* With a key of the old root, of the new one, or of both. */
static bool sign_root(struct cli_signing *signing, const struct metadata *base, const struct metadata *next, struct draft *draft, struct err *err) {
    const struct metadata *const roots[] = {base, next};
    size_t signed_count = 0;
    for (size_t r = 0; r < ARRAY_LEN(roots); r++) {
        const struct key *keys[CLI_SIGNING_KEYS_MAX];
        size_t count = 0;
        if (roots[r] != NULL && !cli_signing_find(signing, &roots[r]->signers[METADATA_ROOT], CLI_SIGNING_KEYS_MAX, keys, &count, err))
            return false;
        for (size_t i = 0; i < count; i++)
            if (!draft_sign(draft, keys[i], err))
                return false;
        signed_count += count;
    }
    return signed_count > 0 || err_set(err, ERR_KEY, "none of the keys given here is one of root, old or new");
}

bool cli_root_sign(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct root_args *root = args;
    const char *path = operands->items[0];
    CLEANUP(metadata_cleanup) struct metadata *next = NULL;
    CLEANUP(draft_cleanup) struct draft *draft = NULL;
    CLEANUP(trusted_cleanup) struct trusted *walked = NULL;
    CLEANUP(cli_job_close) struct cli_job job = {0};
    CLEANUP(cli_signing_close) struct cli_signing signing = {0};
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(METADATA_ROOT_MAX);
    const struct metadata *base = NULL;
    char hash[CLI_DIFF_HASH_SIZE];
    if (!cli_signing_check(&root->signing, err) || !read_root(path, &next, &draft, err) || !find_base(cli, root, next, &job, &walked, &base, err) ||
        !show_draft(cli, base, next, hash, err))
        return false;
    if (root->confirm != NULL && !cli_diff_same_hash(hash, root->confirm))
        return err_set_field(err, ERR_CONFLICT, "confirm", "the hash is %s, not %s: this is another root", hash, root->confirm);
    if ((root->confirm == NULL && !cli_prompt_confirm(cli, "Sign this root?", err)) || !cli_signing_open(cli, &root->signing, &signing, err) ||
        !sign_root(&signing, base, next, draft, err) || !draft_bytes(draft, &bytes, err) ||
        !file_write_atomic(path, bytes.data, bytes.len, 0644, err))
        return false;
    cli_note(cli, "%s: %zu signature%s", path, draft_signature_count(draft), draft_signature_count(draft) == 1 ? "" : "s");
    return true;
}

/* Under the new root some of what is published may be signed by keys that it does not name any more: that is signed anew, in the same request. */
struct republish {
    struct buf targets, snapshot;
    bool with_targets, with_snapshot;
};

static void free_republish(struct republish *again) {
    buf_free(&again->targets);
    buf_free(&again->snapshot);
}

static bool holds(const struct metadata *file, const struct metadata *root, enum metadata_role role) {
    struct err unused;
    return metadata_verify(file, &root->signers[role], file->name, &unused) == VERDICT_VERIFIED;
}

static bool sign_again(struct cli *cli, const struct root_args *args, struct cli_job *job, const struct metadata *root, struct republish *again,
                       struct err *err) {
    CLEANUP(cli_signing_close) struct cli_signing signing = {0};
    const struct trusted *trusted = job->tuf.trusted;
    if (trusted->targets == NULL)
        return true;
    again->with_targets = !holds(trusted->targets, root, METADATA_TARGETS);
    again->with_snapshot = again->with_targets || !holds(trusted->snapshot, root, METADATA_SNAPSHOT);
    if (!again->with_snapshot)
        return true;
    cli_note(cli, "%s signed by keys that this root does not name: signed anew", again->with_targets ? "targets and snapshot are" : "snapshot is");
    if (!cli_signing_open(cli, &args->signing, &signing, err) || !cli_job_choose(job, "targets", NULL, err))
        return false;
    if (again->with_targets) {
        const struct signers *signers = &root->signers[METADATA_TARGETS];
        if (!cli_job_draft(job, NULL, err) || !cli_signing_sign(&signing, "targets", signers, signers->threshold, job->draft, err) ||
            !draft_bytes(job->draft, &again->targets, err))
            return false;
    }
    return cli_job_snapshot(job, &root->signers[METADATA_SNAPSHOT], &signing, again->with_targets ? &again->targets : NULL, &again->snapshot, err);
}

bool cli_root_publish(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct root_args *root = args;
    CLEANUP(cli_job_close) struct cli_job job = {0};
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(METADATA_ROOT_MAX);
    CLEANUP(trusted_cleanup) struct trusted *next = NULL;
    CLEANUP(free_republish) struct republish again = {.targets = BUF_INIT(METADATA_TARGETS_MAX), .snapshot = BUF_INIT(METADATA_SNAPSHOT_MAX)};
    struct cli_reply reply;
    if (!cli_local_read(operands->items[0], &bytes, err) || !cli_job_open(cli, &root->signing, NULL, true, &job, err))
        return false;
    const struct metadata *now = job.tuf.trusted->root;
    if (!trusted_open(now->bytes, now->len, &next, err) || !trusted_update_root(next, bytes.data, bytes.len, err) ||
        !trusted_check_root(next, job.now, err))
        return err_prefix(err, "%s", operands->items[0]);
    if (!sign_again(cli, root, &job, next->root, &again, err))
        return false;
    const struct cli_job_upload upload = {
        .role = "targets",
        .root = &bytes,
        .targets = again.with_targets ? &again.targets : NULL,
        .snapshot = again.with_snapshot ? &again.snapshot : NULL,
    };
    if (!cli_job_send(cli, &upload, &reply, err))
        return false;
    if (!cli_tuf_refresh(cli, &job.tuf, NULL, clock_now(), err))
        return err_prefix(err, "published, but");
    if (job.tuf.trusted->root->version != next->root->version)
        return err_set(err, ERR_MIX, "the server took root %lld, but does not serve it", (long long)next->root->version);
    if (cli->json)
        return cli_view_json(cli, reply.body, reply.len, err);
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    buf_printf(&out, "published root %lld\n", (long long)next->root->version);
    return cli_view_write(cli, &out, err);
}
