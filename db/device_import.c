#include "db/device_import.h"

#include <string.h>

#include "common/hash.h"
#include "common/text.h"
#include "db/query.h"
#include "db/store.h"

/* ---- attributes ---- */

static const struct json_field attributes_fields[] = {{.name = "a", .type = JSON_MAP, .offset = 0}};
static const struct json_shape attributes_shape = JSON_SHAPE(struct json_map, attributes_fields);

bool db_device_attributes(struct db_conn *conn, const char *id, struct arena *arena, struct json_map *ret_attributes, struct err *err) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(1 << 20);
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_DEVICE_ATTRIBUTES);
    struct db_texts rows;

    db_query_text(stmt, 1, id);
    if (!db_query_texts(stmt, arena, &rows, err))
        return false;
    buf_printf(&text, "{\"a\":%s}", rows.count > 0 ? rows.items[0] : "{}");
    return buf_ok(&text, "attributes", err) && json_read(arena, text.data, text.len, &attributes_shape, ret_attributes, NULL, err);
}

static const char *find(const struct json_map *map, const char *name) {
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->items[i].name, name) == 0)
            return map->items[i].value;
    return NULL;
}

/* What the merge gives; changed: it is another than before. */
static bool merge(const struct json_map *before, const struct json_map *given, struct arena *arena, struct json_map *ret_after, bool *ret_changed,
                  struct err *err) {
    struct json_pair *pairs = arena_array(arena, before->count + given->count + 1, sizeof *pairs);
    size_t count = 0;
    bool changed = false;

    if (!pairs)
        return err_no_memory(err);
    for (size_t i = 0; i < before->count; i++) {
        bool is_given = false;

        for (size_t j = 0; !is_given && j < given->count; j++)
            is_given = strcmp(given->items[j].name, before->items[i].name) == 0;
        if (!is_given)
            pairs[count++] = before->items[i];
    }
    for (size_t i = 0; i < given->count; i++) {
        changed |= !text_equal(find(before, given->items[i].name), given->items[i].value);
        if (given->items[i].value)
            pairs[count++] = given->items[i];
    }
    *ret_after = (struct json_map){.count = count, .items = pairs};
    *ret_changed = changed;
    return true;
}

/* As the column has it; NULL: none. */
static bool attributes_text(const struct json_map *map, struct arena *arena, const char **ret_text, struct err *err) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(DB_ATTRIBUTES_MAX);

    *ret_text = NULL;
    if (map->count == 0)
        return true;
    json_write_map(&text, map);
    if (text.failed == ERR_TOO_LARGE)
        return err_set_field(err, ERR_TOO_LARGE, "attributes", "the device's attributes would be longer than %d bytes", DB_ATTRIBUTES_MAX);
    if (!buf_ok(&text, "attributes", err))
        return false;
    *ret_text = arena_strdup(arena, text.data);
    return *ret_text || err_no_memory(err);
}

/* ---- what is to be done ---- */

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
    struct json_map attributes;
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
           merge(&none, &row->attributes, arena, &attributes, &changed, err) && attributes_text(&attributes, arena, &plan->made.attributes, err);
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
    struct json_map before, after;
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
    if (row->attributes.count > 0) {
        if (!db_device_attributes(conn, row->id, arena, &before, err) || !merge(&before, &row->attributes, arena, &after, &changed, err) ||
            !attributes_text(&after, arena, &plan->change.attributes, err) ||
            (changed && !attributes_text(&row->attributes, arena, &plan->change.attributes, err)))
            return false;
        if (!changed)
            plan->change.attributes = NULL;
    }
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
