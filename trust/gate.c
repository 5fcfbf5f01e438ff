#include "trust/gate.h"

#include <string.h>

#include "common/hex.h"
#include "common/text.h"
#include "trust/repository.h"

enum { FILES_MAX = METADATA_ROLE_COUNT + TRUSTED_DELEGATED_MAX };

/* The files that a set is built of: uploaded ones first, then those served now. */
struct sources {
    const struct gate_file *files;
    size_t count;
    bool used[FILES_MAX];
    const struct trusted *now; /* NULL: uploads only */
};

static const struct gate_file *find_upload(struct sources *sources, const char *name) {
    for (size_t i = 0; i < sources->count; i++) {
        if (text_equal(sources->files[i].name, name)) {
            sources->used[i] = true;
            return &sources->files[i];
        }
    }
    return NULL;
}

static const struct metadata *find_served(const struct trusted *now, const char *name) {
    if (now == NULL)
        return NULL;
    return text_equal(name, "snapshot") ? now->snapshot : trusted_targets(now, text_equal(name, "targets") ? NULL : name);
}

/* The bytes of that role; ERR_INVALID when there are none. */
static bool find_source(struct sources *sources, const char *name, struct gate_file *ret_file, struct err *err) {
    const struct gate_file *upload = find_upload(sources, name);
    if (upload != NULL) {
        *ret_file = *upload;
        return true;
    }
    const struct metadata *served = find_served(sources->now, name);
    if (served == NULL)
        return err_set_field(err, ERR_INVALID, name, "metadata file '%s' is needed and was not given", name);
    *ret_file = (struct gate_file){.name = name, .data = served->bytes, .len = served->len};
    return true;
}

/* A team that was given paths and has published nothing yet: nobody has a file of it. */
static bool is_unpublished(const struct trusted *trusted, struct sources *sources, const char *role) {
    return trusted_expected_targets(trusted, role) == NULL && find_upload(sources, role) == NULL && find_served(sources->now, role) == NULL;
}

static bool load_delegations(struct trusted *trusted, struct sources *sources, const struct metadata *delegator, int64_t time, struct err *err) {
    for (size_t i = 0; i < delegator->delegation_count; i++) {
        const char *role = delegator->delegations[i].name;
        struct gate_file file;
        if (is_unpublished(trusted, sources, role))
            continue;
        if (!find_source(sources, role, &file, err) || !trusted_update_targets(trusted, delegator, role, file.data, file.len, time, err))
            return false;
    }
    return true;
}

/* Snapshot, targets and every delegated role, below the timestamp that the set trusts. */
static bool load_below_timestamp(struct trusted *trusted, struct sources *sources, int64_t time, struct err *err) {
    struct gate_file file;
    if (!find_source(sources, "snapshot", &file, err) || !trusted_update_snapshot(trusted, file.data, file.len, time, err) ||
        !find_source(sources, "targets", &file, err) || !trusted_update_targets(trusted, NULL, NULL, file.data, file.len, time, err) ||
        !load_delegations(trusted, sources, trusted->targets, time, err))
        return false;
    for (size_t i = 0; i < trusted->delegated_count; i++)
        if (!load_delegations(trusted, sources, trusted->delegated[i].metadata, time, err))
            return false;
    return true;
}

/* A file that no role of the result asked for was meant for something else. */
static bool check_all_used(const struct sources *sources, struct err *err) {
    for (size_t i = 0; i < sources->count; i++)
        if (!sources->used[i])
            return err_set_field(err, ERR_INVALID, "metadata", "metadata file '%.64s' belongs to no role of this repository", sources->files[i].name);
    return true;
}

static bool check_files(const struct gate_file *files, size_t count, struct err *err) {
    if (count < 1 || count > FILES_MAX)
        return err_set_field(err, ERR_INVALID, "metadata", "1 to %d metadata files are expected", FILES_MAX);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++)
            if (text_equal(files[i].name, files[j].name))
                return err_set_field(err, ERR_INVALID, "metadata", "metadata file '%.64s' is given twice", files[i].name);
    }
    return true;
}

/* A device that trusts what is served now, after the next root if there is one. */
static bool open_device(const struct gate_request *request, struct sources *sources, bool up_to_date, struct trusted **ret_trusted, struct err *err) {
    const struct trusted *now = request->now;
    CLEANUP(trusted_cleanup) struct trusted *trusted = NULL;
    if (!trusted_open(now->root->bytes, now->root->len, &trusted, err))
        return false;
    if (up_to_date && now->timestamp != NULL &&
        (!trusted_recall(trusted, METADATA_TIMESTAMP, now->timestamp->bytes, now->timestamp->len, err) ||
         !trusted_recall(trusted, METADATA_SNAPSHOT, now->snapshot->bytes, now->snapshot->len, err)))
        return false;
    const struct gate_file *root = find_upload(sources, "root");
    if (root != NULL && !trusted_update_root(trusted, root->data, root->len, err))
        return false;
    if (!trusted_check_root(trusted, request->time, err))
        return false;
    *ret_trusted = trusted;
    trusted = NULL;
    return true;
}

/* Versions strictly higher than those the device trusts still (after a recovery it trusts none). */
static bool check_higher(const struct trusted *device, const struct gate_file *file, const struct metadata *metadata, struct err *err) {
    bool snapshot = metadata->role == METADATA_SNAPSHOT;
    const struct metadata_file *listed = trusted_expected_targets(device, snapshot ? NULL : file->name);
    int64_t last = snapshot ? (device->snapshot != NULL ? device->snapshot->version : 0) : (listed != NULL ? listed->version : 0);
    return metadata->version > last || err_set_field(err, ERR_ROLLBACK, "metadata", "%.64s: version %lld is not higher than the published %lld",
                                                     file->name, (long long)metadata->version, (long long)last);
}

static bool check_versions(const struct trusted *device, struct sources *sources, struct err *err) {
    for (size_t i = 0; i < sources->count; i++) {
        const struct gate_file *file = &sources->files[i];
        if (text_equal(file->name, "root"))
            continue;
        bool snapshot = text_equal(file->name, "snapshot");
        const char *role = snapshot || text_equal(file->name, "targets") ? NULL : file->name;
        CLEANUP(metadata_cleanup) struct metadata *metadata = NULL;
        if (!metadata_parse(snapshot ? METADATA_SNAPSHOT : METADATA_TARGETS, role, file->data, file->len, &metadata, err) ||
            !check_higher(device, file, metadata, err))
            return false;
    }
    return true;
}

static int64_t next_timestamp_version(const struct trusted *now, int64_t floor, int64_t time) {
    int64_t last = now->timestamp != NULL && now->timestamp->version > floor ? now->timestamp->version : floor;
    return last + 1 > time ? last + 1 : time;
}

/* Appends a timestamp for the snapshot, signed with the key that root must name. */
static bool make_timestamp(const struct metadata *root, const struct metadata *snapshot, const struct key *key, int64_t version, int64_t time,
                           struct buf *out, struct err *err) {
    if (!signers_have(&root->signers[METADATA_TIMESTAMP], key))
        return err_set(err, ERR_KEY, "root %lld does not name the server's timestamp key %.16s…", (long long)root->version, key_id(key));
    CLEANUP(draft_cleanup) struct draft *draft = NULL;
    return repository_timestamp(version, snapshot, repository_expiry(METADATA_TIMESTAMP, time), &draft, err) && draft_sign(draft, key, err) &&
           draft_bytes(draft, out, err);
}

bool gate_renew_timestamp(struct trusted *trusted, const struct key *timestamp_key, int64_t version_floor, int64_t time, struct err *err) {
    CLEANUP(buf_free) struct buf file = BUF_INIT(METADATA_TIMESTAMP_MAX);
    if (trusted->snapshot == NULL)
        return err_set(err, ERR_INVALID, "there is no snapshot to make a timestamp for");
    int64_t version = next_timestamp_version(trusted, version_floor, time);
    return make_timestamp(trusted->root, trusted->snapshot, timestamp_key, version, time, &file, err) &&
           trusted_update_timestamp(trusted, file.data, file.len, time, NULL, err);
}

/* The timestamp that will announce the new state. Nothing else than the snapshot's version, length and hash goes into it, so an
 * unverified one does no harm here: every device below verifies it. */
static bool announce(const struct gate_request *request, const struct trusted *device, struct sources *sources, struct buf *out, struct err *err) {
    struct gate_file file;
    CLEANUP(metadata_cleanup) struct metadata *snapshot = NULL;
    int64_t version = next_timestamp_version(request->now, request->timestamp_version_floor, request->time);
    return find_source(sources, "snapshot", &file, err) && metadata_parse(METADATA_SNAPSHOT, NULL, file.data, file.len, &snapshot, err) &&
           make_timestamp(device->root, snapshot, request->timestamp_key, version, request->time, out, err);
}

static bool accept(struct trusted *device, struct sources *sources, const struct buf *timestamp, int64_t time, struct err *err) {
    return trusted_update_timestamp(device, timestamp->data, timestamp->len, time, NULL, err) && load_below_timestamp(device, sources, time, err);
}

/* The new set as an up-to-date device holds it in the end; a new device must come to the same. */
static bool build(const struct gate_request *request, struct trusted **ret_trusted, struct err *err) {
    struct sources sources = {.files = request->files, .count = request->file_count, .now = request->now};
    CLEANUP(buf_free) struct buf timestamp = BUF_INIT(METADATA_TIMESTAMP_MAX);
    CLEANUP(trusted_cleanup) struct trusted *device = NULL;
    CLEANUP(trusted_cleanup) struct trusted *new_device = NULL;
    if (!open_device(request, &sources, true, &device, err) || !open_device(request, &sources, false, &new_device, err) ||
        !check_versions(device, &sources, err))
        return false;
    /* Before the first publish a root may come alone: there is nothing to announce yet. */
    bool only_root = request->now->snapshot == NULL && request->file_count == 1 && find_upload(&sources, "root") != NULL;
    if (!only_root && (!announce(request, device, &sources, &timestamp, err) || !accept(new_device, &sources, &timestamp, request->time, err) ||
                       !accept(device, &sources, &timestamp, request->time, err)))
        return false;
    if (!check_all_used(&sources, err))
        return false;
    *ret_trusted = device;
    device = NULL;
    return true;
}

bool gate_check(const struct gate_request *request, struct arena *arena, struct gate_result *ret_result, struct err *err) {
    struct gate_result result = {0};
    CLEANUP(trusted_cleanup) struct trusted *trusted = NULL;
    if (!check_files(request->files, request->file_count, err) || !build(request, &trusted, err) ||
        !gate_check_releases(request->now, trusted, arena, &result.all, &result.added, err))
        return false;
    result.trusted = trusted;
    trusted = NULL;
    *ret_result = result;
    return true;
}

bool gate_load(const struct gate_file *roots, size_t root_count, const struct gate_file *files, size_t file_count, struct trusted **ret_trusted,
               struct err *err) {
    CLEANUP(trusted_cleanup) struct trusted *trusted = NULL;
    if (root_count < 1)
        return err_set(err, ERR_NOT_FOUND, "no root metadata is stored");
    if (!trusted_open(roots[0].data, roots[0].len, &trusted, err))
        return false;
    for (size_t i = 1; i < root_count; i++)
        if (!trusted_update_root(trusted, roots[i].data, roots[i].len, err))
            return false;
    if (file_count > 0) {
        struct sources sources = {.files = files, .count = file_count};
        if (!check_files(files, file_count, err))
            return false;
        const struct gate_file *timestamp = find_upload(&sources, "timestamp");
        if (timestamp == NULL)
            return err_set(err, ERR_INVALID, "metadata is stored, but no timestamp");
        if (!trusted_update_timestamp(trusted, timestamp->data, timestamp->len, METADATA_NO_EXPIRY, NULL, err) ||
            !load_below_timestamp(trusted, &sources, METADATA_NO_EXPIRY, err) || !check_all_used(&sources, err))
            return false;
    }
    *ret_trusted = trusted;
    trusted = NULL;
    return true;
}
