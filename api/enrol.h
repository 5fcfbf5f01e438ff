/* Enrolment over secure transport (EST, RFC 7030): how a device gets its certificate, and the next one. */
#ifndef PAWL_API_ENROL_H
#define PAWL_API_ENROL_H

#include "api/api.h"
#include "certs/request.h"
#include "db/claim.h"
#include "db/device.h"
#include "fleet/enrol.h"

/* What a request shows. Found on the worker, held against the store once more on the writer. */
struct api_ask {
    enum fleet_enrol_way way;
    const char *id;        /* the device that it is for */
    struct db_claim claim; /* id NULL: none was shown */
    struct certs_request request;
};

/* For one more pending device: ERR_BUSY at the ceiling. */
bool api_enrol_has_room(const struct api_call *call, struct err *err) MUST_USE;

/* False, with what the store has against a key (ERR_CONFLICT) as ERR_IDENTITY. */
bool api_enrol_key_error(struct err *err) MUST_USE;

/* On the writer: this key and no other is the device's from now on; another one before it is told of. ERR_CONFLICT: db_device_check_pin(). */
bool api_enrol_replace_key(struct api_call *call, const struct db_device *device, const uint8_t key[DB_PIN_SIZE], enum fleet_pin_origin origin,
                           struct err *err) MUST_USE;

/* On the writer, when a device was recognised by its next key: that is its key from now on, and the one before is not. */
bool api_enrol_key_used(struct api_call *call, struct err *err) MUST_USE;

/* On the writer: registers, accepts, issues, all in this transaction, and replies (enrol_issue.c). */
bool api_enrol_run(struct api_call *call, const struct api_ask *ask, struct err *err) MUST_USE;

/* ERR_UNAUTHENTICATED unless the text is a claim token that exists; ERR_GONE: expired, revoked, or spent for something else than this device and key
 * within the hour; ERR_FORBIDDEN: not for this id. (claim.c) */
bool api_claim_find(struct api_call *call, const char *text, struct db_claim *ret_claim, struct err *err) MUST_USE;
bool api_claim_check(const struct db_claim *claim, const char *device, const uint8_t key[DB_PIN_SIZE], int64_t now, struct err *err) MUST_USE;

#endif
