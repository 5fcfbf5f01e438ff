/* What becomes of a device that asks for a certificate: one table over the way it came, its state and its key. No clock, no store. */
#ifndef PAWL_FLEET_ENROL_H
#define PAWL_FLEET_ENROL_H

#include "fleet/device.h"

/* What it shows. The zero value is the least. */
enum fleet_enrol_way {
    FLEET_ENROL_OPEN = 0,      /* nothing but a key of its own */
    FLEET_ENROL_DEVICE_CLAIM,  /* a claim for this very id */
    FLEET_ENROL_PRODUCT_CLAIM, /* a claim for a new device of a product */
    FLEET_ENROL_FACTORY,       /* a factory's certificate */
    FLEET_ENROL_RENEWAL,       /* its certificate, whose key is known already */
};

/* Who vouches for the key that a device is known by. The zero value is the least. */
enum fleet_pin_origin {
    FLEET_PIN_REQUESTED = 0, /* nobody: it was only asked for (FLEET_ENROL_OPEN) */
    FLEET_PIN_CERTIFICATE,   /* a certificate of the device CAs */
    FLEET_PIN_FACTORY,       /* a factory's certificate */
    FLEET_PIN_CLAIM,         /* a claim */
    FLEET_PIN_OPERATOR,      /* an operator, who gave the key or accepted the device with it */
    FLEET_PIN_ORIGIN_COUNT
};

/* "requested" …; never NULL. */
const char *fleet_pin_origin_name(enum fleet_pin_origin origin);
bool fleet_pin_origin_parse(const char *name, enum fleet_pin_origin *ret_origin) MUST_USE;

/* May a key that somebody vouches for take the place of the one that the device is known by? Only while it is pending, and that one was only asked
 * for: or whoever asks first for an id would keep the device itself out. */
bool fleet_pin_yields(enum fleet_device_state state, enum fleet_pin_origin origin) MUST_USE;

/* The key of the request, beside those that the device is known by. */
enum fleet_enrol_key {
    FLEET_ENROL_OTHER_KEY = 0,
    FLEET_ENROL_YIELDING_KEY, /* another one too, but fleet_pin_yields() */
    FLEET_ENROL_FIRST_KEY,    /* it is known by none */
    FLEET_ENROL_SAME_KEY,
};

/* The zero value is a refusal. */
enum fleet_enrol_verdict {
    FLEET_ENROL_REFUSE_KEY = 0, /* that is not the key of the device with this id */
    FLEET_ENROL_REFUSE_REVOKED,
    FLEET_ENROL_REFUSE_RETIRED,
    FLEET_ENROL_REFUSE_UNKNOWN, /* there is no such device */
    FLEET_ENROL_REGISTER,       /* new: pending, with this key */
    FLEET_ENROL_WAIT,           /* pending: until an administrator accepts it */
    FLEET_ENROL_ADMIT,          /* new: active, with this key */
    FLEET_ENROL_ACCEPT,         /* pending: active from now on, with this key alone */
    FLEET_ENROL_ISSUE,          /* active: a certificate; a new key is good beside the old one until it is used */
    FLEET_ENROL_SHOW,           /* active: the certificate it has, or its first one */
};

/* known: there is a device with this id; else state and key do not count. */
enum fleet_enrol_verdict fleet_enrol_decide(enum fleet_enrol_way way, bool known, enum fleet_device_state state, enum fleet_enrol_key key);

#endif
