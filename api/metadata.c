#include "api/call.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/shapes.h"
#include "api/withdraw.h"

enum { ROLES_MAX = API_SERVED_ROLES + TRUSTED_DELEGATED_MAX };

bool api_metadata_get(struct api_call *call, struct err *err) {
    struct api_metadata_role roles[ROLES_MAX];
    struct api_served_role delegated[TRUSTED_DELEGATED_MAX];
    size_t count = 0;
    for (int i = 0; i < API_SERVED_ROLES; i++) {
        int64_t version = atomic_load(&call->env->served->roles[i].version);
        if (version != 0)
            roles[count++] = (struct api_metadata_role){
                .role = api_served_names[i], .version = version, .expires_at = atomic_load(&call->env->served->roles[i].expires_at)};
    }
    size_t delegated_count = api_served_delegated(call->env->served, delegated);
    for (size_t i = 0; i < delegated_count; i++)
        roles[count++] = (struct api_metadata_role){delegated[i].name, delegated[i].version, delegated[i].expires_at};
    const struct api_metadata_status status = {.roles = {.count = count, .items = roles}};
    return api_reply_json(call, 0, &api_shape_metadata_status, &status, err);
}

static bool reply_status(struct api_call *call, const struct trusted *trusted, struct err *err) {
    const struct metadata *const all[API_SERVED_ROLES] = {trusted->root, trusted->timestamp, trusted->snapshot, trusted->targets};
    struct api_metadata_role roles[ROLES_MAX];
    size_t count = 0;
    for (int i = 0; i < API_SERVED_ROLES; i++)
        if (all[i] != NULL)
            roles[count++] = (struct api_metadata_role){.role = api_served_names[i], .version = all[i]->version, .expires_at = all[i]->expires_at};
    for (size_t i = 0; i < trusted->delegated_count; i++) {
        const struct metadata *metadata = trusted->delegated[i].metadata;
        roles[count++] = (struct api_metadata_role){metadata->name, metadata->version, metadata->expires_at};
    }
    const struct api_metadata_status status = {.roles = {.count = count, .items = roles}};
    return api_reply_json(call, 0, &api_shape_metadata_status, &status, err);
}

bool api_metadata_post(struct api_call *call, struct err *err) {
    struct api_publish_input input;
    if (!api_body(call, &api_shape_metadata_input, &input, NULL, err))
        return false;
    struct gate_file files[API_SERVED_FILES];
    size_t count;
    if (!api_served_files(&input, files, &count, err))
        return false;
    if (count == 0)
        return err_set(err, ERR_INVALID, "at least one of root, targets, delegated and snapshot is required");

    struct trusted *before CLEANUP(trusted_cleanup) = NULL;
    struct gate_result result = {0};
    struct api_served_keys keys;
    bool done = api_served_load(call->db, &before, err) && api_served_choose_keys(call->env, before, files, count, &keys, err) &&
                api_served_gate(call, before, files, count, &keys, &result, err);
    if (done && result.added.count > 0)
        done = err_set_field(err, ERR_INVALID, "targets", "the metadata adds the release %s; POST /api/v1/releases takes it",
                             result.added.items[0].path);
    done = done && api_served_store(call->db, call->env, before, result.trusted, &keys, call->now, err) &&
           api_withdraw_follow(call, &result.all, err) && api_audit(call, "metadata.update", "metadata", files[0].name, NULL, err) &&
           reply_status(call, result.trusted, err);
    trusted_free(result.trusted);
    return done;
}
