/* From the database into the registry: everything at start, one device after each commit that touched it. */
#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "common/text.h"
#include "db/query.h"
#include "db/registry_table.h"

static const char first_id[] = "", last_id[] = "\x7f"; /* around every id */

static const struct db_column device_columns[] = {
    DB_COLUMN(DB_CHARS, struct db_device_hot, id),
    DB_COLUMN_NAME(struct db_device_hot, state, db_query_parse_device_state),
    DB_COLUMN(DB_CHARS, struct db_device_hot, product),
    DB_COLUMN(DB_CHARS, struct db_device_hot, hardware),
    DB_COLUMN_AS(DB_KNOWN, struct db_device_hot, has_pin_current, "pin_current"),
    DB_COLUMN(DB_FIXED, struct db_device_hot, pin_current),
    DB_COLUMN_AS(DB_KNOWN, struct db_device_hot, has_pin_next, "pin_next"),
    DB_COLUMN(DB_FIXED, struct db_device_hot, pin_next),
    DB_COLUMN_NAME(struct db_device_hot, pin_origin, db_query_parse_pin_origin),
    DB_COLUMN_AS(DB_INT, struct db_device_hot, floor.sequence, "floor_sequence"),
    DB_COLUMN_AS(DB_INT, struct db_device_hot, floor.security_version, "floor_security"),
    DB_COLUMN_AS(DB_HEX, struct db_device_hot, floor.sha256, "floor_sha256"),
};

static const struct db_column seen_columns[] = {
    DB_COLUMN_AS(DB_CHARS, struct db_device_hot, id, "device"),   DB_COLUMN(DB_INT, struct db_device_hot, last_seen),
    DB_COLUMN(DB_CHARS, struct db_device_hot, installed_version), DB_COLUMN_AS(DB_KNOWN, struct db_device_hot, installed_known, "installed_sequence"),
    DB_COLUMN(DB_INT, struct db_device_hot, installed_sequence),  DB_COLUMN(DB_INT, struct db_device_hot, certificate_expires_at),
};

static const struct db_column open_columns[] = {
    DB_COLUMN_AS(DB_CHARS, struct db_device_hot, id, "device"),
    DB_COLUMN_AS(DB_INT, struct db_device_hot, open_deployment, "id"),
    DB_COLUMN_AS(DB_INT, struct db_device_hot, open_release, "release"),
    {.name = "state", .type = DB_NAME, .offset = offsetof(struct db_device_hot, open_state), .parse = db_query_parse_deployment_state},
    DB_COLUMN_AS(DB_BOOL, struct db_device_hot, open_by_policy, "by_policy"),
    DB_COLUMN_AS(DB_INT, struct db_device_hot, open_rollout, "rollout"),
};

static const struct db_column ddi_columns[] = {
    DB_COLUMN_AS(DB_CHARS, struct db_device_hot, id, "device"),
    DB_COLUMN_AS(DB_BOOL, struct db_device_hot, ddi_client, "client"),
    DB_COLUMN_AS(DB_BOOL, struct db_device_hot, ddi_configured, "configured"),
    DB_COLUMN_AS(DB_BOOL, struct db_device_hot, ddi_fetched, "fetched"),
    DB_COLUMN_AS(DB_BOOL, struct db_device_hot, ddi_answered, "answered"),
};

static const struct db_column quarantine_columns[] = {
    DB_COLUMN_AS(DB_CHARS, struct db_device_hot, id, "device"),
    DB_COLUMN_AS(DB_INT, struct db_device_hot, quarantined[0], "release"),
};

static const struct db_shape device_shape = DB_SHAPE(struct db_device_hot, device_columns);
static const struct db_shape seen_shape = DB_SHAPE(struct db_device_hot, seen_columns);
static const struct db_shape open_shape = DB_SHAPE(struct db_device_hot, open_columns);
static const struct db_shape ddi_shape = DB_SHAPE(struct db_device_hot, ddi_columns);
static const struct db_shape quarantine_shape = DB_SHAPE(struct db_device_hot, quarantine_columns);

static struct db_stmt *range(struct db_conn *conn, enum db_query query, const char *first, const char *last) {
    struct db_stmt *stmt = db_query_begin(conn, query);

    db_query_text(stmt, 1, first);
    db_query_text(stmt, 2, last);
    return stmt;
}

/* At most one row into *hot; fine when there is none. */
static bool read_part(struct db_conn *conn, enum db_query query, const struct db_shape *shape, const char *id, struct db_device_hot *hot,
                      bool *ret_row, struct err *err) {
    return db_query_maybe(range(conn, query, id, id), shape, NULL, hot, ret_row, err);
}

static bool read_quarantine(struct db_conn *conn, const char *id, struct db_device_hot *hot, struct err *err) {
    struct db_stmt *stmt = range(conn, DB_QUERY_QUARANTINE_HOT, id, id);
    bool row;

    while (hot->quarantined_count < FLEET_MAX_QUARANTINED) {
        if (!db_query_next(stmt, &row, err))
            return false;
        if (!row)
            break;
        hot->quarantined[hot->quarantined_count++] = db_query_column_int(stmt, "release");
    }
    db_query_end(stmt);
    return true;
}

/* As the database has it. */
static bool read_stored(struct db_conn *conn, const char *id, struct db_device_hot *hot, struct err *err) {
    bool row;

    memset(hot, 0, sizeof *hot);
    if (!read_part(conn, DB_QUERY_DEVICE_HOT, &device_shape, id, hot, &row, err))
        return false;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "device '%s' does not exist", id);
    return read_part(conn, DB_QUERY_DEVICE_SEEN_HOT, &seen_shape, id, hot, &row, err) &&
           read_part(conn, DB_QUERY_DEPLOYMENT_HOT, &open_shape, id, hot, &row, err) &&
           read_part(conn, DB_QUERY_DDI_HOT, &ddi_shape, id, hot, &row, err) && read_quarantine(conn, id, hot, err);
}

bool db_registry_read(struct db_conn *conn, const char *id, struct db_device_hot *ret_hot, struct err *err) {
    struct db_unflushed unflushed;

    if (!read_stored(conn, id, ret_hot, err))
        return false;
    if (db_registry_unflushed(db_conn_db(conn), id, &unflushed)) {
        ret_hot->last_seen = unflushed.last_seen;
        if (unflushed.has_installed) {
            ret_hot->installed_known = unflushed.installed_known;
            ret_hot->installed_sequence = unflushed.installed_sequence;
            memcpy(ret_hot->installed_version, unflushed.installed_version, sizeof ret_hot->installed_version);
        }
    }
    return true;
}

/* What a commit will put into the registry. */
struct change {
    struct db_device_hot hot;
    bool installed;
    bool was_unflushed; /* the reported value that this change overtakes */
};

static void apply(struct db *db, void *arg, bool committed) {
    struct db_registry *registry = db->registry;
    struct change *change = arg;
    struct registry_entry *entry;
    struct err err = {.code = ERR_NONE};
    uint32_t number;
    bool ok = true;

    pthread_rwlock_wrlock(&registry->lock);
    if (committed) {
        entry = db_registry_table_make(registry, change->hot.id);
        ok = entry ? db_registry_table_set(registry, entry, &change->hot, change->installed, &err) : err_no_memory(&err);
        if (ok && db_registry_table_find(registry, change->hot.id, &number))
            db_registry_table_note(registry, number);
    } else if (change->was_unflushed) {
        entry = db_registry_table_find(registry, change->hot.id, NULL);
        if (entry)
            entry->installed_unflushed = true;
    }
    pthread_rwlock_unlock(&registry->lock);
    free(change);
    if (!ok)
        db_writer_fail(db, &err); /* memory would disagree with the disk: a restart loads it anew */
}

/* From here on a flush must not write the older, reported value over what this transaction wrote. */
static bool overtake_unflushed(struct db_registry *registry, const char *id) {
    struct registry_entry *entry;
    bool was = false;

    pthread_rwlock_wrlock(&registry->lock);
    entry = db_registry_table_find(registry, id, NULL);
    if (entry) {
        was = entry->installed_unflushed;
        entry->installed_unflushed = false;
    }
    pthread_rwlock_unlock(&registry->lock);
    return was;
}

bool db_registry_touch(struct db_conn *tx, const char *id, bool installed, struct err *err) {
    struct change *change = calloc(1, sizeof *change);

    if (!change)
        return err_no_memory(err);
    change->installed = installed;
    if (!read_stored(tx, id, &change->hot, err) || !db_on_commit(tx, apply, change, err)) {
        free(change);
        return false;
    }
    if (installed)
        change->was_unflushed = overtake_unflushed(db_conn_db(tx)->registry, id);
    return true;
}

/* Calls put() for each row of the whole range. */
static bool load_part(struct db *db, enum db_query query, const struct db_shape *shape,
                      bool (*put)(struct db_registry *registry, uint32_t *cursor, const struct db_device_hot *hot, struct err *err),
                      struct err *err) {
    struct db_stmt *stmt = range(db->conn, query, first_id, last_id);
    struct db_device_hot hot;
    uint32_t cursor = 0;
    bool row;

    memset(&hot, 0, sizeof hot);
    for (;;) {
        if (!db_query_next(stmt, &row, err))
            return false;
        if (!row)
            return true;
        if (!db_query_read(stmt, shape, NULL, &hot, err) || !put(db->registry, &cursor, &hot, err)) {
            db_query_end(stmt);
            return false;
        }
    }
}

static bool put_device(struct db_registry *registry, uint32_t *cursor, const struct db_device_hot *hot, struct err *err) {
    struct registry_entry *entry = db_registry_table_make(registry, hot->id);

    (void)cursor;
    return entry ? db_registry_table_set(registry, entry, hot, false, err) : err_no_memory(err);
}

/* Both come sorted by id and nearly every device has a row: the entry is mostly the one behind the last. */
static struct registry_entry *find_from(struct db_registry *registry, const char *id, uint32_t *cursor) {
    uint32_t number = *cursor;

    if (number >= registry->count || strcmp(db_registry_table_at(registry, number)->id, id) != 0) {
        if (!db_registry_table_find(registry, id, &number))
            return NULL;
    }
    *cursor = number + 1;
    return db_registry_table_at(registry, number);
}

static bool put_seen(struct db_registry *registry, uint32_t *cursor, const struct db_device_hot *hot, struct err *err) {
    struct registry_entry *entry = find_from(registry, hot->id, cursor);

    if (!entry)
        return true;
    entry->last_seen = hot->last_seen;
    entry->certificate_expires_at = hot->certificate_expires_at;
    return db_registry_table_set_installed(registry, entry, hot->installed_known, hot->installed_sequence, hot->installed_version, err);
}

static bool put_open(struct db_registry *registry, uint32_t *cursor, const struct db_device_hot *hot, struct err *err) {
    struct registry_entry *entry = find_from(registry, hot->id, cursor);

    (void)err;
    if (entry) {
        entry->open_deployment = hot->open_deployment;
        entry->open_release = hot->open_release;
        entry->open_state = (uint8_t)hot->open_state;
        entry->open_by_policy = hot->open_by_policy;
        entry->open_rollout = (uint32_t)hot->open_rollout;
    }
    return true;
}

static bool put_ddi(struct db_registry *registry, uint32_t *cursor, const struct db_device_hot *hot, struct err *err) {
    struct registry_entry *entry = find_from(registry, hot->id, cursor);

    (void)err;
    if (entry)
        db_registry_table_set_ddi(entry, hot);
    return true;
}

static bool put_quarantine(struct db_registry *registry, uint32_t *cursor, const struct db_device_hot *hot, struct err *err) {
    struct registry_entry *entry = find_from(registry, hot->id, cursor);
    int64_t *releases;

    if (!entry || entry->quarantined_count == FLEET_MAX_QUARANTINED)
        return true;
    *cursor = *cursor > 0 ? *cursor - 1 : 0; /* several rows a device */
    releases = reallocarray(entry->quarantined, entry->quarantined_count + 1u, sizeof *releases);
    if (!releases)
        return err_no_memory(err);
    releases[entry->quarantined_count++] = hot->quarantined[0];
    entry->quarantined = releases;
    return true;
}

bool db_registry_open(struct db *db, struct err *err) {
    struct db_registry *registry = calloc(1, sizeof *registry);

    if (!registry)
        return err_no_memory(err);
    pthread_rwlock_init(&registry->lock, NULL);
    random_bytes(&registry->key, sizeof registry->key);
    db->registry = registry;
    registry->intern = db_intern_new();
    if (!registry->intern)
        return err_no_memory(err);
    return load_part(db, DB_QUERY_DEVICE_HOT, &device_shape, put_device, err) &&
           load_part(db, DB_QUERY_DEVICE_SEEN_HOT, &seen_shape, put_seen, err) &&
           load_part(db, DB_QUERY_DEPLOYMENT_HOT, &open_shape, put_open, err) && load_part(db, DB_QUERY_DDI_HOT, &ddi_shape, put_ddi, err) &&
           load_part(db, DB_QUERY_QUARANTINE_HOT, &quarantine_shape, put_quarantine, err);
}

void db_registry_close(struct db *db) {
    if (!db->registry)
        return;
    db_registry_table_free(db->registry);
    pthread_rwlock_destroy(&db->registry->lock);
    free(db->registry);
    db->registry = NULL;
}
