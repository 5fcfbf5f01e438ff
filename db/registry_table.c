#include "db/registry_table.h"

#include <stdlib.h>
#include <string.h>

#include "common/text.h"

struct registry_entry *db_registry_table_at(const struct db_registry *registry, uint32_t number) {
    return &registry->blocks[number / REGISTRY_BLOCK][number % REGISTRY_BLOCK];
}

struct registry_entry *db_registry_table_find(const struct db_registry *registry, const char *id, uint32_t *ret_number) {
    size_t mask = registry->table_size - 1;

    if (registry->table_size == 0)
        return NULL;
    for (size_t i = (size_t)siphash_text(registry->key, id) & mask; registry->table[i]; i = (i + 1) & mask) {
        struct registry_entry *entry = db_registry_table_at(registry, registry->table[i] - 1);

        if (strcmp(entry->id, id) == 0) {
            if (ret_number)
                *ret_number = registry->table[i] - 1;
            return entry;
        }
    }
    return NULL;
}

static void place(const struct db_registry *registry, uint32_t *table, size_t size, uint32_t number) {
    size_t mask = size - 1;
    size_t i = (size_t)siphash_text(registry->key, db_registry_table_at(registry, number)->id) & mask;

    while (table[i])
        i = (i + 1) & mask;
    table[i] = number + 1;
}

/* At most half full. */
static bool grow_table(struct db_registry *registry) {
    size_t size = registry->table_size ? registry->table_size * 2 : 1024;
    uint32_t *table;

    if ((registry->count + 1) * 2 <= registry->table_size)
        return true;
    table = calloc(size, sizeof *table);
    if (!table)
        return false;
    for (size_t number = 0; number < registry->count; number++)
        place(registry, table, size, (uint32_t)number);
    free(registry->table);
    registry->table = table;
    registry->table_size = size;
    return true;
}

static bool grow_blocks(struct db_registry *registry) {
    struct registry_entry **blocks;

    if (registry->count < registry->block_count * REGISTRY_BLOCK)
        return true;
    blocks = reallocarray(registry->blocks, registry->block_count + 1, sizeof *blocks);
    if (!blocks)
        return false;
    registry->blocks = blocks;
    blocks[registry->block_count] = calloc(REGISTRY_BLOCK, sizeof **blocks);
    if (!blocks[registry->block_count])
        return false;
    registry->block_count++;
    return true;
}

static const char *keep_text(struct db_registry *registry, const char *text) {
    size_t size = strlen(text) + 1;
    char *place_for_it;

    if (!registry->texts || registry->texts->used + size > REGISTRY_TEXT_BLOCK) {
        struct registry_text_block *block = malloc(sizeof *block);

        if (!block)
            return NULL;
        block->next = registry->texts;
        block->used = 0;
        registry->texts = block;
        registry->text_blocks++;
    }
    place_for_it = registry->texts->text + registry->texts->used;
    memcpy(place_for_it, text, size);
    registry->texts->used += size;
    return place_for_it;
}

struct registry_entry *db_registry_table_make(struct db_registry *registry, const char *id) {
    struct registry_entry *entry = db_registry_table_find(registry, id, NULL);

    if (entry)
        return entry;
    if (!grow_table(registry) || !grow_blocks(registry))
        return NULL;
    entry = db_registry_table_at(registry, (uint32_t)registry->count);
    entry->id = keep_text(registry, id);
    if (!entry->id)
        return NULL;
    place(registry, registry->table, registry->table_size, (uint32_t)registry->count);
    registry->count++;
    registry->by_state[entry->state]++;
    return entry;
}

bool db_registry_table_mark(struct db_registry *registry, uint32_t number) {
    struct registry_entry *entry = db_registry_table_at(registry, number);

    if (entry->unflushed)
        return true;
    if (registry->dirty_count == registry->dirty_capacity) {
        size_t capacity = registry->dirty_capacity ? registry->dirty_capacity * 2 : 1024;
        uint32_t *dirty = reallocarray(registry->dirty, capacity, sizeof *dirty);

        if (!dirty)
            return false;
        registry->dirty = dirty;
        registry->dirty_capacity = capacity;
    }
    registry->dirty[registry->dirty_count++] = number;
    entry->unflushed = true;
    return true;
}

void db_registry_table_note(struct db_registry *registry, uint32_t number) {
    struct registry_entry *entry = db_registry_table_at(registry, number);

    if (!registry->want_newcomers || entry->newcomer)
        return;
    if (registry->newcomer_count == registry->newcomer_capacity) {
        size_t capacity = registry->newcomer_capacity ? registry->newcomer_capacity * 2 : 256;
        uint32_t *newcomers = reallocarray(registry->newcomers, capacity, sizeof *newcomers);

        if (!newcomers)
            return;
        registry->newcomers = newcomers;
        registry->newcomer_capacity = capacity;
    }
    registry->newcomers[registry->newcomer_count++] = number;
    entry->newcomer = true;
}

static bool set_text(struct db_registry *registry, uint32_t *number, const char *text, struct err *err) {
    uint32_t added;

    if (strcmp(db_intern_text(registry->intern, *number), text) == 0)
        return true;
    if (!db_intern_add(registry->intern, text, &added, err))
        return false;
    db_intern_drop(registry->intern, *number);
    *number = added;
    return true;
}

bool db_registry_table_set_installed(struct db_registry *registry, struct registry_entry *entry, bool known, int64_t sequence, const char *version,
                                     struct err *err) {
    if (!set_text(registry, &entry->version, version, err))
        return false;
    entry->installed_known = known;
    entry->installed_sequence = known ? sequence : 0;
    return true;
}

static bool set_floor(struct registry_entry *entry, const struct fleet_floor *floor) {
    if (floor->sequence > 0 && !entry->floor_sha256) {
        entry->floor_sha256 = malloc(FLEET_SHA256_SIZE);
        if (!entry->floor_sha256)
            return false;
    }
    if (entry->floor_sha256)
        memcpy(entry->floor_sha256, floor->sha256, FLEET_SHA256_SIZE);
    entry->floor_sequence = floor->sequence;
    entry->floor_security = floor->security_version;
    return true;
}

static bool set_quarantine(struct registry_entry *entry, const struct db_device_hot *hot) {
    int64_t *releases = NULL;

    if (hot->quarantined_count > 0) {
        releases = calloc(hot->quarantined_count, sizeof *releases);
        if (!releases)
            return false;
        memcpy(releases, hot->quarantined, hot->quarantined_count * sizeof *releases);
    }
    free(entry->quarantined);
    entry->quarantined = releases;
    entry->quarantined_count = (uint8_t)hot->quarantined_count;
    return true;
}

void db_registry_table_set_ddi(struct registry_entry *entry, const struct db_device_hot *hot) {
    entry->ddi_client = hot->ddi_client;
    entry->ddi_configured = hot->ddi_configured;
    entry->ddi_fetched = hot->ddi_fetched;
    entry->ddi_answered = hot->ddi_answered;
}

bool db_registry_table_set(struct db_registry *registry, struct registry_entry *entry, const struct db_device_hot *hot, bool installed,
                           struct err *err) {
    if (!set_text(registry, &entry->product, hot->product, err) || !set_text(registry, &entry->hardware, hot->hardware, err))
        return false;
    if (!set_floor(entry, &hot->floor) || !set_quarantine(entry, hot))
        return err_no_memory(err);
    if (installed && !db_registry_table_set_installed(registry, entry, hot->installed_known, hot->installed_sequence, hot->installed_version, err))
        return false;
    registry->by_state[entry->state]--;
    registry->by_state[hot->state]++;
    entry->state = (uint8_t)hot->state;
    memcpy(entry->pin_current, hot->pin_current, DB_PIN_SIZE);
    memcpy(entry->pin_next, hot->pin_next, DB_PIN_SIZE);
    entry->has_pin_current = hot->has_pin_current;
    entry->has_pin_next = hot->has_pin_next;
    entry->pin_origin = (uint8_t)hot->pin_origin;
    entry->open_deployment = hot->open_deployment;
    entry->open_release = hot->open_release;
    entry->open_state = (uint8_t)hot->open_state;
    entry->open_by_policy = hot->open_by_policy;
    db_registry_table_set_ddi(entry, hot);
    entry->open_rollout = (uint32_t)hot->open_rollout;
    entry->told_reason = FLEET_REASON_REFUSED;
    entry->revision++;
    return true;
}

void db_registry_table_copy(const struct db_registry *registry, const struct registry_entry *entry, struct db_device_hot *ret_hot) {
    memset(ret_hot, 0, sizeof *ret_hot);
    /* Nothing longer ever comes in: the database has what was checked at the door. */
    if (!text_copy(ret_hot->id, sizeof ret_hot->id, entry->id) ||
        !text_copy(ret_hot->product, sizeof ret_hot->product, db_intern_text(registry->intern, entry->product)) ||
        !text_copy(ret_hot->hardware, sizeof ret_hot->hardware, db_intern_text(registry->intern, entry->hardware)) ||
        !text_copy(ret_hot->installed_version, sizeof ret_hot->installed_version, db_intern_text(registry->intern, entry->version)))
        return; /* all zero but for what was copied: a pending device without a key */
    ret_hot->state = (enum fleet_device_state)entry->state;
    memcpy(ret_hot->pin_current, entry->pin_current, DB_PIN_SIZE);
    memcpy(ret_hot->pin_next, entry->pin_next, DB_PIN_SIZE);
    ret_hot->has_pin_current = entry->has_pin_current;
    ret_hot->has_pin_next = entry->has_pin_next;
    ret_hot->pin_origin = (enum fleet_pin_origin)entry->pin_origin;
    ret_hot->installed_known = entry->installed_known;
    ret_hot->installed_sequence = entry->installed_sequence;
    ret_hot->floor.sequence = entry->floor_sequence;
    ret_hot->floor.security_version = entry->floor_security;
    if (entry->floor_sha256)
        memcpy(ret_hot->floor.sha256, entry->floor_sha256, FLEET_SHA256_SIZE);
    ret_hot->open_deployment = entry->open_deployment;
    ret_hot->open_release = entry->open_release;
    ret_hot->open_state = (enum fleet_deployment_state)entry->open_state;
    ret_hot->open_by_policy = entry->open_by_policy;
    ret_hot->ddi_client = entry->ddi_client;
    ret_hot->ddi_configured = entry->ddi_configured;
    ret_hot->ddi_fetched = entry->ddi_fetched;
    ret_hot->ddi_answered = entry->ddi_answered;
    ret_hot->open_rollout = entry->open_rollout;
    ret_hot->quarantined_count = entry->quarantined_count;
    for (size_t i = 0; i < entry->quarantined_count; i++)
        ret_hot->quarantined[i] = entry->quarantined[i];
    ret_hot->last_seen = entry->last_seen;
    ret_hot->certificate_expires_at = entry->certificate_expires_at;
    ret_hot->revision = entry->revision;
    ret_hot->told_reason = (enum fleet_reason)entry->told_reason;
    ret_hot->told_generation = entry->told_generation;
    ret_hot->told_until = entry->told_until;
}

void db_registry_table_free(struct db_registry *registry) {
    for (size_t number = 0; number < registry->count; number++) {
        struct registry_entry *entry = db_registry_table_at(registry, (uint32_t)number);

        free(entry->floor_sha256);
        free(entry->quarantined);
    }
    for (size_t i = 0; i < registry->block_count; i++)
        free(registry->blocks[i]);
    while (registry->texts) {
        struct registry_text_block *next = registry->texts->next;

        free(registry->texts);
        registry->texts = next;
    }
    free(registry->blocks);
    free(registry->table);
    free(registry->dirty);
    db_intern_free(registry->intern);
}
