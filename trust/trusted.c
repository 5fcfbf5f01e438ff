#include "trust/trusted.h"

#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/text.h"

static const struct signers *root_signers(const struct trusted *trusted, enum metadata_role role) {
    return &trusted->root->signers[role];
}

static bool verify_top(const struct metadata *metadata, const struct metadata *root, struct err *err) {
    return metadata_verify(metadata, &root->signers[metadata->role], metadata_role_name(metadata->role), err) == VERDICT_VERIFIED;
}

bool trusted_open(const void *root, size_t root_len, struct trusted **ret_trusted, struct err *err) {
    CLEANUP(metadata_cleanup) struct metadata *metadata = NULL;
    if (!metadata_parse(METADATA_ROOT, NULL, root, root_len, &metadata, err) || !verify_top(metadata, metadata, err))
        return false;
    struct trusted *trusted = calloc(1, sizeof *trusted);
    if (trusted == NULL)
        return err_no_memory(err);
    trusted->root = metadata;
    metadata = NULL;
    *ret_trusted = trusted;
    return true;
}

static void replace(struct metadata **place, struct metadata *metadata) {
    metadata_free(*place);
    *place = metadata;
}

/* Drops the roles that were verified by this delegator, and those below them. */
static void drop_delegated_by(struct trusted *trusted, const struct metadata *delegator) {
    for (size_t i = 0; i < trusted->delegated_count;) {
        struct trusted_role role = trusted->delegated[i];
        if (role.delegator != delegator) {
            i++;
            continue;
        }
        trusted->delegated[i] = trusted->delegated[--trusted->delegated_count];
        drop_delegated_by(trusted, role.metadata);
        metadata_free(role.metadata);
        i = 0;
    }
}

static void drop_targets(struct trusted *trusted) {
    if (trusted->targets != NULL) {
        drop_delegated_by(trusted, trusted->targets);
        replace(&trusted->targets, NULL);
    }
}

void trusted_free(struct trusted *trusted) {
    if (trusted == NULL)
        return;
    drop_targets(trusted);
    replace(&trusted->snapshot, NULL);
    replace(&trusted->timestamp, NULL);
    replace(&trusted->root, NULL);
    free(trusted);
}

void trusted_cleanup(struct trusted **trusted) {
    trusted_free(*trusted);
    *trusted = NULL;
}

/* Is a key of the old list missing in the new one? */
static bool rotated(const struct metadata *old, const struct metadata *new, enum metadata_role role) {
    for (size_t i = 0; i < old->signers[role].count; i++) {
        const struct key *key = old->signers[role].items[i]->key;
        if (key != NULL && !signers_have(&new->signers[role], key))
            return true;
    }
    return false;
}

static bool still_signed(const struct metadata *metadata, const struct metadata *root) {
    struct err ignored;
    return metadata != NULL && verify_top(metadata, root, &ignored);
}

static void take_root(struct trusted *trusted, struct metadata *root) {
    bool recover = rotated(trusted->root, root, METADATA_TIMESTAMP) || rotated(trusted->root, root, METADATA_SNAPSHOT);
    if (recover || !still_signed(trusted->timestamp, root))
        replace(&trusted->timestamp, NULL);
    if (recover || !still_signed(trusted->snapshot, root))
        replace(&trusted->snapshot, NULL);
    if (trusted->snapshot == NULL || !still_signed(trusted->targets, root))
        drop_targets(trusted);
    replace(&trusted->root, root);
}

bool trusted_update_root(struct trusted *trusted, const void *data, size_t len, struct err *err) {
    CLEANUP(metadata_cleanup) struct metadata *root = NULL;
    if (!metadata_parse(METADATA_ROOT, NULL, data, len, &root, err))
        return false;
    int64_t next = trusted->root->version + 1;
    if (root->version != next) {
        return err_set(err, root->version < next ? ERR_ROLLBACK : ERR_MIX, "root: version %lld where %lld is next", (long long)root->version,
                       (long long)next);
    }
    if (!verify_top(root, trusted->root, err))
        return err_prefix(err, "by the keys of root %lld", (long long)trusted->root->version);
    if (!verify_top(root, root, err))
        return err_prefix(err, "by the keys of root %lld itself", (long long)root->version);
    take_root(trusted, root);
    root = NULL;
    return true;
}

bool trusted_check_root(const struct trusted *trusted, int64_t now, struct err *err) {
    return metadata_check_expiry(trusted->root, now, err);
}

static bool check_not_lower(const char *what, const struct metadata_file *old, const struct metadata_file *new, struct err *err) {
    if (new == NULL)
        return err_set(err, ERR_ROLLBACK, "%s: %s was listed and is no more", what, old->name);
    if (new->version < old->version) {
        return err_set(err, ERR_ROLLBACK, "%s: lists %s version %lld after version %lld", what, old->name, (long long)new->version,
                       (long long)old->version);
    }
    return true;
}

/* No file that the old one lists is gone or of a lower version. */
static bool check_files_not_lower(const struct metadata *old, const struct metadata *new, struct err *err) {
    for (size_t i = 0; i < old->file_count; i++)
        if (!check_not_lower(new->name, &old->files[i], metadata_file_find(new, old->files[i].name), err))
            return false;
    return true;
}

bool trusted_update_timestamp(struct trusted *trusted, const void *data, size_t len, int64_t now, bool *ret_changed, struct err *err) {
    CLEANUP(metadata_cleanup) struct metadata *timestamp = NULL;
    if (!metadata_parse(METADATA_TIMESTAMP, NULL, data, len, &timestamp, err) || !verify_top(timestamp, trusted->root, err))
        return false;
    const struct metadata *old = trusted->timestamp;
    if (old != NULL && timestamp->version < old->version)
        return err_set(err, ERR_ROLLBACK, "timestamp: version %lld after version %lld", (long long)timestamp->version, (long long)old->version);
    bool changed = old == NULL || timestamp->version > old->version;
    if (!changed) {
        if (!metadata_check_expiry(old, now, err))
            return false;
    } else {
        if ((old != NULL && !check_files_not_lower(old, timestamp, err)) || !metadata_check_expiry(timestamp, now, err))
            return false;
        replace(&trusted->timestamp, timestamp);
        timestamp = NULL;
    }
    if (ret_changed != NULL)
        *ret_changed = changed;
    return true;
}

/* Before anything of the file is read: is it the one that was announced? */
static bool check_announced(const char *what, const struct metadata_file *file, const void *data, size_t len, struct err *err) {
    char sha256[SHA256_HEX_SIZE];
    if (file->length >= 0 && (uint64_t)file->length != len)
        return err_set(err, ERR_LENGTH, "%s: %zu bytes, announced were %lld", what, len, (long long)file->length);
    if (!hash_sha256_hex(data, len, sha256, err))
        return false;
    if (file->sha256 != NULL && !text_equal(sha256, file->sha256))
        return err_set(err, ERR_HASH, "%s: SHA-256 %.16s… where %.16s… was announced", what, sha256, file->sha256);
    return true;
}

static bool check_version(const struct metadata *metadata, const struct metadata_file *file, struct err *err) {
    return metadata->version == file->version || err_set(err, ERR_MIX, "%s: version %lld where version %lld was announced", metadata->name,
                                                         (long long)metadata->version, (long long)file->version);
}

const struct metadata_file *trusted_expected_snapshot(const struct trusted *trusted) {
    return trusted->timestamp != NULL ? metadata_file_find(trusted->timestamp, "snapshot.json") : NULL;
}

const struct metadata_file *trusted_expected_targets(const struct trusted *trusted, const char *role) {
    for (size_t i = 0; trusted->snapshot != NULL && i < trusted->snapshot->file_count; i++) {
        const struct metadata_file *file = &trusted->snapshot->files[i];
        const char *name = role != NULL ? role : "targets";
        size_t len = strlen(name);
        if (strncmp(file->name, name, len) == 0 && strcmp(file->name + len, ".json") == 0)
            return file;
    }
    return NULL;
}

static bool is_file(const struct metadata_file *file, const struct metadata *metadata) {
    return file != NULL && metadata != NULL && file->version == metadata->version &&
           (file->sha256 == NULL || text_equal(file->sha256, metadata->sha256));
}

static bool is_listed(const struct trusted *trusted, const struct metadata *metadata) {
    return is_file(trusted_expected_targets(trusted, metadata->name), metadata);
}

bool trusted_has_snapshot(const struct trusted *trusted) {
    return is_file(trusted_expected_snapshot(trusted), trusted->snapshot);
}

bool trusted_has_targets(const struct trusted *trusted) {
    return is_file(trusted_expected_targets(trusted, NULL), trusted->targets);
}

/* After a new snapshot: what it does not list is not trusted any more. */
static void drop_unlisted(struct trusted *trusted) {
    if (trusted->targets != NULL && !is_listed(trusted, trusted->targets))
        drop_targets(trusted);
    for (size_t i = 0; i < trusted->delegated_count;) {
        struct metadata *metadata = trusted->delegated[i].metadata;
        if (is_listed(trusted, metadata)) {
            i++;
            continue;
        }
        trusted->delegated[i] = trusted->delegated[--trusted->delegated_count];
        drop_delegated_by(trusted, metadata);
        metadata_free(metadata);
        i = 0;
    }
}

bool trusted_update_snapshot(struct trusted *trusted, const void *data, size_t len, int64_t now, struct err *err) {
    const struct metadata_file *expected = trusted_expected_snapshot(trusted);
    CLEANUP(metadata_cleanup) struct metadata *snapshot = NULL;
    if (expected == NULL)
        return err_set(err, ERR_INTERNAL, "snapshot: no timestamp is trusted yet");
    if (!metadata_check_expiry(trusted->timestamp, now, err) || !check_announced("snapshot", expected, data, len, err) ||
        !metadata_parse(METADATA_SNAPSHOT, NULL, data, len, &snapshot, err) || !verify_top(snapshot, trusted->root, err) ||
        !check_version(snapshot, expected, err))
        return false;
    if ((trusted->snapshot != NULL && !check_files_not_lower(trusted->snapshot, snapshot, err)) || !metadata_check_expiry(snapshot, now, err))
        return false;
    replace(&trusted->snapshot, snapshot);
    snapshot = NULL;
    drop_unlisted(trusted);
    return true;
}

const struct metadata *trusted_targets(const struct trusted *trusted, const char *role) {
    if (role == NULL)
        return trusted->targets;
    for (size_t i = 0; i < trusted->delegated_count; i++)
        if (text_equal(trusted->delegated[i].metadata->name, role))
            return trusted->delegated[i].metadata;
    return NULL;
}

/* Takes metadata when true is returned. */
static bool take_targets(struct trusted *trusted, const struct metadata *delegator, struct metadata *metadata, struct err *err) {
    if (delegator == NULL) {
        drop_targets(trusted);
        trusted->targets = metadata;
        return true;
    }
    if (trusted->delegated_count == TRUSTED_DELEGATED_MAX)
        return err_set(err, ERR_FORMAT, "%s: more than %d delegated roles", metadata->name, TRUSTED_DELEGATED_MAX);
    trusted->delegated[trusted->delegated_count++] = (struct trusted_role){.metadata = metadata, .delegator = delegator};
    return true;
}

bool trusted_update_targets(struct trusted *trusted, const struct metadata *delegator, const char *role, const void *data, size_t len, int64_t now,
                            struct err *err) {
    const struct metadata_file *expected = trusted_expected_targets(trusted, role);
    const struct metadata_delegation *delegation = delegator != NULL ? metadata_delegation_find(delegator, role) : NULL;
    const char *what = role != NULL ? role : "targets";
    if (trusted->snapshot == NULL || (role != NULL && delegation == NULL))
        return err_set(err, ERR_INTERNAL, "%s: no snapshot is trusted yet, or nobody delegates to it", what);
    if (expected == NULL)
        return err_set(err, ERR_MIX, "%s: the snapshot does not list it", what);
    const struct signers *signers = delegation != NULL ? &delegation->signers : root_signers(trusted, METADATA_TARGETS);
    const struct metadata *held = role != NULL ? trusted_targets(trusted, role) : NULL;
    if (held != NULL)
        return metadata_verify(held, signers, what, err) == VERDICT_VERIFIED && metadata_check_expiry(held, now, err);
    CLEANUP(metadata_cleanup) struct metadata *targets = NULL;
    if (!metadata_check_expiry(trusted->snapshot, now, err) || !check_announced(what, expected, data, len, err) ||
        !metadata_parse(METADATA_TARGETS, role, data, len, &targets, err) || metadata_verify(targets, signers, what, err) != VERDICT_VERIFIED ||
        !check_version(targets, expected, err) || !metadata_check_expiry(targets, now, err) || !take_targets(trusted, delegator, targets, err))
        return false;
    targets = NULL;
    return true;
}

bool trusted_recall(struct trusted *trusted, enum metadata_role role, const void *data, size_t len, struct err *err) {
    CLEANUP(metadata_cleanup) struct metadata *metadata = NULL;
    if (role != METADATA_TIMESTAMP && role != METADATA_SNAPSHOT)
        return err_set(err, ERR_INTERNAL, "only timestamp and snapshot are recalled");
    if (!metadata_parse(role, NULL, data, len, &metadata, err) || !verify_top(metadata, trusted->root, err))
        return false;
    replace(role == METADATA_TIMESTAMP ? &trusted->timestamp : &trusted->snapshot, metadata);
    metadata = NULL;
    return true;
}
