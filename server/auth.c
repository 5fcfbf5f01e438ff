#include "server/auth.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/enrol.h"
#include "api/notice.h"
#include "api/reply.h"
#include "api/token.h"
#include "common/hash.h"
#include "common/random.h"
#include "common/text.h"
#include "db/device.h"
#include "server/administrators.h"
#include "server/client_token.h"
#include "server/server.h"

void auth_throttle_init(struct auth_throttle *throttle, int64_t limit) {
    memset(throttle, 0, sizeof(*throttle));
    pthread_mutex_init(&throttle->lock, NULL);
    random_bytes(&throttle->key, sizeof(throttle->key));
    throttle->limit = limit;
}

void auth_throttle_limit(struct auth_throttle *throttle, int64_t limit) {
    pthread_mutex_lock(&throttle->lock);
    throttle->limit = limit;
    pthread_mutex_unlock(&throttle->lock);
}

/* What is counted: an IPv4 address whole, an IPv6 address by its /64, which is what one customer has. */
static void network_of(const char *address, char ret_network[INET6_ADDRSTRLEN]) {
    struct in6_addr bytes;
    if (!text_copy(ret_network, INET6_ADDRSTRLEN, address))
        ret_network[0] = '\0';
    if (inet_pton(AF_INET6, address, &bytes) != 1)
        return;
    memset(bytes.s6_addr + 8, 0, 8);
    inet_ntop(AF_INET6, &bytes, ret_network, INET6_ADDRSTRLEN);
}

static size_t slot_of(const struct auth_throttle *throttle, const char *network) {
    return siphash_text(throttle->key, network) % AUTH_THROTTLE_SLOTS;
}

void auth_throttle_count(struct auth_throttle *throttle, const char *address, int64_t now) {
    char network[INET6_ADDRSTRLEN];
    network_of(address, network);
    size_t i = slot_of(throttle, network);
    pthread_mutex_lock(&throttle->lock);
    bool past = now >= throttle->slots[i].window_start + AUTH_THROTTLE_WINDOW_S || now < throttle->slots[i].window_start;
    if (past) {
        throttle->slots[i].window_start = now;
        throttle->slots[i].count = 0;
        if (!text_copy(throttle->slots[i].address, sizeof(throttle->slots[i].address), network))
            throttle->slots[i].address[0] = '\0';
    }
    if (strcmp(throttle->slots[i].address, network) == 0)
        throttle->slots[i].count++;
    pthread_mutex_unlock(&throttle->lock);
}

bool auth_throttle_over(struct auth_throttle *throttle, const char *address, int64_t now) {
    char network[INET6_ADDRSTRLEN];
    network_of(address, network);
    size_t i = slot_of(throttle, network);
    pthread_mutex_lock(&throttle->lock);
    bool over = throttle->slots[i].count >= throttle->limit && now >= throttle->slots[i].window_start &&
                now < throttle->slots[i].window_start + AUTH_THROTTLE_WINDOW_S && strcmp(throttle->slots[i].address, network) == 0;
    pthread_mutex_unlock(&throttle->lock);
    return over;
}

bool auth_failed_attempt(struct server *server, const char *address, int64_t now) {
    bool over = auth_throttle_over(&server->throttle, address, now);
    auth_throttle_count(&server->throttle, address, now);
    return over;
}

bool auth_check_rate(const struct api_call *call, struct err *err) {
    if ((call->route->policy & API_BY_ADDRESS) == 0)
        return true;
    struct auth_throttle *throttle = &call->env->server->enrolments;
    if (auth_throttle_over(throttle, call->client_address, call->now))
        return err_set(err, ERR_RATE, "too many enrolment requests from this address: wait a minute");
    auth_throttle_count(throttle, call->client_address, call->now);
    return true;
}

/* The text behind "Bearer "; NULL: there is none. */
static const char *bearer(const struct api_call *call) {
    const char *header = api_header(call, "Authorization");
    if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0)
        return NULL;
    return header + 7 + strspn(header + 7, " ");
}

/* The token of the text, if it exists, is alive and the secret is its own. */
static const struct db_token *token_find(struct api_call *call, const char *text, struct err *err) {
    char id[DB_TOKEN_ID_SIZE];
    uint8_t secret[SHA256_SIZE];
    struct db_token *token = arena_alloc(call->arena, sizeof(*token));
    if (token == NULL || !api_token_parse(text, id, secret) || !db_token_get(call->db, id, call->arena, token, err))
        return NULL;
    bool alive = token->revoked_at == 0 && call->now < token->expires_at;
    bool good = hash_equal(secret, token->secret_sha256, SHA256_SIZE) ||
                (token->has_previous && call->now < token->previous_until && hash_equal(secret, token->previous_sha256, SHA256_SIZE));
    return good && alive ? token : NULL;
}

static bool has_scope(const struct api_call *call, const struct db_token *token) {
    const char *scope = call->route->scope;
    if (scope[0] == '\0' || db_token_allows(token, scope, ""))
        return true;
    for (size_t i = 0; (call->route->policy & API_BY_PRODUCT) != 0 && i < token->grant_count; i++)
        if (strcmp(token->grants[i].scope, scope) == 0)
            return true;
    return false;
}

static bool check_token(struct api_call *call, const char *text, struct err *err) {
    struct err why;
    const struct db_token *token = token_find(call, text, &why);
    if (token == NULL) {
        if (auth_failed_attempt(call->env->server, call->client_address, call->now))
            return err_set(err, ERR_RATE, "too many failed attempts from this address: wait a minute");
        return err_set(err, ERR_UNAUTHENTICATED, "the token is unknown, expired or revoked");
    }
    call->operator_.token = token;
    snprintf(call->operator_.actor, sizeof(call->operator_.actor), "token:%s", token->id);
    db_token_used(call->env->db, token->id, call->now);
    return true;
}

static bool same_grants(const struct db_token *one, const struct db_token *other) {
    if (one->grant_count != other->grant_count)
        return false;
    for (size_t i = 0; i < one->grant_count; i++)
        if (strcmp(one->grants[i].scope, other->grants[i].scope) != 0 || strcmp(one->grants[i].product, other->grants[i].product) != 0)
            return false;
    return true;
}

bool auth_still_allowed(struct api_call *call) {
    const struct db_token *held = call->operator_.token;
    const char *text = bearer(call);
    struct err ignored;
    if (held == NULL)
        return false;
    if (text != NULL)
        return token_find(call, text, &ignored) != NULL;
    return call->now < held->expires_at && same_grants(held, atomic_load(&call->env->server->certificate_grants));
}

/* A token that is sent goes before the certificate, also when it is no good. */
static bool check_operator(struct api_call *call, struct err *err) {
    const char *text = bearer(call);
    if (text == NULL && call->operator_.certificate == NULL)
        return err_set(err, ERR_UNAUTHENTICATED, "a bearer token is required: 'Authorization: Bearer pawl_…'");
    if (!(text != NULL ? check_token(call, text, err) : administrators_admit(call, atomic_load(&call->env->server->certificate_grants), err)))
        return false;
    if (!has_scope(call, call->operator_.token))
        return err_set(err, ERR_SCOPE, "%s does not have the scope '%s'%s",
                       text != NULL ? "the token" : "an administrator's certificate ([admin] certificate_scopes)", call->route->scope,
                       (call->route->policy & API_BY_PRODUCT) != 0 ? "" : " for all products");
    return true;
}

/* What the registry says of a known device, read at every request. */
static bool check_entry(struct api_call *call, struct err *err) {
    const struct db_device_hot *hot = &call->device;
    struct err ignored;
    switch (hot->state) {
    case FLEET_DEVICE_REVOKED:
    case FLEET_DEVICE_RETIRED:
        if (!api_reply_header(call, "Connection", "close", &ignored))
            call->env->disconnect(call->env->server, call->identity.id);
        return err_set(err, hot->state == FLEET_DEVICE_REVOKED ? ERR_DEVICE_REVOKED : ERR_DEVICE_RETIRED, "device '%s' is %s", call->identity.id,
                       fleet_device_state_name(hot->state));
    case FLEET_DEVICE_ACTIVE:
    case FLEET_DEVICE_PENDING:
        break;
    default:
        return err_set(err, ERR_FORBIDDEN, "device '%s' has no known state", call->identity.id);
    }
    if (call->listener != API_TOKEN && hot->has_pin_current && !db_registry_has_pin(hot, call->identity.spki_sha256)) {
        /* Deferred, the call comes back here on the writer before any handler sees it. */
        if (api_notice_clone_suspected(call))
            return true;
        return err_set(err, ERR_IDENTITY, "the certificate's key is not the one that device '%s' is known by", call->identity.id);
    }
    if (hot->state == FLEET_DEVICE_PENDING && call->route->role == API_ACTIVE)
        return err_set(err, ERR_DEVICE_PENDING, "device '%s' waits for an administrator to accept it", call->identity.id);
    return true;
}

/* A device's own certificate against a key that was only asked for. */
static bool replaces_key(const struct api_call *call) {
    const struct db_device_hot *hot = &call->device;
    return call->listener == API_DEVICE && hot->has_pin_current && fleet_pin_yields(hot->state, hot->pin_origin) &&
           !db_registry_has_pin(hot, call->identity.spki_sha256);
}

static bool check_device(struct api_call *call, struct err *err) {
    if (call->listener == API_TOKEN)
        return client_token_check(call, err) && check_entry(call, err);
    if (call->identity.id[0] == '\0')
        return err_set(err, ERR_UNAUTHENTICATED, "a device certificate is required");
    if (call->identity.factory)
        return err_set(err, ERR_IDENTITY, "a factory's certificate is for the first enrolment alone");
    bool known = db_registry_get(call->env->db, call->identity.id, &call->device);
    if (call->listener == API_DEVICE)
        return !known || replaces_key(call) || check_entry(call, err); /* the first two: auth_register() looks again */
    /* Elsewhere nobody gets into the registry by a certificate, which may be one that has expired. */
    return known && call->device.has_pin_current ? check_entry(call, err)
                                                 : err_set(err, ERR_IDENTITY, "device '%s' is not known by this key", call->identity.id);
}

/* Who need not say who he is may: a good token or certificate is told more. */
static void greet(struct api_call *call) {
    struct err why;
    bool shows = call->listener == API_ADMIN && (bearer(call) != NULL || call->operator_.certificate != NULL);
    if (shows && !check_operator(call, &why))
        call->operator_.token = NULL;
}

bool auth_check(struct api_call *call, struct err *err) {
    switch (call->route->role) {
    case API_ANYONE:
        greet(call);
        return true;
    case API_ANY_DEVICE:
    case API_ACTIVE:
        return check_device(call, err);
    case API_OPERATOR:
        return check_operator(call, err);
    case API_NOBODY:
        break;
    }
    return err_set(err, ERR_FORBIDDEN, "nobody may do this");
}

static bool is_device_role(const struct api_call *call) {
    return call->route->role == API_ANY_DEVICE || call->route->role == API_ACTIVE;
}

static bool uses_next_key(const struct api_call *call) {
    return call->device.has_pin_next && hash_equal(call->device.pin_next, call->identity.spki_sha256, DB_PIN_SIZE);
}

bool auth_needs_writer(const struct api_call *call) {
    return is_device_role(call) && call->listener != API_TOKEN &&
           (call->device.id[0] == '\0' || !call->device.has_pin_current || uses_next_key(call) || replaces_key(call));
}

static bool insert(struct api_call *call, struct err *err) {
    const struct api_settings *settings = &call->env->settings;
    if (!settings->auto_accept && !api_enrol_has_room(call, err))
        return false;
    const struct db_device_new device = {
        .id = call->identity.id,
        .state = settings->auto_accept ? FLEET_DEVICE_ACTIVE : FLEET_DEVICE_PENDING,
        .pin = call->identity.spki_sha256,
        .pin_origin = FLEET_PIN_CERTIFICATE,
    };
    return db_device_insert(call->db, &device, call->now, err) || api_enrol_key_error(err);
}

/* The row as it is in this transaction, for what the handler looks at. */
static void entry_from_row(const struct db_device *row, struct db_device_hot *hot) {
    memset(hot, 0, sizeof(*hot));
    bool fits = text_copy(hot->id, sizeof(hot->id), row->id) && text_copy(hot->product, sizeof(hot->product), row->product) &&
                text_copy(hot->hardware, sizeof(hot->hardware), row->hardware) &&
                text_copy(hot->installed_version, sizeof(hot->installed_version), row->installed_version);
    hot->state = fits ? row->state : FLEET_DEVICE_STATE_COUNT;
    hot->has_pin_current = row->has_pin_current;
    memcpy(hot->pin_current, row->pin_current, DB_PIN_SIZE);
    hot->has_pin_next = row->has_pin_next;
    memcpy(hot->pin_next, row->pin_next, DB_PIN_SIZE);
    hot->pin_origin = row->pin_origin;
    hot->installed_known = row->installed_known;
    hot->installed_sequence = row->installed_sequence;
    hot->floor = row->floor;
    hot->open_deployment = row->open_deployment;
    hot->last_seen = row->last_seen;
}

/* The first key of a device, or the one that its certificate vouches for instead of one that was only asked for: then as for a device that is new. */
static bool bring_key(struct api_call *call, const struct db_device *row, struct err *err) {
    const uint8_t *key = call->identity.spki_sha256;
    bool accepts = row->has_pin_current && call->env->settings.auto_accept;
    snprintf(call->operator_.actor, sizeof(call->operator_.actor), "device:%s", row->id);
    if (!(row->has_pin_current ? api_enrol_replace_key(call, row, key, FLEET_PIN_CERTIFICATE, err)
                               : db_device_pin_first(call->db, row->id, key, FLEET_PIN_CERTIFICATE, err)))
        return api_enrol_key_error(err);
    if (accepts && !db_device_move(call->db, row->id, FLEET_DEVICE_ACTIVE, 0, call->now, err))
        return false;
    call->device.state = accepts ? FLEET_DEVICE_ACTIVE : row->state;
    call->device.has_pin_current = true;
    memcpy(call->device.pin_current, key, DB_PIN_SIZE);
    return true;
}

/* Between the head and the last byte of the body minutes may pass: a token that was revoked meanwhile must not reach the transaction. */
static bool recheck_token(struct api_call *call, struct err *err) {
    struct err why;
    const char *text = bearer(call);
    if (text == NULL)
        return true;
    call->operator_.token = token_find(call, text, &why);
    return call->operator_.token != NULL || err_set(err, ERR_UNAUTHENTICATED, "the token was revoked while the request was under way");
}

bool auth_register(struct api_call *call, bool *ret_refusal, struct err *err) {
    *ret_refusal = false;
    if (call->route->role == API_OPERATOR)
        return recheck_token(call, err);
    if (!is_device_role(call))
        return true;
    if (call->listener == API_TOKEN) {
        *ret_refusal = !check_device(call, err);
        return true;
    }
    if (db_registry_get(call->env->db, call->identity.id, &call->device) && call->device.has_pin_current && !replaces_key(call)) {
        *ret_refusal = !check_entry(call, err);
        return *ret_refusal || !uses_next_key(call) || api_enrol_key_used(call, err);
    }
    if (call->listener != API_DEVICE)
        return err_set(err, ERR_IDENTITY, "device '%s' is not known by this key", call->identity.id);

    struct db_device row;
    bool fresh = !db_device_get(call->db, call->identity.id, call->arena, &row, err);
    if (fresh && (err->code != ERR_NOT_FOUND || !insert(call, err) || !db_device_get(call->db, call->identity.id, call->arena, &row, err)))
        return false;
    entry_from_row(&row, &call->device);
    if ((!row.has_pin_current || replaces_key(call)) && !bring_key(call, &row, err))
        return false;
    *ret_refusal = !check_entry(call, err);
    return true;
}

bool auth_may_connect(const struct api_env *env, const struct api_identity *identity) {
    struct db_device_hot hot;
    if (!db_registry_get(env->db, identity->id, &hot))
        return true;
    return hot.state == FLEET_DEVICE_ACTIVE || hot.state == FLEET_DEVICE_PENDING;
}
