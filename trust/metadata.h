/* TUF 1.0 metadata files, parsed strictly: root, timestamp, snapshot and targets (top-level or delegated). */
#ifndef PAWL_TRUST_METADATA_H
#define PAWL_TRUST_METADATA_H

#include "trust/envelope.h"
#include "trust/release.h"

enum metadata_role { METADATA_NONE = 0, METADATA_ROOT, METADATA_TIMESTAMP, METADATA_SNAPSHOT, METADATA_TARGETS, METADATA_ROLE_COUNT };

/* Ceilings asked before parsing, in bytes. */
enum { METADATA_ROOT_MAX = 65536, METADATA_TIMESTAMP_MAX = 16384, METADATA_SNAPSHOT_MAX = 65536, METADATA_TARGETS_MAX = 1048576 };

enum {
    METADATA_KEYS_MAX = 64,        /* keys in one file */
    METADATA_DELEGATIONS_MAX = 32, /* delegated roles in one file */
    METADATA_PATTERNS_MAX = 64,    /* path patterns or hash prefixes of one delegated role */
    METADATA_ROLE_NAME_MAX = 64,   /* bytes of a delegated role's name; text_is_id() */
};

/* What timestamp says of snapshot, and snapshot of each targets file ("targets.json", "<role>.json"). */
struct metadata_file {
    const char *name;
    int64_t version;
    int64_t length;     /* bytes; −1: not said */
    const char *sha256; /* hex; NULL: not said */
};

struct metadata_target {
    const char *path;
    int64_t length;
    const char *sha256;
    const struct json_t *entry; /* the whole entry, for release_read() */
};

struct metadata_delegation {
    const char *name;
    struct signers signers;
    bool terminating;
    bool by_hash;                /* patterns are prefixes of the hex SHA-256 of the path, instead of globs */
    size_t pattern_count;        /* ≥ 1 */
    const char *const *patterns; /* a star never matches "/" */
};

/* One parsed file; immutable, so threads may share it. Owns everything in it. */
struct metadata {
    struct arena arena;
    struct envelope envelope;
    enum metadata_role role;
    const char *name; /* "root", "timestamp", "snapshot", "targets", or the delegated role's name */
    int64_t version;  /* ≥ 1 */
    int64_t expires_at;
    const char *bytes; /* the file as received */
    size_t len;
    char sha256[65]; /* of those bytes */

    /* METADATA_ROOT */
    bool consistent_snapshot;                    /* always true for Pawl; see profile.h */
    struct signers signers[METADATA_ROLE_COUNT]; /* by enum metadata_role */
    struct signers directive;                    /* "x-pawl-directive"; count 0: root names none */
    size_t key_count;
    const struct signer *keys; /* root: all keys; targets: those of its delegations */

    /* METADATA_TIMESTAMP (exactly one: "snapshot.json") and METADATA_SNAPSHOT (at least "targets.json"); sorted by name */
    size_t file_count;
    const struct metadata_file *files;

    /* METADATA_TARGETS; targets sorted by path, delegations in their order of priority */
    size_t target_count;
    const struct metadata_target *targets;
    size_t delegation_count;
    const struct metadata_delegation *delegations;
};

/* Reads and checks everything but signatures, expiry and versions against others. `name` is NULL for the four top-level roles, else the delegated
 * role's (METADATA_TARGETS only). Errors of envelope_parse(), ERR_THRESHOLD for a threshold outside 1 … distinct keys, else ERR_FORMAT. Members that
 * are not known are kept in the bytes and ignored, as TUF asks. */
bool metadata_parse(enum metadata_role role, const char *name, const void *data, size_t len, struct metadata **ret_metadata,
                    struct err *err) MUST_USE;
void metadata_free(struct metadata *metadata);     /* NULL is fine */
void metadata_cleanup(struct metadata **metadata); /* fits CLEANUP(metadata_cleanup) */

/* The verdict on a file's signatures by these signers; see envelope_verify(). `role` names the keys in messages. */
enum verdict metadata_verify(const struct metadata *metadata, const struct signers *signers, const char *role, struct err *err) MUST_USE;

/* A `now` at which nothing has expired: for what is only shown, stored or about to be renewed. */
#define METADATA_NO_EXPIRY INT64_MIN

/* ERR_EXPIRED naming file and time. The moment of expiry is already too late. */
bool metadata_check_expiry(const struct metadata *metadata, int64_t now, struct err *err) MUST_USE;

/* Borrowed; NULL when the file says nothing of that name. */
const struct metadata_file *metadata_file_find(const struct metadata *metadata, const char *name);
const struct metadata_target *metadata_target_find(const struct metadata *metadata, const char *path);
const struct metadata_delegation *metadata_delegation_find(const struct metadata *metadata, const char *role);

/* ERR_INVALID when a delegated role cannot have that name (NULL is none). */
bool metadata_delegated_name_check(const char *name, struct err *err) MUST_USE;

/* Does the delegation speak for this path? (TUF §5.6.7.2: glob without "/" in stars, or hash prefix.) */
bool metadata_delegation_covers(const struct metadata_delegation *delegation, const char *path) MUST_USE;

const char *metadata_role_name(enum metadata_role role); /* "root", … */
size_t metadata_role_max(enum metadata_role role);       /* its ceiling in bytes */

/* "3.root.json", "timestamp.json", "7.snapshot.json", "7.<name>.json": the name it is served under. NULL at the arena's ceiling. */
const char *metadata_file_name(struct arena *arena, const struct metadata *metadata) MUST_USE;

#endif
