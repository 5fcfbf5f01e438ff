/* Releases as the catalog needs them; for db/catalog.c, db/deployment*.c and db/release.c. */
#ifndef PAWL_DB_RELEASE_ROW_H
#define PAWL_DB_RELEASE_ROW_H

#include "db/release.h"

/* Every release, sorted by product and sequence. */
bool db_release_all(struct db_conn *conn, struct arena *arena, struct db_release **ret_items, size_t *ret_count, struct err *err) MUST_USE;

/* The same release as the rules want it; points into *release. */
bool db_release_rule(const struct db_release *release, struct fleet_release *ret_rule, struct err *err) MUST_USE;

#endif
