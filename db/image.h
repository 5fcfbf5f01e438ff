/* Images by hash: a row and an immutable file images/<sha256>. The file is always there before the row. */
#ifndef PAWL_DB_IMAGE_H
#define PAWL_DB_IMAGE_H

#include "db/db.h"

struct db_image {
    char sha256[DB_SHA256_SIZE];
    char sha1[41];
    char md5[33];
    int64_t length;
    int64_t created_at;
};

struct db_image_upload;

/* A streamed upload, on any thread. sha256: 64 lower-case hex digits. ERR_NO_SPACE when the declared length does not fit on the disk. */
bool db_image_begin(struct db *db, const char *sha256, int64_t length, struct db_image_upload **ret_upload, struct err *err) MUST_USE;

/* ERR_LENGTH past the declared length. After a failure only db_image_abort() makes sense. */
bool db_image_write(struct db_image_upload *upload, const void *data, size_t len, struct err *err) MUST_USE;

/* Frees the upload and removes its temporary file. NULL is fine. */
void db_image_abort(struct db_image_upload *upload);

/* On the writer: length and hash compared (ERR_LENGTH, ERR_HASH), file synced and renamed, folder synced, row written. Repeating an upload is fine
 * and replaces the file, so that it heals a damaged one. The upload is consumed, whatever the result. *ret_created: the row is new. */
bool db_image_finish_take(struct db_conn *tx, struct db_image_upload *upload, int64_t now, struct db_image *ret_image, bool *ret_created,
                          struct err *err) MUST_USE;

bool db_image_get(struct db_conn *conn, const char *sha256, struct db_image *ret_image, struct err *err) MUST_USE; /* ERR_NOT_FOUND */

struct db_images {
    size_t count;
    struct db_image *items;
    bool more;
};

/* Sorted by sha256. */
bool db_image_list(struct db_conn *conn, const char *after, size_t limit, struct arena *arena, struct db_images *ret_page, struct err *err) MUST_USE;
bool db_image_total(struct db_conn *conn, int64_t *ret_bytes, struct err *err) MUST_USE;

/* Removes the rows of images that no release names; for the copy of the database that goes into a backup. */
bool db_image_forget_unreferenced(struct db_conn *conn, struct err *err) MUST_USE;

/* The file, read-only, with its size as it is now. ERR_IO when it is missing: the caller raises an "image-missing" event. */
bool db_image_open(struct db *db, const char *sha256, int *ret_fd, int64_t *ret_size, struct err *err) MUST_USE;

/* Removes up to 100 images that no release names and that are older than 24 hours. The server's timer submits it. */
bool db_image_collect(struct db_conn *tx, int64_t now, size_t *ret_removed, struct err *err) MUST_USE;

/* The detached signature of the file (DER; trust.md §4). ERR_NOT_FOUND: none. */
bool db_image_signature_get(struct db_conn *conn, const char *sha256, struct arena *arena, const void **ret_data, size_t *ret_len,
                            struct err *err) MUST_USE;
bool db_image_signature_set(struct db_conn *tx, const char *sha256, const void *data, size_t len, struct err *err) MUST_USE;

#endif
