/* The registry's own structures: entries in blocks that never move, an open-addressing table of their numbers. For db/registry*.c. */
#ifndef PAWL_DB_REGISTRY_TABLE_H
#define PAWL_DB_REGISTRY_TABLE_H

#include <pthread.h>

#include "common/siphash.h"
#include "db/intern.h"
#include "db/store.h"

enum {
    REGISTRY_PLACE_TOLD = 255,
    REGISTRY_BLOCK = 1024,      /* entries a block */
    REGISTRY_TEXT_BLOCK = 65536 /* bytes of ids a block */
};

/* About 200 bytes. Product, hardware and version are numbers of interned texts. */
struct registry_entry {
    const char *id; /* in the text blocks */
    uint8_t pin_current[DB_PIN_SIZE];
    uint8_t pin_next[DB_PIN_SIZE];
    int64_t installed_sequence;
    int64_t floor_sequence;
    int64_t floor_security;
    uint8_t *floor_sha256; /* 32 bytes, when something was confirmed; owned */
    int64_t open_deployment;
    int64_t open_release;
    int64_t *quarantined; /* owned */
    int64_t last_seen;
    int64_t certificate_expires_at;
    int64_t told_until;
    uint64_t told_generation;
    int64_t mismatch_told_at;     /* UTC seconds */
    int64_t fall_told_at;         /* when it was last written that what it runs fell */
    uint32_t mismatch_hash;       /* of what it claimed then */
    uint32_t place, place_before; /* hashes of the last two places it polled from; 0: none */
    uint32_t place_since;         /* UTC seconds: when the returns began to be counted */
    uint32_t product, hardware, version;
    uint32_t open_rollout; /* that made the open deployment; 0: none */
    uint32_t revision;
    uint8_t state;
    uint8_t pin_origin;
    uint8_t open_state;
    uint8_t told_reason;
    uint8_t quarantined_count;
    uint8_t place_returns; /* REGISTRY_PLACE_TOLD: not counted until the window is past */
    bool has_pin_current : 1;
    bool has_pin_next : 1;
    bool installed_known : 1;
    bool open_by_policy : 1;
    bool unflushed : 1;           /* in the dirty list */
    bool installed_unflushed : 1; /* what it runs, too */
    bool certificate_unflushed : 1;
    bool alternation_due : 1; /* found, and not yet taken */
    bool ddi_client : 1;
    bool ddi_configured : 1;
    bool ddi_fetched : 1;
    bool ddi_answered : 1;
    bool newcomer : 1; /* on the list of newcomers */
};

struct registry_text_block {
    struct registry_text_block *next;
    size_t used;
    char text[REGISTRY_TEXT_BLOCK];
};

/* The members of one active rollout, by entry number (db/rollout_cells.c). */
struct registry_rollout {
    int64_t id;
    int64_t in_flight;
    uint8_t *cells; /* phase and state; 0: no member */
    size_t capacity;
    uint16_t *windows; /* a mask; NULL: nobody has one of his own */
    size_t window_capacity;
};

struct db_registry {
    pthread_rwlock_t lock; /* guards all of this */
    struct siphash_key key;
    struct registry_entry **blocks;
    size_t block_count;
    size_t count;
    uint32_t *table; /* entry number + 1; 0: empty */
    size_t table_size;
    struct registry_text_block *texts;
    size_t text_blocks;
    struct db_intern *intern;
    uint32_t *dirty; /* numbers of entries with unflushed values */
    size_t dirty_count;
    size_t dirty_capacity;
    size_t by_state[FLEET_DEVICE_STATE_COUNT];
    struct registry_rollout *rollouts;
    size_t rollout_count;
    bool want_newcomers;
    uint32_t *newcomers; /* numbers of entries that changed while somebody wants to know */
    size_t newcomer_count;
    size_t newcomer_capacity;
};

struct registry_entry *db_registry_table_at(const struct db_registry *registry, uint32_t number);

/* NULL: no such device. The lock is held. */
struct registry_entry *db_registry_table_find(const struct db_registry *registry, const char *id, uint32_t *ret_number);

/* The entry of this id, made when missing. NULL: no memory. */
struct registry_entry *db_registry_table_make(struct db_registry *registry, const char *id);

/* Puts the entry on the dirty list. False: no memory (it is not marked then). */
bool db_registry_table_mark(struct db_registry *registry, uint32_t number);

/* Notes that the entry changed, when somebody wants to know. Without memory for it the device is found by the next start. */
void db_registry_table_note(struct db_registry *registry, uint32_t number);

/* Everything but what is coalesced: state, pins, product …; installed only when asked for. */
bool db_registry_table_set(struct db_registry *registry, struct registry_entry *entry, const struct db_device_hot *hot, bool installed,
                           struct err *err) MUST_USE;
void db_registry_table_set_ddi(struct registry_entry *entry, const struct db_device_hot *hot);
void db_registry_table_copy(const struct db_registry *registry, const struct registry_entry *entry, struct db_device_hot *ret_hot);

/* What the device runs, as it says. */
bool db_registry_table_set_installed(struct db_registry *registry, struct registry_entry *entry, bool known, int64_t sequence, const char *version,
                                     struct err *err) MUST_USE;

void db_registry_table_free(struct db_registry *registry);

#endif
