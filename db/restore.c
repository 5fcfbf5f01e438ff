#include "db/restore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/hex.h"
#include "common/tar.h"
#include "common/text.h"
#include "db/carry.h"
#include "db/image.h"
#include "db/store.h"

#define MARK ".restoring" /* in a store until it is known to be in its place */

enum { PAGE = 200, OPEN_FOLDERS = 8, KEPT_MAX = 1000 };

struct restore {
    const struct db_restore_options *options;
    struct arena *arena;
    const char *staging; /* the new store until it takes its place */
    int lock_fd;         /* of the folder that is there now */
    bool occupied;       /* it holds something */
    int fd;              /* the archive */
    struct db_work_copy work;
    struct db_backup_manifest manifest;
    int64_t database_length, images, image_bytes; /* as found */
    char database_sha256[SHA256_HEX_SIZE];
    struct db_restore_report report;
};

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static bool remove_tree(const char *folder, struct err *err) {
    return !file_exists(folder) || nftw(folder, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0 ||
           err_errno(err, "remove %s", folder);
}

/* True when there is more in it than the lock. */
static bool is_occupied(const char *folder, bool *ret_occupied, struct err *err) {
    DIR *dir = opendir(folder);
    bool occupied = false;

    if (!dir)
        return err_errno(err, "open folder %s", folder);
    for (const struct dirent *item = readdir(dir); item; item = readdir(dir))
        occupied = occupied || !(text_equal(item->d_name, ".") || text_equal(item->d_name, "..") || text_equal(item->d_name, "lock"));
    closedir(dir);
    *ret_occupied = occupied;
    return true;
}

/* Where the store that was there goes: a name that nothing has. */
static const char *kept_path(const struct restore *restore) {
    char time[CLOCK_RFC3339_SIZE];

    clock_rfc3339(restore->options->now, time);
    const char *path = arena_printf(restore->arena, "%s.before-restore-%s", restore->options->folder, time);
    for (int i = 2; path && file_exists(path) && i < KEPT_MAX; i++)
        path = arena_printf(restore->arena, "%s.before-restore-%s-%d", restore->options->folder, time, i);
    return path;
}

/* What a killed run left: a store in the making has the mark and is removed; one without it is the old one, which had changed places already. */
static bool clear_staging(const struct restore *restore, struct err *err) {
    const char *mark = arena_printf(restore->arena, "%s/" MARK, restore->staging);
    const char *kept = kept_path(restore);
    bool occupied = false;

    if (!mark || !kept)
        return err_no_memory(err);
    if (!file_exists(restore->staging))
        return true;
    if (!file_exists(mark) && !is_occupied(restore->staging, &occupied, err))
        return false;
    if (!occupied)
        return remove_tree(restore->staging, err);
    return file_rename_new(restore->staging, kept) == 0 || err_errno(err, "move %s to %s", restore->staging, kept);
}

static bool make_staging(const struct restore *restore, struct err *err) {
    const char *mark = arena_printf(restore->arena, "%s/" MARK, restore->staging);
    const char *images = arena_printf(restore->arena, "%s/images", restore->staging);

    if (!mark || !images)
        return err_no_memory(err);
    return file_make_dirs(restore->staging, 0700, err) && file_write_new(mark, "", 0, 0600, err) && file_make_dirs(images, 0750, err);
}

/* Nobody may use the store that is there, and nothing may be lost. */
static bool enter(struct restore *restore, struct err *err) {
    const char *folder = restore->options->folder;
    const char *lock = arena_printf(restore->arena, "%s/lock", folder);

    restore->staging = arena_printf(restore->arena, "%s.restore", folder);
    if (!lock || !restore->staging)
        return err_no_memory(err);
    if (!file_make_dirs(folder, 0700, err) || !file_lock(lock, &restore->lock_fd, err) || !is_occupied(folder, &restore->occupied, err))
        return false;
    if (restore->occupied && !restore->options->force)
        return err_set(err, ERR_CONFLICT, "%s holds a store already: with --force it is moved aside, not removed", folder);
    return clear_staging(restore, err) && make_staging(restore, err);
}

/* One file of the archive onto the disk. */
static bool extract(struct restore *restore, const struct tar_entry *entry, char ret_sha256[65], struct err *err) {
    const char *path = arena_printf(restore->arena, "%s/%s", restore->staging, entry->name);
    int64_t length;

    if (!path)
        return err_no_memory(err);
    CLEANUP(file_close) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return errno == EEXIST ? err_set(err, ERR_FORMAT, "%s is in the archive twice", entry->name) : err_errno(err, "%s", path);
    if (!db_work_copy(&restore->work, restore->fd, fd, entry->length, ret_sha256, &length, err))
        return err_prefix(err, "%s", entry->name);
    if (length != entry->length)
        return err_set(err, ERR_LENGTH, "%s: the archive is cut short", entry->name);
    if (!tar_read_padding(restore->fd, length, err))
        return err_prefix(err, "%s", entry->name);
    return fsync(fd) == 0 || err_errno(err, "%s: sync", path);
}

static bool extract_image(struct restore *restore, const struct tar_entry *entry, struct err *err) {
    char sha256[SHA256_HEX_SIZE];
    const char *name = entry->name + strlen(DB_BACKUP_IMAGES);

    if (!extract(restore, entry, sha256, err))
        return false;
    if (strcmp(sha256, name) != 0)
        return err_set(err, ERR_HASH, "%s: its bytes have SHA-256 %s: the archive is damaged", entry->name, sha256);
    restore->images++;
    restore->image_bytes += entry->length;
    return true;
}

static bool read_manifest(struct restore *restore, const struct tar_entry *entry, struct err *err) {
    char *text = entry->length <= DB_BACKUP_MANIFEST_MAX ? arena_alloc(restore->arena, (size_t)entry->length + 1) : NULL;

    if (!text)
        return err_set(err, ERR_TOO_LARGE, "%s of %lld bytes", entry->name, (long long)entry->length);
    if (!tar_read(restore->fd, text, (size_t)entry->length, err) || !tar_read_padding(restore->fd, entry->length, err))
        return err_prefix(err, "%s", entry->name);
    return db_backup_manifest_read(restore->arena, text, (size_t)entry->length, &restore->manifest, err);
}

/* The database, images, the manifest, in this order, and nothing else: no name of the archive's choosing touches the disk. */
static bool extract_all(struct restore *restore, struct err *err) {
    for (;;) {
        struct tar_entry entry;
        bool end, first = restore->database_length == 0, last = restore->manifest.format != 0;

        if (!tar_read_head(restore->fd, &entry, &end, err))
            return false;
        if (end)
            return last || err_set(err, ERR_FORMAT, "no %s in it: no backup of Pawl's, or cut short", DB_BACKUP_MANIFEST);
        bool good;
        if (first && text_equal(entry.name, DB_BACKUP_DATABASE)) {
            good = extract(restore, &entry, restore->database_sha256, err);
            restore->database_length = entry.length;
        } else if (!first && !last && text_starts(entry.name, DB_BACKUP_IMAGES) && hex_is_digest(entry.name + strlen(DB_BACKUP_IMAGES))) {
            good = extract_image(restore, &entry, err);
        } else if (!first && !last && text_equal(entry.name, DB_BACKUP_MANIFEST)) {
            good = read_manifest(restore, &entry, err);
        } else {
            good = err_set(err, ERR_FORMAT, "'%s' does not belong into a backup of Pawl's, or not there", entry.name);
        }
        if (!good)
            return false;
    }
}

static bool check_manifest(const struct restore *restore, struct err *err) {
    const struct db_backup_manifest *manifest = &restore->manifest;

    if (manifest->database_length != restore->database_length || strcmp(manifest->database_sha256, restore->database_sha256) != 0)
        return err_set(err, ERR_HASH, "%s is not the one that %s names: the archive is damaged", DB_BACKUP_DATABASE, DB_BACKUP_MANIFEST);
    if (manifest->images != restore->images || manifest->image_bytes != restore->image_bytes)
        return err_set(err, ERR_LENGTH, "%lld images of %lld bytes are in it, and %s names %lld of %lld", (long long)restore->images,
                       (long long)restore->image_bytes, DB_BACKUP_MANIFEST, (long long)manifest->images, (long long)manifest->image_bytes);
    return true;
}

static bool is_left_out(const struct db_backup_manifest *manifest, const char *sha256) {
    for (size_t i = 0; i < manifest->damaged_count; i++)
        if (strcmp(manifest->damaged[i], sha256) == 0)
            return true;
    return false;
}

static bool check_image(struct restore *restore, const struct db_image *image, struct err *err) {
    struct stat info;
    const char *path = arena_printf(restore->arena, "%s/" DB_BACKUP_IMAGES "%s", restore->staging, image->sha256);

    if (!path)
        return err_no_memory(err);
    bool there = stat(path, &info) == 0 && info.st_size == image->length;
    return there || is_left_out(&restore->manifest, image->sha256) || err_set(err, ERR_FORMAT, "image %s is not in it", image->sha256);
}

/* An image for each row. */
static bool check_images(struct restore *restore, struct db_conn *conn, struct err *err) {
    char after[DB_SHA256_SIZE] = "";

    for (bool more = true; more;) {
        CLEANUP(arena_clear) struct arena page_arena;
        struct db_images page;
        arena_init(&page_arena, 1 << 20);
        if (!db_image_list(conn, after, PAGE, &page_arena, &page, err))
            return false;
        for (size_t i = 0; i < page.count; i++)
            if (!check_image(restore, &page.items[i], err))
                return false;
        more = page.more;
        if (more)
            memcpy(after, page.items[page.count - 1].sha256, sizeof after);
    }
    return true;
}

/* What the old store knows and the backup does not: floors, revocations, withdrawals. A database that cannot be read stops it. */
static bool carry(struct restore *restore, struct db *db, struct err *err) {
    const char *old = arena_printf(restore->arena, "%s/%s", restore->options->folder, DB_BACKUP_DATABASE);
    struct db_conn *conn = NULL;

    if (!old)
        return err_no_memory(err);
    struct db_carry carried = {.now = restore->options->now, .manifest = &restore->manifest};
    if (file_exists(old) && !restore->options->without_carrying) {
        if (!db_engine_open(NULL, old, false, 0, &conn, err))
            return err_prefix(
                err, "the replaced store cannot be read, so none of its revocations and floors can be kept (--without-carrying gives them up)");
        carried.from = conn;
    }
    bool done = db_write(db, db_carry_run, &carried, err);
    db_engine_close(conn);
    restore->report.carried = carried.from != NULL;
    restore->report.devices = carried.devices;
    restore->report.tokens = carried.tokens;
    restore->report.releases = carried.releases;
    return done;
}

/* Opens the new store once as a server would: schema, statements, registry, catalog. */
static bool try_store(struct restore *restore, struct err *err) {
    const struct db_options options = {.folder = restore->staging};
    const char *database = arena_printf(restore->arena, "%s/%s", restore->staging, DB_BACKUP_DATABASE);
    struct db *db;
    struct db_conn *conn;

    if (!database)
        return err_no_memory(err);
    if (!db_engine_seal(database, err) || !db_open(&options, &db, err))
        return false;
    bool good = db_reader_open(db, &conn, err);
    if (good) {
        good = check_images(restore, conn, err);
        db_reader_close(conn);
    }
    good = good && carry(restore, db, err);
    db_close(db);
    return good;
}

/* The one step. What was there is aside then, or gone when it was empty. */
static bool change_places(struct restore *restore, struct err *err) {
    const char *folder = restore->options->folder, *staging = restore->staging;
    const char *images = arena_printf(restore->arena, "%s/images", staging);
    const char *mark = arena_printf(restore->arena, "%s/" MARK, folder);
    const char *kept = kept_path(restore);

    if (!kept || !images || !mark)
        return err_no_memory(err);
    if (!file_sync_dir(images, err) || !file_sync_dir(staging, err))
        return false;
    if (renameat2(AT_FDCWD, staging, AT_FDCWD, folder, RENAME_EXCHANGE) != 0)
        return err_errno(err, "put the store at %s (a folder of a file system that can exchange two names, and no mount point)", folder);
    if (!file_sync_parent(folder, err))
        return false;
    if (unlink(mark) != 0)
        return err_errno(err, "%s", mark);
    if (!restore->occupied)
        return remove_tree(staging, err);
    if (file_rename_new(staging, kept) != 0)
        return err_errno(err, "the store is restored, but the old one is still at %s", staging);
    restore->report.kept = kept;
    return file_sync_parent(folder, err);
}

bool db_restore(const struct db_restore_options *options, struct arena *arena, struct db_restore_report *ret_report, struct err *err) {
    struct stat info;
    struct restore restore = {.options = options, .arena = arena, .lock_fd = -1, .fd = -1};

    restore.fd = open(options->file, O_RDONLY | O_CLOEXEC);
    if (restore.fd < 0 || fstat(restore.fd, &info) != 0) {
        err_errno(err, "%s", options->file);
        file_close(&restore.fd);
        return false;
    }
    restore.work = (struct db_work_copy){.work = options->work, .started_ms = clock_mono_ms(), .total = info.st_size};
    bool staged = enter(&restore, err);
    bool done = staged && ((extract_all(&restore, err) && check_manifest(&restore, err)) || err_prefix(err, "%s", options->file)) &&
                try_store(&restore, err) && change_places(&restore, err);
    struct err unused;
    if (staged && !done && !remove_tree(restore.staging, &unused))
        err_prefix(err, "%s stays behind", restore.staging);
    file_close(&restore.fd);
    file_close(&restore.lock_fd);
    if (done) {
        restore.report.manifest = restore.manifest;
        *ret_report = restore.report;
    }
    return done;
}
