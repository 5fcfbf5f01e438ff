/* Clients without a certificate: a token in a header, on the listener that is for them alone ([ddi] token_listen). */
#ifndef PAWL_SERVER_CLIENT_TOKEN_H
#define PAWL_SERVER_CLIENT_TOKEN_H

#include "common/hash.h"
#include "server/config.h"

struct api_call;

/* The gateway's token, by its hash. */
struct client_token_gateway {
    bool set;
    uint8_t sha256[SHA256_SIZE];
};

/* Reads [ddi] gateway_token_file, if there is one: 16 to 256 characters. ERR_CONFIG. */
bool client_token_load(const struct server_config *config, struct client_token_gateway *ret_gateway, struct err *err) MUST_USE;

/* Who the path says, when the header's token is that device's own, or the gateway's and the device has no key of its own. Fills call->identity and
 * call->device. ERR_UNAUTHENTICATED, ERR_RATE. */
bool client_token_check(struct api_call *call, struct err *err) MUST_USE;

#endif
