#include "api/call.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/shapes.h"
#include "common/hex.h"
#include "db/token.h"

bool api_whoami_device(struct api_call *call, struct err *err) {
    const struct db_device_hot *hot = &call->device;
    char spki[65];
    hex_encode(call->identity.spki_sha256, 32, spki);
    struct api_installed installed = {.version = api_or_null(hot->installed_version), .sequence = hot->installed_sequence};
    struct api_floor floor = {.sequence = hot->floor.sequence, .security_version = hot->floor.security_version};
    struct api_device_whoami reply = {
        .id = call->identity.id,
        .state = fleet_device_state_name(hot->state),
        .product = api_or_null(hot->product),
        .hardware = api_or_null(hot->hardware),
        .installed = hot->installed_known ? &installed : NULL,
        .floor = floor.sequence > 0 ? &floor : NULL,
        .spki_sha256 = spki,
        .certificate_expires_at = call->identity.not_after,
    };
    return api_reply_json(call, 0, &api_shape_device_whoami, &reply, err);
}

bool api_whoami_operator(struct api_call *call, struct err *err) {
    const struct db_token *token = call->operator_.token;
    struct api_operator_whoami reply = {
        .actor = call->operator_.actor,
        .token = api_or_null(token->id),
        .name = token->name,
        .expires_at = token->expires_at,
    };
    return api_scopes_write(call->arena, token, &reply.scopes, err) && api_reply_json(call, 0, &api_shape_operator_whoami, &reply, err);
}
