#include "db/offer.h"

enum { REMEMBERED_S = 300 }; /* nothing that a decision depends on moves with the clock: a ceiling all the same */

void db_offer_facts(const struct db_device_hot *hot, const struct db_catalog *catalog, struct fleet_facts *ret_facts) {
    *ret_facts = (struct fleet_facts){
        .state = hot->state,
        .product = hot->product,
        .hardware = hot->hardware,
        .installed_known = hot->installed_known,
        .installed_sequence = hot->installed_sequence,
        .floor = hot->floor,
        .has_open = hot->open_deployment != 0,
        .open_state = hot->open_state,
        .open_by_policy = hot->open_by_policy,
        .open_release = hot->open_deployment ? db_catalog_rule(catalog, hot->open_release) : NULL,
        .quarantined = hot->quarantined,
        .quarantined_count = hot->quarantined_count,
        .plain_only = hot->ddi_client,
    };
}

struct fleet_line db_offer_line(const struct db_catalog *catalog, const char *product) {
    const struct db_catalog_line *line = db_catalog_find(catalog, product);

    if (!line)
        return (struct fleet_line){.exists = false};
    return (struct fleet_line){.exists = true, .policy = line->product.policy, .releases = line->rules, .release_count = line->release_count};
}

struct fleet_offer db_offer_decide(struct db *db, const struct db_catalog *catalog, const struct db_device_hot *hot, int64_t now) {
    struct fleet_facts facts;
    struct fleet_line line;
    struct fleet_offer offer;

    if (hot->told_reason != FLEET_REASON_REFUSED && hot->told_generation == catalog->generation && now < hot->told_until)
        return (struct fleet_offer){.reason = hot->told_reason};
    db_offer_facts(hot, catalog, &facts);
    line = db_offer_line(catalog, hot->product);
    offer = fleet_offer_decide(&facts, &line);
    if (offer.reason != FLEET_REASON_OFFERED)
        db_registry_remember(db, hot, catalog->generation, offer.reason, now + REMEMBERED_S);
    return offer;
}

bool db_offer_needs_write(const struct fleet_offer *offer, const struct db_device_hot *hot) {
    return offer->reason == FLEET_REASON_OFFERED && (offer->creates_deployment || hot->open_state == FLEET_ASSIGNED);
}
