/* What a release says (trust.md §2): one target path with its length, hash and the signed custom.pawl fields. */
#ifndef PAWL_TRUST_RELEASE_H
#define PAWL_TRUST_RELEASE_H

#include "common/arena.h"
#include "common/err.h"

struct json_t;

enum {
    RELEASE_PATH_MAX = 256,    /* bytes of a target path */
    RELEASE_FILE_MAX = 120,    /* bytes of its last part */
    RELEASE_HARDWARE_MAX = 64, /* hardware ids a release may name */
    RELEASE_NOTES_MAX = 4096,  /* bytes */
};

/* Greatest length of an image: 2^53 − 1 is what the metadata can say; files end earlier. */
#define RELEASE_LENGTH_MAX INT64_C(1099511627776) /* 1 TiB */

enum release_encryption { RELEASE_PLAIN = 0, RELEASE_AGE };

struct release {
    const char *path;   /* "<product>/<version>/<file>" */
    const char *file;   /* its last part */
    int64_t length;     /* bytes of the image as downloaded; ≥ 1 */
    const char *sha256; /* 64 hex digits, of the image as downloaded */

    const char *product;
    const char *const *hardware; /* hardware_count ids, none twice */
    size_t hardware_count;       /* ≥ 1 */
    const char *version;         /* SemVer; for people */
    int64_t sequence;            /* ≥ 1; orders all releases of a product */
    int64_t security_version;    /* ≥ 0 */
    int64_t requires_sequence;   /* stepping stone: what the device must have at least; 0: none; < sequence */
    enum release_encryption encryption;
    int64_t plain_length;     /* of the image after unsealing; equals length when not encrypted */
    const char *plain_sha256; /* the same for the hash */
    int64_t created_at;       /* UTC seconds */
    bool withdrawn;           /* never to be installed again; the one thing that may change after the release was signed, and only to true */
    const char *notes;        /* printable ASCII and LF; "" when there are none */
};

/* The rules of a path: product an id, version SemVer, file [A-Za-z0-9._+~-] without leading dot, not ending in ".sig", not starting with 64 hex
 * digits and a dot. ERR_INVALID naming what is wrong. On success the parts are in the arena (each may be NULL). */
bool release_path_parse(struct arena *arena, const char *path, const char **ret_product, const char **ret_version, const char **ret_file,
                        struct err *err) MUST_USE;

/* All rules at once, for a release that is to be signed; also that path, product and version agree. ERR_INVALID with err->field. */
bool release_check(const struct release *release, struct err *err) MUST_USE;

/* From an entry of targets metadata. ERR_TARGET naming path and field when the entry does not say a complete, valid release; fields that are not
 * known are an error as well. */
bool release_read(struct arena *arena, const char *path, const struct json_t *target, struct release *ret_release, struct err *err) MUST_USE;

/* The entry for targets metadata; new reference, NULL and *err (errors of release_check()) on failure. */
struct json_t *release_write(const struct release *release, struct err *err) MUST_USE;

/* Byte for byte the same statement. */
bool release_equal(const struct release *a, const struct release *b) MUST_USE;

/* What may follow a published statement: the same, or the same withdrawn. */
bool release_may_follow(const struct release *before, const struct release *after) MUST_USE;

/* Hardware ids are compared exactly. */
bool release_runs_on(const struct release *release, const char *hardware) MUST_USE;

#endif
