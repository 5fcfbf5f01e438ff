/* Claim tokens: made and listed by operators, shown by devices that enrol. */
#include "db/claim.h"

#include <string.h>

#include "api/call.h"
#include "api/enrol.h"
#include "api/enrol_shapes.h"
#include "api/env.h"
#include "api/find.h"
#include "api/handlers.h"
#include "api/list.h"
#include "api/secret.h"
#include "common/hash.h"
#include "db/device.h"

enum { EXPIRY_S = 86400, SAME_KEY_S = 3600 };

bool api_claim_find(struct api_call *call, const char *text, struct db_claim *ret_claim, struct err *err) {
    char id[API_SECRET_ID_SIZE];
    uint8_t secret[SHA256_SIZE];
    struct db_claim claim;
    struct err why;
    bool good = api_secret_parse(text, API_SECRET_CLAIM, id, secret) && db_claim_get(call->db, id, call->arena, &claim, &why) &&
                hash_equal(secret, claim.secret_sha256, SHA256_SIZE);
    if (!good)
        return err_set(err, ERR_UNAUTHENTICATED, "there is no such claim token");
    *ret_claim = claim;
    return true;
}

bool api_claim_check(const struct db_claim *claim, const char *device, const uint8_t key[DB_PIN_SIZE], int64_t now, struct err *err) {
    if (claim->revoked_at != 0)
        return err_set(err, ERR_GONE, "the claim was revoked");
    if (claim->device[0] != '\0' && strcmp(claim->device, device) != 0)
        return err_set(err, ERR_FORBIDDEN, "the claim is for another device than '%s'", device);
    if (claim->spent_at != 0) {
        bool same = strcmp(claim->spent_device, device) == 0 && hash_equal(claim->spent_key, key, DB_PIN_SIZE);
        return (same && now < claim->spent_at + SAME_KEY_S) || err_set(err, ERR_GONE, "the claim was used already");
    }
    return now < claim->expires_at || err_set(err, ERR_GONE, "the claim has expired");
}

bool api_claim_list(struct api_call *call, struct err *err) {
    struct db_list list;
    struct db_claims page;
    const struct db_claim_filter filter = {.device = api_query(call, "device"), .product = api_query(call, "product")};
    if (!api_allow_list(call, err) || !api_list_begin(call, &list, err) || !db_claim_list(call->db, &filter, &list, call->arena, &page, err))
        return false;
    struct api_claim *items = arena_array(call->arena, page.count, sizeof(*items));
    if (items == NULL && page.count > 0)
        return err_no_memory(err);
    for (size_t i = 0; i < page.count; i++)
        api_claim_from(&page.items[i], call->now, &items[i]);
    return api_list_reply(call, &api_shape_claim, items, page.count, page.next, err);
}

static bool check_input(const struct api_claim_input *input, struct err *err) {
    if ((input->device == NULL) == (input->product == NULL))
        return err_set_field(err, ERR_INVALID, "device", "give either 'device' or 'product'");
    return (input->device == NULL || api_check_id(input->device, "device", err)) &&
           (input->product == NULL || api_check_id(input->product, "product", err));
}

/* A device that is beyond the token's reach is refused in the words for one that does not exist. */
static bool check_reach(struct api_call *call, const struct api_claim_input *input, struct err *err) {
    const char *product;
    if (!api_find_claim_product(call, input->device, input->product, &product, err))
        return false;
    return api_allow(call, product, err) || (input->device != NULL && api_allow(call, NULL, err));
}

bool api_claim_create(struct api_call *call, struct err *err) {
    struct api_claim_input input;
    uint64_t present;
    const char *secret;
    if (!api_body(call, &api_shape_claim_input, &input, &present, err) || !check_input(&input, err) || !check_reach(call, &input, err))
        return false;
    struct db_claim claim = {
        .device = input.device != NULL ? input.device : "",
        .product = input.product != NULL ? input.product : "",
        .note = input.note != NULL ? input.note : "",
        .created_by = call->operator_.actor,
        .created_at = call->now,
        .expires_at = call->now + ((present & API_CLAIM_HAS_EXPIRY) != 0 ? input.expires_in_s : EXPIRY_S),
        .spent_device = "",
        .revision = 1,
    };
    const char *detail = api_detail(call, "device", input.device, "product", input.product, (char *)NULL);
    if (!api_secret_make(call->arena, API_SECRET_CLAIM, &claim.id, claim.secret_sha256, &secret, err) ||
        (!db_claim_insert(call->db, &claim, err) && !api_missing(err, "product")) || !api_audit(call, "claim.create", "claim", claim.id, detail, err))
        return false;
    struct api_claim shown;
    api_claim_from(&claim, call->now, &shown);
    return api_reply_headerf(call, err, "Location", "/api/v1/claims/%s", claim.id) && api_reply_etag(call, claim.revision, err) &&
           api_reply_secret(call, 201, "claim", &api_shape_claim, &shown, secret, err);
}

bool api_claim_get(struct api_call *call, struct err *err) {
    struct db_claim claim;
    struct api_claim reply;
    if (!api_find_claim(call, &claim, err))
        return false;
    api_claim_from(&claim, call->now, &reply);
    return api_reply_etag(call, claim.revision, err) && api_reply_json(call, 0, &api_shape_claim, &reply, err);
}

bool api_claim_delete(struct api_call *call, struct err *err) {
    struct db_claim claim;
    if (!api_find_claim(call, &claim, err) || !api_if_match(call, claim.revision, err) || !db_claim_revoke(call->db, claim.id, call->now, err) ||
        !api_audit(call, "claim.revoke", "claim", claim.id, NULL, err))
        return false;
    call->reply.status = 204;
    return true;
}
