/* Pages of lists in the order that a client asks for: keysets, so that page 1,000 costs what page 1 costs. The orders of a list stand beside its
 * statement in db/queries ("-- sort:"). */
#ifndef PAWL_DB_LIST_H
#define PAWL_DB_LIST_H

#include "db/query.h"

/* The order that was asked for, and where the page begins in it. */
struct db_list_order {
    const struct db_sort *sort;
    bool descending;
    const char *key; /* of the last row of the page before; NULL: from the start */
    const char *tie; /* the same, when the order has one */
};

/* Out of these orders, the list's own first. ERR_INVALID: field "sort" (the message names them all), or "cursor": after is none of this order. */
bool db_list_order(const struct db_list *list, const struct db_sort *sorts, size_t count, struct arena *arena, struct db_list_order *ret_order,
                   struct err *err) MUST_USE;

/* False, with ERR_INVALID and field "cursor". */
bool db_list_refuse_cursor(struct err *err) MUST_USE;

/* The position behind a row with these values; NULL: no memory. */
const char *db_list_position(const struct db_list_order *order, const char *key, const char *tie, struct arena *arena) MUST_USE;

/* The number from which on a list's rows are not older than `since` (0: all are wanted), by a statement that says "first": numbers and times go the
 * same way, but for a clock that was set. Above all numbers when no row is young enough. */
bool db_list_since(struct db_conn *conn, enum db_query query, int64_t since, int64_t *ret_first, struct err *err) MUST_USE;

/* A page on its way: filters are bound to stmt, from $4 on, between begin and page. */
struct db_listing {
    struct db_stmt *stmt;
    const struct db_shape *shape;
    struct arena *arena;
    size_t limit;
    struct db_list_order order;
};

bool db_list_begin(struct db_conn *conn, enum db_query query, const struct db_list *list, const struct db_shape *shape, struct arena *arena,
                   struct db_listing *ret_listing, struct err *err) MUST_USE;

/* ret_items: of a pointer to the shape's struct. *ret_next: where the page ends, for db_list.after; NULL when nothing follows. */
bool db_list_page(const struct db_listing *listing, void *ret_items, size_t *ret_count, const char **ret_next, struct err *err) MUST_USE;

#endif
