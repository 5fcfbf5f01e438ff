/* The hot part of every device in memory: what a poll needs, without SQL (performance.md §2). Loaded at start, changed after COMMIT only;
 * last-seen and reported versions are coalesced here and flushed in slices. Thread-safe. */
#ifndef PAWL_DB_REGISTRY_H
#define PAWL_DB_REGISTRY_H

#include "db/db.h"
#include "fleet/enrol.h"
#include "fleet/offer.h"

/* A copy of one entry. */
struct db_device_hot {
    char id[DB_DEVICE_ID_SIZE];
    enum fleet_device_state state;
    uint8_t pin_current[DB_PIN_SIZE];
    bool has_pin_current; /* false: the first certificate seen is pinned, see db_device_pin_first() */
    uint8_t pin_next[DB_PIN_SIZE];
    bool has_pin_next;
    enum fleet_pin_origin pin_origin; /* of pin_current */
    char product[DB_ID_SIZE];         /* "": unknown */
    char hardware[DB_ID_SIZE];        /* "": unknown */
    bool installed_known;
    int64_t installed_sequence;
    char installed_version[DB_VERSION_SIZE]; /* "": unknown */
    struct fleet_floor floor;
    int64_t open_deployment; /* 0: none */
    int64_t open_release;
    enum fleet_deployment_state open_state;
    bool open_by_policy;                        /* or by a rollout */
    int64_t open_rollout;                       /* that made the open deployment; 0: none */
    int64_t quarantined[FLEET_MAX_QUARANTINED]; /* release ids */
    size_t quarantined_count;
    bool ddi_client;                /* its last poll was one of DDI (db/ddi.h) */
    bool ddi_configured;            /* its attributes are not wanted now */
    bool ddi_fetched;               /* of the open deployment: its client has read it */
    bool ddi_answered;              /* … and has given its closing answer: for the client it is over */
    int64_t last_seen;              /* 0: never */
    int64_t certificate_expires_at; /* of the certificate that it showed last; 0: never seen */
    uint32_t revision;              /* changes with every change that a decision could depend on */
    uint32_t number;                /* of the entry; only out of db_registry_get() */

    /* The remembered decision; see db_offer_decide(). */
    enum fleet_reason told_reason; /* FLEET_REASON_REFUSED: none */
    uint64_t told_generation;
    int64_t told_until;
};

/* False: no such device. */
bool db_registry_get(struct db *db, const char *id, struct db_device_hot *ret_hot) MUST_USE;

/* True when one of the device's pins is this key. In constant time. */
bool db_registry_has_pin(const struct db_device_hot *hot, const uint8_t spki_sha256[DB_PIN_SIZE]) MUST_USE;

/* What a device says of itself at a poll; NULL or "" is "not said". Ceilings: 64 bytes each, checked by the caller. */
struct db_observation {
    const char *product;
    const char *hardware;
    const char *version;
    bool sequence_known;
    int64_t sequence;
    const char *place;              /* where it polls from, an address */
    int64_t certificate_expires_at; /* of the certificate that it polls with; 0: not said */
    bool unasked;                   /* did not come by db_registry_seen(): db_device_observe() itself keeps to an event an hour */
};

/* Notes in memory that the device was here and what it runs. No SQL. False: no such device.
 * *ret_must_write: something durable is to be done (a field filled for the first time, a mismatch, a version that fell, two places in alternation):
 * call db_device_observe() and db_registry_take_alternation() on the writer. It stays true at most once for each such change. */
bool db_registry_seen(struct db *db, const char *id, int64_t now, const struct db_observation *seen, bool *ret_must_write) MUST_USE;

/* True once, when db_registry_seen() has found the device polling from two places in alternation: within REGISTRY_PLACE_WINDOW_S seconds it came back
 * REGISTRY_PLACE_RETURNS times to the place before the last (A, B, A, B, A). Then quiet for as long. Places that are only left (roaming) do not
 * count. */
enum { REGISTRY_PLACE_WINDOW_S = 3600, REGISTRY_PLACE_RETURNS = 3 };
bool db_registry_take_alternation(struct db *db, const char *id) MUST_USE;

/* Remembers a "nothing" for this device until told_until or until anything about it or the catalog changes. hot: the copy that was decided on. */
void db_registry_remember(struct db *db, const struct db_device_hot *hot, uint64_t generation, enum fleet_reason reason, int64_t told_until);

/* Hands last-seen values to the writer, sorted by id, at most 2,000 a job, one job after the other; returns at once. The server's timer calls it
 * every 5 s. What cannot be queued or committed stays noted for the next time. Also flushes the tokens' last use. */
void db_registry_flush(struct db *db);

/* One device as a walk through all of them sees it. Its texts are valid during the call; the id as long as the store is open. */
struct db_registry_glance {
    const char *id, *product, *hardware, *version;
    enum fleet_device_state state;
    bool installed_known;
    int64_t installed_sequence;
    int64_t last_seen;
    int64_t open_deployment; /* 0: none */
};

/* Calls visit() for every device, in no order that means anything, holding the registry's read lock for some hundred at a time: visit() must be quick
 * and must not call the store. A device that is made meanwhile may be missed. */
void db_registry_each(struct db *db, void (*visit)(void *context, const struct db_registry_glance *glance), void *context);

struct db_registry_counts {
    size_t devices;
    size_t by_state[FLEET_DEVICE_STATE_COUNT];
    size_t unflushed;
    size_t memory_bytes;
};

void db_registry_count(struct db *db, struct db_registry_counts *ret_counts);

/* Devices of one product and state that say they run the same version. */
struct db_registry_group {
    bool others; /* what is beyond the ceiling, of all products and versions */
    char product[DB_ID_SIZE];
    char version[DB_VERSION_SIZE];
    enum fleet_device_state state;
    size_t count;
};

/* The greatest groups, most first, at most max (> FLEET_DEVICE_STATE_COUNT); all others in one group a state behind them. Walks the whole registry
 * under its lock: 100,000 devices take about a millisecond. */
bool db_registry_group(struct db *db, struct db_registry_group *ret_groups, size_t max, size_t *ret_count, struct err *err) MUST_USE;

#endif
