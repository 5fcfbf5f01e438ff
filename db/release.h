/* Releases: the signed facts of an image in a product's line. Immutable but for withdrawal. */
#ifndef PAWL_DB_RELEASE_H
#define PAWL_DB_RELEASE_H

#include "db/db.h"
#include "fleet/offer.h"

struct db_release {
    int64_t id;       /* from 1 up */
    const char *path; /* "<product>/<version>/<file>": the TUF target path */
    const char *product;
    const char *version;
    int64_t sequence;
    int64_t security_version;
    int64_t requires_sequence; /* 0: none */
    struct db_texts hardware;
    int64_t length;
    const char *sha256; /* hex */
    const char *sha1;   /* hex; the image's, not part of the insert */
    const char *md5;
    const char *encryption;   /* "none" or "age" */
    int64_t plain_length;     /* of a sealed image; else 0 */
    const char *plain_sha256; /* hex; "" */
    const char *notes;
    bool has_signature; /* a detached one of the image file; not part of the insert */
    int64_t signed_at;  /* custom.pawl.created */
    int64_t published_at;
    int64_t withdrawn_at; /* 0: published */
};

struct db_releases {
    size_t count;
    struct db_release *items;
    const char *next; /* where the next page begins; NULL: this is the last */
};

bool db_release_get(struct db_conn *conn, int64_t id, struct arena *arena, struct db_release *ret_release, struct err *err) MUST_USE;
bool db_release_get_path(struct db_conn *conn, const char *path, struct arena *arena, struct db_release *ret_release, struct err *err) MUST_USE;
bool db_release_get_version(struct db_conn *conn, const char *product, const char *version, struct arena *arena, struct db_release *ret_release,
                            struct err *err) MUST_USE;

/* product NULL or "": all. */
bool db_release_list(struct db_conn *conn, const char *product, const struct db_list *list, struct arena *arena, struct db_releases *ret_page,
                     struct err *err) MUST_USE;

/* release->id, sha1, md5, has_signature and withdrawn_at are ignored. ERR_NOT_FOUND: no such product or image. ERR_LENGTH: the image's length is
 * another. ERR_DOWNGRADE: the order rule. ERR_CONFLICT: the path or version exists. The catalog follows after COMMIT. */
bool db_release_insert(struct db_conn *tx, const struct db_release *release, int64_t *ret_id, struct err *err) MUST_USE;

/* ERR_CONFLICT: withdrawn already. It is offered to nobody from then on; open deployments are told nothing more. */
bool db_release_withdraw(struct db_conn *tx, int64_t id, int64_t now, struct err *err) MUST_USE;

#endif
