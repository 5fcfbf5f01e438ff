#include "db/registry.h"

#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/random.h"
#include "common/text.h"
#include "db/registry_table.h"

enum { QUIET_S = 3600 }; /* a device that claims another identity, or to have fallen, at every poll is an event an hour, no more */

bool db_registry_get(struct db *db, const char *id, struct db_device_hot *ret_hot) {
    struct db_registry *registry = db->registry;
    const struct registry_entry *entry;
    uint32_t number;

    pthread_rwlock_rdlock(&registry->lock);
    entry = db_registry_table_find(registry, id, &number);
    if (entry) {
        db_registry_table_copy(registry, entry, ret_hot);
        ret_hot->number = number;
    }
    pthread_rwlock_unlock(&registry->lock);
    return entry != NULL;
}

bool db_registry_has_pin(const struct db_device_hot *hot, const uint8_t spki_sha256[DB_PIN_SIZE]) {
    bool current = hash_equal(hot->pin_current, spki_sha256, DB_PIN_SIZE) && hot->has_pin_current;
    bool next = hash_equal(hot->pin_next, spki_sha256, DB_PIN_SIZE) && hot->has_pin_next;

    return current || next;
}

/* Told and known, and another. */
static bool differs(const struct db_registry *registry, uint32_t known, const char *told) {
    return told && told[0] && known && strcmp(db_intern_text(registry->intern, known), told) != 0;
}

/* Something for db_device_observe(): identity. product_exists: the product that it names does. */
static bool identity_must_write(const struct db_registry *registry, struct registry_entry *entry, const struct db_observation *seen,
                                bool product_exists, int64_t now) {
    uint32_t hash;

    if (!entry->product && product_exists)
        return true;
    if (!entry->hardware && seen->hardware && seen->hardware[0])
        return true;
    if (!differs(registry, entry->product, seen->product) && !differs(registry, entry->hardware, seen->hardware))
        return false;
    hash = (uint32_t)(siphash_text(registry->key, seen->product ? seen->product : "") ^
                      siphash_text(registry->key, seen->hardware ? seen->hardware : "") * 3);
    if (entry->mismatch_told_at != 0 && (hash == entry->mismatch_hash || now - entry->mismatch_told_at < QUIET_S))
        return false;
    entry->mismatch_hash = hash;
    entry->mismatch_told_at = now;
    return true;
}

/* What it runs: a rise is only noted, a fall must become an event. */
static bool installed_must_write(struct db_registry *registry, struct registry_entry *entry, uint32_t number, const struct db_observation *seen,
                                 int64_t now) {
    const char *version = seen->version ? seen->version : "";
    struct err ignored;

    if (!seen->sequence_known)
        return false;
    if (entry->installed_known && seen->sequence < entry->installed_sequence) {
        if (entry->fall_told_at != 0 && now - entry->fall_told_at < QUIET_S)
            return false; /* if it is still so then, it is written then */
        entry->fall_told_at = now;
        return true;
    }
    if (entry->installed_known && seen->sequence == entry->installed_sequence &&
        (!version[0] || strcmp(db_intern_text(registry->intern, entry->version), version) == 0))
        return false;
    /* Without memory for it the next poll notes it. */
    if (db_registry_table_mark(registry, number) && db_registry_table_set_installed(registry, entry, true, seen->sequence, version, &ignored)) {
        entry->installed_unflushed = true;
        entry->told_reason = FLEET_REASON_REFUSED;
        entry->revision++;
        db_registry_table_note(registry, number);
    }
    return false;
}

bool db_registry_may_tell(struct db *db, const char *id, bool fall, int64_t now) {
    struct db_registry *registry = db->registry;
    struct registry_entry *entry;
    bool may = true;

    pthread_rwlock_wrlock(&registry->lock);
    entry = db_registry_table_find(registry, id, NULL);
    if (entry) {
        int64_t *told_at = fall ? &entry->fall_told_at : &entry->mismatch_told_at;

        may = *told_at == 0 || now - *told_at >= QUIET_S;
        if (may)
            *told_at = now;
    }
    pthread_rwlock_unlock(&registry->lock);
    return may;
}

/* Two places in alternation: each poll that comes from the place before the last is a return. */
static bool alternates(const struct db_registry *registry, struct registry_entry *entry, const char *text, int64_t now) {
    uint32_t place = text ? (uint32_t)siphash_text(registry->key, text) | 1 : 0;
    bool returned;

    if (!place || place == entry->place)
        return false;
    returned = place == entry->place_before;
    entry->place_before = entry->place;
    entry->place = place;
    if ((uint32_t)now - entry->place_since >= REGISTRY_PLACE_WINDOW_S) {
        entry->place_since = (uint32_t)now;
        entry->place_returns = 0;
    }
    if (!returned || entry->place_returns == REGISTRY_PLACE_TOLD || ++entry->place_returns < REGISTRY_PLACE_RETURNS)
        return false;
    entry->place_returns = REGISTRY_PLACE_TOLD;
    entry->place_since = (uint32_t)now;
    entry->alternation_due = true;
    return true;
}

bool db_registry_take_alternation(struct db *db, const char *id) {
    struct db_registry *registry = db->registry;
    struct registry_entry *entry;
    bool due;

    pthread_rwlock_wrlock(&registry->lock);
    entry = db_registry_table_find(registry, id, NULL);
    due = entry && entry->alternation_due;
    if (due)
        entry->alternation_due = false;
    pthread_rwlock_unlock(&registry->lock);
    return due;
}

/* That it was here, and with which certificate. Without memory for it the next poll notes it. */
static void note_here(struct db_registry *registry, struct registry_entry *entry, uint32_t number, const struct db_observation *seen, int64_t now) {
    if (!db_registry_table_mark(registry, number))
        return;
    if (now > entry->last_seen)
        entry->last_seen = now;
    if (seen->certificate_expires_at && seen->certificate_expires_at != entry->certificate_expires_at) {
        entry->certificate_expires_at = seen->certificate_expires_at;
        entry->certificate_unflushed = true;
    }
}

bool db_registry_seen(struct db *db, const char *id, int64_t now, const struct db_observation *seen, bool *ret_must_write) {
    struct db_registry *registry = db->registry;
    bool product_exists = false;
    bool identity, installed, alternation;
    struct registry_entry *entry;
    uint32_t number;

    if (seen->product && seen->product[0]) {
        const struct db_catalog *catalog = db_catalog_get(db);

        product_exists = db_catalog_find(catalog, seen->product) != NULL;
        db_catalog_put(catalog);
    }
    pthread_rwlock_wrlock(&registry->lock);
    entry = db_registry_table_find(registry, id, &number);
    if (!entry) {
        pthread_rwlock_unlock(&registry->lock);
        return false;
    }
    note_here(registry, entry, number, seen, now);
    identity = identity_must_write(registry, entry, seen, product_exists, now);
    installed = installed_must_write(registry, entry, number, seen, now);
    alternation = alternates(registry, entry, seen->place, now);
    pthread_rwlock_unlock(&registry->lock);
    *ret_must_write = identity || installed || alternation;
    return true;
}

void db_registry_remember(struct db *db, const struct db_device_hot *hot, uint64_t generation, enum fleet_reason reason, int64_t told_until) {
    struct db_registry *registry = db->registry;
    struct registry_entry *entry;

    pthread_rwlock_wrlock(&registry->lock);
    entry = db_registry_table_find(registry, hot->id, NULL);
    if (entry && entry->revision == hot->revision) {
        entry->told_reason = (uint8_t)reason;
        entry->told_generation = generation;
        entry->told_until = told_until;
    }
    pthread_rwlock_unlock(&registry->lock);
}

bool db_registry_unflushed(struct db *db, const char *id, struct db_unflushed *ret_values) {
    struct db_registry *registry = db->registry;
    const struct registry_entry *entry;
    bool found;

    pthread_rwlock_rdlock(&registry->lock);
    entry = db_registry_table_find(registry, id, NULL);
    found = entry && entry->unflushed;
    if (found) {
        ret_values->last_seen = entry->last_seen;
        ret_values->has_installed = entry->installed_unflushed;
        ret_values->installed_known = entry->installed_known;
        ret_values->installed_sequence = entry->installed_sequence;
        found = text_copy(ret_values->installed_version, sizeof ret_values->installed_version, db_intern_text(registry->intern, entry->version));
    }
    pthread_rwlock_unlock(&registry->lock);
    return found;
}

void db_registry_each(struct db *db, void (*visit)(void *context, const struct db_registry_glance *glance), void *context) {
    enum { AT_ONCE = 256 };
    struct db_registry *registry = db->registry;
    size_t number = 0, count;

    do {
        pthread_rwlock_rdlock(&registry->lock);
        count = registry->count;
        for (size_t end = number + AT_ONCE; number < count && number < end; number++) {
            const struct registry_entry *entry = db_registry_table_at(registry, (uint32_t)number);
            const struct db_registry_glance glance = {
                .id = entry->id,
                .product = db_intern_text(registry->intern, entry->product),
                .hardware = db_intern_text(registry->intern, entry->hardware),
                .version = db_intern_text(registry->intern, entry->version),
                .state = (enum fleet_device_state)entry->state,
                .installed_known = entry->installed_known,
                .installed_sequence = entry->installed_sequence,
                .last_seen = entry->last_seen,
                .open_deployment = entry->open_deployment,
            };

            visit(context, &glance);
        }
        pthread_rwlock_unlock(&registry->lock);
    } while (number < count);
}

void db_registry_count(struct db *db, struct db_registry_counts *ret_counts) {
    struct db_registry *registry = db->registry;

    pthread_rwlock_rdlock(&registry->lock);
    ret_counts->devices = registry->count;
    memcpy(ret_counts->by_state, registry->by_state, sizeof ret_counts->by_state);
    ret_counts->unflushed = registry->dirty_count;
    ret_counts->memory_bytes = registry->block_count * REGISTRY_BLOCK * sizeof(struct registry_entry) +
                               registry->text_blocks * sizeof(struct registry_text_block) + registry->table_size * sizeof *registry->table +
                               registry->dirty_capacity * sizeof *registry->dirty;
    for (size_t i = 0; i < registry->rollout_count; i++)
        ret_counts->memory_bytes += registry->rollouts[i].capacity + registry->rollouts[i].window_capacity * sizeof(uint16_t);
    pthread_rwlock_unlock(&registry->lock);
}
