/* The writing half of enrolment: one transaction from the decision to the certificate. */
#include <stdio.h>
#include <string.h>

#include "api/call.h"
#include "api/enrol.h"
#include "api/env.h"
#include "api/reply.h"
#include "certs/pkcs7.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/hex.h"
#include "common/random.h"
#include "db/certificate.h"
#include "db/device.h"
#include "db/event.h"

enum { SAME_AGAIN_S = 3600, DAY_S = 86400, MAX_A_DAY = 16, REPLY_MAX = 65536 };

/* How the store calls the ways. */
static const char *const ways[] = {
    [FLEET_ENROL_OPEN] = "accepted",   [FLEET_ENROL_DEVICE_CLAIM] = "claim", [FLEET_ENROL_PRODUCT_CLAIM] = "claim",
    [FLEET_ENROL_FACTORY] = "factory", [FLEET_ENROL_RENEWAL] = "renewal",
};

/* Who vouches for a key that came so. */
static const enum fleet_pin_origin origins[] = {
    [FLEET_ENROL_OPEN] = FLEET_PIN_REQUESTED,  [FLEET_ENROL_DEVICE_CLAIM] = FLEET_PIN_CLAIM,  [FLEET_ENROL_PRODUCT_CLAIM] = FLEET_PIN_CLAIM,
    [FLEET_ENROL_FACTORY] = FLEET_PIN_FACTORY, [FLEET_ENROL_RENEWAL] = FLEET_PIN_CERTIFICATE,
};

static bool reply_certificate(struct api_call *call, const void *der, size_t len, struct err *err) {
    struct buf text CLEANUP(buf_free) = BUF_INIT(REPLY_MAX);
    return certs_pkcs7_one(der, len, &text, err) && api_reply_header(call, "Content-Transfer-Encoding", "base64", err) &&
           api_reply_text(call, "application/pkcs7-mime; smime-type=certs-only", &text, err);
}

static bool reply_wait(struct api_call *call, struct err *err) {
    int64_t after = call->env->settings.poll_after_s;
    call->reply.status = 202;
    call->reply.reason = err_slug(ERR_DEVICE_PENDING);
    return api_reply_headerf(call, err, "Retry-After", "%lld", (long long)(after + (int64_t)random_below((uint64_t)after / 10 + 1)));
}

/* ---- the device ---- */

static enum fleet_enrol_key key_of(const struct db_device *device, const uint8_t key[DB_PIN_SIZE]) {
    bool same = (device->has_pin_current && hash_equal(device->pin_current, key, DB_PIN_SIZE)) ||
                (device->has_pin_next && hash_equal(device->pin_next, key, DB_PIN_SIZE));
    if (same || !device->has_pin_current)
        return same ? FLEET_ENROL_SAME_KEY : FLEET_ENROL_FIRST_KEY;
    return fleet_pin_yields(device->state, device->pin_origin) ? FLEET_ENROL_YIELDING_KEY : FLEET_ENROL_OTHER_KEY;
}

static bool audit_device(struct api_call *call, const struct api_ask *ask, const char *action, struct err *err) {
    char key[2 * DB_PIN_SIZE + 1];
    hex_encode(ask->request.spki_sha256, DB_PIN_SIZE, key);
    const char *detail = api_detail(call, "way", ways[ask->way], "claim", ask->claim.id, "spki_sha256", key, (char *)NULL);
    return api_audit(call, action, "device", ask->id, detail, err);
}

static bool insert_device(struct api_call *call, const struct api_ask *ask, enum fleet_device_state state, struct err *err) {
    const struct db_device_new device = {.id = ask->id,
                                         .state = state,
                                         .product = ask->claim.id != NULL ? ask->claim.product : NULL,
                                         .pin = ask->request.spki_sha256,
                                         .pin_origin = origins[ask->way]};
    if (!db_device_insert(call->db, &device, call->now, err))
        return api_enrol_key_error(err);
    return audit_device(call, ask, "device.enrol", err);
}

/* What was only registered becomes a device of the fleet, with this key and no other. */
static bool accept_device(struct api_call *call, const struct api_ask *ask, const struct db_device *device, struct err *err) {
    if (!api_enrol_replace_key(call, device, ask->request.spki_sha256, origins[ask->way], err))
        return api_enrol_key_error(err);
    return db_device_move(call->db, ask->id, FLEET_DEVICE_ACTIVE, 0, call->now, err) && audit_device(call, ask, "device.enrol", err);
}

/* The new key beside the one that the device still uses. */
static bool add_key(struct api_call *call, const struct api_ask *ask, const struct db_device *device, struct err *err) {
    const uint8_t *key = ask->request.spki_sha256;
    bool done = true;
    switch (key_of(device, key)) {
    case FLEET_ENROL_SAME_KEY:
        break;
    case FLEET_ENROL_FIRST_KEY:
        done = db_device_pin_first(call->db, ask->id, key, origins[ask->way], err);
        break;
    case FLEET_ENROL_YIELDING_KEY: /* of a pending device alone */
    case FLEET_ENROL_OTHER_KEY:
        done = db_device_set_pins(call->db, ask->id, device->pin_current, key, err);
        break;
    }
    return done || api_enrol_key_error(err);
}

/* A claim for a product is for devices of that product, or of none yet. */
static bool check_product(struct api_call *call, const struct api_ask *ask, const struct db_device *device, struct err *err) {
    const char *product = ask->claim.id != NULL ? ask->claim.product : "";
    if (product[0] == '\0' || strcmp(device->product, product) == 0)
        return true;
    if (device->product[0] != '\0')
        return err_set(err, ERR_FORBIDDEN, "the claim is for product '%s', and device '%s' is of another", product, ask->id);
    const struct db_device_change change = {.product = product};
    return db_device_update(call->db, ask->id, 0, &change, err);
}

/* ---- the certificate ---- */

static const char *issued_detail(struct api_call *call, const struct api_ask *ask, const struct certs_issued *issued) {
    char key[2 * DB_PIN_SIZE + 1], not_after[CLOCK_RFC3339_SIZE];
    hex_encode(ask->request.spki_sha256, DB_PIN_SIZE, key);
    clock_rfc3339(issued->not_after, not_after);
    return api_detail(call, "device", ask->id, "serial", issued->serial, "way", ways[ask->way], "claim", ask->claim.id, "spki_sha256", key,
                      "not_after", not_after, (char *)NULL);
}

static bool issue(struct api_call *call, const struct api_ask *ask, struct err *err) {
    const struct certs_issuer *issuer = atomic_load(&call->env->issuing->issuer);
    const struct certs_order order = {.device_id = ask->id,
                                      .spki = ask->request.spki,
                                      .spki_len = ask->request.spki_len,
                                      .now = call->now,
                                      .lifetime_s = call->env->settings.certificate_lifetime_s};
    struct certs_issued issued;
    int64_t lately;
    if (issuer == NULL)
        return err_set(err, ERR_NOT_IMPLEMENTED, "this server issues no certificates any more");
    if (!db_certificate_count(call->db, ask->id, call->now - DAY_S, &lately, err))
        return false;
    if (lately >= MAX_A_DAY)
        return err_set(err, ERR_RATE, "device '%s' was issued %lld certificates within a day: wait until tomorrow", ask->id, (long long)lately);
    if (!certs_issue_sign(issuer, &order, call->arena, &issued, err))
        return false;
    struct db_certificate row = {.serial = issued.serial,
                                 .device = ask->id,
                                 .way = ways[ask->way],
                                 .data = issued.der,
                                 .data_len = issued.len,
                                 .not_before = issued.not_before,
                                 .not_after = issued.not_after,
                                 .issued_at = call->now};
    memcpy(row.spki_sha256, ask->request.spki_sha256, DB_PIN_SIZE);
    memcpy(row.issuer_sha256, certs_issue_pin(issuer), DB_PIN_SIZE);
    const char *detail = issued_detail(call, ask, &issued);
    if (detail == NULL)
        return err_no_memory(err);
    return db_certificate_insert(call->db, &row, err) && db_event_insert(call->db, call->now, "certificate-issued", ask->id, detail, err) &&
           api_audit(call, "certificate.issue", "certificate", issued.serial, detail, err) && reply_certificate(call, issued.der, issued.len, err);
}

/* With nothing but its key a device gets its first certificate, and no other. Who has shown one from elsewhere, which may be revoked by now, has had
 * it. */
static bool issue_first(struct api_call *call, const struct api_ask *ask, struct err *err) {
    struct db_device_hot hot;
    int64_t count;
    if (db_registry_get(call->env->db, ask->id, &hot) && hot.certificate_expires_at != 0)
        return err_set(err, ERR_IDENTITY, "device '%s' has a certificate: renew it at /.well-known/est/simplereenroll", ask->id);
    if (!db_certificate_count(call->db, ask->id, 0, &count, err))
        return false;
    return count == 0 ? issue(call, ask, err) : err_set(err, ERR_IDENTITY, "device '%s' has had a certificate for another key", ask->id);
}

/* Whoever lost the reply asks again and gets the same; so does for as long as it is good whoever shows nothing but the key. */
static bool issue_or_repeat(struct api_call *call, const struct api_ask *ask, bool show_only, struct err *err) {
    struct db_certificate last;
    if (!db_certificate_newest(call->db, ask->id, ask->request.spki_sha256, call->arena, &last, err))
        return err->code == ERR_NOT_FOUND && (show_only ? issue_first(call, ask, err) : issue(call, ask, err));
    bool good = call->now < last.not_after;
    if (good && (show_only || call->now < last.issued_at + SAME_AGAIN_S)) {
        call->reply.reason = "same-again";
        return reply_certificate(call, last.data, last.data_len, err);
    }
    if (show_only)
        return err_set(err, ERR_IDENTITY, "the certificate of device '%s' is not good any more: renew it at /.well-known/est/simplereenroll",
                       ask->id);
    return issue(call, ask, err);
}

static bool spend(struct api_call *call, const struct api_ask *ask, struct err *err) {
    return ask->claim.id == NULL || ask->claim.spent_at != 0 ||
           db_claim_spend(call->db, ask->claim.id, ask->id, ask->request.spki_sha256, call->now, err);
}

/* As it is in this transaction: another request may have spent it since the worker looked. */
static bool look_again(struct api_call *call, struct api_ask *ask, struct err *err) {
    if (ask->claim.id == NULL)
        return true;
    return db_claim_get(call->db, ask->claim.id, call->arena, &ask->claim, err) &&
           api_claim_check(&ask->claim, ask->id, ask->request.spki_sha256, call->now, err);
}

static bool carry_out(struct api_call *call, const struct api_ask *ask, enum fleet_enrol_verdict verdict, const struct db_device *device,
                      struct err *err) {
    switch (verdict) {
    case FLEET_ENROL_REFUSE_KEY:
        return err_set(err, ERR_IDENTITY, "device '%s' is known by another key than this request's%s", ask->id,
                       ask->way == FLEET_ENROL_FACTORY ? ": a new key for an active device needs a claim for this device" : "");
    case FLEET_ENROL_REFUSE_REVOKED:
        return err_set(err, ERR_DEVICE_REVOKED, "device '%s' is revoked", ask->id);
    case FLEET_ENROL_REFUSE_RETIRED:
        return err_set(err, ERR_DEVICE_RETIRED, "device '%s' is retired", ask->id);
    case FLEET_ENROL_REFUSE_UNKNOWN:
        return err_set(err, ERR_IDENTITY, "device '%s' is not known", ask->id);
    case FLEET_ENROL_REGISTER:
        return api_enrol_has_room(call, err) && insert_device(call, ask, FLEET_DEVICE_PENDING, err) && reply_wait(call, err);
    case FLEET_ENROL_WAIT:
        return reply_wait(call, err);
    case FLEET_ENROL_ADMIT:
        return insert_device(call, ask, FLEET_DEVICE_ACTIVE, err) && spend(call, ask, err) && issue(call, ask, err);
    case FLEET_ENROL_ACCEPT:
        return check_product(call, ask, device, err) && accept_device(call, ask, device, err) && spend(call, ask, err) && issue(call, ask, err);
    case FLEET_ENROL_ISSUE:
        return check_product(call, ask, device, err) && add_key(call, ask, device, err) && spend(call, ask, err) &&
               issue_or_repeat(call, ask, false, err);
    case FLEET_ENROL_SHOW:
        return issue_or_repeat(call, ask, true, err);
    }
    return err_set(err, ERR_INTERNAL, "enrolment of '%s' has no verdict", ask->id);
}

bool api_enrol_run(struct api_call *call, const struct api_ask *shown, struct err *err) {
    struct api_ask ask = *shown;
    struct db_device device = {.id = ask.id, .product = ""};
    if (!look_again(call, &ask, err))
        return false;
    bool known = db_device_get(call->db, ask.id, call->arena, &device, err);
    if (!known && err->code != ERR_NOT_FOUND)
        return false;
    if (ask.claim.id != NULL)
        snprintf(call->operator_.actor, sizeof(call->operator_.actor), "claim:%s", ask.claim.id);
    else
        snprintf(call->operator_.actor, sizeof(call->operator_.actor), "device:%s", ask.id);
    enum fleet_enrol_verdict verdict = fleet_enrol_decide(ask.way, known, device.state, key_of(&device, ask.request.spki_sha256));
    return carry_out(call, &ask, verdict, &device, err);
}
