#include "api/served.h"

#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/env.h"
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
    struct gate_file files[API_SERVED_ROLES];
    size_t file_count = 0;
    for (int role = API_SERVED_TIMESTAMP; role <= API_SERVED_TARGETS; role++) {
        if (read_file(conn, &arena, api_served_names[role], 0, &files[file_count], err))
            file_count++;
        else if (err->code != ERR_NOT_FOUND)
            return false;
    }
    return gate_load(roots, root_count, files, file_count, ret_trusted, err);
}

void api_served_publish(struct api_served *served, const struct trusted *trusted) {
    for (int i = 0; i < API_SERVED_ROLES; i++) {
        const struct metadata *metadata = role_of(trusted, i);
        atomic_store(&served->roles[i].version, metadata != NULL ? metadata->version : 0);
        atomic_store(&served->roles[i].expires_at, metadata != NULL ? metadata->expires_at : 0);
    }
}

bool api_served_gate(struct api_call *call, const struct trusted *before, const struct gate_file *files, size_t count, struct gate_result *ret_result,
                     struct err *err) {
    const struct gate_request request = {
        .now = before,
        .files = files,
        .file_count = count,
        .timestamp_key = call->env->timestamp_key,
        .time = call->now,
        .timestamp_version_floor = before->timestamp != NULL ? before->timestamp->version : 0,
    };
    return gate_check(&request, call->arena, ret_result, err);
}

struct change {
    struct api_served *served;
    int64_t version[API_SERVED_ROLES];
    int64_t expires_at[API_SERVED_ROLES];
};

static void apply(struct db *db, void *arg, bool committed) {
    (void)db;
    struct change *change = arg;
    for (int i = 0; committed && i < API_SERVED_ROLES; i++) {
        atomic_store(&change->served->roles[i].version, change->version[i]);
        atomic_store(&change->served->roles[i].expires_at, change->expires_at[i]);
    }
    free(change);
}

bool api_served_store(struct db_conn *tx, const struct api_env *env, const struct trusted *before, const struct trusted *after, int64_t now,
                      struct err *err) {
    struct change *change = calloc(1, sizeof(*change));
    if (change == NULL)
        return err_no_memory(err);
    change->served = env->served;
    for (int i = 0; i < API_SERVED_ROLES; i++) {
        const struct metadata *old = before != NULL ? role_of(before, i) : NULL;
        const struct metadata *metadata = role_of(after, i);
        if (metadata == NULL)
            continue;
        change->version[i] = metadata->version;
        change->expires_at[i] = metadata->expires_at;
        if (old != NULL && old->version == metadata->version)
            continue;
        if (!db_metadata_insert(tx, api_served_names[i], metadata->version, metadata->bytes, metadata->len, now, err)) {
            free(change);
            return false;
        }
    }
    if (!db_on_commit(tx, apply, change, err)) {
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
    return gate_renew_timestamp(after, env->timestamp_key, floor, now, err) && api_served_store(tx, env, before, after, now, err);
}

bool api_served_check_keys(const struct trusted *trusted, const struct key *timestamp_key, const struct key *directive_key, struct err *err) {
    if (!signers_have(&trusted->root->signers[METADATA_TIMESTAMP], timestamp_key))
        return err_set(err, ERR_KEY, "the timestamp key is not one that root %lld names", (long long)trusted->root->version);
    if (!signers_have(&trusted->root->directive, directive_key))
        return err_set(err, ERR_KEY, "the directive key is not one that root %lld names", (long long)trusted->root->version);
    return true;
}

bool api_served_name(const char *file, const char **ret_role, int64_t *ret_version) {
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
    return false;
}
