#include "db/attributes.h"

#include <string.h>

#include "common/text.h"
#include "db/query.h"

/* {"a": <the column>} by descriptor. */
static bool parse(const char *text, struct arena *arena, struct json_map *ret_attributes, struct err *err) {
    static const struct json_field fields[] = {{.name = "a", .type = JSON_MAP, .offset = 0, .max = DB_ATTRIBUTES_MAX}};
    static const struct json_shape shape = JSON_SHAPE(struct json_map, fields);
    const char *wrapped = arena_printf(arena, "{\"a\":%s}", text);

    return wrapped ? json_read(arena, wrapped, strlen(wrapped), &shape, ret_attributes, NULL, err) : err_no_memory(err);
}

bool db_attributes_get(struct db_conn *conn, const char *device, struct arena *arena, struct json_map *ret_attributes, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_DEVICE_ATTRIBUTES);
    struct db_texts rows;

    db_query_text(stmt, 1, device);
    return db_query_texts(stmt, arena, &rows, err) && parse(rows.count > 0 ? rows.items[0] : "{}", arena, ret_attributes, err);
}

/* NULL: it is not among them. */
static const struct json_pair *find(const struct json_map *map, const char *name) {
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->items[i].name, name) == 0)
            return &map->items[i];
    return NULL;
}

bool db_attributes_merge(const struct json_map *before, const struct json_map *change, struct arena *arena, const char **ret_text, bool *ret_changed,
                         struct err *err) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(DB_ATTRIBUTES_MAX);
    struct json_map after = {.items = arena_array(arena, before->count + change->count + 1, sizeof *after.items)};
    bool changed = false;

    if (!after.items)
        return err_no_memory(err);
    for (size_t i = 0; i < before->count; i++) {
        const struct json_pair *given = find(change, before->items[i].name);

        changed |= given && !text_equal(given->value, before->items[i].value);
        if (!given || given->value)
            after.items[after.count++] = given ? *given : before->items[i];
    }
    for (size_t i = 0; i < change->count; i++) {
        if (!change->items[i].value || find(before, change->items[i].name))
            continue;
        after.items[after.count++] = change->items[i];
        changed = true;
    }
    json_write_map(&text, &after);
    if (text.failed == ERR_TOO_LARGE)
        return err_set_field(err, ERR_INVALID, "attributes", "the device's attributes would be longer than %d bytes", DB_ATTRIBUTES_MAX);
    if (!buf_ok(&text, "attributes", err))
        return false;
    *ret_text = arena_strdup(arena, text.data);
    *ret_changed = changed;
    return *ret_text || err_no_memory(err);
}

bool db_attributes_show(const char *text, struct arena *arena, struct fleet_filter_subject *subject, struct err *err) {
    struct fleet_filter_attribute *attributes;
    struct json_map map;

    if (!parse(text, arena, &map, err))
        return false;
    attributes = arena_array(arena, map.count + 1, sizeof *attributes);
    if (!attributes)
        return err_no_memory(err);
    for (size_t i = 0; i < map.count; i++)
        attributes[i] = (struct fleet_filter_attribute){.name = map.items[i].name, .value = map.items[i].value ? map.items[i].value : ""};
    subject->attributes = attributes;
    subject->attribute_count = map.count;
    return true;
}
