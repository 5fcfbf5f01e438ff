#include <stdio.h>
#include <string.h>

#include "api/shapes.h"
#include "common/text.h"

static const char *const scopes_known[] = {
    "device:read",   "device:write",    "release:read", "release:publish", "rollout:read",
    "rollout:write", "rollout:approve", "token:admin",  "audit:read",      "metrics:read",
};

bool api_scopes_write(struct arena *arena, const struct db_token *token, struct json_texts *ret_scopes, struct err *err) {
    const char **items = arena_array(arena, token->grant_count + 1, sizeof(*items));
    if (items == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < token->grant_count; i++) {
        const struct db_grant *grant = &token->grants[i];
        items[i] = grant->product[0] != '\0' ? arena_printf(arena, "%s@%s", grant->scope, grant->product) : grant->scope;
        if (items[i] == NULL)
            return err_no_memory(err);
    }
    *ret_scopes = (struct json_texts){.count = token->grant_count, .items = items};
    return true;
}

static bool grant_read(struct arena *arena, const char *text, struct db_grant *ret_grant) {
    const char *at = strchr(text, '@');
    size_t len = at != NULL ? (size_t)(at - text) : strlen(text);
    if (at != NULL && !text_is_id(at + 1))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(scopes_known); i++) {
        if (strlen(scopes_known[i]) != len || memcmp(scopes_known[i], text, len) != 0)
            continue;
        const char *product = arena_strdup(arena, at != NULL ? at + 1 : "");
        *ret_grant = (struct db_grant){.scope = scopes_known[i], .product = product};
        return product != NULL;
    }
    return false;
}

bool api_scopes_read(struct arena *arena, const struct json_texts *scopes, struct db_token *token, struct err *err) {
    struct db_grant *grants = arena_array(arena, scopes->count, sizeof(*grants));
    if (grants == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < scopes->count; i++) {
        char field[32];
        snprintf(field, sizeof(field), "scopes[%zu]", i);
        if (!grant_read(arena, scopes->items[i], &grants[i]))
            return err_set_field(err, ERR_INVALID, field, "'%.96s' is no scope: SCOPE or SCOPE@PRODUCT, as in openapi.yaml", scopes->items[i]);
        for (size_t j = 0; j < i; j++)
            if (strcmp(grants[i].scope, grants[j].scope) == 0 && strcmp(grants[i].product, grants[j].product) == 0)
                return err_set_field(err, ERR_INVALID, field, "'%.96s' is given twice", scopes->items[i]);
    }
    token->grants = grants;
    token->grant_count = scopes->count;
    return true;
}
