/* The publish gate: the server believes new metadata only as a device would, and then some (trust.md §2). Pure. */
#ifndef PAWL_TRUST_GATE_H
#define PAWL_TRUST_GATE_H

#include "trust/trusted.h"

/* One metadata file as uploaded. The role comes from `name`: "root", "snapshot", "targets", else a delegated role's. */
struct gate_file {
    const char *name;
    const void *data;
    size_t len;
};

struct gate_request {
    const struct trusted *now;       /* what the server serves; only root (before the first publish) is enough */
    const struct gate_file *files;   /* in any order; each name once */
    size_t file_count;               /* ≥ 1 */
    const struct key *timestamp_key; /* the online key */
    int64_t time;                    /* UTC seconds */
    int64_t timestamp_version_floor; /* highest timestamp version ever signed, from the store; 0: none */
};

struct gate_result {
    struct trusted *trusted;       /* the new set with its new timestamp, whole; owned: trusted_free() */
    struct trusted_releases added; /* in the arena; by product, then sequence */
    struct trusted_releases all;   /* the same over everything that is published now */
};

/* All or nothing. Beyond a device's own errors: ERR_ROLLBACK when a version is not strictly higher than the one served (root: exactly the next),
 * ERR_CONFLICT when a published release is gone or changed (it may become withdrawn), or a path would be said by two roles; ERR_DOWNGRADE when a new
 * release's sequence is not higher than every one of its product or its security_version is lower; ERR_TARGET when an entry is not a valid release;
 * ERR_INVALID for a file that nothing asks for or that is missing; ERR_KEY when root does not name the timestamp key. Both an up-to-date device and a
 * new one that starts from the newest root must accept the result. */
bool gate_check(const struct gate_request *request, struct arena *arena, struct gate_result *ret_result, struct err *err) MUST_USE;

/* The release half of gate_check(), for sets that are trusted already. */
bool gate_check_releases(const struct trusted *now, const struct trusted *next, struct arena *arena, struct trusted_releases *ret_all,
                         struct trusted_releases *ret_added, struct err *err) MUST_USE;

/* Signs a fresh timestamp for the set's snapshot, version max(floor + 1, set's + 1, time), valid 24 h, and takes it into the set. ERR_INVALID while
 * there is no snapshot, ERR_KEY when root does not name the key. */
bool gate_renew_timestamp(struct trusted *trusted, const struct key *timestamp_key, int64_t version_floor, int64_t time, struct err *err) MUST_USE;

/* The set from the store: every root from the pinned one up to the newest, then the others as served (timestamp, snapshot, targets, delegated);
 * expired files are taken (the server must start to renew them), signatures and versions are checked all the same. */
bool gate_load(const struct gate_file *roots, size_t root_count, const struct gate_file *files, size_t file_count, struct trusted **ret_trusted,
               struct err *err) MUST_USE;

/* The detached signature of an image (trust.md §4) must be by one P-256 key that signs this release's role: ERR_SIGNATURE. image: its file, known to
 * have the release's hash; only its first byte is read: ERR_INVALID as key_check_file(). */
bool gate_check_image_signature(const struct trusted *trusted, const struct release *release, int image, const void *signature, size_t len,
                                struct err *err) MUST_USE;

#endif
