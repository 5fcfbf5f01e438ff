/* Last-seen values on their way to the disk: sorted by id, in slices, so that no job holds the writer for long. Each slice is queued when the one
 * before it is done, so that a report never waits for more than one of them. */
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "db/query.h"
#include "db/registry_table.h"

enum { SLICE = 2000 };

/* One value as it was when its slice ran. */
struct value {
    const char *id;
    int64_t last_seen;
    int64_t certificate_expires_at; /* 0: as it was */
    bool has_installed;
    bool known;
    int64_t sequence;
    char version[DB_VERSION_SIZE];
};

struct flush {
    struct db *db;
    uint32_t *numbers; /* sorted by id */
    size_t count;
    size_t at; /* where the slice begins that is on its way */
    struct value values[SLICE];
    bool taken; /* values hold this slice */
};

static size_t slice_len(const struct flush *flush) {
    size_t left = flush->count - flush->at;

    return left < SLICE ? left : SLICE;
}

/* From here on a new report marks the entry again. */
static void take_values(struct flush *flush) {
    struct db_registry *registry = flush->db->registry;

    pthread_rwlock_wrlock(&registry->lock);
    for (size_t i = 0; i < slice_len(flush); i++) {
        struct registry_entry *entry = db_registry_table_at(registry, flush->numbers[flush->at + i]);
        struct value *value = &flush->values[i];

        value->id = entry->id;
        value->last_seen = entry->last_seen;
        value->certificate_expires_at = entry->certificate_unflushed ? entry->certificate_expires_at : 0;
        value->has_installed = entry->installed_unflushed &&
                               text_copy(value->version, sizeof value->version, db_intern_text(registry->intern, entry->version));
        value->known = entry->installed_known;
        value->sequence = entry->installed_sequence;
        entry->unflushed = false;
        entry->installed_unflushed = false;
        entry->certificate_unflushed = false;
    }
    pthread_rwlock_unlock(&registry->lock);
    flush->taken = true;
}

/* This slice and all behind it go back onto the dirty list, for the next flush. */
static void give_back(struct flush *flush) {
    struct db_registry *registry = flush->db->registry;

    pthread_rwlock_wrlock(&registry->lock);
    for (size_t i = flush->at; i < flush->count; i++) {
        struct registry_entry *entry = db_registry_table_at(registry, flush->numbers[i]);
        bool was_taken = flush->taken && i - flush->at < SLICE;

        if (!was_taken)
            entry->unflushed = false; /* it was marked all the time, but its place on the list was taken out */
        if (db_registry_table_mark(registry, flush->numbers[i]) && was_taken) {
            entry->installed_unflushed |= flush->values[i - flush->at].has_installed;
            entry->certificate_unflushed |= flush->values[i - flush->at].certificate_expires_at != 0;
        }
    }
    pthread_rwlock_unlock(&registry->lock);
}

static bool write_certificate(struct db_conn *tx, const struct value *value, struct err *err) {
    struct db_stmt *stmt;

    if (!value->certificate_expires_at)
        return true;
    stmt = db_query_begin(tx, DB_QUERY_DEVICE_SEEN_CERTIFICATE);
    db_query_text(stmt, 1, value->id);
    db_query_int(stmt, 2, value->certificate_expires_at);
    return db_query_run(stmt, NULL, err);
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
    struct flush *flush = arg;

    take_values(flush);
    for (size_t i = 0; i < slice_len(flush); i++)
        if (!write_value(tx, &flush->values[i], err) || !write_certificate(tx, &flush->values[i], err))
            return false;
    return true;
}

static void free_flush(struct flush *flush) {
    free(flush->numbers);
    free(flush);
}

static void slice_done(void *arg, bool ok, const struct err *err);

/* Queues the next slice; what cannot be queued is given back. Ends the flush. */
static void go_on(struct flush *flush) {
    struct db_job job = {.run = slice_run, .done = slice_done, .arg = flush};
    struct err ignored;

    flush->taken = false;
    if (flush->at < flush->count && db_submit(flush->db, &job, &ignored))
        return;
    give_back(flush);
    free_flush(flush);
}

static void slice_done(void *arg, bool ok, const struct err *err) {
    struct flush *flush = arg;

    (void)err;
    if (ok) {
        flush->at += slice_len(flush);
        go_on(flush);
    } else {
        give_back(flush);
        free_flush(flush);
    }
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
    struct flush *flush = malloc(sizeof *flush);

    db_token_flush(db);
    if (!flush)
        return;
    flush->db = db;
    flush->at = 0;
    flush->taken = false;
    pthread_rwlock_wrlock(&registry->lock);
    flush->numbers = registry->dirty;
    flush->count = registry->dirty_count;
    registry->dirty = NULL;
    registry->dirty_count = registry->dirty_capacity = 0;
    pthread_rwlock_unlock(&registry->lock);
    if (flush->count > 0 && !sort_by_id(registry, flush->numbers, flush->count)) {
        give_back(flush);
        free_flush(flush);
        return;
    }
    go_on(flush);
}
