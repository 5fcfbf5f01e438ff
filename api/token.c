#include "api/token.h"

#include "api/call.h"
#include "api/env.h"
#include "api/event.h"
#include "api/handlers.h"
#include "api/list.h"
#include "api/secret.h"
#include "api/shapes.h"

bool api_token_make(struct arena *arena, struct db_token *token, const char **ret_text, struct err *err) {
    return api_secret_make(arena, API_SECRET_TOKEN, &token->id, token->secret_sha256, ret_text, err);
}

bool api_token_parse(const char *text, char ret_id[DB_TOKEN_ID_SIZE], uint8_t ret_secret_sha256[32]) {
    _Static_assert((int)DB_TOKEN_ID_SIZE == (int)API_SECRET_ID_SIZE, "one size of id");
    return api_secret_parse(text, API_SECRET_TOKEN, ret_id, ret_secret_sha256);
}

bool api_token_list(struct api_call *call, struct err *err) {
    struct db_list list;
    struct db_tokens page;
    if (!api_list_begin(call, &list, err) || !db_token_list(call->db, &list, call->arena, &page, err))
        return false;
    struct api_token *items = arena_array(call->arena, page.count, sizeof(*items));
    if (items == NULL && page.count > 0)
        return err_no_memory(err);
    for (size_t i = 0; i < page.count; i++)
        if (!api_token_from(call->arena, &page.items[i], &items[i], err))
            return false;
    return api_list_reply(call, &api_shape_token, items, page.count, page.next, err);
}

/* Nobody gives what he does not have. */
static bool check_grants(const struct db_token *giver, const struct db_token *token, struct err *err) {
    for (size_t i = 0; i < token->grant_count; i++) {
        const struct db_grant *grant = &token->grants[i];
        if (!db_token_allows(giver, grant->scope, grant->product))
            return err_set_field(err, ERR_SCOPE, "scopes", "the token that asks does not have '%s'%s%s itself", grant->scope,
                                 grant->product[0] != '\0' ? " for product " : "", grant->product);
    }
    return true;
}

static bool reply_new(struct api_call *call, int status, const struct db_token *token, const char *secret, struct err *err) {
    struct api_token shown;
    return api_token_from(call->arena, token, &shown, err) && api_reply_etag(call, token->revision, err) &&
           api_reply_secret(call, status, "token", &api_shape_token, &shown, secret, err);
}

bool api_token_create(struct api_call *call, struct err *err) {
    struct api_token_input input;
    uint64_t present;
    const char *secret;
    if (!api_body(call, &api_shape_token_input, &input, &present, err))
        return false;
    struct db_token token = {
        .name = input.name != NULL ? input.name : "",
        .created_by = call->operator_.actor,
        .created_at = call->now,
        .expires_at = call->now + ((present & API_TOKEN_HAS_EXPIRY) != 0 ? input.expires_in_s : API_TOKEN_EXPIRY_S),
        .revision = 1,
    };
    if (!api_scopes_read(call->arena, &input.scopes, &token, err) || !check_grants(call->operator_.token, &token, err) ||
        !api_token_make(call->arena, &token, &secret, err) || !db_token_insert(call->db, &token, err))
        return false;
    const char *detail = api_detail(call, "name", token.name, (char *)NULL);
    return api_audit(call, "token.create", "token", token.id, detail, err) &&
           api_reply_headerf(call, err, "Location", "/api/v1/tokens/%s", token.id) && reply_new(call, 201, &token, secret, err);
}

bool api_token_rotate(struct api_call *call, struct err *err) {
    struct api_token_rotation input;
    struct db_token token;
    uint64_t present;
    const char *secret;
    if (!api_body(call, &api_shape_token_rotation, &input, &present, err) ||
        !db_token_get(call->db, api_var(call, "token"), call->arena, &token, err) || !check_grants(call->operator_.token, &token, err))
        return false;
    if (token.revoked_at != 0 || call->now >= token.expires_at)
        return err_set(err, ERR_CONFLICT, "token '%s' %s: make another", token.id, token.revoked_at != 0 ? "is revoked" : "has expired");
    int64_t expires_at = (present & API_TOKEN_ROTATION_HAS_EXPIRY) != 0 ? call->now + input.expires_in_s : token.expires_at;
    if (!api_secret_renew(call->arena, API_SECRET_TOKEN, token.id, token.secret_sha256, &secret, err) ||
        !db_token_rotate(call->db, token.id, token.secret_sha256, call->now + input.grace_s, expires_at, err) ||
        !db_token_get(call->db, token.id, call->arena, &token, err) ||
        !api_audit(call, "token.rotate", "token", token.id, api_detail(call, "reason", input.reason, (char *)NULL), err) ||
        !api_stream_recheck(call, err))
        return false;
    return reply_new(call, 200, &token, secret, err);
}

bool api_token_get(struct api_call *call, struct err *err) {
    struct db_token token;
    struct api_token reply;
    return db_token_get(call->db, api_var(call, "token"), call->arena, &token, err) && api_token_from(call->arena, &token, &reply, err) &&
           api_reply_etag(call, token.revision, err) && api_reply_json(call, 0, &api_shape_token, &reply, err);
}

bool api_token_delete(struct api_call *call, struct err *err) {
    struct db_token token;
    if (!db_token_get(call->db, api_var(call, "token"), call->arena, &token, err) || !api_if_match(call, token.revision, err) ||
        !db_token_revoke(call->db, token.id, token.revision, call->now, err) || !api_audit(call, "token.revoke", "token", token.id, NULL, err) ||
        !api_stream_recheck(call, err))
        return false;
    call->reply.status = 204;
    return true;
}
