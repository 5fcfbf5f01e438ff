#include "db/device_import.h"

#include <string.h>

#include "common/text.h"
#include "db/query.h"
#include "db/store.h"

struct plan {
    enum db_import_effect effect;
    bool pins; /* the first key of a device that has none */
    struct db_device_change change;
    struct db_device_new made;
};

static bool has_tag(const struct db_texts *tags, const char *tag) {
    for (size_t i = 0; i < tags->count; i++)
        if (strcmp(tags->items[i], tag) == 0)
            return true;
    return false;
}

/* Those given may come in any order, and twice. */
static bool same_tags(const struct db_texts *before, const struct db_texts *given) {
    for (size_t i = 0; i < given->count; i++)
        if (!has_tag(before, given->items[i]))
            return false;
    for (size_t i = 0; i < before->count; i++)
        if (!has_tag(given, before->items[i]))
            return false;
    return true;
}

static bool plan_new(struct db_conn *conn, const struct db_device_row *row, struct arena *arena, struct plan *plan, struct err *err) {
    static const struct json_map none = {.count = 0};
    const struct db_device_hot nobody = {.id = ""};
    bool changed;

    plan->effect = DB_IMPORT_CREATED;
    plan->made = (struct db_device_new){.id = row->id,
                                        .state = FLEET_DEVICE_ACTIVE,
                                        .product = row->product,
                                        .hardware = row->hardware,
                                        .pin = row->pin,
                                        .pin_origin = FLEET_PIN_OPERATOR,
                                        .tags = row->tags};
    return db_device_check_product(conn, &nobody, row->product, err) && (!row->pin || db_device_check_pin(conn, row->id, row->pin, err)) &&
           db_attributes_merge(&none, &row->attributes, arena, &plan->made.attributes, &changed, err);
}

static bool plan_pin(struct db_conn *conn, const struct db_device_row *row, const struct db_device_hot *hot, struct plan *plan, struct err *err) {
    if (!row->pin || db_registry_has_pin(hot, row->pin))
        return true;
    if (hot->has_pin_current || hot->has_pin_next)
        return err_set_field(err, ERR_CONFLICT, "spki_sha256", "device '%s' has another key; an import does not replace keys", row->id);
    plan->pins = true;
    return db_device_check_pin(conn, row->id, row->pin, err);
}

static bool plan_change(struct db_conn *conn, const struct db_device_row *row, const struct db_device_hot *hot, struct arena *arena,
                        struct plan *plan, struct err *err) {
    struct json_map before;
    const char *merged;
    struct db_stmt *stmt;
    struct db_texts tags;
    bool changed = false;

    if (!db_device_check_product(conn, hot, row->product, err) || !plan_pin(conn, row, hot, plan, err))
        return false;
    if (row->product && strcmp(row->product, hot->product) != 0)
        plan->change.product = row->product;
    if (row->hardware && strcmp(row->hardware, hot->hardware) != 0)
        plan->change.hardware = row->hardware;
    if (row->has_tags) {
        stmt = db_query_begin(conn, DB_QUERY_DEVICE_TAGS);
        db_query_text(stmt, 1, row->id);
        if (!db_query_texts(stmt, arena, &tags, err))
            return false;
        if (!same_tags(&tags, &row->tags))
            plan->change.tags = &row->tags;
    }
    if (row->attributes.count > 0 &&
        (!db_attributes_get(conn, row->id, arena, &before, err) || !db_attributes_merge(&before, &row->attributes, arena, &merged, &changed, err)))
        return false;
    if (changed)
        plan->change.attributes = &row->attributes;
    changed = plan->pins || plan->change.product || plan->change.hardware || plan->change.tags || plan->change.attributes;
    plan->effect = changed ? DB_IMPORT_UPDATED : DB_IMPORT_UNCHANGED;
    return true;
}

/* hot: the device as it is, NULL when there is none. */
static bool make_plan(struct db_conn *conn, const struct db_device_row *row, const struct db_device_hot *hot, struct arena *arena, struct plan *plan,
                      struct err *err) {
    *plan = (struct plan){.effect = DB_IMPORT_UNCHANGED};
    return hot ? plan_change(conn, row, hot, arena, plan, err) : plan_new(conn, row, arena, plan, err);
}

bool db_device_import_check(struct db_conn *conn, const struct db_device_row *row, enum db_import_effect *ret_effect, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_device_hot hot;
    struct plan plan;
    bool exists = db_registry_get(db_conn_db(conn), row->id, &hot);

    arena_init(&arena, 1 << 20);
    if (!make_plan(conn, row, exists ? &hot : NULL, &arena, &plan, err))
        return false;
    *ret_effect = plan.effect;
    return true;
}

bool db_device_import(struct db_conn *tx, const struct db_device_row *row, int64_t now, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_device_hot hot;
    struct plan plan;
    bool exists = true;

    arena_init(&arena, 1 << 20);
    if (!db_registry_read(tx, row->id, &hot, err)) {
        if (err->code != ERR_NOT_FOUND)
            return false;
        exists = false;
    }
    if (!make_plan(tx, row, exists ? &hot : NULL, &arena, &plan, err))
        return false;
    if (plan.effect == DB_IMPORT_CREATED)
        return db_device_insert(tx, &plan.made, now, err);
    if (plan.pins && !db_device_pin_first(tx, row->id, row->pin, FLEET_PIN_OPERATOR, err))
        return false;
    if (plan.effect == DB_IMPORT_UNCHANGED ||
        (plan.pins && !plan.change.product && !plan.change.hardware && !plan.change.tags && !plan.change.attributes))
        return true;
    return db_device_update(tx, row->id, 0, &plan.change, err);
}
