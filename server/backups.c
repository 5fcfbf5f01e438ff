#include "server/backups.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/text.h"
#include "db/backup.h"

enum { MAX_LISTED = 1000, MAX_SAME_SECOND = 100, ARENA_BYTES = 64 << 20, PATH_BYTES = 4096 };

bool backups_begin(struct server *server, struct err *err) {
    const char *folder = server->config.store.backups;
    pthread_mutex_init(&server->backups.lock, NULL);
    return folder == NULL || file_make_dirs(folder, 0700, err) || err_prefix(err, "[store] backups");
}

/* The progress, and the word to stop. */
static bool step(void *context, int64_t done, int64_t total) {
    struct server_backups *backups = context;
    atomic_store(&backups->done, done);
    atomic_store(&backups->total, total);
    return !atomic_load(&backups->stop);
}

static void finish(struct server_backups *backups, bool made, const struct db_backup_manifest *manifest, const struct err *err) {
    pthread_mutex_lock(&backups->lock);
    backups->failed = !made;
    backups->error[0] = '\0';
    if (!made)
        snprintf(backups->error, sizeof(backups->error), "%s", err->text);
    else if (manifest->damaged_count > 0)
        snprintf(backups->error, sizeof(backups->error), "%zu images are missing or damaged in the store and not in it", manifest->damaged_count);
    backups->running = false;
    pthread_mutex_unlock(&backups->lock);
}

static void *run(void *arg) {
    struct server *server = arg;
    struct server_backups *backups = &server->backups;
    struct arena arena CLEANUP(arena_clear);
    const struct db_work work = {.step = step, .context = backups};
    struct db_backup_manifest manifest;
    char path[PATH_BYTES];
    struct err err;
    arena_init(&arena, ARENA_BYTES);
    snprintf(path, sizeof(path), "%s/%s", server->config.store.backups, backups->name);
    bool made = db_backup(server->config.store.data, path, PAWL_VERSION, backups->created_at, &work, &arena, &manifest, &err);
    if (made)
        log_event(LOG_INFO, "backup made", "file", backups->name, (char *)NULL);
    else
        log_err(LOG_ERROR, "backup failed", &err);
    finish(backups, made, &manifest, &err);
    return NULL;
}

/* A thread that has ended waits to be joined. The lock is held. */
static void join(struct server_backups *backups) {
    if (!backups->has_thread || backups->running)
        return;
    pthread_join(backups->thread, NULL);
    backups->has_thread = false;
}

static struct api_backup show(struct arena *arena, struct server_backups *backups) {
    return (struct api_backup){
        .name = arena_strdup(arena, backups->name),
        .state = backups->running  ? "running"
                 : backups->failed ? "failed"
                                   : "done",
        .bytes = atomic_load(&backups->done),
        .total_bytes = atomic_load(&backups->total),
        .created_at = backups->created_at,
        .error = backups->error[0] != '\0' ? arena_strdup(arena, backups->error) : NULL,
    };
}

/* Of a file, or of one that is being made: by hand too. */
static bool is_taken(const char *path) {
    char part[PATH_BYTES + sizeof(".part")];
    snprintf(part, sizeof(part), "%s.part", path);
    return file_exists(path) || file_exists(part);
}

/* pawl-TIME.tar, or pawl-TIME-2.tar …: the first that is free. */
static bool choose_name(const char *folder, int64_t now, char ret_name[BACKUP_NAME_SIZE], struct err *err) {
    char time[CLOCK_RFC3339_SIZE], name[BACKUP_NAME_SIZE], path[PATH_BYTES];
    clock_rfc3339(now, time);
    snprintf(name, sizeof(name), "pawl-%s.tar", time);
    for (int number = 2; number <= MAX_SAME_SECOND + 1; number++) {
        if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
            return err_set(err, ERR_CONFIG, "[store] backups: the path is too long");
        if (!is_taken(path)) {
            memcpy(ret_name, name, sizeof(name));
            return true;
        }
        snprintf(name, sizeof(name), "pawl-%s-%d.tar", time, number);
    }
    return err_set(err, ERR_BUSY, "%d backups are named after %s already", MAX_SAME_SECOND, time);
}

/* The lock is held. */
static bool start(struct server *server, int64_t now, struct err *err) {
    struct server_backups *backups = &server->backups;
    join(backups);
    if (backups->running || atomic_load(&backups->stop))
        return err_set(err, ERR_BUSY, "a backup is being made, or the server is ending");
    if (!choose_name(server->config.store.backups, now, backups->name, err))
        return false;
    backups->created_at = now;
    backups->error[0] = '\0';
    backups->failed = false;
    atomic_store(&backups->done, 0);
    atomic_store(&backups->total, 0);
    backups->running = true;
    backups->running = backups->has_thread = pthread_create(&backups->thread, NULL, run, server) == 0;
    return backups->running || err_set(err, ERR_BUSY, "no thread for a backup");
}

bool backups_start(struct server *server, struct arena *arena, int64_t now, struct api_backup *ret_backup, struct err *err) {
    struct server_backups *backups = &server->backups;
    if (server->config.store.backups == NULL)
        return err_set(err, ERR_CONFLICT, "[store] backups names no folder at this server: pawld backup makes one there");
    pthread_mutex_lock(&backups->lock);
    bool started = start(server, now, err);
    if (started)
        *ret_backup = show(arena, backups);
    pthread_mutex_unlock(&backups->lock);
    return started && (ret_backup->name != NULL || err_no_memory(err));
}

static int newest_first(const void *a, const void *b) {
    const struct api_backup *x = a, *y = b;
    return x->created_at != y->created_at ? (x->created_at < y->created_at ? 1 : -1) : strcmp(y->name, x->name);
}

/* Files of the folder but the one that is shown already. */
static bool list_files(const char *folder, const char *shown, struct arena *arena, struct api_backups *list, struct err *err) {
    DIR *dir = opendir(folder);
    struct stat info;
    if (dir == NULL)
        return err_errno(err, "[store] backups: %s", folder);
    for (const struct dirent *item = readdir(dir); item != NULL && list->count < MAX_LISTED; item = readdir(dir)) {
        if (!text_ends(item->d_name, ".tar") || text_equal(item->d_name, shown) ||
            fstatat(dirfd(dir), item->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
            continue;
        list->items[list->count++] = (struct api_backup){.name = arena_strdup(arena, item->d_name),
                                                         .state = "done",
                                                         .bytes = info.st_size,
                                                         .total_bytes = info.st_size,
                                                         .created_at = info.st_mtime};
    }
    closedir(dir);
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].name == NULL)
            return err_no_memory(err);
    return true;
}

bool backups_list(struct server *server, struct arena *arena, struct api_backups *ret_backups, struct err *err) {
    struct server_backups *backups = &server->backups;
    struct api_backups list = {.items = arena_array(arena, MAX_LISTED, sizeof(*list.items))};
    if (list.items == NULL)
        return err_no_memory(err);
    if (server->config.store.backups != NULL) {
        pthread_mutex_lock(&backups->lock);
        if (backups->name[0] != '\0' && (backups->running || backups->failed || backups->error[0] != '\0'))
            list.items[list.count++] = show(arena, backups);
        pthread_mutex_unlock(&backups->lock);
        if (!list_files(server->config.store.backups, list.count > 0 ? list.items[0].name : NULL, arena, &list, err))
            return false;
        qsort(list.items, list.count, sizeof(*list.items), newest_first);
    }
    *ret_backups = list;
    return true;
}

void backups_end(struct server *server) {
    struct server_backups *backups = &server->backups;
    atomic_store(&backups->stop, true);
    if (backups->has_thread)
        pthread_join(backups->thread, NULL);
    backups->has_thread = false;
}
