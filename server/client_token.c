#include "server/client_token.h"

#include <string.h>
#include <strings.h>

#include "common/file.h"
#include "common/text.h"
#include "db/ddi.h"
#include "server/online.h"
#include "server/server.h"

enum { TOKEN_MIN = 16, TOKEN_MAX = 256 };

bool client_token_load(const struct server_config *config, struct client_token_gateway *ret_gateway, struct err *err) {
    static const char what[] = "[ddi] gateway_token_file";
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(TOKEN_MAX + 2);
    if (config->ddi.gateway_token_file == NULL)
        return true;
    if (!online_passphrase(config->ddi.gateway_token_file, what, &text, err))
        return false;
    if (text.len < TOKEN_MIN || text.len > TOKEN_MAX)
        return err_set(err, ERR_CONFIG, "%s: a token of %d to %d characters is expected", what, TOKEN_MIN, TOKEN_MAX);
    ret_gateway->set = true;
    return hash_sha256(text.data, text.len, ret_gateway->sha256, err);
}

/* The text behind the scheme; NULL: the header is another one. */
static const char *behind(const char *header, const char *scheme) {
    size_t len = strlen(scheme);
    return header != NULL && strncasecmp(header, scheme, len) == 0 && header[len] == ' ' ? header + len + 1 : NULL;
}

/* In constant time where a secret is looked at. */
static bool is_good(struct api_call *call, const char *id) {
    const struct client_token_gateway *gateway = &call->env->server->gateway;
    const char *header = api_header(call, "Authorization");
    const char *own = behind(header, "TargetToken"), *any = behind(header, "GatewayToken");
    const char *given = own != NULL ? own : any;
    struct db_ddi_device device;
    uint8_t sha256[SHA256_SIZE];
    struct err ignored;
    if (given == NULL || !text_is_id(id) || !hash_sha256(given, strlen(given), sha256, &ignored) ||
        !db_registry_get(call->env->db, id, &call->device))
        return false;
    if (any != NULL)
        return gateway->set && hash_equal(sha256, gateway->sha256, SHA256_SIZE) && !call->device.has_pin_current;
    return db_ddi_device_get(call->db, id, call->arena, &device, &ignored) && device.has_token &&
           hash_equal(sha256, device.token_sha256, SHA256_SIZE);
}

bool client_token_check(struct api_call *call, struct err *err) {
    const char *id = api_var(call, "controller");
    struct auth_throttle *throttle = &call->env->server->throttle;
    /* One secret opens all devices: after too many guesses it is not even looked at. A device's own token is random, and goes on. */
    if (behind(api_header(call, "Authorization"), "GatewayToken") != NULL && auth_throttle_over(throttle, call->client_address, call->now))
        return err_set(err, ERR_RATE, "too many failed attempts from this address: wait a minute");
    if (is_good(call, id) && text_copy(call->identity.id, sizeof(call->identity.id), id))
        return true;
    memset(&call->device, 0, sizeof(call->device));
    if (auth_failed_attempt(call->env->server, call->client_address, call->now))
        return err_set(err, ERR_RATE, "too many failed attempts from this address: wait a minute");
    return err_set(err, ERR_UNAUTHENTICATED, "'Authorization: TargetToken …' with this device's token is required");
}
