#include "db/deployment.h"

#include <stdio.h>
#include <string.h>

#include "db/ddi.h"
#include "db/deployment_row.h"
#include "db/list.h"
#include "db/offer.h"
#include "db/query.h"
#include "db/release_row.h"
#include "db/rollout_row.h"
#include "db/store.h"

enum { SCRATCH_BYTES = 1 << 20 };

static const struct db_column columns[] = {
    DB_COLUMN(DB_INT, struct db_deployment, id),          DB_COLUMN(DB_TEXT, struct db_deployment, device),
    DB_COLUMN(DB_INT, struct db_deployment, release),     DB_COLUMN(DB_TEXT, struct db_deployment, product),
    DB_COLUMN(DB_TEXT, struct db_deployment, version),    DB_COLUMN(DB_INT, struct db_deployment, sequence),
    DB_COLUMN(DB_TEXT, struct db_deployment, sha256),     DB_COLUMN_NAME(struct db_deployment, state, db_query_parse_deployment_state),
    DB_COLUMN(DB_TEXT, struct db_deployment, origin),     DB_COLUMN(DB_TEXT, struct db_deployment, reason),
    DB_COLUMN(DB_INT, struct db_deployment, report_seq),  DB_COLUMN(DB_INT_OR_LESS, struct db_deployment, progress),
    DB_COLUMN(DB_TEXT, struct db_deployment, error_code), DB_COLUMN(DB_TEXT, struct db_deployment, error_text),
    DB_COLUMN(DB_INT, struct db_deployment, created_at),  DB_COLUMN(DB_INT, struct db_deployment, updated_at),
    DB_COLUMN(DB_INT, struct db_deployment, closed_at),   DB_COLUMN(DB_INT, struct db_deployment, rollout),
    DB_COLUMN(DB_INT, struct db_deployment, phase),
};
static const struct db_shape shape = DB_SHAPE(struct db_deployment, columns);

bool db_deployment_get(struct db_conn *conn, int64_t id, struct arena *arena, struct db_deployment *ret_deployment, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_DEPLOYMENT_GET);
    char which[24];

    snprintf(which, sizeof which, "%lld", (long long)id);
    db_query_int(stmt, 1, id);
    return db_query_one(stmt, &shape, arena, ret_deployment, "deployment", which, err);
}

static bool given(const char *text) {
    return text && text[0];
}

/* The filter that leads: its index gives the page in order. The narrowest one that was given; most deployments are confirmed in the end. */
static enum db_query leading_query(const struct db_deployment_filter *filter) {
    if (filter->rollout)
        return DB_QUERY_DEPLOYMENT_LIST_ROLLOUT;
    if (filter->release)
        return DB_QUERY_DEPLOYMENT_LIST_RELEASE;
    if (given(filter->device))
        return DB_QUERY_DEPLOYMENT_LIST_DEVICE;
    if (filter->by_state && (filter->state != FLEET_CONFIRMED || !given(filter->product)))
        return DB_QUERY_DEPLOYMENT_LIST_STATE;
    return given(filter->product) ? DB_QUERY_DEPLOYMENT_LIST_PRODUCT : DB_QUERY_DEPLOYMENT_LIST;
}

bool db_deployment_list(struct db_conn *conn, const struct db_deployment_filter *filter, const struct db_list *list, struct arena *arena,
                        struct db_deployments *ret_page, struct err *err) {
    struct db_listing listing;

    if (!db_list_begin(conn, leading_query(filter), list, &shape, arena, &listing, err))
        return false;
    db_query_opt_text(listing.stmt, 4, filter->product);
    db_query_text(listing.stmt, 5, filter->by_state ? fleet_deployment_state_name(filter->state) : NULL);
    db_query_opt_text(listing.stmt, 6, filter->device);
    db_query_opt_int(listing.stmt, 7, filter->release != 0, filter->release);
    db_query_opt_int(listing.stmt, 8, filter->rollout != 0, filter->rollout);
    return db_list_page(&listing, &ret_page->items, &ret_page->count, &ret_page->next, err);
}

bool db_deployment_count(struct db_conn *conn, int64_t ret_by_state[FLEET_DEPLOYMENT_STATE_COUNT], struct err *err) {
    struct row {
        enum fleet_deployment_state state;
        int64_t count;
    } row;
    static const struct db_column count_columns[] = {DB_COLUMN_NAME(struct row, state, db_query_parse_deployment_state),
                                                     DB_COLUMN(DB_INT, struct row, count)};
    static const struct db_shape count_shape = DB_SHAPE(struct row, count_columns);
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_DEPLOYMENT_COUNT);
    int64_t counts[FLEET_DEPLOYMENT_STATE_COUNT] = {0};
    bool found;

    for (;;) {
        if (!db_query_next(stmt, &found, err) || (found && !db_query_read(stmt, &count_shape, NULL, &row, err)))
            return false;
        if (!found)
            break;
        counts[row.state] = row.count;
    }
    memcpy(ret_by_state, counts, sizeof counts);
    return true;
}

bool db_deployment_entitles(struct db_conn *conn, const char *device, int64_t release, int64_t since, bool *ret_entitled, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_DEPLOYMENT_ENTITLES);

    db_query_text(stmt, 1, device);
    db_query_int(stmt, 2, release);
    db_query_int(stmt, 3, since);
    if (!db_query_next(stmt, ret_entitled, err))
        return false;
    db_query_end(stmt);
    return true;
}

/* Whose the moved deployment is. */
struct moved {
    char device[DB_DEVICE_ID_SIZE];
    int64_t rollout;
};

static bool move_row(struct db_conn *tx, int64_t id, enum fleet_deployment_state from, enum fleet_deployment_state to, const char *reason,
                     int64_t now, struct moved *ret_moved, struct err *err) {
    static const struct db_column moved_columns[] = {DB_COLUMN(DB_CHARS, struct moved, device), DB_COLUMN(DB_INT, struct moved, rollout)};
    static const struct db_shape moved_shape = DB_SHAPE(struct moved, moved_columns);
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DEPLOYMENT_MOVE);
    bool row;

    db_query_int(stmt, 1, id);
    db_query_text(stmt, 2, fleet_deployment_state_name(from));
    db_query_text(stmt, 3, fleet_deployment_state_name(to));
    db_query_opt_text(stmt, 4, reason);
    db_query_int(stmt, 5, now);
    db_query_opt_int(stmt, 6, !fleet_deployment_is_open(to), now);
    if (!db_query_maybe(stmt, &moved_shape, NULL, ret_moved, &row, err))
        return false;
    return row || err_set(err, ERR_CONFLICT, "deployment %lld was moved meanwhile", (long long)id);
}

bool db_deployment_apply(struct db_conn *tx, int64_t id, enum fleet_deployment_state from, enum fleet_event event, const char *reason, int64_t now,
                         struct err *err) {
    enum fleet_member_event means;
    enum fleet_deployment_state to;
    struct moved moved;

    if (fleet_deployment_move(from, event, &to) != FLEET_MOVE_TAKEN)
        return err_set(err, ERR_CONFLICT, "deployment %lld is %s: %s is refused", (long long)id, fleet_deployment_state_name(from),
                       fleet_event_name(event));
    if (!move_row(tx, id, from, to, reason, now, &moved, err))
        return false;
    if (moved.rollout != 0 && fleet_member_event_of(event, &means) && !db_rollout_member_apply(tx, moved.rollout, moved.device, means, 0, now, err))
        return false;
    return event == FLEET_SUPERSEDE || fleet_deployment_is_open(to) || db_deployment_follow(tx, moved.device, now, err);
}

static bool insert_row(struct db_conn *tx, const char *device, int64_t release, enum fleet_deployment_state state,
                       const struct db_deployment_source *source, int64_t now, int64_t *ret_id, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DEPLOYMENT_INSERT);

    db_query_text(stmt, 1, device);
    db_query_int(stmt, 2, release);
    db_query_text(stmt, 3, fleet_deployment_state_name(state));
    db_query_text(stmt, 4, source->origin);
    db_query_int(stmt, 5, now);
    db_query_opt_int(stmt, 6, source->rollout != 0, source->rollout);
    db_query_opt_int(stmt, 7, source->rollout != 0, source->phase);
    return db_query_number(stmt, "id", ret_id, err);
}

bool db_deployment_quarantine(struct db_conn *tx, enum db_query query, const char *device, int64_t release, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, query);

    db_query_text(stmt, 1, device);
    db_query_int(stmt, 2, release);
    return db_query_run(stmt, NULL, err);
}

bool db_deployment_rule(const struct db_device_hot *hot, const struct db_release *release, enum fleet_reason *ret_reason, struct err *err) {
    struct fleet_facts facts = {.state = hot->state,
                                .product = hot->product,
                                .hardware = hot->hardware,
                                .installed_known = hot->installed_known,
                                .installed_sequence = hot->installed_sequence,
                                .floor = hot->floor,
                                .plain_only = hot->ddi_client};
    struct fleet_release rule;

    if (!db_release_rule(release, &rule, err))
        return false;
    *ret_reason = fleet_offer_check_release(&facts, &rule);
    return true;
}

bool db_deployment_check(const struct db_device_hot *hot, const struct db_release *release, struct err *err) {
    enum fleet_reason reason;

    if (!db_deployment_rule(hot, release, &reason, err))
        return false;
    if (reason != FLEET_REASON_OFFERED)
        return err_set(err, fleet_reason_error(reason), "release %s/%s for device '%s': %s (%s)", release->product, release->version, hot->id,
                       fleet_reason_text(reason), fleet_reason_name(reason));
    return true;
}

bool db_deployment_assign_from(struct db_conn *tx, const char *device, int64_t release_id, const struct db_deployment_source *source, int64_t now,
                               int64_t *ret_id, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_device_hot hot;
    struct db_release release;
    char reason[DB_ID_SIZE + DB_VERSION_SIZE + 32];
    int64_t id, replaced;

    arena_init(&arena, SCRATCH_BYTES);
    if (!db_registry_read(tx, device, &hot, err) || !db_release_get(tx, release_id, &arena, &release, err) ||
        !db_deployment_check(&hot, &release, err))
        return false;
    if (db_deployment_must_wait(&hot))
        return err_set(err, ERR_CONFLICT, "device '%s' has fetched deployment %lld: cancel that first, and wait for its answer or close it by force",
                       device, (long long)hot.open_deployment);
    snprintf(reason, sizeof reason, "superseded by %s %s", release.product, release.version);
    if (hot.open_deployment && !db_deployment_apply(tx, hot.open_deployment, hot.open_state, FLEET_SUPERSEDE, reason, now, err))
        return false;
    if (!db_deployment_waiting_take(tx, device, &replaced, err) || !db_deployment_quarantine(tx, DB_QUERY_QUARANTINE_LIFT, device, release_id, err) ||
        !insert_row(tx, device, release_id, FLEET_ASSIGNED, source, now, &id, err) || !db_registry_touch(tx, device, false, err))
        return false;
    *ret_id = id;
    return true;
}

enum fleet_event db_deployment_cancel_event(const struct db_device_hot *hot, int64_t id) {
    bool ask = hot->open_deployment == id && hot->ddi_fetched && !hot->ddi_answered && hot->open_state != FLEET_CANCELLING;

    return ask ? FLEET_CANCEL_FETCHED : FLEET_CANCEL;
}

bool db_deployment_assign(struct db_conn *tx, const char *device, int64_t release, int64_t now, int64_t *ret_id, struct err *err) {
    return db_deployment_assign_from(tx, device, release, &(struct db_deployment_source){.origin = "manual"}, now, ret_id, err);
}

bool db_deployment_cancel_open(struct db_conn *tx, int64_t id, const char *reason, int64_t now, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_deployment deployment;
    struct db_device_hot hot;
    enum fleet_event event;

    arena_init(&arena, SCRATCH_BYTES);
    if (!db_deployment_get(tx, id, &arena, &deployment, err) || !db_registry_read(tx, deployment.device, &hot, err))
        return false;
    event = db_deployment_cancel_event(&hot, id);
    return db_deployment_apply(tx, id, deployment.state, event, reason, now, err) &&
           (event != FLEET_CANCEL_FETCHED || db_ddi_cancelling(tx, id, err)) && db_registry_touch(tx, deployment.device, false, err);
}

bool db_deployment_cancel(struct db_conn *tx, int64_t id, const char *reason, int64_t now, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_deployment deployment;

    arena_init(&arena, SCRATCH_BYTES);
    return db_deployment_get(tx, id, &arena, &deployment, err) &&
           db_deployment_quarantine(tx, DB_QUERY_QUARANTINE_HOLD, deployment.device, deployment.release, err) &&
           db_deployment_cancel_open(tx, id, reason && reason[0] ? reason : "cancelled by an operator", now, err);
}

/* The open release may be younger than the catalog's snapshot: published in the same group of commits. */
static bool find_open_release(struct db_conn *tx, const struct db_device_hot *hot, struct fleet_facts *facts, struct arena *arena,
                              struct fleet_release *storage, struct err *err) {
    struct db_release release;

    if (!facts->has_open || facts->open_release)
        return true;
    if (!db_release_get(tx, hot->open_release, arena, &release, err) || !db_release_rule(&release, storage, err))
        return false;
    facts->open_release = storage;
    return true;
}

/* Makes durable what was decided. */
static bool record_offer(struct db_conn *tx, const struct db_device_hot *hot, const struct fleet_offer *offer, int64_t now, int64_t *ret_id,
                         struct err *err) {
    struct db_deployment_source source = {.origin = "latest"};

    *ret_id = hot->open_deployment;
    if (!offer->creates_deployment)
        return hot->open_state != FLEET_ASSIGNED || (db_deployment_apply(tx, hot->open_deployment, FLEET_ASSIGNED, FLEET_OFFER, NULL, now, err) &&
                                                     db_registry_touch(tx, hot->id, false, err));
    if (offer->supersedes_open &&
        !db_deployment_apply(tx, hot->open_deployment, hot->open_state, FLEET_SUPERSEDE, "the release was withdrawn", now, err))
        return false;
    if (offer->rollout)
        source = (struct db_deployment_source){.origin = "rollout", .rollout = offer->rollout->id, .phase = (int64_t)offer->rollout->phase};
    return insert_row(tx, hot->id, offer->release->id, FLEET_OFFERED, &source, now, ret_id, err) &&
           (source.rollout == 0 || db_rollout_member_apply(tx, source.rollout, hot->id, FLEET_MEMBER_OFFER, *ret_id, now, err)) &&
           db_registry_touch(tx, hot->id, false, err);
}

static bool offer_from(struct db_conn *tx, const struct db_catalog *catalog, const struct db_device_hot *hot, int64_t now,
                       struct db_offered *ret_offered, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct fleet_offer_rollout rollouts[DB_ROLLOUT_MAX_ACTIVE];
    struct fleet_release storage;
    struct fleet_facts facts;
    struct fleet_line line = db_offer_line(catalog, hot->product);
    struct fleet_offer offer;
    int64_t id;

    arena_init(&arena, SCRATCH_BYTES);
    db_offer_facts(hot, catalog, &facts);
    facts.rollouts = rollouts;
    if (!find_open_release(tx, hot, &facts, &arena, &storage, err) ||
        !db_offer_rollouts_stored(tx, catalog, hot, now, rollouts, &facts.rollout_count, err))
        return false;
    offer = fleet_offer_decide(&facts, &line);
    if (offer.reason != FLEET_REASON_OFFERED) {
        *ret_offered = (struct db_offered){.reason = offer.reason};
        return true;
    }
    if (offer.supersedes_open && db_deployment_cancel_event(hot, hot->open_deployment) == FLEET_CANCEL_FETCHED) {
        *ret_offered = (struct db_offered){.reason = FLEET_REASON_WITHDRAWN};
        return db_deployment_apply(tx, hot->open_deployment, hot->open_state, FLEET_CANCEL_FETCHED, "the release was withdrawn", now, err) &&
               db_ddi_cancelling(tx, hot->open_deployment, err) && db_registry_touch(tx, hot->id, false, err);
    }
    if (!record_offer(tx, hot, &offer, now, &id, err))
        return false;
    *ret_offered = (struct db_offered){
        .reason = offer.reason, .deployment = id, .release = offer.release->id, .rollout = offer.rollout ? offer.rollout->id : 0};
    return true;
}

bool db_deployment_offer(struct db_conn *tx, const char *device, int64_t now, struct db_offered *ret_offered, struct err *err) {
    const struct db_catalog *catalog;
    struct db_device_hot hot;
    bool ok;

    if (!db_registry_read(tx, device, &hot, err))
        return false;
    catalog = db_catalog_get(db_conn_db(tx));
    ok = offer_from(tx, catalog, &hot, now, ret_offered, err);
    db_catalog_put(catalog);
    return ok;
}
