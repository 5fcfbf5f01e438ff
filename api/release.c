#include "db/release.h"

#include <string.h>

#include "api/call.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/list.h"
#include "api/shapes.h"
#include "api/withdraw.h"
#include "common/file.h"
#include "common/hex.h"
#include "db/image.h"
#include "db/product.h"

static bool reply_release(struct api_call *call, const struct db_release *release, struct err *err) {
    struct api_release reply;
    return api_release_from(call->arena, release, &reply, err) && api_reply_json(call, 0, &api_shape_release, &reply, err);
}

bool api_release_list(struct api_call *call, struct err *err) {
    struct db_list list;
    struct db_releases page;
    if (!api_allow_list(call, err) || !api_list_begin(call, &list, err) ||
        !db_release_list(call->db, api_query(call, "product"), &list, call->arena, &page, err))
        return false;
    struct api_release *items = arena_array(call->arena, page.count, sizeof(*items));
    if (items == NULL && page.count > 0)
        return err_no_memory(err);
    for (size_t i = 0; i < page.count; i++)
        if (!api_release_from(call->arena, &page.items[i], &items[i], err))
            return false;
    return api_list_reply(call, &api_shape_release, items, page.count, page.next, err);
}

bool api_release_get(struct api_call *call, struct err *err) {
    const char *product = api_var(call, "product");
    struct db_release release;
    return api_allow(call, product, err) && db_release_get_version(call->db, product, api_var(call, "version"), call->arena, &release, err) &&
           reply_release(call, &release, err);
}

/* The first release of a product creates it. */
static bool ensure_product(struct api_call *call, const char *name, struct err *err) {
    struct db_product product;
    if (db_product_get(call->db, name, call->arena, &product, err))
        return true;
    if (err->code != ERR_NOT_FOUND)
        return false;
    product = (struct db_product){.name = name, .description = "", .policy = FLEET_POLICY_LATEST, .created_at = call->now, .revision = 1};
    const char *detail = api_detail(call, "policy", fleet_policy_name(product.policy), (char *)NULL);
    return db_product_insert(call->db, &product, err) && api_audit(call, "product.create", "product", name, detail, err);
}

/* The signed entry as a row. */
static struct db_release row_of(const struct release *release, int64_t now) {
    bool sealed = release->encryption == RELEASE_AGE;
    return (struct db_release){
        .path = release->path,
        .product = release->product,
        .version = release->version,
        .sequence = release->sequence,
        .security_version = release->security_version,
        .requires_sequence = release->requires_sequence,
        .hardware = {.count = release->hardware_count, .items = (const char **)(uintptr_t)release->hardware},
        .length = release->length,
        .sha256 = release->sha256,
        .encryption = sealed ? "age" : "none",
        .plain_length = sealed ? release->plain_length : 0,
        .plain_sha256 = sealed ? release->plain_sha256 : "",
        .notes = release->notes,
        .signed_at = release->created_at,
        .published_at = now,
    };
}

static bool insert(struct api_call *call, const struct release *release, struct api_release *ret_reply, struct err *err) {
    int64_t id;
    const struct db_release row = row_of(release, call->now);
    struct db_release stored;
    if (!api_allow(call, release->product, err) || !ensure_product(call, release->product, err) || !db_release_insert(call->db, &row, &id, err))
        return false;
    const char *detail = api_detail(call, "sha256", release->sha256, "file", release->file, (char *)NULL);
    const char *object = arena_printf(call->arena, "%s/%s", release->product, release->version);
    if (object == NULL)
        return err_no_memory(err);
    return api_audit(call, "release.publish", "release", object, detail, err) && db_release_get(call->db, id, call->arena, &stored, err) &&
           api_release_from(call->arena, &stored, ret_reply, err);
}

/* Each detached signature must be of an image that a release of this publication has. */
static bool store_signatures(struct api_call *call, const struct api_publish_input *input, const struct gate_result *result, struct err *err) {
    const struct api_signature_input *signatures = input->signatures.items;
    for (size_t i = 0; i < input->signatures.count; i++) {
        const struct release *release = NULL;
        for (size_t j = 0; j < result->added.count && release == NULL; j++)
            if (strcmp(result->added.items[j].sha256, signatures[i].sha256) == 0)
                release = &result->added.items[j];
        if (release == NULL)
            return err_set_field(err, ERR_INVALID, "signatures", "no new release has an image %.64s", signatures[i].sha256);
        const struct json_bytes *bytes = &signatures[i].signature;
        CLEANUP(file_close) int image = -1;
        int64_t size;
        if (!db_image_open(call->env->db, release->sha256, &image, &size, err) ||
            !gate_check_image_signature(result->trusted, release, image, bytes->data, bytes->len, err) ||
            !db_image_signature_set(call->db, release->sha256, bytes->data, bytes->len, err))
            return false;
    }
    return true;
}

static bool publish(struct api_call *call, const struct api_publish_input *input, const struct gate_result *result, struct err *err) {
    struct api_published reply = {
        .targets_version = result->trusted->targets->version,
        .snapshot_version = result->trusted->snapshot->version,
        .timestamp_version = result->trusted->timestamp->version,
    };
    if (result->added.count == 0)
        return err_set_field(err, ERR_INVALID, "targets", "the metadata adds no release; POST /api/v1/metadata takes it when that is meant");
    struct api_release *items = arena_array(call->arena, result->added.count, sizeof(*items));
    if (items == NULL)
        return err_no_memory(err);
    /* The releases come first, so that their signature rows find the images they belong to. */
    for (size_t i = 0; i < result->added.count; i++)
        if (!insert(call, &result->added.items[i], &items[i], err))
            return false;
    if (!store_signatures(call, input, result, err))
        return false;
    for (size_t i = 0; i < result->added.count; i++)
        for (size_t j = 0; j < input->signatures.count; j++)
            if (strcmp(items[i].sha256, ((const struct api_signature_input *)input->signatures.items)[j].sha256) == 0)
                items[i].signature = true;
    reply.releases = (struct json_list){.count = result->added.count, .items = items};
    return api_reply_json(call, 201, &api_shape_published, &reply, err);
}

bool api_release_publish(struct api_call *call, struct err *err) {
    struct api_publish_input input;
    if (!api_body(call, &api_shape_publish_input, &input, NULL, err))
        return false;
    struct gate_file files[API_SERVED_FILES];
    size_t count;
    if (!api_served_files(&input, files, &count, err))
        return false;
    if (input.targets.data == NULL && input.delegated.count == 0)
        return err_set_field(err, ERR_INVALID, "targets", "'targets' or 'delegated' is required");
    struct trusted *before CLEANUP(trusted_cleanup) = NULL;
    struct gate_result result = {0};
    struct api_served_keys keys;
    bool done = api_served_load(call->db, &before, err) && api_served_choose_keys(call->env, before, files, count, &keys, err) &&
                api_served_gate(call, before, files, count, &keys, &result, err) && publish(call, &input, &result, err) &&
                api_served_store(call->db, call->env, before, result.trusted, &keys, call->now, err) && api_withdraw_follow(call, &result.all, err);
    trusted_free(result.trusted);
    return done;
}
