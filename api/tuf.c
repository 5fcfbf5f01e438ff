#include <stdio.h>

#include "api/call.h"
#include "api/conditional.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/reply.h"

bool api_tuf_get(struct api_call *call, struct err *err) {
    const char *file = api_var(call, "file");
    const char *role;
    int64_t version = 0;
    struct db_metadata stored;
    if (!api_served_name(call->arena, file, &role, &version))
        return err_set(err, ERR_NOT_FOUND, "there is no metadata file '%.128s'", file);
    bool found = version == 0 ? db_metadata_current(call->db, role, call->arena, &stored, err)
                              : db_metadata_get(call->db, role, version, call->arena, &stored, err);
    if (!found)
        return err->code == ERR_NOT_FOUND ? err_set(err, ERR_NOT_FOUND, "there is no metadata file '%.128s'", file) : false;

    char etag[DB_SHA256_SIZE + 2];
    snprintf(etag, sizeof(etag), "\"%s\"", stored.sha256);
    if (!api_reply_header(call, "ETag", etag, err))
        return false;
    const struct api_validators validators = {.etag = etag};
    const struct api_conditions conditions = {.if_none_match = api_header(call, "If-None-Match")};
    if (api_conditional_decide(&conditions, &validators) == API_CONDITION_NOT_MODIFIED) {
        call->reply.status = 304;
        return true;
    }
    call->reply.content_type = "application/json";
    call->reply.body = stored.data;
    call->reply.body_len = stored.len;
    return true;
}
