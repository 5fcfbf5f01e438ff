#include "api/served.h"

#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/env.h"
#include "api/shapes.h"
#include "common/text.h"

const char *const api_served_names[API_SERVED_ROLES] = {"root", "timestamp", "snapshot", "targets"};

static const struct metadata *role_of(const struct trusted *trusted, int role) {
    const struct metadata *const roles[API_SERVED_ROLES] = {trusted->root, trusted->timestamp, trusted->snapshot, trusted->targets};
    return roles[role];
}

/* The stored file of a role as the gate wants it; ERR_NOT_FOUND stays with the caller. */
static bool read_file(struct db_conn *conn, struct arena *arena, const char *role, int64_t version, struct gate_file *ret_file, struct err *err) {
    struct db_metadata stored;
    if (version == 0 ? !db_metadata_current(conn, role, arena, &stored, err) : !db_metadata_get(conn, role, version, arena, &stored, err))
        return false;
    *ret_file = (struct gate_file){.name = role, .data = stored.data, .len = stored.len};
    return true;
}

static bool read_roots(struct db_conn *conn, struct arena *arena, struct gate_file **ret_roots, size_t *ret_count, struct err *err) {
    struct db_metadata newest;
    if (!db_metadata_current(conn, "root", arena, &newest, err)) {
        if (err->code == ERR_NOT_FOUND)
            err_set(err, ERR_NOT_FOUND, "no root metadata is stored: give it with 'pawld init --root 1.root.json'");
        return false;
    }
    size_t count = (size_t)newest.version;
    struct gate_file *roots = arena_array(arena, count, sizeof(*roots));
    if (roots == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        if (!read_file(conn, arena, "root", (int64_t)i + 1, &roots[i], err))
            return false;
    *ret_roots = roots;
    *ret_count = count;
    return true;
}

bool api_served_load(struct db_conn *conn, struct trusted **ret_trusted, struct err *err) {
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena, 64 * 1024 * 1024);
    struct gate_file *roots;
    size_t root_count;
    if (!read_roots(conn, &arena, &roots, &root_count, err))
        return false;
    struct gate_file files[API_SERVED_ROLES + TRUSTED_DELEGATED_MAX];
    size_t file_count = 0;
    struct db_texts delegated;
    for (int role = API_SERVED_TIMESTAMP; role <= API_SERVED_TARGETS; role++)
        if (read_file(conn, &arena, api_served_names[role], 0, &files[file_count], err))
            file_count++;
        else if (err->code != ERR_NOT_FOUND)
            return false;
    if (!db_metadata_delegated(conn, &arena, &delegated, err))
        return false;
    if (delegated.count > TRUSTED_DELEGATED_MAX)
        return err_set(err, ERR_FORMAT, "%zu delegated roles are stored, more than %d", delegated.count, TRUSTED_DELEGATED_MAX);
    for (size_t i = 0; i < delegated.count; i++)
        if (!read_file(conn, &arena, delegated.items[i], 0, &files[file_count++], err))
            return false;
    return gate_load(roots, root_count, files, file_count, ret_trusted, err);
}

/* What changes with one publication, made before COMMIT and shown after it. */
struct change {
    struct api_served *served;
    struct api_online *online;
    struct api_served_keys keys;
    int64_t version[API_SERVED_ROLES];
    int64_t expires_at[API_SERVED_ROLES];
    size_t delegated_count;
    struct api_served_role delegated[TRUSTED_DELEGATED_MAX];
};

static void describe(struct change *change, const struct trusted *trusted) {
    for (int i = 0; i < API_SERVED_ROLES; i++) {
        const struct metadata *metadata = role_of(trusted, i);
        change->version[i] = metadata != NULL ? metadata->version : 0;
        change->expires_at[i] = metadata != NULL ? metadata->expires_at : 0;
    }
    for (size_t i = 0; i < trusted->delegated_count; i++) {
        const struct metadata *metadata = trusted->delegated[i].metadata;
        struct api_served_role *role = &change->delegated[change->delegated_count];
        *role = (struct api_served_role){.version = metadata->version, .expires_at = metadata->expires_at};
        change->delegated_count += text_copy(role->name, sizeof(role->name), metadata->name) ? 1 : 0;
    }
}

static void show(const struct change *change) {
    struct api_served *served = change->served;
    for (int i = 0; i < API_SERVED_ROLES; i++) {
        atomic_store(&served->roles[i].version, change->version[i]);
        atomic_store(&served->roles[i].expires_at, change->expires_at[i]);
    }
    pthread_mutex_lock(&served->lock);
    memcpy(served->delegated, change->delegated, sizeof(served->delegated));
    served->delegated_count = change->delegated_count;
    pthread_mutex_unlock(&served->lock);
}

void api_served_publish(struct api_served *served, const struct trusted *trusted) {
    struct change change = {.served = served};
    describe(&change, trusted);
    show(&change);
}

size_t api_served_delegated(struct api_served *served, struct api_served_role ret_roles[TRUSTED_DELEGATED_MAX]) {
    pthread_mutex_lock(&served->lock);
    size_t count = served->delegated_count;
    memcpy(ret_roles, served->delegated, sizeof(served->delegated));
    pthread_mutex_unlock(&served->lock);
    return count;
}

bool api_served_files(const struct api_publish_input *input, struct gate_file ret_files[API_SERVED_FILES], size_t *ret_count, struct err *err) {
    const struct {
        const char *name;
        const struct json_bytes *bytes;
    } top[] = {{"root", &input->root}, {"targets", &input->targets}, {"snapshot", &input->snapshot}};
    const struct api_role_file *delegated = input->delegated.items;
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(top); i++)
        if (top[i].bytes->data != NULL)
            ret_files[count++] = (struct gate_file){.name = top[i].name, .data = top[i].bytes->data, .len = top[i].bytes->len};
    for (size_t i = 0; i < input->delegated.count; i++) {
        if (!metadata_delegated_name_check(delegated[i].role, err))
            return false;
        ret_files[count++] = (struct gate_file){.name = delegated[i].role, .data = delegated[i].data.data, .len = delegated[i].data.len};
    }
    *ret_count = count;
    return true;
}

static bool choose_key(const struct api_env *env, const struct signers *signers, const char *role, const struct key *in_use,
                       const struct key **ret_key, struct err *err) {
    *ret_key = in_use;
    return signers_have(signers, in_use) || env->find_key(env->server, signers, ret_key, err) || err_prefix(err, "the %s key", role);
}

static bool choose_keys(const struct api_env *env, const struct metadata *root, struct api_served_keys *ret_keys, struct err *err) {
    struct api_served_keys keys;
    if (!choose_key(env, &root->signers[METADATA_TIMESTAMP], "timestamp", atomic_load(&env->online->timestamp), &keys.timestamp, err) ||
        !choose_key(env, &root->directive, "directive", atomic_load(&env->online->directive), &keys.directive, err))
        return false;
    *ret_keys = keys;
    return true;
}

bool api_served_choose_keys(const struct api_env *env, const struct trusted *trusted, const struct gate_file *files, size_t count,
                            struct api_served_keys *ret_keys, struct err *err) {
    struct metadata *root CLEANUP(metadata_cleanup) = NULL;
    for (size_t i = 0; i < count && root == NULL; i++)
        if (text_equal(files[i].name, "root") && !metadata_parse(METADATA_ROOT, NULL, files[i].data, files[i].len, &root, err))
            return false;
    if (root != NULL && metadata_verify(root, &trusted->root->signers[METADATA_ROOT], "root", err) != VERDICT_VERIFIED)
        return false;
    return choose_keys(env, root != NULL ? root : trusted->root, ret_keys, err);
}

bool api_served_gate(struct api_call *call, const struct trusted *before, const struct gate_file *files, size_t count,
                     const struct api_served_keys *keys, struct gate_result *ret_result, struct err *err) {
    const struct gate_request request = {
        .now = before,
        .files = files,
        .file_count = count,
        .timestamp_key = keys->timestamp,
        .time = call->now,
        .timestamp_version_floor = before->timestamp != NULL ? before->timestamp->version : 0,
    };
    return gate_check(&request, call->arena, ret_result, err);
}

static void apply(struct db *db, void *arg, bool committed) {
    (void)db;
    struct change *change = arg;
    if (committed) {
        atomic_store(&change->online->timestamp, change->keys.timestamp);
        atomic_store(&change->online->directive, change->keys.directive);
        show(change);
    }
    free(change);
}

static bool store_role(struct db_conn *tx, const struct metadata *old, const struct metadata *new, int64_t now, struct err *err) {
    return (old != NULL && old->version == new->version) || db_metadata_insert(tx, new->name, new->version, new->bytes, new->len, now, err);
}

static bool store_roles(struct db_conn *tx, const struct trusted *before, const struct trusted *after, int64_t now, struct err *err) {
    for (int i = 0; i < API_SERVED_ROLES; i++)
        if (role_of(after, i) != NULL && !store_role(tx, before != NULL ? role_of(before, i) : NULL, role_of(after, i), now, err))
            return false;
    for (size_t i = 0; i < after->delegated_count; i++) {
        const struct metadata *new = after->delegated[i].metadata;
        if (!store_role(tx, before != NULL ? trusted_targets(before, new->name) : NULL, new, now, err))
            return false;
    }
    for (size_t i = 0; before != NULL && i < before->delegated_count; i++) {
        const char *name = before->delegated[i].metadata->name;
        if (trusted_targets(after, name) == NULL && !db_metadata_retire(tx, name, err))
            return false;
    }
    return true;
}

bool api_served_store(struct db_conn *tx, const struct api_env *env, const struct trusted *before, const struct trusted *after,
                      const struct api_served_keys *keys, int64_t now, struct err *err) {
    struct change *change = calloc(1, sizeof(*change));
    if (change == NULL)
        return err_no_memory(err);
    change->served = env->served;
    change->online = env->online;
    change->keys = *keys;
    describe(change, after);
    if (!store_roles(tx, before, after, now, err) || !db_on_commit(tx, apply, change, err)) {
        free(change);
        return false;
    }
    return true;
}

bool api_served_renew(struct db_conn *tx, const struct api_env *env, int64_t now, struct err *err) {
    struct trusted *before CLEANUP(trusted_cleanup) = NULL;
    struct trusted *after CLEANUP(trusted_cleanup) = NULL;
    if (!api_served_load(tx, &before, err) || !api_served_load(tx, &after, err))
        return false;
    if (after->snapshot == NULL)
        return true;
    int64_t floor = after->timestamp != NULL ? after->timestamp->version : 0;
    struct api_served_keys keys;
    return choose_keys(env, before->root, &keys, err) && gate_renew_timestamp(after, keys.timestamp, floor, now, err) &&
           api_served_store(tx, env, before, after, &keys, now, err);
}

bool api_served_check_keys(const struct trusted *trusted, const struct key *timestamp_key, const struct key *directive_key, struct err *err) {
    if (!signers_have(&trusted->root->signers[METADATA_TIMESTAMP], timestamp_key))
        return err_set(err, ERR_KEY, "the timestamp key is not one that root %lld names", (long long)trusted->root->version);
    if (!signers_have(&trusted->root->directive, directive_key))
        return err_set(err, ERR_KEY, "the directive key is not one that root %lld names", (long long)trusted->root->version);
    return true;
}

/* "<role>.json" */
static bool delegated_name(struct arena *arena, const char *file, const char **ret_role) {
    struct err unused;
    size_t len = strlen(file);
    if (len <= 5 || len > METADATA_ROLE_NAME_MAX + 5 || !text_ends(file, ".json"))
        return false;
    const char *role = arena_strndup(arena, file, len - 5);
    if (role == NULL || !metadata_delegated_name_check(role, &unused))
        return false;
    *ret_role = role;
    return true;
}

bool api_served_name(struct arena *arena, const char *file, const char **ret_role, int64_t *ret_version) {
    if (strcmp(file, "timestamp.json") == 0) {
        *ret_role = "timestamp";
        *ret_version = 0;
        return true;
    }
    const char *dot = strchr(file, '.');
    if (dot == NULL || file[0] == '0' || !text_to_int_n(file, (size_t)(dot - file), 1, INT64_MAX, ret_version))
        return false;
    for (int i = 0; i < API_SERVED_ROLES; i++) {
        size_t len = strlen(api_served_names[i]);
        if (i != API_SERVED_TIMESTAMP && strncmp(dot + 1, api_served_names[i], len) == 0 && strcmp(dot + 1 + len, ".json") == 0) {
            *ret_role = api_served_names[i];
            return true;
        }
    }
    return delegated_name(arena, dot + 1, ret_role);
}
