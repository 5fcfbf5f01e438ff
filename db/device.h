/* Devices: state, pins, what they run, their floor. The hot part is mirrored in the registry. */
#ifndef PAWL_DB_DEVICE_H
#define PAWL_DB_DEVICE_H

#include "db/attributes.h"
#include "db/registry.h"

struct db_device {
    const char *id;
    enum fleet_device_state state;
    const char *product;  /* "": unknown */
    const char *hardware; /* "": unknown */
    uint8_t pin_current[DB_PIN_SIZE];
    bool has_pin_current;
    uint8_t pin_next[DB_PIN_SIZE];
    bool has_pin_next;
    enum fleet_pin_origin pin_origin; /* of pin_current */
    bool installed_known;
    int64_t installed_sequence;
    const char *installed_version; /* "": unknown */
    struct fleet_floor floor;
    int64_t created_at;
    int64_t first_seen;      /* 0: never */
    int64_t last_seen;       /* 0: never */
    const char *attributes;  /* a JSON object as text */
    struct db_texts tags;    /* sorted */
    int64_t open_deployment; /* 0: none */
    int64_t revision;        /* for the ETag; does not rise with last_seen */
};

struct db_devices {
    size_t count;
    struct db_device *items;
    const char *next; /* where the next page begins; NULL: this is the last */
};

/* NULL or "" is "any". */
struct db_device_filter {
    const char *product;
    const char *hardware;
    const char *tag;
    const char *version; /* installed */
    const char *id_prefix;
    bool by_state;
    enum fleet_device_state state;
};

/* Last-seen and installed are the registry's, so that they are not behind by a flush. ERR_NOT_FOUND. */
bool db_device_get(struct db_conn *conn, const char *id, struct arena *arena, struct db_device *ret_device, struct err *err) MUST_USE;

/* Sorted by id; db_select_page() knows other orders. */
bool db_device_list(struct db_conn *conn, const struct db_device_filter *filter, const struct db_list *list, struct arena *arena,
                    struct db_devices *ret_page, struct err *err) MUST_USE;

struct db_device_new {
    const char *id;
    enum fleet_device_state state; /* pending or active */
    const char *product;           /* NULL or "": not known yet; else it must exist (ERR_NOT_FOUND) */
    const char *hardware;          /* NULL or "": not known yet */
    const uint8_t *pin;            /* NULL: the first certificate seen is pinned */
    enum fleet_pin_origin pin_origin;
    const char *attributes; /* a JSON object as text; NULL: none */
    struct db_texts tags;
};

/* ERR_CONFLICT: the id exists, or db_device_check_pin() refuses the key. Raises a "registered" event. */
bool db_device_insert(struct db_conn *tx, const struct db_device_new *device, int64_t now, struct err *err) MUST_USE;

/* By the table of fleet/device.h; else ERR_CONFLICT. A revoked or retired device's open deployment is cancelled. Raises an event of the state's name.
 * revision: the one the caller saw (ERR_PRECONDITION when it changed), 0: whatever it is. */
bool db_device_move(struct db_conn *tx, const char *id, enum fleet_device_state to, int64_t revision, int64_t now, struct err *err) MUST_USE;

/* NULL members stay as they are. */
struct db_device_change {
    const char *product;
    const char *hardware;
    const struct json_map *attributes; /* merged into what is there: a NULL value takes a member out (RFC 7396) */
    const struct db_texts *tags;       /* replaces the whole set */
};

/* An administrator's change. ERR_PRECONDITION when the revision is another (0: whatever it is). A change of product while a deployment is open, or
 * after something was confirmed for the old product, is ERR_CONFLICT: floors belong to (device, product). ERR_INVALID: too many attributes. */
bool db_device_update(struct db_conn *tx, const char *id, int64_t revision, const struct db_device_change *change, struct err *err) MUST_USE;

/* Would db_device_update() take this product, as things stand? ERR_NOT_FOUND, ERR_CONFLICT. hot: of the device. */
bool db_device_check_product(struct db_conn *conn, const struct db_device_hot *hot, const char *product, struct err *err) MUST_USE;

/* ERR_CONFLICT: the key belongs to another device than this, or a certificate of it was revoked. */
bool db_device_check_pin(struct db_conn *conn, const char *id, const uint8_t pin[DB_PIN_SIZE], struct err *err) MUST_USE;

/* pin_origin stays: who vouched for the key vouches for what it has brought. next may be NULL. ERR_CONFLICT: db_device_check_pin() refuses one of the
 * keys. */
bool db_device_set_pins(struct db_conn *tx, const char *id, const uint8_t current[DB_PIN_SIZE], const uint8_t *next, struct err *err) MUST_USE;

/* The first key of a device. ERR_CONFLICT: a key is pinned already, or db_device_check_pin(). */
bool db_device_pin_first(struct db_conn *tx, const char *id, const uint8_t key[DB_PIN_SIZE], enum fleet_pin_origin origin, struct err *err) MUST_USE;

/* This key from now on, and no other; the caller has found that it may. ERR_CONFLICT: db_device_check_pin(). */
bool db_device_pin_replace(struct db_conn *tx, const char *id, const uint8_t key[DB_PIN_SIZE], enum fleet_pin_origin origin,
                           struct err *err) MUST_USE;

/* The durable side of db_registry_seen(): fills empty product and hardware, raises "identity-mismatch" and "rolled-back" events (once per change),
 * records what the device runs now. The floor is not touched. */
bool db_device_observe(struct db_conn *tx, const char *id, const struct db_observation *seen, int64_t now, struct err *err) MUST_USE;

#endif
