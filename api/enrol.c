#include "api/enrol.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/call.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "common/hash.h"
#include "common/hex.h"
#include "common/text.h"
#include "db/device.h"
#include "db/event.h"

enum { BASIC_MAX = 256, AUTHORITIES_MAX = 1 << 20 };

bool api_enrol_has_room(const struct api_call *call, struct err *err) {
    struct db_registry_counts counts;
    db_registry_count(call->env->db, &counts);
    return counts.by_state[FLEET_DEVICE_PENDING] < (size_t)call->env->settings.pending_max ||
           err_set(err, ERR_BUSY, "too many devices wait to be accepted ([enrolment] pending_max)");
}

bool api_enrol_key_error(struct err *err) {
    err->code = err->code == ERR_CONFLICT ? ERR_IDENTITY : err->code;
    return false;
}

bool api_enrol_replace_key(struct api_call *call, const struct db_device *device, const uint8_t key[DB_PIN_SIZE], enum fleet_pin_origin origin,
                           struct err *err) {
    char fresh[2 * DB_PIN_SIZE + 1], before[2 * DB_PIN_SIZE + 1];
    if (!db_device_pin_replace(call->db, device->id, key, origin, err))
        return false;
    if (!device->has_pin_current || hash_equal(device->pin_current, key, DB_PIN_SIZE))
        return true;
    hex_encode(key, DB_PIN_SIZE, fresh);
    hex_encode(device->pin_current, DB_PIN_SIZE, before);
    const char *detail = api_detail(call, "spki_sha256", fresh, "origin", fleet_pin_origin_name(origin), "before", before, "before_origin",
                                    fleet_pin_origin_name(device->pin_origin), (char *)NULL);
    return db_event_insert(call->db, call->now, "key-replaced", device->id, detail, err) &&
           api_audit(call, "device.key", "device", device->id, detail, err);
}

bool api_enrol_key_used(struct api_call *call, struct err *err) {
    struct db_device row;
    char key[2 * DB_PIN_SIZE + 1];
    if (!db_device_get(call->db, call->identity.id, call->arena, &row, err))
        return false;
    if (!row.has_pin_next || !hash_equal(row.pin_next, call->identity.spki_sha256, DB_PIN_SIZE))
        return true; /* a request just before this one did it */
    hex_encode(row.pin_next, DB_PIN_SIZE, key);
    const char *detail = api_detail(call, "spki_sha256", key, (char *)NULL);
    if (detail == NULL)
        return err_no_memory(err);
    snprintf(call->operator_.actor, sizeof(call->operator_.actor), "device:%s", row.id);
    if (!db_device_set_pins(call->db, row.id, row.pin_next, NULL, err) || !db_event_insert(call->db, call->now, "key-changed", row.id, detail, err) ||
        !api_audit(call, "device.key", "device", row.id, detail, err))
        return false;
    memcpy(call->device.pin_current, row.pin_next, DB_PIN_SIZE);
    call->device.has_pin_next = false;
    return true;
}

bool api_enrol_cacerts(struct api_call *call, struct err *err) {
    struct buf text CLEANUP(buf_free) = BUF_INIT(AUTHORITIES_MAX);
    return call->env->device_authorities(call->env->server, &text, err) && api_reply_header(call, "Content-Transfer-Encoding", "base64", err) &&
           api_reply_text(call, "application/pkcs7-mime", &text, err);
}

/* ---- what a request shows ---- */

static bool read_body(struct api_call *call, struct certs_request *ret_request, struct err *err) {
    static const char wanted[] = "application/pkcs10";
    const char *type = api_header(call, "Content-Type");
    size_t len = type != NULL ? strcspn(type, "; \t") : 0;
    if (len != strlen(wanted) || strncasecmp(type, wanted, len) != 0)
        return err_set(err, ERR_MEDIA_TYPE, "the body must be %s", wanted);
    return certs_request_read(call->arena, call->body != NULL ? call->body : "", call->body_len, ret_request, err);
}

/* "Basic base64(id:token)": the id of the device and the claim token. ERR_UNAUTHENTICATED. */
static bool read_basic(struct api_call *call, const char *header, const char **ret_id, const char **ret_token, struct err *err) {
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(BASIC_MAX);
    struct err why;
    const char *encoded = header + strcspn(header, " ");
    encoded += strspn(encoded, " ");
    bool good = strncasecmp(header, "Basic ", 6) == 0 && base64_decode(&text, encoded, strlen(encoded), &why) && text.len > 0 &&
                memchr(text.data, '\0', text.len) == NULL;
    const char *colon = good ? strchr(text.data, ':') : NULL;
    if (colon == NULL)
        return err_set(err, ERR_UNAUTHENTICATED, "Authorization must be Basic: the device's id, a colon, a claim token");
    const char *id = arena_strndup(call->arena, text.data, (size_t)(colon - text.data));
    const char *token = arena_strdup(call->arena, colon + 1);
    if (id == NULL || token == NULL)
        return err_no_memory(err);
    if (!text_is_id(id))
        return err_set(err, ERR_UNAUTHENTICATED, "the user name is no device id: 1 to 64 of A-Z a-z 0-9 . _ : -");
    *ret_id = id;
    *ret_token = token;
    return true;
}

/* Guessing is counted as guessing at tokens is. */
static bool failed_attempt(struct api_call *call, struct err *err) {
    if (call->env->failed_attempt(call->env->server, call->client_address, call->now))
        return err_set(err, ERR_RATE, "too many failed attempts from this address: wait a minute");
    return false;
}

static bool show_claim(struct api_call *call, const char *header, struct api_ask *ask, struct err *err) {
    const char *token;
    if (!read_basic(call, header, &ask->id, &token, err) || !api_claim_find(call, token, &ask->claim, err) ||
        !api_claim_check(&ask->claim, ask->id, ask->request.spki_sha256, call->now, err))
        return failed_attempt(call, err);
    ask->way = ask->claim.device[0] != '\0' ? FLEET_ENROL_DEVICE_CLAIM : FLEET_ENROL_PRODUCT_CLAIM;
    return true;
}

static bool show_factory(struct api_call *call, struct api_ask *ask, struct err *err) {
    if (!call->identity.factory)
        return err_set(err, ERR_FORBIDDEN, "a device that has its certificate renews it at /.well-known/est/simplereenroll");
    if (call->identity.expired || call->now >= call->identity.not_after)
        return err_set(err, ERR_IDENTITY, "the factory's certificate has expired");
    ask->way = FLEET_ENROL_FACTORY;
    ask->id = call->identity.id;
    return true;
}

static bool show_nothing(struct api_ask *ask, struct err *err) {
    ask->way = FLEET_ENROL_OPEN;
    ask->id = ask->request.common_name;
    return ask->id[0] != '\0' || err_set(err, ERR_INVALID, "without a claim or a certificate the request's common name must be the device's id");
}

static bool show_certificate(const struct api_call *call, struct api_ask *ask, struct err *err) {
    const struct api_identity *identity = &call->identity;
    bool expired = identity->expired || call->now >= identity->not_after;
    if (call->now > identity->not_after + call->env->settings.renew_expired_s)
        return err_set(err, ERR_IDENTITY, "the certificate expired too long ago to be renewed: enrol anew with a claim");
    if (expired && !hash_equal(identity->spki_sha256, ask->request.spki_sha256, DB_PIN_SIZE))
        return err_set(err, ERR_IDENTITY, "a certificate that has expired is renewed with the same key only");
    ask->way = FLEET_ENROL_RENEWAL;
    ask->id = identity->id;
    return true;
}

/* ---- the two requests ---- */

/* On the worker: what costs time, and everything that can be refused without writing. */
static bool prepare(struct api_call *call, bool renewal, struct err *err) {
    struct api_ask *ask = arena_alloc(call->arena, sizeof(*ask));
    const char *header = api_header(call, "Authorization");
    if (ask == NULL)
        return err_no_memory(err);
    *ask = (struct api_ask){.way = FLEET_ENROL_OPEN};
    if (!read_body(call, &ask->request, err))
        return false;
    if (atomic_load(&call->env->issuing->issuer) == NULL)
        return err_set(err, ERR_NOT_IMPLEMENTED, "this server issues no certificates: it has no [enrolment] ca_key");
    bool shown = renewal                        ? show_certificate(call, ask, err)
                 : header != NULL               ? show_claim(call, header, ask, err)
                 : call->identity.id[0] != '\0' ? show_factory(call, ask, err)
                                                : show_nothing(ask, err);
    call->prepared = ask;
    call->defer_to_writer = shown;
    return shown;
}

bool api_enrol_simple(struct api_call *call, struct err *err) {
    return call->prepared == NULL ? prepare(call, false, err) : api_enrol_run(call, call->prepared, err);
}

bool api_enrol_again(struct api_call *call, struct err *err) {
    if (call->prepared == NULL && !prepare(call, true, err))
        return false;
    return !call->writing || api_enrol_run(call, call->prepared, err); /* the first request with a new key is on the writer already */
}
