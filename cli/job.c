#include "cli/job.h"

#include "cli/diff.h"
#include "cli/local.h"
#include "cli/prompt.h"
#include "cli/view.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/hex.h"
#include "common/text.h"

void cli_job_close(struct cli_job *job) {
    draft_free(job->draft);
    metadata_free(job->next);
    cli_tuf_close(&job->tuf);
}

static bool refresh(struct cli_job *job, const struct cli_bundle *bundle, bool expired_ok, struct err *err) {
    if (cli_tuf_refresh(job->cli, &job->tuf, bundle, job->now, err))
        return true;
    if (err->code != ERR_EXPIRED || !expired_ok)
        return false;
    cli_note(job->cli, "! %s", err->text);
    return cli_tuf_refresh(job->cli, &job->tuf, bundle, METADATA_NO_EXPIRY, err);
}

bool cli_job_open(struct cli *cli, const struct cli_signing_args *args, const struct cli_bundle *bundle, bool expired_ok, struct cli_job *ret_job,
                  struct err *err) {
    struct cli_job job = {.cli = cli, .now = clock_now()};
    const char *root = NULL;
    if (!cli_signing_root(&cli->arena, args, &root, err) || !cli_tuf_open(cli, root, &job.tuf, err))
        return false;
    bool verified = refresh(&job, bundle, expired_ok, err) &&
                    (job.tuf.unpublished || trusted_releases(job.tuf.trusted, &cli->arena, &job.releases, err));
    if (!verified) {
        cli_job_close(&job);
        return false;
    }
    *ret_job = job;
    return true;
}

/* The delegation to the role, wherever it stands. */
static const struct metadata_delegation *find_delegation(const struct trusted *trusted, const char *role) {
    const struct metadata_delegation *found = trusted->targets == NULL ? NULL : metadata_delegation_find(trusted->targets, role);
    for (size_t i = 0; i < trusted->delegated_count && found == NULL; i++)
        found = metadata_delegation_find(trusted->delegated[i].metadata, role);
    return found;
}

/* The role that lists the path, else the first that top-level targets lets speak for it; NULL: none. */
static const char *role_of_path(const struct trusted *trusted, const char *path) {
    const struct metadata *role = NULL;
    const struct metadata_target *target = NULL;
    struct err ignored;
    if (path != NULL && trusted_find(trusted, path, NULL, NULL, &role, &target, &ignored))
        return role->name;
    for (size_t i = 0; path != NULL && trusted->targets != NULL && i < trusted->targets->delegation_count; i++)
        if (metadata_delegation_covers(&trusted->targets->delegations[i], path))
            return trusted->targets->delegations[i].name;
    return NULL;
}

bool cli_job_choose(struct cli_job *job, const char *role, const char *path, struct err *err) {
    const struct trusted *trusted = job->tuf.trusted;
    const char *chosen = role != NULL ? role : role_of_path(trusted, path);
    if (chosen == NULL || text_equal(chosen, "targets")) {
        job->role = "targets";
        job->base = trusted->targets;
        job->signers = &trusted->root->signers[METADATA_TARGETS];
        return true;
    }
    const struct metadata_delegation *delegation = find_delegation(trusted, chosen);
    if (delegation == NULL)
        return err_set_field(err, ERR_USAGE, "role", "nothing is delegated to a role '%s'", chosen);
    job->role = delegation->name;
    job->base = trusted_targets(trusted, delegation->name);
    job->signers = &delegation->signers;
    return true;
}

/* A page of GET /api/v1/releases, as much of it as is asked here. */
struct listed_release {
    const char *path;
    int64_t withdrawn_at;
};

struct listed_page {
    struct json_list items;
    const char *next;
};

static const struct json_field listed_fields[] = {
    JSON_FIELD(struct listed_release, path, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct listed_release, withdrawn_at, JSON_TIME, JSON_NULLABLE),
};
static const struct json_shape listed_shape = JSON_SHAPE_OPEN(struct listed_release, listed_fields);
static const struct json_field page_fields[] = {
    JSON_FIELD(struct listed_page, items, JSON_STRUCTS, JSON_REQUIRED, .shape = &listed_shape),
    JSON_FIELD(struct listed_page, next, JSON_TEXT, JSON_NULLABLE),
};
static const struct json_shape page_shape = JSON_SHAPE_OPEN(struct listed_page, page_fields);

static bool note_page(struct cli_job *job, const char *product, const struct listed_page *page, struct err *err) {
    const struct listed_release *items = page->items.items;
    for (size_t i = 0; i < page->items.count; i++) {
        const struct metadata_target *target = items[i].withdrawn_at != 0 ? metadata_target_find(job->base, items[i].path) : NULL;
        struct release release;
        if (target == NULL)
            continue;
        if (!release_read(&job->cli->arena, target->path, target->entry, &release, err))
            return false;
        if (!release.withdrawn && (product == NULL || text_equal(release.product, product)))
            cli_note(job->cli, "! the server says that %s %s is withdrawn, signed metadata does not: `pawl release withdraw` with --keys signs that",
                     release.product, release.version);
    }
    return true;
}

/* What was withdrawn on the server since this role was signed last. The server could lie, and a withdrawal is for ever: it is told, and signed only
 * when somebody asks for that very one. */
static bool note_withdrawn(struct cli_job *job, const char *product, struct err *err) {
    const char *cursor = NULL;
    do {
        const struct cli_query query[] = {{"product", product}, {"limit", "1000"}, {"cursor", cursor}};
        CLEANUP(buf_free) struct buf path = BUF_INIT(4096);
        struct cli_reply reply;
        struct listed_page page;
        buf_text(&path, "/api/v1/releases");
        cli_view_query(&path, query, ARRAY_LEN(query));
        if (!buf_ok(&path, "path", err) || !cli_client_get(job->cli, path.data, &reply, err) ||
            !json_read(&job->cli->arena, reply.body, reply.len, &page_shape, &page, NULL, err) || !note_page(job, product, &page, err))
            return false;
        cursor = page.next;
    } while (cursor != NULL);
    return true;
}

bool cli_job_draft(struct cli_job *job, const char *product, struct err *err) {
    return repository_targets(job->base, repository_expiry(METADATA_TARGETS, job->now), &job->draft, err) &&
           (job->base == NULL || note_withdrawn(job, product, err));
}

/* Parses the draft, as a device would if it were signed. */
static bool parse_draft(struct cli_job *job, struct err *err) {
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(METADATA_TARGETS_MAX);
    const char *name = text_equal(job->role, "targets") ? NULL : job->role;
    metadata_free(job->next);
    job->next = NULL;
    return draft_bytes(job->draft, &bytes, err) && metadata_parse(METADATA_TARGETS, name, bytes.data, bytes.len, &job->next, err);
}

bool cli_job_review(struct cli_job *job, const char *confirm, const char *question, struct err *err) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(CLI_DIFF_TEXT_MAX);
    char hash[CLI_DIFF_HASH_SIZE];
    if (!parse_draft(job, err))
        return false;
    const struct cli_diff diff = {.base = job->base, .next = job->next, .releases = &job->releases, .first_of_repository = job->tuf.unpublished};
    if (!cli_diff_targets(&job->cli->arena, &diff, &text, &job->added, err) || !cli_diff_hash(job->next, hash, err))
        return false;
    if (job->added.count > 1)
        return err_set(err, ERR_INVALID, "the draft adds %zu releases; one at a time", job->added.count);
    buf_printf(&text, "  %-17s %s\n", "hash to confirm", hash);
    if (!buf_ok(&text, "difference", err))
        return false;
    if (!job->cli->quiet || !job->cli->yes)
        fputs(text.data, job->cli->notes);
    if (confirm == NULL)
        return cli_prompt_confirm(job->cli, question, err);
    return cli_diff_same_hash(hash, confirm) ||
           err_set_field(err, ERR_CONFLICT, "confirm", "the hash is %s, not %s: this is another draft", hash, confirm);
}

/* What was signed is what was read; that it is the image that the draft names is seen by verifying it with the draft's hash. */
static bool sign_file(struct cli_job *job, const struct key *key, int image, const char *path, struct err *err) {
    struct key_signature signature;
    uint8_t digest[32];
    if (!hex_decode(job->added.items[0].sha256, 64, digest))
        return err_set(err, ERR_INTERNAL, "the new release has a bad hash");
    if (!key_sign_file(key, image, &signature, err))
        return err_prefix(err, "%s", path);
    if (!key_verify_digest(key, digest, signature.bytes, signature.len, err))
        return err_set(err, ERR_HASH, "%s is not the image that the draft speaks of", path);
    job->image_signature = signature;
    return true;
}

static bool sign_image(struct cli_job *job, struct cli_signing *signing, const char *path, struct err *err) {
    const struct key *key = NULL;
    if (path == NULL || job->image_signature.len > 0)
        return true;
    if (job->added.count == 0)
        return err_set_field(err, ERR_USAGE, "image", "the draft adds no release; there is no image to sign");
    CLEANUP(file_close) int image = -1;
    if (!cli_local_open(path, &image, err))
        return false;
    if (!key_check_file(image, err)) {
        cli_note(job->cli, "%s: %s", path, err->text);
        return err->code == ERR_INVALID;
    }
    if (!cli_signing_image_key(signing, job->signers, &key, err))
        return false;
    if (key != NULL)
        return sign_file(job, key, image, path, err);
    cli_note(job->cli, "no P-256 key of %s here: the image gets no detached signature (.sig)", job->role);
    return true;
}

bool cli_job_sign(struct cli_job *job, struct cli_signing *signing, size_t least, const char *image, struct err *err) {
    return sign_image(job, signing, image, err) && cli_signing_sign(signing, job->role, job->signers, least, job->draft, err);
}

bool cli_job_save(struct cli_job *job, const char *path, struct err *err) {
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(METADATA_TARGETS_MAX);
    struct cli_bundle bundle = {
        .role = job->role,
        .image = job->added.count > 0 ? job->added.items[0].sha256 : NULL,
        .sig = {.len = job->image_signature.len, .data = job->image_signature.bytes},
    };
    if (!draft_bytes(job->draft, &bytes, err) || !cli_tuf_collect(job->cli, &job->tuf, &bundle.published, err))
        return false;
    bundle.draft = (struct json_bytes){.len = bytes.len, .data = (const uint8_t *)bytes.data};
    return cli_bundle_write(&bundle, path, true, err);
}

bool cli_job_load(struct cli_job *job, const struct cli_bundle *bundle, struct err *err) {
    if (bundle->sig.len > sizeof(job->image_signature.bytes))
        return err_set(err, ERR_FORMAT, "the bundle's image signature is too long");
    job->image_signature.len = bundle->sig.len;
    for (size_t i = 0; i < bundle->sig.len; i++)
        job->image_signature.bytes[i] = bundle->sig.data[i];
    draft_free(job->draft);
    job->draft = NULL;
    return draft_read(bundle->draft.data, bundle->draft.len, &job->draft, err) || err_prefix(err, "the bundle");
}
