/* The signing side: drafts of metadata files, built from verified ones, signed by any number of keys. Pure: no files, no network, no clock. */
#ifndef PAWL_TRUST_REPOSITORY_H
#define PAWL_TRUST_REPOSITORY_H

#include "trust/metadata.h"

/* Lifetimes in seconds (trust.md §1). */
enum {
    REPOSITORY_ROOT_LIFETIME_S = 365 * 86400,
    REPOSITORY_TARGETS_LIFETIME_S = 180 * 86400,
    REPOSITORY_SNAPSHOT_LIFETIME_S = 180 * 86400,
    REPOSITORY_TIMESTAMP_LIFETIME_S = 86400,
    REPOSITORY_TIMESTAMP_RENEW_S = 6 * 3600,
};

/* A metadata file in the making: `signed` plus the signatures so far. */
struct draft;

void draft_free(struct draft *draft);     /* NULL is fine */
void draft_cleanup(struct draft **draft); /* fits CLEANUP(draft_cleanup) */

/* One role of a root in the making; keys are borrowed, only their public parts are used. */
struct repository_signers {
    const struct key *const *keys;
    size_t count;
    size_t threshold;
};

struct repository_root {
    int64_t version;
    int64_t expires_at;
    struct repository_signers root, targets, snapshot, timestamp, directive; /* directive.count 0: none */
};

/* A whole root, with consistent_snapshot true. ERR_THRESHOLD when a threshold is not within 1 … distinct keys. */
bool repository_root(const struct repository_root *root, struct draft **ret_draft, struct err *err) MUST_USE;

/* Targets one version after `previous` with the same content (members unknown here included); previous NULL: version 1, empty. A delegated role's
 * file is made in the same way. */
bool repository_targets(const struct metadata *previous, int64_t expires_at, struct draft **ret_draft, struct err *err) MUST_USE;

/* Adds a release to a targets draft. ERR_INVALID (release_check), ERR_CONFLICT when the path is there already, ERR_TOO_LARGE when the file has no
 * room for it: releases leave enough of METADATA_TARGETS_MAX for the withdrawal of them all, delegations and signatures. Drops the draft's
 * signatures. */
bool repository_add_release(struct draft *targets, const struct release *release, struct err *err) MUST_USE;

/* Says of a release of the draft that it is withdrawn. ERR_NOT_FOUND. Drops the draft's signatures. */
bool repository_withdraw(struct draft *targets, const char *path, struct err *err) MUST_USE;

/* A targets role that speaks for some paths with keys of its own. */
struct repository_delegation {
    const char *role; /* [A-Za-z0-9._:-]{1,64}, none of the four roles */
    struct repository_signers signers;
    const char *const *paths; /* globs; a star never matches "/" */
    size_t path_count;
    bool terminating;
};

/* Adds the delegation to a targets draft behind those that are there, or puts it in the place of the one of that role; keys that no role names any
 * more go. ERR_THRESHOLD, ERR_INVALID. Drops the draft's signatures. */
bool repository_delegate(struct draft *targets, const struct repository_delegation *delegation, struct err *err) MUST_USE;

/* One targets file that a snapshot is to list: its name without ".json" ("targets", "<role>") and its final, signed bytes. */
struct repository_file {
    const char *role;
    const void *data;
    size_t len;
};

/* Snapshot one version after `previous` (NULL: version 1): its list with these files put in or replaced, each with version, length and hash.
 * ERR_ROLLBACK when a file's version is lower than what the previous snapshot lists. */
bool repository_snapshot(const struct metadata *previous, const struct repository_file *files, size_t count, int64_t expires_at,
                         struct draft **ret_draft, struct err *err) MUST_USE;

/* Timestamp for this snapshot; the version is the caller's: max(last + 1, UTC seconds). */
bool repository_timestamp(int64_t version, const struct metadata *snapshot, int64_t expires_at, struct draft **ret_draft, struct err *err) MUST_USE;

/* The latest expiry a new file may state for the role. */
int64_t repository_expiry(enum metadata_role role, int64_t now);

/* Adds (or replaces) the signature of this key. ERR_KEY without private part. */
bool draft_sign(struct draft *draft, const struct key *key, struct err *err) MUST_USE;

/* Adds a signature made elsewhere, after verifying it: ERR_SIGNATURE. */
bool draft_attach(struct draft *draft, const struct key *key, const void *signature, size_t len, struct err *err) MUST_USE;

/* Removes every signature that is not a valid one of these signers: it would stand in the way of the real one under its key id. */
bool draft_drop_invalid(struct draft *draft, const struct signers *signers, size_t *ret_dropped, struct err *err) MUST_USE;

/* Takes over the signatures of another copy of the same file that are not here yet; nothing is verified. ERR_MIX: it says something else. */
bool draft_merge(struct draft *draft, const struct draft *other, struct err *err) MUST_USE;

/* Reads back a file that draft_bytes() wrote, with any number of signatures, even none (prepare and attach, second signers). */
bool draft_read(const void *data, size_t len, struct draft **ret_draft, struct err *err) MUST_USE;

/* Appends the file bytes; and the bytes that a signer elsewhere is to sign. */
bool draft_bytes(const struct draft *draft, struct buf *out, struct err *err) MUST_USE;
bool draft_signed_bytes(const struct draft *draft, struct buf *out, struct err *err) MUST_USE;

size_t draft_signature_count(const struct draft *draft);

#endif
