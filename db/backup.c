#include "db/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/json.h"
#include "common/tar.h"
#include "db/image.h"
#include "db/store.h"

enum { PAGE = 200, BUSY_TIMEOUT_MS = 2000 };

/* As in the file. */
struct manifest_json {
    int64_t format, created_at, schema, database_length, images, image_bytes;
    const char *program, *database_sha256;
    struct json_texts damaged;
};

static const struct json_field manifest_fields[] = {
    JSON_FIELD(struct manifest_json, format, JSON_INT, JSON_REQUIRED, .min = DB_BACKUP_FORMAT, .max = DB_BACKUP_FORMAT),
    JSON_FIELD(struct manifest_json, program, JSON_TEXT, JSON_REQUIRED, .max = 64),
    JSON_FIELD(struct manifest_json, created_at, JSON_TIME, JSON_REQUIRED),
    JSON_FIELD(struct manifest_json, schema, JSON_INT, JSON_REQUIRED, .min = 1),
    JSON_FIELD(struct manifest_json, database_length, JSON_INT, JSON_REQUIRED, .min = 1),
    JSON_FIELD(struct manifest_json, database_sha256, JSON_TEXT, JSON_REQUIRED, .min = 64, .max = 64),
    JSON_FIELD(struct manifest_json, images, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct manifest_json, image_bytes, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct manifest_json, damaged, JSON_TEXTS, JSON_REQUIRED, .max = DB_BACKUP_MAX_DAMAGED),
};
static const struct json_shape manifest_shape = JSON_SHAPE(struct manifest_json, manifest_fields);

bool db_backup_manifest_read(struct arena *arena, const void *data, size_t len, struct db_backup_manifest *ret_manifest, struct err *err) {
    struct manifest_json json;

    if (!json_read(arena, data, len, &manifest_shape, &json, NULL, err))
        return err_prefix(err, "%s", DB_BACKUP_MANIFEST);
    *ret_manifest = (struct db_backup_manifest){
        .format = json.format,
        .program = json.program,
        .created_at = json.created_at,
        .schema = json.schema,
        .database_length = json.database_length,
        .database_sha256 = json.database_sha256,
        .images = json.images,
        .image_bytes = json.image_bytes,
        .damaged_count = json.damaged.count,
        .damaged = json.damaged.items,
    };
    return true;
}

struct backup {
    const char *file;
    const char *part;  /* the archive until it is complete */
    const char *copy;  /* the database of this moment */
    const char *store; /* folder */
    int fd;
    int64_t now;
    struct arena *arena;
    struct db_work_copy work;
    struct db_backup_manifest manifest;
};

static bool set_paths(struct backup *backup, struct err *err) {
    backup->part = arena_printf(backup->arena, "%s.part", backup->file);
    backup->copy = arena_printf(backup->arena, "%s.part.db", backup->file);
    backup->manifest.damaged = arena_array(backup->arena, DB_BACKUP_MAX_DAMAGED, sizeof(char *));
    return (backup->part && backup->copy && backup->manifest.damaged) || err_no_memory(err);
}

static void remove_copy(const struct backup *backup) {
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};

    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        const char *path = arena_printf(backup->arena, "%s%s", backup->copy, endings[i]);

        if (path)
            unlink(path);
    }
}

/* The database of one moment, as one checked file that names only images which a release names. *ret_bytes: of all its images. */
static bool copy_database(struct backup *backup, int64_t *ret_bytes, struct err *err) {
    const char *database = arena_printf(backup->arena, "%s/%s", backup->store, DB_BACKUP_DATABASE);
    struct db_conn *conn;
    int schema;

    if (!database)
        return err_no_memory(err);
    if (!file_exists(database))
        return err_set(err, ERR_NOT_FOUND, "%s is not there: nothing to back up", database);
    remove_copy(backup);
    if (!db_engine_copy(database, backup->copy, BUSY_TIMEOUT_MS, backup->work.work, err) ||
        !db_engine_migrate(backup->copy, BUSY_TIMEOUT_MS, true, &schema, err) ||
        !db_engine_open(NULL, backup->copy, true, BUSY_TIMEOUT_MS, &conn, err))
        return false;
    bool pruned = db_image_forget_unreferenced(conn, err) && db_image_total(conn, ret_bytes, err) && db_engine_checkpoint(conn, true, err);
    db_engine_close(conn);
    backup->manifest.schema = schema;
    return pruned && db_engine_seal(backup->copy, err);
}

/* Name, bytes and padding of one file. *ret_good false: its bytes are not those of the digest (NULL: any), and nothing was added. */
static bool add_file(struct backup *backup, const char *name, int fd, int64_t length, const char *sha256, bool *ret_good, char ret_sha256[65],
                     struct err *err) {
    struct tar_entry entry = {.length = length};
    off_t before = lseek(backup->fd, 0, SEEK_CUR);
    int64_t copied;

    if (before < 0)
        return err_errno(err, "%s", backup->part);
    snprintf(entry.name, sizeof entry.name, "%s", name);
    if (!tar_write_head(backup->fd, &entry, backup->now, err) || !db_work_copy(&backup->work, fd, backup->fd, length, ret_sha256, &copied, err))
        return false;
    *ret_good = copied == length && (!sha256 || strcmp(sha256, ret_sha256) == 0);
    if (*ret_good)
        return tar_write_padding(backup->fd, length, err);
    return (ftruncate(backup->fd, before) == 0 && lseek(backup->fd, before, SEEK_SET) == before) || err_errno(err, "%s", backup->part);
}

static bool add_database(struct backup *backup, struct err *err) {
    CLEANUP(file_close) int fd = open(backup->copy, O_RDONLY | O_CLOEXEC);
    struct stat info;
    char sha256[SHA256_HEX_SIZE];
    bool good;
    if (fd < 0 || fstat(fd, &info) != 0)
        return err_errno(err, "%s", backup->copy);
    backup->work.total += info.st_size;
    if (!add_file(backup, DB_BACKUP_DATABASE, fd, info.st_size, NULL, &good, sha256, err))
        return false;
    backup->manifest.database_length = info.st_size;
    backup->manifest.database_sha256 = arena_strdup(backup->arena, sha256);
    return backup->manifest.database_sha256 ? good || err_set(err, ERR_IO, "%s changed under the backup", backup->copy) : err_no_memory(err);
}

static bool add_image(struct backup *backup, const struct db_image *image, struct err *err) {
    struct db_backup_manifest *manifest = &backup->manifest;
    char name[TAR_NAME_SIZE], sha256[SHA256_HEX_SIZE], path[4096];
    struct stat info;
    bool good = false;

    snprintf(name, sizeof name, DB_BACKUP_IMAGES "%s", image->sha256);
    if (snprintf(path, sizeof path, "%s/%s", backup->store, name) >= (int)sizeof path)
        return err_set(err, ERR_INVALID, "path %.64s… is too long", path);
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == image->length &&
        !add_file(backup, name, fd, image->length, image->sha256, &good, sha256, err))
        return false;
    if (good) {
        manifest->images++;
        manifest->image_bytes += image->length;
        return true;
    }
    if (manifest->damaged_count == DB_BACKUP_MAX_DAMAGED)
        return err_set(err, ERR_IO, "more than %d images are missing or damaged", DB_BACKUP_MAX_DAMAGED);
    manifest->damaged[manifest->damaged_count] = arena_strdup(backup->arena, image->sha256);
    return manifest->damaged[manifest->damaged_count++] || err_no_memory(err);
}

static bool add_images(struct backup *backup, struct err *err) {
    struct db_conn *conn;
    char after[DB_SHA256_SIZE] = "";
    bool ok = true, more = true;

    if (!db_engine_open(NULL, backup->copy, false, BUSY_TIMEOUT_MS, &conn, err))
        return false;
    while (ok && more) {
        CLEANUP(arena_clear) struct arena page_arena;
        struct db_images page;
        arena_init(&page_arena, 1 << 20);
        ok = db_image_list(conn, after, PAGE, &page_arena, &page, err);
        for (size_t i = 0; ok && i < page.count; i++)
            ok = add_image(backup, &page.items[i], err);
        more = ok && page.more;
        if (more)
            memcpy(after, page.items[page.count - 1].sha256, sizeof after);
    }
    db_engine_close(conn);
    return ok;
}

static bool add_manifest(struct backup *backup, struct err *err) {
    const struct db_backup_manifest *manifest = &backup->manifest;
    const struct manifest_json json = {
        .format = manifest->format,
        .created_at = manifest->created_at,
        .schema = manifest->schema,
        .database_length = manifest->database_length,
        .images = manifest->images,
        .image_bytes = manifest->image_bytes,
        .program = manifest->program,
        .database_sha256 = manifest->database_sha256,
        .damaged = {.count = manifest->damaged_count, .items = manifest->damaged},
    };

    CLEANUP(buf_free) struct buf text = BUF_INIT(DB_BACKUP_MANIFEST_MAX);
    struct tar_entry entry = {.name = DB_BACKUP_MANIFEST};
    json_write(&text, &manifest_shape, &json);
    if (!buf_ok(&text, DB_BACKUP_MANIFEST, err))
        return false;
    entry.length = (int64_t)text.len;
    return tar_write_head(backup->fd, &entry, backup->now, err) && file_write_all(backup->fd, text.data, text.len, err) &&
           tar_write_padding(backup->fd, entry.length, err) && tar_write_end(backup->fd, err);
}

/* False when the file got another name between its opening and its lock: then it is somebody's finished backup. */
static bool is_named(int fd, const char *path) {
    struct stat open_one, named;

    return fstat(fd, &open_one) == 0 && stat(path, &named) == 0 && open_one.st_ino == named.st_ino && open_one.st_dev == named.st_dev;
}

/* The lock on FILE.part keeps a second backup out; what a killed one left is overwritten. */
static bool make(struct backup *backup, struct err *err) {
    int64_t image_bytes;

    if (!file_lock(backup->part, &backup->fd, err))
        return err_prefix(err, "another backup is under way");
    if (!is_named(backup->fd, backup->part)) {
        file_close(&backup->fd);
        return err_set(err, ERR_BUSY, "%s: another backup has just ended", backup->part);
    }
    if (ftruncate(backup->fd, 0) != 0)
        return err_errno(err, "%s", backup->part);
    if (!copy_database(backup, &image_bytes, err))
        return false;
    backup->work.total = image_bytes;
    if (!add_database(backup, err) || !add_images(backup, err) || !add_manifest(backup, err))
        return err_prefix(err, "%s", backup->file);
    if (fsync(backup->fd) != 0)
        return err_errno(err, "%s: sync", backup->part);
    if (file_rename_new(backup->part, backup->file) != 0)
        return errno == EEXIST ? err_set(err, ERR_CONFLICT, "%s exists already", backup->file) : err_errno(err, "rename to %s", backup->file);
    return file_sync_parent(backup->file, err);
}

bool db_backup(const char *folder, const char *file, const char *program, int64_t now, const struct db_work *work, struct arena *arena,
               struct db_backup_manifest *ret_manifest, struct err *err) {
    struct backup backup = {
        .file = file,
        .store = folder,
        .fd = -1,
        .now = now,
        .arena = arena,
        .work = {.work = work, .started_ms = clock_mono_ms()},
        .manifest = {.format = DB_BACKUP_FORMAT, .program = program, .created_at = now},
    };

    if (!set_paths(&backup, err))
        return false;
    if (file_exists(file))
        return err_set(err, ERR_CONFLICT, "%s exists already: a backup replaces nothing", file);
    bool made = make(&backup, err);
    if (backup.fd >= 0) { /* it was ours: nothing of a failed one stays */
        remove_copy(&backup);
        if (!made)
            unlink(backup.part);
    }
    file_close(&backup.fd);
    if (made)
        *ret_manifest = backup.manifest;
    return made;
}
