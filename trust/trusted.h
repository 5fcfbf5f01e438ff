/* The trusted set: the metadata believed now, and the checks (TUF 1.0 §5.3 to §5.6) that new files pass to get in. Pure: no files, no network, no
 * clock. The client, the signer and the server's publish gate all stand on it. */
#ifndef PAWL_TRUST_TRUSTED_H
#define PAWL_TRUST_TRUSTED_H

#include "trust/metadata.h"

enum {
    TRUSTED_ROOT_HOPS_MAX = 64, /* root files walked in one run */
    TRUSTED_DELEGATED_MAX = 32, /* delegated roles held or visited for one target */
};

/* A delegated role that is held, and whose delegation it was verified by. */
struct trusted_role {
    struct metadata *metadata;        /* owned */
    const struct metadata *delegator; /* in the same set */
};

/* Each is owned and NULL until trusted. A refused update leaves the set as it was. Only reads are thread-safe. */
struct trusted {
    struct metadata *root;
    struct metadata *timestamp;
    struct metadata *snapshot;
    struct metadata *targets;
    struct trusted_role delegated[TRUSTED_DELEGATED_MAX];
    size_t delegated_count;
};

/* From a root that is believed for another reason (pinned at provisioning, stored here before). It must still be signed by its own threshold. */
bool trusted_open(const void *root, size_t root_len, struct trusted **ret_trusted, struct err *err) MUST_USE;
void trusted_free(struct trusted *trusted);     /* NULL is fine */
void trusted_cleanup(struct trusted **trusted); /* fits CLEANUP(trusted_cleanup) */

/* The next root: exactly version N+1, signed by the thresholds of N and of N+1. ERR_ROLLBACK for N or lower, ERR_MIX for a gap. When a key of
 * timestamp or snapshot is listed no more, both are dropped, with what hangs on them: fast-forward recovery. So is every file that the new keys did
 * not sign. Expiry is asked only at the end of the walk. */
bool trusted_update_root(struct trusted *trusted, const void *data, size_t len, struct err *err) MUST_USE;
bool trusted_check_root(const struct trusted *trusted, int64_t now, struct err *err) MUST_USE; /* ERR_EXPIRED */

/* Signatures, version not lower (ERR_ROLLBACK), its snapshot version not lower (ERR_ROLLBACK), expiry. The version that is trusted already: the old
 * file stays and *ret_changed (may be NULL) is false. */
bool trusted_update_timestamp(struct trusted *trusted, const void *data, size_t len, int64_t now, bool *ret_changed, struct err *err) MUST_USE;

/* Length and hash that timestamp says (ERR_LENGTH, ERR_HASH), signatures, version that timestamp says (ERR_MIX), no targets file gone or lower
 * (ERR_ROLLBACK), expiry. Needs a timestamp that has not expired. Targets files that the new snapshot does not list are dropped. */
bool trusted_update_snapshot(struct trusted *trusted, const void *data, size_t len, int64_t now, struct err *err) MUST_USE;

/* Top-level targets (delegator and role NULL) or a delegated role, against snapshot (ERR_MIX: it does not list the role) and the delegator's keys;
 * errors as for snapshot. New top-level targets drop all delegated roles. A role that is held already keeps its file, which is only verified by this
 * delegator's keys too. ERR_FORMAT past TRUSTED_DELEGATED_MAX. */
bool trusted_update_targets(struct trusted *trusted, const struct metadata *delegator, const char *role, const void *data, size_t len, int64_t now,
                            struct err *err) MUST_USE;

/* Timestamp or snapshot as trusted and stored here earlier, given back at start for the rollback checks above: signatures are checked against the
 * present root, expiry and their relation to each other are not. */
bool trusted_recall(struct trusted *trusted, enum metadata_role role, const void *data, size_t len, struct err *err) MUST_USE;

/* What timestamp says of snapshot, snapshot of targets (role NULL) or of a delegated role; NULL while unknown. */
const struct metadata_file *trusted_expected_snapshot(const struct trusted *trusted);
const struct metadata_file *trusted_expected_targets(const struct trusted *trusted, const char *role);

/* Is the file that is expected held already? */
bool trusted_has_snapshot(const struct trusted *trusted);
bool trusted_has_targets(const struct trusted *trusted);

/* Borrowed; NULL while it is not held. Role NULL is the top level. */
const struct metadata *trusted_targets(const struct trusted *trusted, const char *role);

/* How a walk along delegations gets a role: verified by this delegator, held in the set. The context is the caller's. */
typedef bool trusted_provide(void *context, const struct metadata *delegator, const char *role, const struct metadata **ret_metadata,
                             struct err *err);

/* TUF §5.6.7: looks a path up in top-level targets, then along the delegations that cover it, in order of priority, into depth first, each role once,
 * at most TRUSTED_DELEGATED_MAX of them, a terminating one ending the search. ERR_NOT_FOUND. provide NULL: only roles held are asked. */
bool trusted_find(const struct trusted *trusted, const char *path, trusted_provide *provide, void *context, const struct metadata **ret_role,
                  const struct metadata_target **ret_target, struct err *err) MUST_USE;

/* The release of that path among the roles held. ERR_NOT_FOUND; ERR_TARGET: not a valid release. ret_role (may be NULL): the name of the role that
 * says so, "targets" for the top level. */
bool trusted_release(const struct trusted *trusted, struct arena *arena, const char *path, struct release *ret_release, const char **ret_role,
                     struct err *err) MUST_USE;

struct trusted_releases {
    size_t count;
    struct release *items; /* by product, then sequence */
};

/* All of them over all roles held; an entry of a delegated role only when trusted_find() ends at it. ERR_TARGET when one is not valid. */
bool trusted_releases(const struct trusted *trusted, struct arena *arena, struct trusted_releases *ret_releases, struct err *err) MUST_USE;

#endif
