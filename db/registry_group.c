/* How many devices run what: counted over the registry, for metrics, with a ceiling. */
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "db/registry_table.h"

enum { SEEN_MAX = 4096 }; /* combinations told apart while counting; a power of two, twice what may be in use */

struct seen {
    uint32_t product, version;
    uint8_t state;
    size_t count; /* 0: free */
};

struct seen_table {
    size_t used;
    size_t others[FLEET_DEVICE_STATE_COUNT]; /* of combinations beyond the ceiling */
    struct seen slots[SEEN_MAX];
};

static size_t slot_of(const struct seen_table *table, const struct registry_entry *entry) {
    uint64_t hash = ((uint64_t)entry->product << 40 ^ (uint64_t)entry->version << 8 ^ entry->state) * 0x9e3779b97f4a7c15U;
    size_t i = (size_t)(hash >> 40) % SEEN_MAX;

    while (table->slots[i].count &&
           !(table->slots[i].product == entry->product && table->slots[i].version == entry->version && table->slots[i].state == entry->state))
        i = (i + 1) % SEEN_MAX;
    return i;
}

static void count_entry(struct seen_table *table, const struct registry_entry *entry) {
    struct seen *slot = &table->slots[slot_of(table, entry)];

    if (slot->count == 0 && table->used >= SEEN_MAX / 2) {
        table->others[entry->state]++;
        return;
    }
    table->used += slot->count == 0;
    *slot = (struct seen){entry->product, entry->version, entry->state, slot->count + 1};
}

static int most_first(const void *a, const void *b) {
    const struct seen *x = a, *y = b;

    return x->count != y->count ? (x->count < y->count ? 1 : -1) : memcmp(&x->product, &y->product, sizeof x->product);
}

static void take(const struct db_registry *registry, const struct seen *seen, struct db_registry_group *ret_group) {
    memset(ret_group, 0, sizeof *ret_group);
    if (!text_copy(ret_group->product, sizeof ret_group->product, db_intern_text(registry->intern, seen->product)) ||
        !text_copy(ret_group->version, sizeof ret_group->version, db_intern_text(registry->intern, seen->version)))
        ret_group->others = true;
    ret_group->state = (enum fleet_device_state)seen->state;
    ret_group->count = seen->count;
}

bool db_registry_group(struct db *db, struct db_registry_group *ret_groups, size_t max, size_t *ret_count, struct err *err) {
    struct db_registry *registry = db->registry;
    struct seen_table *table = calloc(1, sizeof *table);
    size_t count = 0;

    if (!table)
        return err_no_memory(err);
    pthread_rwlock_rdlock(&registry->lock);
    for (size_t i = 0; i < registry->count; i++)
        count_entry(table, db_registry_table_at(registry, (uint32_t)i));
    qsort(table->slots, SEEN_MAX, sizeof *table->slots, most_first);
    for (size_t i = 0; i < table->used; i++)
        if (count + FLEET_DEVICE_STATE_COUNT < max)
            take(registry, &table->slots[i], &ret_groups[count++]);
        else
            table->others[table->slots[i].state] += table->slots[i].count;
    pthread_rwlock_unlock(&registry->lock);
    for (int i = 0; i < FLEET_DEVICE_STATE_COUNT; i++) {
        if (table->others[i] == 0)
            continue;
        ret_groups[count] = (struct db_registry_group){.others = true, .state = (enum fleet_device_state)i, .count = table->others[i]};
        count++;
    }
    free(table);
    *ret_count = count;
    return true;
}
