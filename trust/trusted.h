/* The trusted set: the metadata believed now, and the checks (TUF 1.0 §5.3 to §5.6) that new files pass to get in. Pure: no files, no network, no
 * clock. The client, the signer and the server's publish gate all stand on it. */
#ifndef PAWL_TRUST_TRUSTED_H
#define PAWL_TRUST_TRUSTED_H

#include "trust/metadata.h"

enum {
    TRUSTED_ROOT_HOPS_MAX = 64,  /* root files walked in one run */
    TRUSTED_DELEGATED_MAX = 32,  /* delegated roles held or visited for one target */
    TRUSTED_RELEASES_MAX = 16384 /* releases over all roles */
};

/* Each is owned and NULL until trusted. A refused update leaves the set as it was. Only reads are thread-safe. */
struct trusted {
    struct metadata *root;
    struct metadata *timestamp;
    struct metadata *snapshot;
    struct metadata *targets;
    struct metadata *delegated[TRUSTED_DELEGATED_MAX];
    size_t delegated_count;
};

/* From a root that is believed for another reason (pinned at provisioning, stored here before). It must still be signed by its own threshold. */
bool trusted_open(const void *root, size_t root_len, struct trusted **ret_trusted, struct err *err) MUST_USE;
void trusted_free(struct trusted *trusted);     /* NULL is fine */
void trusted_cleanup(struct trusted **trusted); /* fits CLEANUP(trusted_cleanup) */

/* The next root: exactly version N+1, signed by the thresholds of N and of N+1. ERR_ROLLBACK for N or lower, ERR_MIX for a gap. When the timestamp's
 * or the snapshot's keys changed, both (and what hangs on them) are dropped: fast-forward recovery. Expiry is asked only at the end of the walk. */
bool trusted_update_root(struct trusted *trusted, const void *data, size_t len, struct err *err) MUST_USE;
bool trusted_check_root(const struct trusted *trusted, int64_t now, struct err *err) MUST_USE; /* ERR_EXPIRED */

/* Signatures, version not lower (ERR_ROLLBACK), its snapshot version not lower (ERR_ROLLBACK), expiry. The version that is trusted already: the old
 * file stays and *ret_changed (may be NULL) is false. */
bool trusted_update_timestamp(struct trusted *trusted, const void *data, size_t len, int64_t now, bool *ret_changed, struct err *err) MUST_USE;

/* Length and hash that timestamp says (ERR_LENGTH, ERR_HASH), signatures, version that timestamp says (ERR_MIX), no targets file gone or lower
 * (ERR_ROLLBACK), expiry. Needs a timestamp that has not expired. */
bool trusted_update_snapshot(struct trusted *trusted, const void *data, size_t len, int64_t now, struct err *err) MUST_USE;

/* Top-level targets (delegator and role NULL) or a delegated role, against snapshot and the delegator's keys; errors as for snapshot. A role that is
 * held already is verified against this delegator and replaced. */
bool trusted_update_targets(struct trusted *trusted, const struct metadata *delegator, const char *role, const void *data, size_t len, int64_t now,
                            struct err *err) MUST_USE;

/* Files that were trusted and stored here earlier, given back at start: signatures are checked against the present root, expiry and the
 * relation to each other are not. They serve the rollback checks of the updates above. */
bool trusted_recall(struct trusted *trusted, enum metadata_role role, const void *data, size_t len, struct err *err) MUST_USE;

/* What timestamp says of snapshot, snapshot of targets (role NULL) or of a delegated role; NULL while unknown. */
const struct metadata_file *trusted_expected_snapshot(const struct trusted *trusted);
const struct metadata_file *trusted_expected_targets(const struct trusted *trusted, const char *role);

/* Borrowed; NULL while it is not held. Role NULL is the top level. */
const struct metadata *trusted_targets(const struct trusted *trusted, const char *role);

/* The release of that path among the roles held, in the order of priority that TUF gives delegations. ERR_NOT_FOUND, ERR_TARGET (not a valid
 * release). ret_role (may be NULL): the name of the role that says so, "targets" for the top level. */
bool trusted_release(const struct trusted *trusted, struct arena *arena, const char *path, struct release *ret_release, const char **ret_role,
                     struct err *err) MUST_USE;

struct trusted_releases {
    size_t count;
    struct release *items; /* by product, then sequence */
};

/* All of them over all roles held; a delegated role's entries only as far as its delegation covers the path. ERR_TARGET when one is not valid. */
bool trusted_releases(const struct trusted *trusted, struct arena *arena, struct trusted_releases *ret_releases, struct err *err) MUST_USE;

#endif
