#include "db/device.h"

#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "db/deployment_row.h"
#include "db/event.h"
#include "db/list.h"
#include "db/product.h"
#include "db/query.h"
#include "db/rollout_row.h"
#include "db/store.h"

static const struct db_column columns[] = {
    DB_COLUMN(DB_TEXT, struct db_device, id),
    DB_COLUMN_NAME(struct db_device, state, db_query_parse_device_state),
    DB_COLUMN(DB_TEXT, struct db_device, product),
    DB_COLUMN(DB_TEXT, struct db_device, hardware),
    DB_COLUMN_AS(DB_KNOWN, struct db_device, has_pin_current, "pin_current"),
    DB_COLUMN(DB_FIXED, struct db_device, pin_current),
    DB_COLUMN_AS(DB_KNOWN, struct db_device, has_pin_next, "pin_next"),
    DB_COLUMN(DB_FIXED, struct db_device, pin_next),
    DB_COLUMN_NAME(struct db_device, pin_origin, db_query_parse_pin_origin),
    DB_COLUMN_AS(DB_INT, struct db_device, floor.sequence, "floor_sequence"),
    DB_COLUMN_AS(DB_INT, struct db_device, floor.security_version, "floor_security"),
    DB_COLUMN_AS(DB_HEX, struct db_device, floor.sha256, "floor_sha256"),
    DB_COLUMN(DB_TEXT, struct db_device, attributes),
    DB_COLUMN(DB_INT, struct db_device, created_at),
    DB_COLUMN(DB_INT, struct db_device, revision),
    DB_COLUMN(DB_INT, struct db_device, first_seen),
    DB_COLUMN(DB_INT, struct db_device, last_seen),
    DB_COLUMN(DB_TEXT, struct db_device, installed_version),
    DB_COLUMN_AS(DB_KNOWN, struct db_device, installed_known, "installed_sequence"),
    DB_COLUMN(DB_INT, struct db_device, installed_sequence),
    DB_COLUMN(DB_INT, struct db_device, open_deployment),
};
static const struct db_shape shape = DB_SHAPE(struct db_device, columns);

/* A flush is under way or came between: the row may be older than what is noted no more. */
static bool reread(struct db_conn *conn, struct arena *arena, struct db_device *device, struct err *err) {
    struct db_device_hot hot;
    struct db_stmt *stmt;
    struct db_texts tags = device->tags;

    if (!db_registry_get(db_conn_db(conn), device->id, &hot) || hot.last_seen <= device->last_seen)
        return true;
    stmt = db_query_begin(conn, DB_QUERY_DEVICE_GET);
    db_query_text(stmt, 1, device->id);
    if (!db_query_one(stmt, &shape, arena, device, "device", hot.id, err))
        return false;
    device->tags = tags;
    if (device->first_seen == 0)
        device->first_seen = hot.last_seen;
    if (device->last_seen < hot.last_seen) /* not committed yet */
        device->last_seen = hot.last_seen;
    return true;
}

/* What a row has not: tags, and what is noted in memory and not flushed yet. */
static bool complete(struct db_conn *conn, struct arena *arena, struct db_device *devices, size_t count, struct err *err) {
    for (size_t i = 0; i < count; i++) {
        struct db_device *device = &devices[i];
        struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_DEVICE_TAGS);
        struct db_unflushed unflushed;

        db_query_text(stmt, 1, device->id);
        if (!db_query_texts(stmt, arena, &device->tags, err))
            return false;
        if (!db_registry_unflushed(db_conn_db(conn), device->id, &unflushed)) {
            if (!reread(conn, arena, device, err))
                return false;
            continue;
        }
        if (unflushed.last_seen > device->last_seen)
            device->last_seen = unflushed.last_seen;
        if (device->first_seen == 0)
            device->first_seen = unflushed.last_seen;
        if (!unflushed.has_installed)
            continue;
        device->installed_known = unflushed.installed_known;
        device->installed_sequence = unflushed.installed_sequence;
        device->installed_version = arena_strdup(arena, unflushed.installed_version);
        if (!device->installed_version)
            return err_no_memory(err);
    }
    return true;
}

bool db_device_get(struct db_conn *conn, const char *id, struct arena *arena, struct db_device *ret_device, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_DEVICE_GET);
    struct db_device device;

    db_query_text(stmt, 1, id);
    if (!db_query_one(stmt, &shape, arena, &device, "device", id, err) || !complete(conn, arena, &device, 1, err))
        return false;
    *ret_device = device;
    return true;
}

static bool given(const char *text) {
    return text && text[0];
}

/* The filter that leads: its index gives the page in order. The narrowest one that was given. */
static enum db_query leading_query(const struct db_device_filter *filter) {
    if (given(filter->tag))
        return DB_QUERY_DEVICE_LIST_TAG;
    if (given(filter->version))
        return DB_QUERY_DEVICE_LIST_VERSION;
    if (given(filter->hardware))
        return DB_QUERY_DEVICE_LIST_HARDWARE;
    if (filter->by_state && filter->state != FLEET_DEVICE_ACTIVE)
        return DB_QUERY_DEVICE_LIST_STATE;
    if (given(filter->product))
        return DB_QUERY_DEVICE_LIST_PRODUCT;
    return filter->by_state ? DB_QUERY_DEVICE_LIST_STATE : DB_QUERY_DEVICE_LIST_ID;
}

bool db_device_list(struct db_conn *conn, const struct db_device_filter *filter, const struct db_list *list, struct arena *arena,
                    struct db_devices *ret_page, struct err *err) {
    const char *prefix = filter->id_prefix ? filter->id_prefix : "";
    char beyond[DB_ID_SIZE + 1];
    struct db_devices page = {.count = 0};
    struct db_listing listing;

    if (strlen(prefix) >= DB_ID_SIZE)
        return err_set(err, ERR_INVALID, "device id: %d bytes at most", DB_ID_SIZE - 1);
    if (!db_list_begin(conn, leading_query(filter), list, &shape, arena, &listing, err))
        return false;
    /* Ids have only printable ASCII: 0x7f behind a prefix is above all that begin with it. */
    snprintf(beyond, sizeof beyond, "%s\x7f", prefix);
    db_query_opt_text(listing.stmt, 4, filter->product);
    db_query_opt_text(listing.stmt, 5, filter->hardware);
    db_query_text(listing.stmt, 6, filter->by_state ? fleet_device_state_name(filter->state) : NULL);
    db_query_opt_text(listing.stmt, 7, filter->version);
    db_query_opt_text(listing.stmt, 8, filter->tag);
    db_query_text(listing.stmt, 9, prefix);
    db_query_text(listing.stmt, 10, beyond);
    if (!db_list_page(&listing, &page.items, &page.count, &page.next, err) || !complete(conn, arena, page.items, page.count, err))
        return false;
    *ret_page = page;
    return true;
}

/* A key identifies one device alone; one of a revoked certificate none any more, or that certificate would be good again. */
bool db_device_check_pin(struct db_conn *tx, const char *id, const uint8_t pin[DB_PIN_SIZE], struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DEVICE_PIN_BAR);
    bool row, revoked;

    db_query_blob(stmt, 1, pin, DB_PIN_SIZE);
    db_query_text(stmt, 2, id);
    if (!db_query_next(stmt, &row, err))
        return false;
    revoked = row && db_query_column_int(stmt, "revoked");
    db_query_end(stmt);
    if (revoked)
        return err_set(err, ERR_CONFLICT, "device '%s': a certificate of this key was revoked: make another key", id);
    return !row || err_set(err, ERR_CONFLICT, "device '%s': this key belongs to another device", id);
}

static bool write_tags(struct db_conn *tx, const char *id, const struct db_texts *tags, struct err *err) {
    for (size_t i = 0; i < tags->count; i++) {
        struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DEVICE_TAG_INSERT);

        db_query_text(stmt, 1, tags->items[i]);
        db_query_text(stmt, 2, id);
        if (!db_query_run(stmt, NULL, err))
            return false;
    }
    return true;
}

static bool insert_seen(struct db_conn *tx, const char *id, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DEVICE_SEEN_INSERT);

    db_query_text(stmt, 1, id);
    return db_query_run(stmt, NULL, err);
}

static bool insert_device(struct db_conn *tx, const struct db_device_new *device, int64_t now, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DEVICE_INSERT);
    int64_t changes;

    db_query_text(stmt, 1, device->id);
    db_query_text(stmt, 2, fleet_device_state_name(device->state));
    db_query_opt_text(stmt, 3, device->product);
    db_query_opt_text(stmt, 4, device->hardware);
    db_query_blob(stmt, 5, device->pin, DB_PIN_SIZE);
    db_query_int(stmt, 6, now);
    db_query_text(stmt, 7, device->attributes);
    db_query_text(stmt, 8, fleet_pin_origin_name(device->pin ? device->pin_origin : FLEET_PIN_REQUESTED));
    if (!db_query_run(stmt, &changes, err))
        return false;
    return changes == 1 || err_set(err, ERR_CONFLICT, "device '%s' exists", device->id);
}

bool db_device_insert(struct db_conn *tx, const struct db_device_new *device, int64_t now, struct err *err) {
    if (!text_is_id(device->id))
        return err_set_field(err, ERR_INVALID, "id", "device id: 1 to 64 of A-Z a-z 0-9 . _ : -");
    return db_product_check(tx, device->product, err) && (!device->pin || db_device_check_pin(tx, device->id, device->pin, err)) &&
           insert_device(tx, device, now, err) && insert_seen(tx, device->id, err) && write_tags(tx, device->id, &device->tags, err) &&
           db_event_insert(tx, now, "registered", device->id, "", err) && db_registry_touch(tx, device->id, true, err);
}

/* ERR_PRECONDITION unless the device has this revision; 0: any. */
static bool check_revision(struct db_conn *tx, const char *id, int64_t revision, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_device device;

    arena_init(&arena, 1 << 20);
    if (!revision)
        return true;
    if (!db_device_get(tx, id, &arena, &device, err))
        return false;
    return device.revision == revision || err_set(err, ERR_PRECONDITION, "device '%s' was changed meanwhile", id);
}

static const char *const move_events[FLEET_DEVICE_STATE_COUNT] = {
    [FLEET_DEVICE_PENDING] = "pending",
    [FLEET_DEVICE_ACTIVE] = "accepted",
    [FLEET_DEVICE_REVOKED] = "revoked",
    [FLEET_DEVICE_RETIRED] = "retired",
};

bool db_device_move(struct db_conn *tx, const char *id, enum fleet_device_state to, int64_t revision, int64_t now, struct err *err) {
    struct db_device_hot hot;
    struct db_stmt *stmt;
    int64_t changes;

    if (!db_registry_read(tx, id, &hot, err) || !check_revision(tx, id, revision, err))
        return false;
    if (!fleet_device_may_move(hot.state, to))
        return err_set(err, ERR_CONFLICT, "device '%s' is %s: it cannot become %s", id, fleet_device_state_name(hot.state),
                       fleet_device_state_name(to));
    stmt = db_query_begin(tx, DB_QUERY_DEVICE_MOVE);
    db_query_text(stmt, 1, id);
    db_query_text(stmt, 2, fleet_device_state_name(hot.state));
    db_query_text(stmt, 3, fleet_device_state_name(to));
    if (!db_query_run(stmt, &changes, err))
        return false;
    if (changes != 1)
        return err_set(err, ERR_CONFLICT, "device '%s' was moved meanwhile", id);
    if (to != FLEET_DEVICE_ACTIVE && !db_rollout_member_apply_all(tx, id, hot.product, 0, FLEET_MEMBER_SKIP, now, err))
        return false;
    if (to != FLEET_DEVICE_ACTIVE && hot.open_deployment &&
        !db_deployment_apply(tx, hot.open_deployment, hot.open_state, FLEET_FORCE_CLOSE,
                             to == FLEET_DEVICE_RETIRED ? "the device was retired" : "the device was revoked", now, err))
        return false;
    return db_event_insert(tx, now, move_events[to], id, "", err) && db_registry_touch(tx, id, false, err);
}

/* Floors belong to (device, product): a device with a history does not change its line. */
bool db_device_check_product(struct db_conn *tx, const struct db_device_hot *hot, const char *product, struct err *err) {
    if (!given(product) || !hot->product[0] || strcmp(hot->product, product) == 0)
        return db_product_check(tx, product, err);
    if (hot->open_deployment)
        return err_set_field(err, ERR_CONFLICT, "product", "device '%s' has an open deployment of product '%s'", hot->id, hot->product);
    if (hot->floor.sequence > 0)
        return err_set_field(err, ERR_CONFLICT, "product", "device '%s' has confirmed releases of product '%s'", hot->id, hot->product);
    return db_product_check(tx, product, err);
}

/* What the change makes of them; NULL: they stay. */
static bool merge_attributes(struct db_conn *tx, const char *id, const struct json_map *change, struct arena *arena, const char **ret_text,
                             struct err *err) {
    struct json_map before;
    bool changed;

    *ret_text = NULL;
    return !change || (db_attributes_get(tx, id, arena, &before, err) && db_attributes_merge(&before, change, arena, ret_text, &changed, err));
}

bool db_device_update(struct db_conn *tx, const char *id, int64_t revision, const struct db_device_change *change, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    const char *attributes;
    struct db_device_hot hot;
    struct db_stmt *stmt;

    arena_init(&arena, 1 << 20);
    if (!db_registry_read(tx, id, &hot, err) || !check_revision(tx, id, revision, err) || !db_device_check_product(tx, &hot, change->product, err) ||
        !merge_attributes(tx, id, change->attributes, &arena, &attributes, err))
        return false;
    stmt = db_query_begin(tx, DB_QUERY_DEVICE_UPDATE);
    db_query_text(stmt, 1, id);
    db_query_opt_text(stmt, 2, change->product);
    db_query_opt_text(stmt, 3, change->hardware);
    db_query_text(stmt, 4, attributes);
    if (!db_query_run(stmt, NULL, err))
        return false;
    if (change->tags) {
        stmt = db_query_begin(tx, DB_QUERY_DEVICE_TAG_CLEAR);
        db_query_text(stmt, 1, id);
        if (!db_query_run(stmt, NULL, err) || !write_tags(tx, id, change->tags, err))
            return false;
    }
    return db_registry_touch(tx, id, false, err);
}

bool db_device_set_pins(struct db_conn *tx, const char *id, const uint8_t current[DB_PIN_SIZE], const uint8_t *next, struct err *err) {
    struct db_stmt *stmt;
    int64_t changes;

    if (!db_device_check_pin(tx, id, current, err) || (next && !db_device_check_pin(tx, id, next, err)))
        return false;
    stmt = db_query_begin(tx, DB_QUERY_DEVICE_SET_PINS);
    db_query_text(stmt, 1, id);
    db_query_blob(stmt, 2, current, DB_PIN_SIZE);
    db_query_blob(stmt, 3, next, DB_PIN_SIZE);
    if (!db_query_run(stmt, &changes, err))
        return false;
    if (changes != 1)
        return err_set(err, ERR_NOT_FOUND, "device '%s' does not exist", id);
    return db_registry_touch(tx, id, false, err);
}

static bool pin(struct db_conn *tx, enum db_query query, const char *id, const uint8_t key[DB_PIN_SIZE], enum fleet_pin_origin origin,
                const char *otherwise, struct err *err) {
    struct db_stmt *stmt;
    int64_t changes;

    if (!db_device_check_pin(tx, id, key, err))
        return false;
    stmt = db_query_begin(tx, query);
    db_query_text(stmt, 1, id);
    db_query_blob(stmt, 2, key, DB_PIN_SIZE);
    db_query_text(stmt, 3, fleet_pin_origin_name(origin));
    if (!db_query_run(stmt, &changes, err))
        return false;
    if (changes != 1)
        return err_set(err, ERR_CONFLICT, "device '%s' %s", id, otherwise);
    return db_registry_touch(tx, id, false, err);
}

bool db_device_pin_first(struct db_conn *tx, const char *id, const uint8_t key[DB_PIN_SIZE], enum fleet_pin_origin origin, struct err *err) {
    return pin(tx, DB_QUERY_DEVICE_PIN_FIRST, id, key, origin, "has a key already, or does not exist", err);
}

bool db_device_pin_replace(struct db_conn *tx, const char *id, const uint8_t key[DB_PIN_SIZE], enum fleet_pin_origin origin, struct err *err) {
    return pin(tx, DB_QUERY_DEVICE_PIN_REPLACE, id, key, origin, "does not exist", err);
}
