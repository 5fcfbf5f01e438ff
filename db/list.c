#include "db/list.h"

#include <string.h>

#include "common/buf.h"
#include "common/text.h"

/* Above every text that is UTF-8. */
static const char beyond_texts[] = "\xf4\x8f\xbf\xbf";

static bool refuse_sort(const struct db_sort *sorts, size_t count, struct err *err) {
    CLEANUP(buf_free) struct buf names = BUF_INIT(256);

    for (size_t i = 0; i < count; i++)
        buf_choice(&names, i, count, sorts[i].name);
    return buf_ok(&names, "the orders of a list", err) &&
           err_set_field(err, ERR_INVALID, "sort", "'sort' must be %s, with a '-' before it for descending", names.data);
}

bool db_list_refuse_cursor(struct err *err) {
    return err_set_field(err, ERR_INVALID, "cursor", "'cursor' is none that this list in this order gave");
}

static bool find_sort(const char *name, const struct db_sort *sorts, size_t count, struct db_list_order *order) {
    order->descending = name ? name[0] == '-' : sorts[0].down_first;
    order->sort = sorts;
    if (!name)
        return true;
    for (size_t i = 0; i < count; i++) {
        order->sort = &sorts[i];
        if (strcmp(name + order->descending, sorts[i].name) == 0)
            return true;
    }
    return false;
}

/* "-created_at/<key>", or "name/<tie>/<key>": what is unique has no slash. */
bool db_list_order(const struct db_list *list, const struct db_sort *sorts, size_t count, struct arena *arena, struct db_list_order *ret_order,
                   struct err *err) {
    struct db_list_order order = {.key = NULL};
    const char *at = list->after;
    size_t len;

    if (!find_sort(list->sort, sorts, count, &order))
        return refuse_sort(sorts, count, err);
    if (at && at[0]) {
        len = strlen(order.sort->name);
        if ((*at == '-') != order.descending || strncmp(at + order.descending, order.sort->name, len) != 0 || at[order.descending + len] != '/')
            return db_list_refuse_cursor(err);
        at += order.descending + len + 1;
        if (order.sort->tie) {
            len = strcspn(at, "/");
            if (at[len] != '/')
                return db_list_refuse_cursor(err);
            order.tie = arena_strndup(arena, at, len);
            if (!order.tie)
                return err_no_memory(err);
            at += len + 1;
        }
        order.key = at;
    }
    *ret_order = order;
    return true;
}

const char *db_list_position(const struct db_list_order *order, const char *key, const char *tie, struct arena *arena) {
    const char *sign = order->descending ? "-" : "";

    return order->sort->tie ? arena_printf(arena, "%s%s/%s/%s", sign, order->sort->name, tie, key)
                            : arena_printf(arena, "%s%s/%s", sign, order->sort->name, key);
}

static const struct db_column *column_of(const struct db_shape *shape, const char *name) {
    for (size_t i = 0; i < shape->count; i++)
        if (strcmp(shape->columns[i].name, name) == 0)
            return &shape->columns[i];
    return NULL;
}

static bool is_number(const struct db_column *column) {
    return column->type == DB_INT;
}

/* One side of the keyset; value NULL: before all that there can be. */
static bool bind(struct db_stmt *stmt, int number, const struct db_column *column, const char *value, bool descending, struct err *err) {
    int64_t id = descending ? INT64_MAX : INT64_MIN;

    if (!is_number(column))
        db_query_text(stmt, number, value ? value : descending ? beyond_texts : "");
    else if (!value || text_to_int(value, INT64_MIN, INT64_MAX, &id))
        db_query_int(stmt, number, id);
    else
        return db_list_refuse_cursor(err);
    return true;
}

static bool read_columns(const struct db_list_order *order, const struct db_shape *shape, const struct db_column **ret_key,
                         const struct db_column **ret_tie, struct err *err) {
    *ret_key = column_of(shape, order->sort->key);
    *ret_tie = order->sort->tie ? column_of(shape, order->sort->tie) : NULL;
    return (*ret_key && (*ret_tie || !order->sort->tie)) ||
           err_set(err, ERR_INTERNAL, "database: %s: the order %s names a column that its rows have not", db_query_name[order->sort->list],
                   order->sort->name);
}

bool db_list_since(struct db_conn *conn, enum db_query query, int64_t since, int64_t *ret_first, struct err *err) {
    struct db_stmt *stmt;

    *ret_first = since > 0 ? INT64_MAX : 0;
    if (since <= 0)
        return true;
    stmt = db_query_begin(conn, query);
    db_query_int(stmt, 1, since);
    return db_query_number(stmt, "first", ret_first, err);
}

bool db_list_begin(struct db_conn *conn, enum db_query query, const struct db_list *list, const struct db_shape *shape, struct arena *arena,
                   struct db_listing *ret_listing, struct err *err) {
    struct db_listing listing = {.shape = shape, .arena = arena, .limit = list->limit};
    const struct db_list_order *order = &listing.order;
    const struct db_column *key, *tie;
    size_t first = 0, count = 0;

    while (first < db_sort_count && db_sorts[first].list != query)
        first++;
    while (first + count < db_sort_count && db_sorts[first + count].list == query)
        count++;
    if (count == 0)
        return err_set(err, ERR_INTERNAL, "database: %s has no order", db_query_name[query]);
    if (!db_list_order(list, db_sorts + first, count, arena, &listing.order, err) || !read_columns(order, shape, &key, &tie, err))
        return false;
    listing.stmt = db_query_begin(conn, order->descending ? order->sort->down : order->sort->up);
    db_query_int(listing.stmt, 2, (int64_t)list->limit + 1);
    if (!bind(listing.stmt, 1, key, order->key, order->descending, err) || (tie && !bind(listing.stmt, 3, tie, order->tie, order->descending, err)))
        return false;
    *ret_listing = listing;
    return true;
}

static const char *value_of(const struct db_column *column, const char *row, struct arena *arena) {
    const char *place = row + column->offset;

    if (is_number(column))
        return arena_printf(arena, "%lld", (long long)*(const int64_t *)(const void *)place);
    return column->type == DB_CHARS ? place : *(const char *const *)(const void *)place;
}

static const char *position_of(const struct db_listing *listing, const struct db_column *key, const struct db_column *tie, const char *row) {
    const char *key_text = value_of(key, row, listing->arena);
    const char *tie_text = tie ? value_of(tie, row, listing->arena) : "";

    return key_text && tie_text ? db_list_position(&listing->order, key_text, tie_text, listing->arena) : NULL;
}

bool db_list_page(const struct db_listing *listing, void *ret_items, size_t *ret_count, const char **ret_next, struct err *err) {
    const struct db_shape *shape = listing->shape;
    const struct db_column *key, *tie;
    const char *next = NULL, *items;
    size_t count;
    bool more;

    if (!read_columns(&listing->order, shape, &key, &tie, err) ||
        !db_query_page(listing->stmt, shape, listing->limit, listing->arena, &items, &count, &more, err))
        return false;
    if (more) {
        next = position_of(listing, key, tie, items + (count - 1) * shape->size);
        if (!next)
            return err_no_memory(err);
    }
    memcpy(ret_items, &items, sizeof items);
    *ret_count = count;
    *ret_next = next;
    return true;
}
