/* Last-seen values on their way to the disk: sorted by id, in slices, so that no job holds the writer for long. */
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "db/query.h"
#include "db/registry_table.h"

enum { SLICE = 2000 };

/* One value as it was when its slice ran. */
struct value {
    uint32_t number;
    const char *id;
    int64_t last_seen;
    bool has_installed;
    bool known;
    int64_t sequence;
    char version[DB_VERSION_SIZE];
};

struct slice {
    struct db *db;
    size_t count;
    uint32_t numbers[SLICE];
    struct value *values; /* taken out by run() */
};

/* From here on a new report marks the entry again. */
static void take_values(struct slice *slice) {
    struct db_registry *registry = slice->db->registry;

    pthread_rwlock_wrlock(&registry->lock);
    for (size_t i = 0; i < slice->count; i++) {
        struct registry_entry *entry = db_registry_table_at(registry, slice->numbers[i]);
        struct value *value = &slice->values[i];

        value->number = slice->numbers[i];
        value->id = entry->id;
        value->last_seen = entry->last_seen;
        value->has_installed = entry->installed_unflushed &&
                               text_copy(value->version, sizeof value->version, db_intern_text(registry->intern, entry->version));
        value->known = entry->installed_known;
        value->sequence = entry->installed_sequence;
        entry->unflushed = false;
        entry->installed_unflushed = false;
    }
    pthread_rwlock_unlock(&registry->lock);
}

/* Back onto the dirty list, for the next flush. */
static void give_back(struct db *db, const uint32_t *numbers, const struct value *values, size_t count) {
    struct db_registry *registry = db->registry;

    pthread_rwlock_wrlock(&registry->lock);
    for (size_t i = 0; i < count; i++) {
        struct registry_entry *entry = db_registry_table_at(registry, numbers[i]);

        if (!values)
            entry->unflushed = false; /* it was marked all the time, but its place on the list was taken out */
        if (db_registry_table_mark(registry, numbers[i]) && values && values[i].has_installed)
            entry->installed_unflushed = true;
    }
    pthread_rwlock_unlock(&registry->lock);
}

static bool write_value(struct db_conn *tx, const struct value *value, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, value->has_installed ? DB_QUERY_DEVICE_SEEN_FLUSH_INSTALLED : DB_QUERY_DEVICE_SEEN_FLUSH);

    db_query_text(stmt, 1, value->id);
    db_query_int(stmt, 2, value->last_seen);
    if (value->has_installed) {
        db_query_opt_text(stmt, 3, value->version);
        db_query_opt_int(stmt, 4, value->known, value->sequence);
    }
    return db_query_run(stmt, NULL, err);
}

static bool slice_run(struct db_conn *tx, void *arg, struct err *err) {
    struct slice *slice = arg;

    slice->values = calloc(slice->count, sizeof *slice->values);
    if (!slice->values)
        return err_no_memory(err);
    take_values(slice);
    for (size_t i = 0; i < slice->count; i++) {
        if (!write_value(tx, &slice->values[i], err))
            return false;
    }
    return true;
}

static void slice_done(void *arg, bool ok, const struct err *err) {
    struct slice *slice = arg;

    (void)err;
    if (!ok)
        give_back(slice->db, slice->numbers, slice->values, slice->count);
    free(slice->values);
    free(slice);
}

static bool send_slice(struct db *db, const uint32_t *numbers, size_t count) {
    struct slice *slice = malloc(sizeof *slice);
    struct db_job job = {.run = slice_run, .done = slice_done, .arg = slice};
    struct err ignored;

    if (!slice)
        return false;
    slice->db = db;
    slice->count = count;
    slice->values = NULL;
    memcpy(slice->numbers, numbers, count * sizeof *numbers);
    if (db_submit(db, &job, &ignored))
        return true;
    free(slice);
    return false;
}

/* Ids never move, so the sorting needs no lock. */
struct named {
    const char *id;
    uint32_t number;
};

static int by_id(const void *a, const void *b) {
    return strcmp(((const struct named *)a)->id, ((const struct named *)b)->id);
}

static bool sort_by_id(struct db_registry *registry, uint32_t *numbers, size_t count) {
    struct named *named = calloc(count, sizeof *named);

    if (!named)
        return false;
    pthread_rwlock_rdlock(&registry->lock);
    for (size_t i = 0; i < count; i++)
        named[i] = (struct named){.id = db_registry_table_at(registry, numbers[i])->id, .number = numbers[i]};
    pthread_rwlock_unlock(&registry->lock);
    qsort(named, count, sizeof *named, by_id);
    for (size_t i = 0; i < count; i++)
        numbers[i] = named[i].number;
    free(named);
    return true;
}

void db_registry_flush(struct db *db) {
    struct db_registry *registry = db->registry;
    uint32_t *dirty;
    size_t count;
    bool sorted;

    db_token_flush(db);
    pthread_rwlock_wrlock(&registry->lock);
    dirty = registry->dirty;
    count = registry->dirty_count;
    registry->dirty = NULL;
    registry->dirty_count = registry->dirty_capacity = 0;
    pthread_rwlock_unlock(&registry->lock);
    sorted = count > 0 && sort_by_id(registry, dirty, count);
    for (size_t at = 0; at < count; at += SLICE) {
        size_t len = count - at < SLICE ? count - at : SLICE;

        if (!sorted || !send_slice(db, dirty + at, len))
            give_back(db, dirty + at, NULL, len);
    }
    free(dirty);
}
