/* Products: lines of devices, each with its own line of releases. */
#ifndef PAWL_DB_PRODUCT_H
#define PAWL_DB_PRODUCT_H

#include "db/db.h"
#include "fleet/offer.h"

struct db_product {
    const char *name;
    const char *description;
    enum fleet_policy policy;
    int64_t created_at;
    int64_t revision; /* for the ETag; rises with every update */
};

struct db_products {
    size_t count;
    struct db_product *items;
    const char *next; /* where the next page begins; NULL: this is the last */
};

bool db_product_get(struct db_conn *conn, const char *name, struct arena *arena, struct db_product *ret_product, struct err *err) MUST_USE;

/* ERR_NOT_FOUND: there is no such product. NULL and "" name none, and that is fine. */
bool db_product_check(struct db_conn *conn, const char *name, struct err *err) MUST_USE;

bool db_product_list(struct db_conn *conn, const struct db_list *list, struct arena *arena, struct db_products *ret_page, struct err *err) MUST_USE;

/* ERR_CONFLICT: exists. created_at is taken from the struct, revision starts at 1. */
bool db_product_insert(struct db_conn *tx, const struct db_product *product, struct err *err) MUST_USE;

/* Sets description and policy. ERR_PRECONDITION when the revision is not product->revision any more, ERR_NOT_FOUND. */
bool db_product_update(struct db_conn *tx, const struct db_product *product, struct err *err) MUST_USE;

#endif
