#include "db/offer.h"

#include "db/query.h"
#include "db/rollout_cells.h"

enum { REMEMBERED_S = 300 }; /* a ceiling, for what nobody thought of */

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
        .open_rollout = hot->open_rollout,
    };
}

struct fleet_line db_offer_line(const struct db_catalog *catalog, const char *product) {
    const struct db_catalog_line *line = db_catalog_find(catalog, product);

    if (!line)
        return (struct fleet_line){.exists = false};
    return (struct fleet_line){.exists = true, .policy = line->product.policy, .releases = line->rules, .release_count = line->release_count};
}

static struct fleet_offer_rollout rollout_of(const struct db_catalog_rollout *head, const struct db_rollout_cell *cell, int64_t in_flight,
                                             int64_t now) {
    struct fleet_window_answer window = db_catalog_window(head, cell->windows, now);

    return (struct fleet_offer_rollout){
        .id = head->id,
        .release = head->rule,
        .state = head->state,
        .open_phase = head->phase,
        .phase = cell->phase,
        .member = cell->state,
        .has_room = head->max_in_flight == 0 || in_flight < head->max_in_flight,
        .window_open = window.open,
        .window_until = window.until,
    };
}

size_t db_offer_rollouts(struct db *db, const struct db_catalog *catalog, const struct db_device_hot *hot, int64_t now,
                         struct fleet_offer_rollout ret_rollouts[DB_ROLLOUT_MAX_ACTIVE]) {
    const struct db_catalog_line *line = db_catalog_find(catalog, hot->product);
    struct db_rollout_cell cells[DB_ROLLOUT_MAX_ACTIVE];
    const struct db_catalog_rollout *heads[DB_ROLLOUT_MAX_ACTIVE];
    int64_t ids[DB_ROLLOUT_MAX_ACTIVE], in_flight[DB_ROLLOUT_MAX_ACTIVE];
    size_t asked = 0, count = 0;

    for (size_t i = 0; line && i < line->rollout_count && asked < DB_ROLLOUT_MAX_ACTIVE; i++) {
        if (!fleet_rollout_is_active(line->rollouts[i].state))
            continue;
        heads[asked] = &line->rollouts[i];
        ids[asked++] = line->rollouts[i].id;
    }
    if (asked == 0)
        return 0;
    db_rollout_cells_get(db, hot->number, ids, asked, cells, in_flight);
    for (size_t i = 0; i < asked; i++)
        if (cells[i].phase > 0)
            ret_rollouts[count++] = rollout_of(heads[i], &cells[i], in_flight[i], now);
    return count;
}

static bool parse_state(const char *name, void *ret_state) {
    return fleet_rollout_state_parse(name, ret_state);
}

/* One row of what the decision depends on. */
struct row {
    int64_t phase, windows, open_phase, max_in_flight, in_flight;
    enum fleet_member_state member;
    enum fleet_rollout_state state;
};

static bool read_row(struct db_conn *conn, int64_t rollout, const char *device, struct row *ret_row, bool *ret_found, struct err *err) {
    static const struct db_column columns[] = {
        DB_COLUMN(DB_INT, struct row, phase),      DB_COLUMN_NAME(struct row, member, db_query_parse_member_state),
        DB_COLUMN(DB_INT, struct row, windows),    DB_COLUMN_NAME(struct row, state, parse_state),
        DB_COLUMN(DB_INT, struct row, open_phase), DB_COLUMN(DB_INT, struct row, max_in_flight),
        DB_COLUMN(DB_INT, struct row, in_flight),
    };
    static const struct db_shape shape = DB_SHAPE(struct row, columns);
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_ROLLOUT_MEMBER_OFFER);

    db_query_int(stmt, 1, rollout);
    db_query_text(stmt, 2, device);
    return db_query_maybe(stmt, &shape, NULL, ret_row, ret_found, err);
}

bool db_offer_rollouts_stored(struct db_conn *conn, const struct db_catalog *catalog, const struct db_device_hot *hot, int64_t now,
                              struct fleet_offer_rollout ret_rollouts[DB_ROLLOUT_MAX_ACTIVE], size_t *ret_count, struct err *err) {
    const struct db_catalog_line *line = db_catalog_find(catalog, hot->product);
    size_t count = 0;

    for (size_t i = 0; line && i < line->rollout_count && count < DB_ROLLOUT_MAX_ACTIVE; i++) {
        struct db_catalog_rollout head = line->rollouts[i];
        struct row row;
        bool found;

        if (!read_row(conn, head.id, hot->id, &row, &found, err))
            return false;
        if (!found || !fleet_rollout_is_active(row.state))
            continue;
        head.state = row.state;
        head.phase = (size_t)row.open_phase;
        ret_rollouts[count++] = rollout_of(
            &head, &(struct db_rollout_cell){.phase = (size_t)row.phase, .state = row.member, .windows = (unsigned)row.windows}, row.in_flight, now);
    }
    *ret_count = count;
    return true;
}

bool db_offer_is_optional(const struct db_catalog *catalog, int64_t rollout) {
    const struct db_catalog_rollout *head = rollout ? db_catalog_rollout(catalog, rollout) : NULL;

    return head && head->mode == FLEET_MODE_OPTIONAL;
}

struct fleet_offer db_offer_decide(struct db *db, const struct db_catalog *catalog, const struct db_device_hot *hot, int64_t now) {
    struct fleet_offer_rollout rollouts[DB_ROLLOUT_MAX_ACTIVE];
    struct fleet_facts facts;
    struct fleet_line line;
    struct fleet_offer offer;

    if (hot->told_reason != FLEET_REASON_REFUSED && hot->told_generation == catalog->generation && now < hot->told_until)
        return (struct fleet_offer){.reason = hot->told_reason, .until = hot->told_until};
    db_offer_facts(hot, catalog, &facts);
    facts.rollouts = rollouts;
    facts.rollout_count = db_offer_rollouts(db, catalog, hot, now, rollouts);
    line = db_offer_line(catalog, hot->product);
    offer = fleet_offer_decide(&facts, &line);
    offer.rollout = NULL;
    if (offer.reason != FLEET_REASON_OFFERED && offer.until > now)
        db_registry_remember(db, hot, catalog->generation, offer.reason, offer.until < now + REMEMBERED_S ? offer.until : now + REMEMBERED_S);
    return offer;
}

bool db_offer_needs_write(const struct fleet_offer *offer, const struct db_device_hot *hot) {
    return offer->reason == FLEET_REASON_OFFERED && (offer->creates_deployment || hot->open_state == FLEET_ASSIGNED);
}
