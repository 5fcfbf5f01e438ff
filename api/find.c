#include "api/find.h"

#include <stdio.h>
#include <string.h>

/* May the token read this kind of thing of the product, whatever else is to be done? */
static bool may_read(const struct api_call *call, const char *product) {
    char scope[32];
    snprintf(scope, sizeof(scope), "%.*s:read", (int)strcspn(call->route->scope, ":"), call->route->scope);
    return api_holds(call, scope, product);
}

static bool reach(const struct api_call *call, const char *product, const char *kind, const char *id, struct err *err) {
    if (api_allow(call, product, err))
        return true;
    return !may_read(call, product) && err_set(err, ERR_NOT_FOUND, "%s '%s' does not exist", kind, id);
}

bool api_find_device(struct api_call *call, const char *id, struct db_device *ret_device, struct err *err) {
    return db_device_get(call->db, id, call->arena, ret_device, err) && reach(call, ret_device->product, "device", id, err);
}

bool api_find_deployment(struct api_call *call, struct db_deployment *ret_deployment, struct err *err) {
    const char *text = api_var(call, "deployment");
    int64_t id;
    return api_number(text, "deployment", &id, err) && db_deployment_get(call->db, id, call->arena, ret_deployment, err) &&
           reach(call, ret_deployment->product, "deployment", text, err);
}

bool api_find_rollout(struct api_call *call, struct db_rollout *ret_rollout, struct err *err) {
    const char *text = api_var(call, "rollout");
    int64_t id;
    return api_number(text, "rollout", &id, err) && db_rollout_get(call->db, id, call->arena, ret_rollout, err) &&
           reach(call, ret_rollout->plan.product, "rollout", text, err);
}

bool api_find_certificate(struct api_call *call, struct db_certificate *ret_certificate, struct err *err) {
    const char *serial = api_var(call, "serial");
    return db_certificate_get(call->db, serial, call->arena, ret_certificate, err) &&
           reach(call, ret_certificate->product, "certificate", serial, err);
}

bool api_find_claim_product(struct api_call *call, const char *device, const char *product, const char **ret_product, struct err *err) {
    struct db_device row;
    bool of_device = device != NULL && device[0] != '\0';
    bool found = of_device && db_device_get(call->db, device, call->arena, &row, err);
    if (of_device && !found && err->code != ERR_NOT_FOUND)
        return false;
    *ret_product = found ? row.product : of_device || product == NULL ? "" : product;
    return true;
}

bool api_find_claim(struct api_call *call, struct db_claim *ret_claim, struct err *err) {
    const char *id = api_var(call, "claim"), *product;
    return db_claim_get(call->db, id, call->arena, ret_claim, err) &&
           api_find_claim_product(call, ret_claim->device, ret_claim->product, &product, err) && reach(call, product, "claim", id, err);
}
