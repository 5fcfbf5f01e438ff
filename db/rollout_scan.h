/* Which devices a rollout is for: the product's devices through filter or list, each with what stands against the release. Reads alone. For
 * db/rollout*.c. */
#ifndef PAWL_DB_ROLLOUT_SCAN_H
#define PAWL_DB_ROLLOUT_SCAN_H

#include "db/catalog.h"

struct db_rollout_target {
    const struct db_catalog *catalog;
    const char *product;
    const struct fleet_release *rule;
    const struct fleet_filter *filter;
    const struct db_texts *only;           /* these devices alone; NULL: the whole product */
    const struct db_catalog_rollout *head; /* for its windows; NULL: they do not matter */
};

struct db_rollout_candidate {
    const char *id;
    uint32_t number;          /* of its entry in the registry */
    enum fleet_reason reason; /* FLEET_REASON_OFFERED: it may have the release */
    unsigned windows;
};

/* Calls take() for each device that matches, sorted by id (or in the order of the list). *ret_unknown (may be NULL): how many of the list are no
 * devices of the product. */
bool db_rollout_scan(struct db_conn *conn, const struct db_rollout_target *target,
                     bool (*take)(void *context, const struct db_rollout_candidate *candidate, struct err *err), void *context, int64_t *ret_unknown,
                     struct err *err) MUST_USE;

#endif
