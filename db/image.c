#include "db/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/hex.h"
#include "common/random.h"
#include "db/query.h"
#include "db/store.h"

enum {
    SYNC_STEP = 8 << 20, /* bytes after which the disk is asked to begin writing, so that the last fsync finds little */
    COLLECT_AFTER_S = 24 * 3600,
    COLLECT_MAX = 100,
    NAME_SIZE = DB_SHA256_SIZE + 24
};

struct db_image_upload {
    struct db *db;
    int fd;
    char *path; /* in tmp/ */
    char sha256[DB_SHA256_SIZE];
    int64_t declared;
    int64_t written;
    int64_t sync_begun;
    struct hash_triple hashes;
};

static const struct db_column columns[] = {
    DB_COLUMN(DB_CHARS, struct db_image, sha256), DB_COLUMN(DB_CHARS, struct db_image, sha1),     DB_COLUMN(DB_CHARS, struct db_image, md5),
    DB_COLUMN(DB_INT, struct db_image, length),   DB_COLUMN(DB_INT, struct db_image, created_at),
};
static const struct db_shape shape = DB_SHAPE(struct db_image, columns);

static bool open_temporary(struct db_image_upload *upload, struct err *err) {
    char name[NAME_SIZE], unique[17];

    random_hex(unique, 8);
    snprintf(name, sizeof name, "%s.%s", upload->sha256, unique);
    upload->path = db_path_in(upload->db->tmp, name);
    if (!upload->path)
        return err_no_memory(err);
    upload->fd = open(upload->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (upload->fd < 0)
        return err_errno(err, "image %s", upload->sha256);
    /* Says at once when the disk is too small. A file system that cannot reserve space is asked byte by byte instead. */
    if (upload->declared > 0 && fallocate(upload->fd, FALLOC_FL_KEEP_SIZE, 0, upload->declared) != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return err_errno(err, "image %s: room for %lld bytes", upload->sha256, (long long)upload->declared);
    return true;
}

bool db_image_begin(struct db *db, const char *sha256, int64_t length, struct db_image_upload **ret_upload, struct err *err) {
    struct db_image_upload *upload;

    if (!hex_is_digest(sha256))
        return err_set_field(err, ERR_INVALID, "sha256", "image: the name is not 64 lower-case hex digits");
    if (length < 0)
        return err_set(err, ERR_LENGTH, "image %s: no length", sha256);
    upload = calloc(1, sizeof *upload);
    if (!upload)
        return err_no_memory(err);
    upload->db = db;
    upload->fd = -1;
    upload->declared = length;
    memcpy(upload->sha256, sha256, sizeof upload->sha256);
    if (!open_temporary(upload, err) || !hash_triple_begin(&upload->hashes, err)) {
        db_image_abort(upload);
        return false;
    }
    *ret_upload = upload;
    return true;
}

bool db_image_write(struct db_image_upload *upload, const void *data, size_t len, struct err *err) {
    if ((uint64_t)len > (uint64_t)(upload->declared - upload->written))
        return err_set(err, ERR_LENGTH, "image %s: more than the declared %lld bytes", upload->sha256, (long long)upload->declared);
    if (!hash_triple_update(&upload->hashes, data, len, err))
        return false;
    if (!file_write_all(upload->fd, data, len, err))
        return err_prefix(err, "image %s", upload->sha256);
    upload->written += (int64_t)len;
    if (upload->written - upload->sync_begun >= SYNC_STEP) {
        /* A hint only: finish() syncs for good. */
        (void)sync_file_range(upload->fd, upload->sync_begun, upload->written - upload->sync_begun, SYNC_FILE_RANGE_WRITE);
        upload->sync_begun = upload->written;
    }
    return true;
}

static void free_upload(struct db_image_upload *upload) {
    file_close(&upload->fd);
    hash_triple_free(&upload->hashes);
    free(upload->path);
    free(upload);
}

void db_image_abort(struct db_image_upload *upload) {
    if (!upload)
        return;
    if (upload->fd >= 0)
        unlink(upload->path);
    free_upload(upload);
}

static bool check_content(struct db_image_upload *upload, struct db_image *image, struct err *err) {
    if (upload->written != upload->declared)
        return err_set(err, ERR_LENGTH, "image %s: %lld bytes came of the declared %lld", upload->sha256, (long long)upload->written,
                       (long long)upload->declared);
    if (!hash_triple_end(&upload->hashes, image->sha256, image->sha1, image->md5, err))
        return false;
    if (strcmp(image->sha256, upload->sha256) != 0)
        return err_set(err, ERR_HASH, "image %s: the bytes have SHA-256 %s", upload->sha256, image->sha256);
    return true;
}

/* The file under its final name, on the disk. */
static bool settle(struct db_image_upload *upload, struct err *err) {
    char *path = db_path_in(upload->db->images, upload->sha256);
    bool ok = false;

    if (!path)
        return err_no_memory(err);
    if (fsync(upload->fd) != 0)
        err_errno(err, "image %s: sync", upload->sha256);
    else if (rename(upload->path, path) != 0)
        err_errno(err, "image %s: rename", upload->sha256);
    else
        ok = file_sync_dir(upload->db->images, err);
    free(path);
    return ok;
}

static bool insert_row(struct db_conn *tx, const struct db_image *image, bool *ret_created, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_IMAGE_TOUCH);
    int64_t changes;

    db_query_text(stmt, 1, image->sha256);
    db_query_int(stmt, 2, image->created_at);
    if (!db_query_run(stmt, &changes, err))
        return false;
    *ret_created = changes == 0;
    if (changes == 1)
        return true;
    stmt = db_query_begin(tx, DB_QUERY_IMAGE_INSERT);
    db_query_text(stmt, 1, image->sha256);
    db_query_text(stmt, 2, image->sha1);
    db_query_text(stmt, 3, image->md5);
    db_query_int(stmt, 4, image->length);
    db_query_int(stmt, 5, image->created_at);
    return db_query_run(stmt, NULL, err);
}

/* True when the store knows of no such image: then its file is nobody's. */
static bool is_orphan(struct db *db, const char *name) {
    struct db_image image;
    struct err err;

    return !db_image_get(db->conn, name, &image, &err) && err.code == ERR_NOT_FOUND;
}

/* The row is gone for good: now the file, unless the same image came back in the same group. */
static void unlink_after_commit(struct db *db, void *arg, bool committed) {
    char *name = arg;
    char *path = committed && is_orphan(db, name) ? db_path_in(db->images, name) : NULL;

    if (path)
        unlink(path); /* one that stays is removed at the next start */
    free(path);
    free(name);
}

/* The group was undone and left a file without a row. */
static void unlink_after_rollback(struct db *db, void *arg, bool committed) {
    unlink_after_commit(db, arg, !committed);
}

static bool look_after_file(struct db_conn *tx, const char *sha256, void (*hook)(struct db *db, void *arg, bool committed), struct err *err) {
    char *name = strdup(sha256);

    if (!name)
        return err_no_memory(err);
    if (db_on_commit(tx, hook, name, err))
        return true;
    free(name);
    return false;
}

bool db_image_finish_take(struct db_conn *tx, struct db_image_upload *upload, int64_t now, struct db_image *ret_image, bool *ret_created,
                          struct err *err) {
    struct db_image image = {.length = upload->declared, .created_at = now};
    bool created;

    if (!check_content(upload, &image, err) || !settle(upload, err)) {
        db_image_abort(upload);
        return false;
    }
    free_upload(upload);
    if (!look_after_file(tx, image.sha256, unlink_after_rollback, err) || !insert_row(tx, &image, &created, err))
        return false;
    *ret_image = image;
    *ret_created = created;
    return true;
}

bool db_image_get(struct db_conn *conn, const char *sha256, struct db_image *ret_image, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_IMAGE_GET);

    db_query_text(stmt, 1, sha256);
    return db_query_one(stmt, &shape, NULL, ret_image, "image", sha256, err);
}

bool db_image_list(struct db_conn *conn, const char *after, size_t limit, struct arena *arena, struct db_images *ret_page, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_IMAGE_LIST);

    db_query_text(stmt, 1, after);
    db_query_int(stmt, 2, (int64_t)limit + 1);
    return db_query_page(stmt, &shape, limit, arena, &ret_page->items, &ret_page->count, &ret_page->more, err);
}

bool db_image_total(struct db_conn *conn, int64_t *ret_bytes, struct err *err) {
    return db_query_number(db_query_begin(conn, DB_QUERY_IMAGE_TOTAL), "bytes", ret_bytes, err);
}

bool db_image_forget_unreferenced(struct db_conn *conn, struct err *err) {
    return db_query_run(db_query_begin(conn, DB_QUERY_IMAGE_SIGNATURE_FORGET), NULL, err) &&
           db_query_run(db_query_begin(conn, DB_QUERY_IMAGE_FORGET), NULL, err);
}

bool db_image_open(struct db *db, const char *sha256, int *ret_fd, int64_t *ret_size, struct err *err) {
    CLEANUP(file_close) int fd = -1;
    struct stat status;
    char *path;

    if (!hex_is_digest(sha256))
        return err_set(err, ERR_IO, "image: the name is not 64 lower-case hex digits");
    path = db_path_in(db->images, sha256);
    if (!path)
        return err_no_memory(err);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    if (fd < 0 || fstat(fd, &status) != 0)
        return err_set(err, ERR_IO, "image %s: the file cannot be opened: %s", sha256, strerror(errno));
    *ret_size = status.st_size;
    *ret_fd = fd;
    fd = -1;
    return true;
}

static bool remove_image(struct db_conn *tx, const char *sha256, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_IMAGE_SIGNATURE_DELETE);

    db_query_text(stmt, 1, sha256);
    if (!db_query_run(stmt, NULL, err))
        return false;
    stmt = db_query_begin(tx, DB_QUERY_IMAGE_DELETE);
    db_query_text(stmt, 1, sha256);
    if (!db_query_run(stmt, NULL, err))
        return false;
    return look_after_file(tx, sha256, unlink_after_commit, err);
}

bool db_image_collect(struct db_conn *tx, int64_t now, size_t *ret_removed, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_IMAGE_UNREFERENCED);
    CLEANUP(arena_clear) struct arena arena;
    struct db_texts names;

    arena_init(&arena, 1 << 20);
    db_query_int(stmt, 1, now - COLLECT_AFTER_S);
    db_query_int(stmt, 2, COLLECT_MAX);
    if (!db_query_texts(stmt, &arena, &names, err))
        return false;
    for (size_t i = 0; i < names.count; i++)
        if (!remove_image(tx, names.items[i], err))
            return false;
    *ret_removed = names.count;
    return true;
}

bool db_image_signature_get(struct db_conn *conn, const char *sha256, struct arena *arena, const void **ret_data, size_t *ret_len, struct err *err) {
    struct signature {
        const void *data;
        size_t len;
    } signature;
    static const struct db_column signature_columns[] = {DB_COLUMN(DB_BLOB, struct signature, data),
                                                         DB_COLUMN_AS(DB_LEN, struct signature, len, "data")};
    static const struct db_shape signature_shape = DB_SHAPE(struct signature, signature_columns);
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_IMAGE_SIGNATURE_GET);

    db_query_text(stmt, 1, sha256);
    if (!db_query_one(stmt, &signature_shape, arena, &signature, "signature of image", sha256, err))
        return false;
    *ret_data = signature.data;
    *ret_len = signature.len;
    return true;
}

bool db_image_signature_set(struct db_conn *tx, const char *sha256, const void *data, size_t len, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_IMAGE_SIGNATURE_SET);

    db_query_text(stmt, 1, sha256);
    db_query_blob(stmt, 2, data, len);
    return db_query_run(stmt, NULL, err) && db_catalog_touch(tx, err);
}

/* Calls for each regular file of a folder; false stops. */
static bool each_file(const char *folder, bool (*visit)(struct db *db, const char *path, const char *name, struct err *err), struct db *db,
                      struct err *err) {
    DIR *dir = opendir(folder);
    const struct dirent *item;
    struct stat status;
    bool ok = true;

    if (!dir)
        return err_errno(err, "%s", folder);
    while (ok && (item = readdir(dir))) {
        char *path = db_path_in(folder, item->d_name);

        if (!path)
            ok = err_no_memory(err);
        else if (lstat(path, &status) == 0 && S_ISREG(status.st_mode))
            ok = visit(db, path, item->d_name, err);
        free(path);
    }
    closedir(dir);
    return ok;
}

static bool remove_file(struct db *db, const char *path, const char *name, struct err *err) {
    (void)db;
    (void)name;
    return unlink(path) == 0 || err_errno(err, "%s", path);
}

static bool remove_orphan(struct db *db, const char *path, const char *name, struct err *err) {
    struct db_image image;

    if (!hex_is_digest(name) || db_image_get(db->conn, name, &image, err))
        return true;
    if (err->code != ERR_NOT_FOUND)
        return false;
    err->code = ERR_NONE;
    return remove_file(db, path, name, err);
}

static bool refuse_image(struct db *db, const char *path, const char *name, struct err *err) {
    return !hex_is_digest(name) ||
           err_set(err, ERR_IO, "%s is not there, but %s is: put the database back (pawld restore), or move the images away", db->file, path);
}

bool db_image_check_base(struct db *db, struct err *err) {
    return file_exists(db->file) || each_file(db->images, refuse_image, db, err);
}

bool db_image_clean(struct db *db, struct err *err) {
    return each_file(db->tmp, remove_file, db, err) && each_file(db->images, remove_orphan, db, err);
}
