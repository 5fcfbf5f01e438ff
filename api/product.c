#include "db/product.h"

#include "api/call.h"
#include "api/handlers.h"
#include "api/list.h"
#include "api/shapes.h"

static bool reply_product(struct api_call *call, int status, const struct db_product *product, struct err *err) {
    struct api_product reply;
    api_product_from(product, &reply);
    return api_reply_etag(call, product->revision, err) && api_reply_json(call, status, &api_shape_product, &reply, err);
}

static bool read_policy(const char *text, enum fleet_policy *ret_policy, struct err *err) {
    if (text == NULL || fleet_policy_parse(text, ret_policy))
        return true;
    return err_set_field(err, ERR_INVALID, "policy", "'policy' must be latest or rollout");
}

bool api_product_list(struct api_call *call, struct err *err) {
    struct db_list list;
    struct db_products page;
    struct err why;
    size_t count = 0;
    if (!api_list_begin(call, &list, err) || !db_product_list(call->db, &list, call->arena, &page, err))
        return false;
    struct api_product *items = arena_array(call->arena, page.count, sizeof(*items));
    if (items == NULL && page.count > 0)
        return err_no_memory(err);
    for (size_t i = 0; i < page.count; i++)
        if (api_allow(call, page.items[i].name, &why))
            api_product_from(&page.items[i], &items[count++]);
    return api_list_reply(call, &api_shape_product, items, count, page.next, err);
}

bool api_product_create(struct api_call *call, struct err *err) {
    struct api_product_input input;
    struct db_product product = {.policy = FLEET_POLICY_LATEST, .created_at = call->now, .revision = 1};
    if (!api_body(call, &api_shape_product_input, &input, NULL, err) || !api_check_id(input.id, "id", err) || !api_allow(call, input.id, err) ||
        !read_policy(input.policy, &product.policy, err))
        return false;
    product.name = input.id;
    product.description = input.description != NULL ? input.description : "";
    const char *detail = api_detail(call, "policy", fleet_policy_name(product.policy), (char *)NULL);
    return db_product_insert(call->db, &product, err) && api_audit(call, "product.create", "product", product.name, detail, err) &&
           api_reply_headerf(call, err, "Location", "/api/v1/products/%s", product.name) && reply_product(call, 201, &product, err);
}

bool api_product_get(struct api_call *call, struct err *err) {
    const char *name = api_var(call, "product");
    struct db_product product;
    return api_allow(call, name, err) && db_product_get(call->db, name, call->arena, &product, err) && reply_product(call, 0, &product, err);
}

bool api_product_patch(struct api_call *call, struct err *err) {
    const char *name = api_var(call, "product");
    struct api_product_input input;
    struct db_product product;
    uint64_t present;
    if (!api_allow(call, name, err) || !db_product_get(call->db, name, call->arena, &product, err) || !api_if_match(call, product.revision, err) ||
        !api_patch(call, &api_shape_product_patch, &input, &present, err) || !read_policy(input.policy, &product.policy, err))
        return false;
    if (input.description != NULL)
        product.description = input.description;
    const char *detail = api_detail(call, "policy", input.policy, "description", input.description, (char *)NULL);
    return db_product_update(call->db, &product, err) && api_audit(call, "product.update", "product", name, detail, err) &&
           db_product_get(call->db, name, call->arena, &product, err) && reply_product(call, 0, &product, err);
}
