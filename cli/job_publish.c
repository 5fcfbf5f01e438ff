/* The part of job.h that sends. */
#include "cli/job.h"
#include "cli/view.h"
#include "common/clock.h"
#include "common/text.h"

/* Body of POST /api/v1/releases and of POST /api/v1/metadata. */
struct image_signature {
    const char *sha256;
    struct json_bytes signature;
};

struct role_file {
    const char *role;
    struct json_bytes data;
};

struct body {
    struct json_bytes root, targets, snapshot;
    struct json_list delegated;
    struct json_list signatures;
};

static const struct json_field signature_fields[] = {
    JSON_FIELD(struct image_signature, sha256, JSON_TEXT, 0),
    JSON_FIELD(struct image_signature, signature, JSON_BASE64, 0),
};
static const struct json_shape signature_shape = JSON_SHAPE(struct image_signature, signature_fields);
static const struct json_field role_fields[] = {
    JSON_FIELD(struct role_file, role, JSON_TEXT, 0),
    JSON_FIELD(struct role_file, data, JSON_BASE64, 0),
};
static const struct json_shape role_shape = JSON_SHAPE(struct role_file, role_fields);

/* Only what is there is written: a member that is empty is a member all the same. */
static const struct json_field all_fields[] = {
    JSON_FIELD(struct body, root, JSON_BASE64, 0),
    JSON_FIELD(struct body, targets, JSON_BASE64, 0),
    JSON_FIELD(struct body, snapshot, JSON_BASE64, 0),
    JSON_FIELD(struct body, delegated, JSON_STRUCTS, 0, .shape = &role_shape),
    JSON_FIELD(struct body, signatures, JSON_STRUCTS, 0, .shape = &signature_shape),
};

static struct json_bytes bytes_of(const struct buf *buf) {
    struct json_bytes bytes = {0};
    if (buf != NULL) {
        bytes.len = buf->len;
        bytes.data = (const uint8_t *)buf->data;
    }
    return bytes;
}

bool cli_job_send(struct cli *cli, const struct cli_job_upload *upload, struct cli_reply *ret_reply, struct err *err) {
    bool top = upload->targets != NULL && text_equal(upload->role, "targets");
    bool delegated = upload->targets != NULL && !top;
    bool has_signature = upload->image_signature != NULL && upload->image_signature->len > 0;
    struct role_file file = {.role = upload->role, .data = bytes_of(upload->targets)};
    struct image_signature signature = {.sha256 = upload->image};
    if (has_signature)
        signature.signature = (struct json_bytes){.len = upload->image_signature->len, .data = upload->image_signature->bytes};
    const struct body body = {
        .root = bytes_of(upload->root),
        .targets = bytes_of(top ? upload->targets : NULL),
        .snapshot = bytes_of(upload->snapshot),
        .delegated = {.count = delegated ? 1 : 0, .items = &file},
        .signatures = {.count = has_signature ? 1 : 0, .items = &signature},
    };
    const bool present[ARRAY_LEN(all_fields)] = {upload->root != NULL, top, upload->snapshot != NULL, delegated, has_signature};
    struct json_field fields[ARRAY_LEN(all_fields)];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(all_fields); i++)
        if (present[i])
            fields[count++] = all_fields[i];
    const struct json_shape shape = {.fields = fields, .count = count, .size = sizeof(body)};
    CLEANUP(buf_free) struct buf text = BUF_INIT(2 * (METADATA_ROOT_MAX + METADATA_TARGETS_MAX + METADATA_SNAPSHOT_MAX));
    json_write(&text, &shape, &body);
    return cli_client_post(cli, upload->adds_release ? "/api/v1/releases" : "/api/v1/metadata", &text, ret_reply, err);
}

bool cli_job_snapshot(struct cli_job *job, const struct signers *signers, struct cli_signing *signing, const struct buf *targets,
                      struct buf *ret_snapshot, struct err *err) {
    CLEANUP(draft_cleanup) struct draft *snapshot = NULL;
    const struct repository_file file = {
        .role = job->role, .data = targets == NULL ? NULL : targets->data, .len = targets == NULL ? 0 : targets->len};
    return repository_snapshot(job->tuf.trusted->snapshot, &file, targets == NULL ? 0 : 1, repository_expiry(METADATA_SNAPSHOT, job->now), &snapshot,
                               err) &&
           cli_signing_sign(signing, "snapshot", signers, signers->threshold, snapshot, err) && draft_bytes(snapshot, ret_snapshot, err);
}

/* Sends the image unless the server has it. */
static bool send_image(struct cli_job *job, const char *image_path, struct err *err) {
    const char *path = cli_view_path(&job->cli->arena, "/api/v1/images", job->added.items[0].sha256, (char *)NULL);
    struct cli_reply reply;
    const struct cli_request ask = {.method = "GET", .path = path, .missing_ok = true};
    if (!cli_client_call(job->cli, &ask, &reply, err))
        return false;
    if (reply.status != 404) {
        if (image_path != NULL)
            cli_note(job->cli, "the server has this image already");
        return true;
    }
    if (image_path == NULL)
        return err_set(err, ERR_USAGE, "the server does not have the image %.16s… yet: give its file", job->added.items[0].sha256);
    const struct cli_request put = {.method = "PUT", .path = path, .upload_path = image_path};
    return cli_client_call(job->cli, &put, &reply, err);
}

/* The server said that it is published: now a device would see it, so must we. It also keeps our pinned state up to date. */
static bool see_published(struct cli_job *job, struct err *err) {
    const int64_t version = job->next->version;
    if (!cli_tuf_refresh(job->cli, &job->tuf, NULL, clock_now(), err))
        return err_prefix(err, "published, but");
    const struct metadata *served = trusted_targets(job->tuf.trusted, text_equal(job->role, "targets") ? NULL : job->role);
    if (served == NULL || served->version < version)
        return err_set(err, ERR_MIX, "the server took %s %lld, but does not serve it", job->role, (long long)version);
    for (size_t i = 0; i < job->added.count; i++) {
        struct release seen;
        if (!trusted_release(job->tuf.trusted, &job->cli->arena, job->added.items[i].path, &seen, NULL, err) ||
            !release_equal(&seen, &job->added.items[i]))
            return err_set(err, ERR_MIX, "the server took the release, but does not serve it as it was signed: %s", job->added.items[i].path);
    }
    return true;
}

bool cli_job_publish(struct cli_job *job, struct cli_signing *signing, const char *image_path, struct cli_reply *ret_reply, struct err *err) {
    CLEANUP(buf_free) struct buf targets = BUF_INIT(METADATA_TARGETS_MAX);
    CLEANUP(buf_free) struct buf snapshot = BUF_INIT(METADATA_SNAPSHOT_MAX);
    CLEANUP(metadata_cleanup) struct metadata *signed_ = NULL;
    const char *name = text_equal(job->role, "targets") ? NULL : job->role;
    if (!draft_bytes(job->draft, &targets, err) || !metadata_parse(METADATA_TARGETS, name, targets.data, targets.len, &signed_, err) ||
        metadata_verify(signed_, job->signers, job->role, err) != VERDICT_VERIFIED ||
        !cli_job_snapshot(job, &job->tuf.trusted->root->signers[METADATA_SNAPSHOT], signing, &targets, &snapshot, err))
        return false;
    const struct cli_job_upload upload = {
        .role = job->role,
        .targets = &targets,
        .snapshot = &snapshot,
        .image = job->added.count > 0 ? job->added.items[0].sha256 : NULL,
        .image_signature = &job->image_signature,
        .adds_release = job->added.count > 0,
    };
    return (job->added.count == 0 || send_image(job, image_path, err)) && cli_job_send(job->cli, &upload, ret_reply, err) && see_published(job, err);
}
