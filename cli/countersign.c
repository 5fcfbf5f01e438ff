/* `pawl release sign` and `attach`: further signatures for a bundle, on the machines of the people who hold the keys. */
#include "cli/diff.h"
#include "cli/groups.h"
#include "cli/job.h"
#include "cli/local.h"
#include "common/file.h"
#include "common/hex.h"
#include "common/text.h"

struct sign_args {
    struct cli_signing_args signing;
    const char *confirm, *image;
};

static const struct cli_option sign_options[] = {
    {"confirm", 0, OPTION_TEXT, offsetof(struct sign_args, confirm), "HASH",
     "the hash of the draft, as told by somebody else; nothing is asked then"},
    {"image", 0, OPTION_TEXT, offsetof(struct sign_args, image), "FILE", "the image as it will be downloaded: sign it as well (.sig)"},
    CLI_SIGNING_OPTIONS(struct sign_args, signing),
};
const struct cli_options cli_countersign_options = CLI_OPTIONS(struct sign_args, sign_options);

struct attach_args {
    struct cli_signing_args signing;
    const char *signature, *public_key, *image_signature, *to_sign;
};

static const struct cli_option attach_options[] = {
    {"signature", 0, OPTION_TEXT, offsetof(struct attach_args, signature), "FILE", "a signature made elsewhere over what --to-sign wrote"},
    {"public-key", 0, OPTION_TEXT, offsetof(struct attach_args, public_key), "FILE", "PEM of the key that made it"},
    {"image-signature", 0, OPTION_TEXT, offsetof(struct attach_args, image_signature), "FILE", "the same over the image file, DER"},
    {"to-sign", 0, OPTION_TEXT, offsetof(struct attach_args, to_sign), "FILE", "write the bytes that a signer elsewhere signs to a new file"},
    CLI_ROOT_OPTIONS(struct attach_args, signing),
};
const struct cli_options cli_attach_options = CLI_OPTIONS(struct attach_args, attach_options);

static bool store(struct arena *arena, const struct draft *draft, struct cli_bundle *bundle, const char *path, struct err *err) {
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(METADATA_TARGETS_MAX);
    if (!draft_bytes(draft, &bytes, err))
        return false;
    uint8_t *copy = arena_memdup(arena, bytes.data, bytes.len);
    if (copy == NULL)
        return err_no_memory(err);
    bundle->draft = (struct json_bytes){.len = bytes.len, .data = copy};
    return cli_bundle_write(bundle, path, false, err);
}

bool cli_countersign_sign(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    CLEANUP(cli_job_close) struct cli_job job = {0};
    CLEANUP(cli_signing_close) struct cli_signing signing = {0};
    const struct sign_args *sign = args;
    struct cli_bundle bundle;
    if (!cli_signing_check(&sign->signing, err) || !cli_bundle_read(&cli->arena, operands->items[0], &bundle, err) ||
        !cli_job_open(cli, &sign->signing, cli->profile.server == NULL ? &bundle : NULL, cli->profile.server != NULL, &job, err) ||
        !cli_job_choose(&job, bundle.role, NULL, err) || !cli_job_load(&job, &bundle, err) ||
        !cli_job_review(&job, sign->confirm, "Sign this?", err) || !cli_signing_open(cli, &sign->signing, &signing, err) ||
        !cli_job_sign(&job, &signing, 1, sign->image, err))
        return false;
    bundle.sig = (struct json_bytes){.len = job.image_signature.len, .data = job.image_signature.bytes};
    if (!store(&cli->arena, job.draft, &bundle, operands->items[0], err))
        return false;
    if (job.added.count > 0 && sign->image == NULL && bundle.sig.len == 0)
        cli_note(cli, "without --image FILE the image gets no detached signature (.sig)");
    cli_note(cli, "%s: %zu of %zu signatures", operands->items[0], draft_signature_count(job.draft), job.signers->threshold);
    return true;
}

static bool read_signature(const char *path, struct buf *out, struct err *err) {
    return cli_local_read(path, out, err) && (out->len > 0 || err_set(err, ERR_IO, "%s is empty", path));
}

static bool attach_raw(struct draft *draft, const struct attach_args *attach, struct err *err) {
    CLEANUP(buf_free) struct buf signature = BUF_INIT(KEY_SIGNATURE_MAX);
    CLEANUP(key_cleanup) struct key *key = NULL;
    if (attach->public_key == NULL)
        return err_set_field(err, ERR_USAGE, "public-key", "--public-key FILE is needed: whose signature is it?");
    return cli_local_public_key(attach->public_key, &key, err) && read_signature(attach->signature, &signature, err) &&
           (draft_attach(draft, key, signature.data, signature.len, err) || err_prefix(err, "%s", attach->signature));
}

/* Only the server's gate and the publisher know the role's keys; they verify it. */
static bool attach_image(struct arena *arena, const char *path, struct cli_bundle *bundle, struct err *err) {
    CLEANUP(buf_free) struct buf signature = BUF_INIT(KEY_SIGNATURE_MAX);
    if (bundle->image == NULL)
        return err_set(err, ERR_USAGE, "the bundle adds no release; there is no image to sign");
    if (!read_signature(path, &signature, err))
        return false;
    uint8_t *copy = arena_memdup(arena, signature.data, signature.len);
    if (copy == NULL)
        return err_no_memory(err);
    bundle->sig = (struct json_bytes){.len = signature.len, .data = copy};
    return true;
}

/* With a root to verify them from, signatures that are not genuine are left out. */
static bool open_role(struct cli *cli, const struct attach_args *attach, const struct cli_bundle *bundle, struct cli_job *job, struct err *err) {
    if (attach->signing.root == NULL && attach->signing.keys == NULL)
        return true;
    return cli_job_open(cli, &attach->signing, cli->profile.server == NULL ? bundle : NULL, true, job, err) &&
           cli_job_choose(job, bundle->role, NULL, err);
}

static bool sift(struct cli *cli, const struct signers *signers, struct draft *draft, const char *path, struct err *err) {
    size_t dropped = 0;
    if (signers != NULL && !draft_drop_invalid(draft, signers, &dropped, err))
        return false;
    if (dropped > 0)
        cli_note(cli, "! %s: left out %zu signature%s that %s not genuine", path, dropped, dropped == 1 ? "" : "s", dropped == 1 ? "is" : "are");
    return true;
}

static bool merge(struct cli *cli, const struct signers *signers, struct draft *draft, const char *path, struct cli_bundle *bundle, struct err *err) {
    CLEANUP(draft_cleanup) struct draft *other = NULL;
    struct cli_bundle copy;
    if (!cli_bundle_read(&cli->arena, path, &copy, err))
        return false;
    if (!draft_read(copy.draft.data, copy.draft.len, &other, err) || !sift(cli, signers, other, path, err) || !draft_merge(draft, other, err))
        return err_prefix(err, "%s", path);
    if (bundle->sig.len == 0)
        bundle->sig = copy.sig;
    return true;
}

static bool write_to_sign(const struct draft *draft, const char *path, struct err *err) {
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(METADATA_TARGETS_MAX);
    return draft_signed_bytes(draft, &bytes, err) && cli_local_write_new(path, bytes.data, bytes.len, 0644, err);
}

bool cli_countersign_attach(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    CLEANUP(draft_cleanup) struct draft *draft = NULL;
    CLEANUP(cli_job_close) struct cli_job job = {0};
    const struct attach_args *attach = args;
    struct arena *arena = &cli->arena;
    struct cli_bundle bundle;
    bool changes = operands->count > 1 || attach->signature != NULL || attach->image_signature != NULL;
    if (!changes && attach->to_sign == NULL)
        return err_set(err, ERR_USAGE, "attach what? give other copies of the bundle, --signature or --image-signature");
    if (!cli_bundle_read(arena, operands->items[0], &bundle, err))
        return false;
    if (!draft_read(bundle.draft.data, bundle.draft.len, &draft, err))
        return err_prefix(err, "%s", operands->items[0]);
    if (!open_role(cli, attach, &bundle, &job, err) || !sift(cli, job.signers, draft, operands->items[0], err))
        return false;
    for (size_t i = 1; i < operands->count; i++)
        if (!merge(cli, job.signers, draft, operands->items[i], &bundle, err))
            return false;
    if ((attach->signature != NULL && !attach_raw(draft, attach, err)) ||
        (attach->image_signature != NULL && !attach_image(arena, attach->image_signature, &bundle, err)) ||
        (attach->to_sign != NULL && !write_to_sign(draft, attach->to_sign, err)))
        return false;
    if (changes && !store(arena, draft, &bundle, operands->items[0], err))
        return false;
    cli_note(cli, "%s: %zu signature%s", operands->items[0], draft_signature_count(draft), draft_signature_count(draft) == 1 ? "" : "s");
    return true;
}
