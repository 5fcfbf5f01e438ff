#include "api/call.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/shapes.h"

bool api_metadata_get(struct api_call *call, struct err *err) {
    struct api_metadata_role roles[API_SERVED_ROLES];
    size_t count = 0;
    for (int i = 0; i < API_SERVED_ROLES; i++) {
        int64_t version = atomic_load(&call->env->served->roles[i].version);
        if (version != 0)
            roles[count++] = (struct api_metadata_role){
                .role = api_served_names[i], .version = version, .expires_at = atomic_load(&call->env->served->roles[i].expires_at)};
    }
    const struct api_metadata_status status = {.roles = {.count = count, .items = roles}};
    return api_reply_json(call, 0, &api_shape_metadata_status, &status, err);
}

static bool reply_status(struct api_call *call, const struct trusted *trusted, struct err *err) {
    const struct metadata *const all[API_SERVED_ROLES] = {trusted->root, trusted->timestamp, trusted->snapshot, trusted->targets};
    struct api_metadata_role roles[API_SERVED_ROLES];
    size_t count = 0;
    for (int i = 0; i < API_SERVED_ROLES; i++)
        if (all[i] != NULL)
            roles[count++] = (struct api_metadata_role){.role = api_served_names[i], .version = all[i]->version, .expires_at = all[i]->expires_at};
    const struct api_metadata_status status = {.roles = {.count = count, .items = roles}};
    return api_reply_json(call, 0, &api_shape_metadata_status, &status, err);
}

bool api_metadata_post(struct api_call *call, struct err *err) {
    struct api_publish_input input;
    if (!api_body(call, &api_shape_metadata_input, &input, NULL, err))
        return false;
    const struct gate_file given[] = {
        {.name = "root", .data = input.root.data, .len = input.root.len},
        {.name = "targets", .data = input.targets.data, .len = input.targets.len},
        {.name = "snapshot", .data = input.snapshot.data, .len = input.snapshot.len},
    };
    struct gate_file files[ARRAY_LEN(given)];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(given); i++)
        if (given[i].data != NULL)
            files[count++] = given[i];
    if (count == 0)
        return err_set(err, ERR_INVALID, "at least one of root, targets and snapshot is required");

    struct trusted *before CLEANUP(trusted_cleanup) = NULL;
    struct gate_result result = {0};
    bool done = api_served_load(call->db, &before, err) && api_served_gate(call, before, files, count, &result, err);
    if (done && result.added.count > 0)
        done = err_set_field(err, ERR_INVALID, "targets", "the metadata adds the release %s; POST /api/v1/releases takes it",
                             result.added.items[0].path);
    done = done && api_served_check_keys(result.trusted, call->env->timestamp_key, call->env->directive_key, err) &&
           api_served_store(call->db, call->env, before, result.trusted, call->now, err) &&
           api_audit(call, "metadata.update", "metadata", files[0].name, NULL, err) && reply_status(call, result.trusted, err);
    trusted_free(result.trusted);
    return done;
}
