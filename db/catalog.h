/* Products and releases as one immutable snapshot in memory, replaced whole after a commit that changes them. */
#ifndef PAWL_DB_CATALOG_H
#define PAWL_DB_CATALOG_H

#include "db/product.h"
#include "db/registry.h"
#include "db/release.h"

struct db_catalog_line {
    struct db_product product;
    size_t release_count;
    struct db_release *releases; /* sorted by sequence, ascending */
    struct fleet_release *rules; /* the same, as the rules want them: rules[i] is releases[i] */
};

struct db_catalog {
    uint64_t generation; /* rises with every replacement */
    size_t line_count;
    struct db_catalog_line *lines; /* sorted by product name */
};

/* Takes a reference; never NULL after db_open(). Give it back with db_catalog_put() in the same request. Any thread. */
const struct db_catalog *db_catalog_get(struct db *db);
void db_catalog_put(const struct db_catalog *catalog);

/* NULL: no such thing. */
const struct db_catalog_line *db_catalog_find(const struct db_catalog *catalog, const char *product);
const struct db_release *db_catalog_release(const struct db_catalog *catalog, int64_t id);
const struct fleet_release *db_catalog_rule(const struct db_catalog *catalog, int64_t id);
const struct db_release *db_catalog_path(const struct db_catalog *catalog, const char *path); /* the TUF target path */

#endif
