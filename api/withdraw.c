#include "api/withdraw.h"

#include "api/call.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/shapes.h"
#include "db/release.h"

/* Withdrawn once is withdrawn: nothing happens the second time. */
static bool withdraw(struct api_call *call, const struct db_release *release, const char *reason, struct err *err) {
    if (release->withdrawn_at != 0)
        return true;
    const char *object = arena_printf(call->arena, "%s/%s", release->product, release->version);
    const char *detail = api_detail(call, "reason", reason, "sha256", release->sha256, (char *)NULL);
    if (object == NULL || detail == NULL)
        return err_no_memory(err);
    return db_release_withdraw(call->db, release->id, call->now, err) && api_audit(call, "release.withdraw", "release", object, detail, err);
}

bool api_withdraw_follow(struct api_call *call, const struct trusted_releases *releases, struct err *err) {
    for (size_t i = 0; i < releases->count; i++) {
        struct db_release release;
        if (!releases->items[i].withdrawn)
            continue;
        if (!db_release_get_path(call->db, releases->items[i].path, call->arena, &release, err) ||
            !withdraw(call, &release, "the signed metadata says so", err))
            return false;
    }
    return true;
}

bool api_release_withdraw(struct api_call *call, struct err *err) {
    const char *product = api_var(call, "product");
    const char *version = api_var(call, "version");
    const char *reason;
    struct db_release release;
    struct api_release reply;
    return api_allow(call, product, err) && api_reason(call, &reason, err) &&
           db_release_get_version(call->db, product, version, call->arena, &release, err) && withdraw(call, &release, reason, err) &&
           db_release_get_version(call->db, product, version, call->arena, &release, err) && api_release_from(call->arena, &release, &reply, err) &&
           api_reply_json(call, 0, &api_shape_release, &reply, err);
}
