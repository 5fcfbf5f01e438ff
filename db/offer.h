/* From the registry and the catalog to the rules: the facts of one device laid out for fleet/offer.h. No SQL. */
#ifndef PAWL_DB_OFFER_H
#define PAWL_DB_OFFER_H

#include "db/catalog.h"

/* Points into *hot and *catalog. */
void db_offer_facts(const struct db_device_hot *hot, const struct db_catalog *catalog, struct fleet_facts *ret_facts);

/* The product's line of releases; .exists is false for no product. Points into *catalog. */
struct fleet_line db_offer_line(const struct db_catalog *catalog, const char *product);

/* The rollouts that the device is a member of, in their order, as memory has them: up to DB_ROLLOUT_MAX_ACTIVE. hot out of db_registry_get(). */
size_t db_offer_rollouts(struct db *db, const struct db_catalog *catalog, const struct db_device_hot *hot, int64_t now,
                         struct fleet_offer_rollout ret_rollouts[DB_ROLLOUT_MAX_ACTIVE]);

/* The same as the transaction sees them. */
bool db_offer_rollouts_stored(struct db_conn *conn, const struct db_catalog *catalog, const struct db_device_hot *hot, int64_t now,
                              struct fleet_offer_rollout ret_rollouts[DB_ROLLOUT_MAX_ACTIVE], size_t *ret_count, struct err *err) MUST_USE;

/* True when the deployment that is offered comes from a rollout whose devices' users may postpone it. */
bool db_offer_is_optional(const struct db_catalog *catalog, int64_t rollout);

/* The decision for a poll. Uses and refreshes the remembered one, so that an idle poll costs a look-up. The result points into *catalog; its
 * .rollout is not kept.
 * When it says creates_deployment (or the open one is still "assigned"), db_deployment_offer() must run on the writer before the device is told. */
struct fleet_offer db_offer_decide(struct db *db, const struct db_catalog *catalog, const struct db_device_hot *hot, int64_t now);

/* True when db_deployment_offer() has to run before this offer is told. */
bool db_offer_needs_write(const struct fleet_offer *offer, const struct db_device_hot *hot) MUST_USE;

#endif
