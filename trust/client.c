#include "trust/client.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"

enum { FILE_MODE = 0644, FOLDER_MODE = 0755, PATH_ARENA_MAX = 65536 };

static const char pinned_name[] = "root.pinned"; /* as provisioned; never changes */
static const char lock_name[] = "lock";

struct tuf_client {
    char *folder; /* NULL: nothing is persisted */
    int lock_fd;
    struct trusted *trusted;
};

/* folder/name. Role names are identifiers; whatever else a profile may let through stays in the folder, percent-encoded. */
static const char *join(struct arena *arena, const char *folder, const char *name, struct err *err) {
    CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_ARENA_MAX);
    buf_printf(&path, "%s/", folder);
    for (; *name != '\0'; name++) {
        bool plain = isalnum((unsigned char)*name) || strchr("._:-", *name) != NULL;
        buf_printf(&path, plain ? "%c" : "%%%02X", (unsigned char)*name);
    }
    const char *copy = buf_ok(&path, "path", err) ? arena_strdup(arena, path.data) : NULL;
    if (copy == NULL)
        err_no_memory(err);
    return copy;
}

/* Reads folder/name; *ret_found is false when there is no such file. */
static bool load(const char *folder, const char *name, struct buf *out, bool *ret_found, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, PATH_ARENA_MAX);
    *ret_found = false;
    if (folder == NULL)
        return true;
    const char *path = join(&arena, folder, name, err);
    if (path == NULL)
        return false;
    /* Only what is plainly absent is absent: a file that cannot be read now must not make an older one count. */
    *ret_found = file_read(path, out, err);
    return *ret_found || err->code == ERR_NOT_FOUND;
}

static bool save(const struct tuf_client *client, const char *name, const void *data, size_t len, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, PATH_ARENA_MAX);
    if (client->folder == NULL)
        return true;
    const char *path = join(&arena, client->folder, name, err);
    return path != NULL && file_write_atomic(path, data, len, FILE_MODE, err);
}

static bool drop(const struct tuf_client *client, const char *name, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, PATH_ARENA_MAX);
    if (client->folder == NULL)
        return true;
    const char *path = join(&arena, client->folder, name, err);
    if (path == NULL)
        return false;
    if (unlink(path) != 0 && errno != ENOENT)
        return err_errno(err, "removing %s", path);
    return file_sync_parent(path, err); /* gone for good before anything that builds on it is written */
}

bool tuf_client_pin(const char *folder, const void *root, size_t root_len, struct err *err) {
    CLEANUP(trusted_cleanup) struct trusted *trusted = NULL;
    CLEANUP(buf_free) struct buf old = BUF_INIT(METADATA_ROOT_MAX);
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, PATH_ARENA_MAX);
    bool found = false;
    if (!trusted_open(root, root_len, &trusted, err) || !file_make_dirs(folder, FOLDER_MODE, err) || !load(folder, pinned_name, &old, &found, err))
        return false;
    if (found && (old.len != root_len || memcmp(old.data, root, root_len) != 0))
        return err_set(err, ERR_CONFLICT, "%s: another root is pinned there", folder);
    const char *path = join(&arena, folder, pinned_name, err);
    return found || (path != NULL && file_write_new(path, root, root_len, FILE_MODE, err));
}

static bool open_trusted(struct tuf_client *client, const void *root, size_t root_len, struct err *err) {
    return trusted_open(root, root_len, &client->trusted, err);
}

/* What was trusted in an earlier run. A file that does not verify any more is as good as none. */
static bool recall(struct tuf_client *client, enum metadata_role role, const char *name, struct err *err) {
    CLEANUP(buf_free) struct buf file = BUF_INIT(metadata_role_max(role));
    struct err ignored;
    bool found = false;
    if (!load(client->folder, name, &file, &found, err))
        return err->code == ERR_TOO_LARGE;
    if (found && !trusted_recall(client->trusted, role, file.data, file.len, &ignored) && ignored.code == ERR_NO_MEMORY)
        return err_no_memory(err);
    return true;
}

/* Targets as persisted earlier, when the snapshot still announces exactly that file; all checks are made on it. */
static bool try_stored_targets(struct tuf_client *client, const struct metadata *delegator, const char *role, const char *name, int64_t now) {
    CLEANUP(buf_free) struct buf file = BUF_INIT(METADATA_TARGETS_MAX);
    struct err ignored;
    bool found = false;
    return load(client->folder, name, &file, &found, &ignored) && found &&
           trusted_update_targets(client->trusted, delegator, role, file.data, file.len, now, &ignored);
}

static bool load_folder(struct tuf_client *client, struct err *err) {
    CLEANUP(buf_free) struct buf root = BUF_INIT(METADATA_ROOT_MAX);
    bool found = false;
    if (!load(client->folder, "root.json", &root, &found, err) || (!found && !load(client->folder, pinned_name, &root, &found, err)))
        return false;
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "%s: no root is pinned there", client->folder);
    if (!open_trusted(client, root.data, root.len, err))
        return err_prefix(err, "%s", client->folder);
    if (!recall(client, METADATA_TIMESTAMP, "timestamp.json", err) || !recall(client, METADATA_SNAPSHOT, "snapshot.json", err))
        return false;
    if (client->trusted->snapshot != NULL)
        (void)try_stored_targets(client, NULL, NULL, "targets.json", METADATA_NO_EXPIRY);
    return true;
}

static struct tuf_client *new_client(struct err *err) {
    struct tuf_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        err_no_memory(err);
        return NULL;
    }
    client->lock_fd = -1;
    return client;
}

bool tuf_client_open(const char *folder, struct tuf_client **ret_client, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, PATH_ARENA_MAX);
    const char *lock = join(&arena, folder, lock_name, err);
    CLEANUP(tuf_client_cleanup) struct tuf_client *client = lock != NULL ? new_client(err) : NULL;
    if (client == NULL)
        return false;
    client->folder = strdup(folder);
    if (client->folder == NULL)
        return err_no_memory(err);
    if (!file_lock(lock, &client->lock_fd, err) || !load_folder(client, err))
        return false;
    *ret_client = client;
    client = NULL;
    return true;
}

bool tuf_client_open_memory(const void *root, size_t root_len, struct tuf_client **ret_client, struct err *err) {
    CLEANUP(tuf_client_cleanup) struct tuf_client *client = new_client(err);
    if (client == NULL || !open_trusted(client, root, root_len, err))
        return false;
    *ret_client = client;
    client = NULL;
    return true;
}

void tuf_client_free(struct tuf_client *client) {
    if (client != NULL) {
        trusted_free(client->trusted);
        file_close(&client->lock_fd);
        free(client->folder);
        free(client);
    }
}

void tuf_client_cleanup(struct tuf_client **client) {
    tuf_client_free(*client);
    *client = NULL;
}

const struct trusted *tuf_client_trusted(const struct tuf_client *client) {
    return client->trusted;
}

/* out->max is the ceiling. A longer body is an attack or a fault of its own name. */
static bool get(const struct tuf_fetch *fetch, const char *name, struct buf *out, struct err *err) {
    bool fine = fetch->get(fetch->context, name, out->max, out, err) && buf_ok(out, name, err);
    if (!fine && err->code == ERR_TOO_LARGE)
        err->code = ERR_LENGTH;
    return fine;
}

/* The announced file under its versioned name, never more than was announced. */
static bool get_announced(const struct tuf_client *client, const struct tuf_fetch *fetch, enum metadata_role role, const struct metadata_file *file,
                          struct buf *out, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, PATH_ARENA_MAX);
    size_t max = metadata_role_max(role);
    if (file->length > (int64_t)max)
        return err_set(err, ERR_LENGTH, "%s: %lld bytes are announced, more than the allowed %zu", file->name, (long long)file->length, max);
    buf_init(out, file->length >= 0 ? (size_t)file->length : max);
    buf_reserve(out, file->length >= 0 ? (size_t)file->length : 0);
    bool versioned = client->trusted->root->consistent_snapshot;
    const char *name = versioned ? arena_printf(&arena, "%lld.%s", (long long)file->version, file->name) : file->name;
    return name != NULL ? get(fetch, name, out, err) : err_no_memory(err);
}

/* One hop; *ret_more is false at the end of the chain. */
static bool hop(struct tuf_client *client, const struct tuf_fetch *fetch, bool *ret_more, struct err *err) {
    CLEANUP(buf_free) struct buf file = BUF_INIT(METADATA_ROOT_MAX);
    char name[32 + sizeof ".root.json"];
    snprintf(name, sizeof name, "%lld.root.json", (long long)client->trusted->root->version + 1);
    *ret_more = false;
    if (!get(fetch, name, &file, err))
        return err->code == ERR_NOT_FOUND;
    if (!trusted_update_root(client->trusted, file.data, file.len, err))
        return false;
    /* Forgetting comes first: with the new root on disk the next start would not know that keys were rotated. */
    bool forgotten = (client->trusted->timestamp != NULL || drop(client, "timestamp.json", err)) &&
                     (client->trusted->snapshot != NULL || drop(client, "snapshot.json", err));
    *ret_more = true;
    return forgotten && save(client, "root.json", file.data, file.len, err);
}

bool tuf_client_walk_root(struct tuf_client *client, const struct tuf_fetch *fetch, struct err *err) {
    bool more = true;
    for (int hops = 0; more && hops < TRUSTED_ROOT_HOPS_MAX; hops++)
        if (!hop(client, fetch, &more, err))
            return false;
    return true;
}

static bool refresh_timestamp(struct tuf_client *client, const struct tuf_fetch *fetch, int64_t now, struct err *err) {
    CLEANUP(buf_free) struct buf file = BUF_INIT(METADATA_TIMESTAMP_MAX);
    bool changed = false;
    if (!get(fetch, "timestamp.json", &file, err) || !trusted_update_timestamp(client->trusted, file.data, file.len, now, &changed, err))
        return false;
    return !changed || save(client, "timestamp.json", file.data, file.len, err);
}

static bool refresh_snapshot(struct tuf_client *client, const struct tuf_fetch *fetch, int64_t now, struct err *err) {
    CLEANUP(buf_free) struct buf file = BUF_INIT(0);
    if (trusted_has_snapshot(client->trusted))
        return metadata_check_expiry(client->trusted->snapshot, now, err);
    return get_announced(client, fetch, METADATA_SNAPSHOT, trusted_expected_snapshot(client->trusted), &file, err) &&
           trusted_update_snapshot(client->trusted, file.data, file.len, now, err) && save(client, "snapshot.json", file.data, file.len, err);
}

static bool refresh_targets(struct tuf_client *client, const struct tuf_fetch *fetch, const struct metadata *delegator, const char *role, int64_t now,
                            struct err *err) {
    CLEANUP(buf_free) struct buf file = BUF_INIT(0);
    const struct metadata_file *expected = trusted_expected_targets(client->trusted, role);
    if (expected == NULL)
        return err_set(err, ERR_MIX, "%s: the snapshot does not list it", role != NULL ? role : "targets");
    if (try_stored_targets(client, delegator, role, expected->name, now))
        return true;
    return get_announced(client, fetch, METADATA_TARGETS, expected, &file, err) &&
           trusted_update_targets(client->trusted, delegator, role, file.data, file.len, now, err) &&
           save(client, expected->name, file.data, file.len, err);
}

bool tuf_client_refresh(struct tuf_client *client, const struct tuf_fetch *fetch, int64_t now, struct err *err) {
    if (!tuf_client_walk_root(client, fetch, err) || !trusted_check_root(client->trusted, now, err) || !refresh_timestamp(client, fetch, now, err) ||
        !refresh_snapshot(client, fetch, now, err))
        return false;
    if (trusted_has_targets(client->trusted))
        return metadata_check_expiry(client->trusted->targets, now, err);
    return refresh_targets(client, fetch, NULL, NULL, now, err);
}

/* What a walk along delegations needs to get roles. */
struct loader {
    struct tuf_client *client;
    const struct tuf_fetch *fetch;
    int64_t now;
};

static bool provide(void *context, const struct metadata *delegator, const char *role, const struct metadata **ret_metadata, struct err *err) {
    const struct loader *loader = context;
    struct trusted *trusted = loader->client->trusted;
    bool held = trusted_targets(trusted, role) != NULL;
    bool fine = held ? trusted_update_targets(trusted, delegator, role, NULL, 0, loader->now, err)
                     : refresh_targets(loader->client, loader->fetch, delegator, role, loader->now, err);
    if (!fine)
        return false;
    *ret_metadata = trusted_targets(trusted, role);
    return true;
}

bool tuf_client_target(struct tuf_client *client, const struct tuf_fetch *fetch, int64_t now, const char *path,
                       const struct metadata_target **ret_target, struct err *err) {
    struct loader loader = {.client = client, .fetch = fetch, .now = now};
    const struct metadata *role = NULL;
    return trusted_find(client->trusted, path, provide, &loader, &role, ret_target, err);
}

bool tuf_client_release(struct tuf_client *client, const struct tuf_fetch *fetch, int64_t now, struct arena *arena, const char *path,
                        struct release *ret_release, struct err *err) {
    const struct metadata_target *target = NULL;
    return tuf_client_target(client, fetch, now, path, &target, err) && release_read(arena, path, target->entry, ret_release, err);
}

static bool load_delegations(struct loader *loader, const struct metadata *delegator, struct err *err) {
    for (size_t i = 0; i < delegator->delegation_count; i++) {
        const struct metadata *ignored = NULL;
        if (trusted_expected_targets(loader->client->trusted, delegator->delegations[i].name) == NULL)
            continue; /* it has published nothing yet */
        if (!provide(loader, delegator, delegator->delegations[i].name, &ignored, err))
            return false;
    }
    return true;
}

bool tuf_client_load_all(struct tuf_client *client, const struct tuf_fetch *fetch, int64_t now, struct err *err) {
    struct loader loader = {.client = client, .fetch = fetch, .now = now};
    struct trusted *trusted = client->trusted;
    if (trusted->targets == NULL)
        return err_set(err, ERR_INTERNAL, "delegated roles are loaded after a refresh");
    if (!load_delegations(&loader, trusted->targets, err))
        return false;
    /* The list grows while it is walked. */
    for (size_t i = 0; i < trusted->delegated_count; i++)
        if (!load_delegations(&loader, trusted->delegated[i].metadata, err))
            return false;
    return true;
}
