#include "db/ddi.h"

#include <stdio.h>
#include <string.h>

#include "db/deployment_row.h"
#include "db/device.h"
#include "db/list.h"
#include "db/query.h"
#include "db/store.h"

enum { SCRATCH_BYTES = 1 << 20 };

static const struct db_column device_columns[] = {
    DB_COLUMN(DB_BOOL, struct db_ddi_device, client),
    DB_COLUMN(DB_BOOL, struct db_ddi_device, configured),
    DB_COLUMN(DB_INT, struct db_ddi_device, configured_at),
    DB_COLUMN(DB_TEXT, struct db_ddi_device, attributes),
    DB_COLUMN_AS(DB_KNOWN, struct db_ddi_device, has_token, "token_sha256"),
    DB_COLUMN(DB_FIXED, struct db_ddi_device, token_sha256),
};
static const struct db_shape device_shape = DB_SHAPE(struct db_ddi_device, device_columns);

bool db_ddi_device_get(struct db_conn *conn, const char *device, struct arena *arena, struct db_ddi_device *ret_device, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_DDI_DEVICE_GET);

    db_query_text(stmt, 1, device);
    if (db_query_one(stmt, &device_shape, arena, ret_device, "DDI client", device, err))
        return true;
    if (err->code != ERR_NOT_FOUND)
        return false;
    *ret_device = (struct db_ddi_device){.attributes = "{}"};
    return true;
}

bool db_ddi_device_client(struct db_conn *tx, const char *device, bool ddi, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DDI_DEVICE_CLIENT);

    db_query_text(stmt, 1, device);
    db_query_int(stmt, 2, ddi);
    return db_query_run(stmt, NULL, err) && db_registry_touch(tx, device, false, err);
}

bool db_ddi_device_ask(struct db_conn *tx, const char *device, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DDI_DEVICE_ASK);

    db_query_text(stmt, 1, device);
    return db_query_run(stmt, NULL, err) && db_registry_touch(tx, device, false, err);
}

bool db_ddi_device_token(struct db_conn *tx, const char *device, const uint8_t token_sha256[32], struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DDI_DEVICE_TOKEN);

    db_query_text(stmt, 1, device);
    db_query_blob(stmt, 2, token_sha256, 32);
    return db_query_run(stmt, NULL, err) && db_registry_touch(tx, device, false, err);
}

bool db_ddi_cancelling(struct db_conn *tx, int64_t deployment, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DDI_ACTION_CANCEL);

    db_query_int(stmt, 1, deployment);
    db_query_text(stmt, 2, NULL);
    return db_query_run(stmt, NULL, err);
}

bool db_ddi_action_fetched(struct db_conn *tx, const char *device, int64_t deployment, int64_t now, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DDI_ACTION_FETCHED);

    db_query_int(stmt, 1, deployment);
    db_query_int(stmt, 2, now);
    return db_query_run(stmt, NULL, err) && db_registry_touch(tx, device, false, err);
}

bool db_ddi_action_known(struct db_conn *tx, int64_t deployment, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DDI_ACTION_KNOWN);

    db_query_int(stmt, 1, deployment);
    return db_query_run(stmt, NULL, err);
}

/* What it runs is no release of its product: nothing is known of its sequence. */
static bool install_unknown(struct db_conn *tx, const struct db_device_hot *hot, const char *version, struct err *err) {
    struct db_stmt *stmt;

    if (!hot->installed_known && strcmp(hot->installed_version, version) == 0)
        return true;
    stmt = db_query_begin(tx, DB_QUERY_DDI_INSTALLED_UNKNOWN);
    db_query_text(stmt, 1, hot->id);
    db_query_text(stmt, 2, version);
    return db_query_run(stmt, NULL, err) && db_registry_touch(tx, hot->id, true, err);
}

/* The attribute becomes an observation, as a native poll has one. */
static bool observe(struct db_conn *tx, const char *device, const struct db_ddi_attributes *attributes, int64_t now, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_observation seen = {.product = attributes->product, .hardware = attributes->hardware, .unasked = true};
    struct db_device_hot hot;
    struct db_release release;

    arena_init(&arena, SCRATCH_BYTES);
    if (!db_device_observe(tx, device, &seen, now, err) || !db_registry_read(tx, device, &hot, err))
        return false;
    if (!attributes->version)
        return true;
    if (!hot.product[0] || !db_release_get_version(tx, hot.product, attributes->version, &arena, &release, err))
        return (!hot.product[0] || err->code == ERR_NOT_FOUND) && install_unknown(tx, &hot, attributes->version, err);
    seen = (struct db_observation){.version = attributes->version, .sequence_known = true, .sequence = release.sequence, .unasked = true};
    return db_device_observe(tx, device, &seen, now, err);
}

/* The open deployment is confirmed when it is the one that runs. */
static bool confirm(struct db_conn *tx, const struct db_device_hot *hot, int64_t now, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_deployment deployment;
    enum fleet_deployment_state to;
    struct db_reported reported;

    arena_init(&arena, SCRATCH_BYTES);
    if (!db_deployment_get(tx, hot->open_deployment, &arena, &deployment, err))
        return false;
    if (!hot->installed_known || hot->installed_sequence != deployment.sequence ||
        fleet_deployment_move(deployment.state, FLEET_REPORT_CONFIRMED, &to) != FLEET_MOVE_TAKEN)
        return true;
    const struct db_report_new report = {
        .deployment = deployment.id,
        .report_seq = deployment.report_seq + 1,
        .event = FLEET_REPORT_CONFIRMED,
        .progress = -1,
        .installed_known = true,
        .installed_sequence = deployment.sequence,
        .installed_version = deployment.version,
    };
    return db_deployment_report(tx, hot->id, &report, now, &reported, err);
}

bool db_ddi_arrived(struct db_conn *tx, const char *device, const struct db_observation *seen, int64_t now, struct err *err) {
    struct db_device_hot hot;

    if (!db_device_observe(tx, device, seen, now, err) || !db_registry_read(tx, device, &hot, err))
        return false;
    return hot.open_deployment == 0 || confirm(tx, &hot, now, err);
}

bool db_ddi_device_configure(struct db_conn *tx, const char *device, const struct db_ddi_attributes *attributes, int64_t now, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DDI_DEVICE_CONFIGURE);
    struct db_device_hot hot;

    db_query_text(stmt, 1, device);
    db_query_text(stmt, 2, attributes->json);
    db_query_int(stmt, 3, now);
    if (!db_query_run(stmt, NULL, err) || !observe(tx, device, attributes, now, err) || !db_registry_read(tx, device, &hot, err))
        return false;
    /* A success that waited for the version. */
    if (hot.open_deployment != 0 && hot.ddi_answered && !confirm(tx, &hot, now, err))
        return false;
    return db_registry_touch(tx, device, false, err);
}

static const struct db_column entry_columns[] = {
    DB_COLUMN(DB_INT, struct db_ddi_entry, seq),
    DB_COLUMN(DB_INT, struct db_ddi_entry, time),
    DB_COLUMN(DB_TEXT, struct db_ddi_entry, execution),
    DB_COLUMN(DB_TEXT, struct db_ddi_entry, finished),
    DB_COLUMN(DB_BOOL, struct db_ddi_entry, cancel),
    DB_COLUMN(DB_INT_OR_LESS, struct db_ddi_entry, progress_count),
    DB_COLUMN(DB_INT_OR_LESS, struct db_ddi_entry, progress_of),
    DB_COLUMN(DB_INT_OR_LESS, struct db_ddi_entry, code),
    DB_COLUMN(DB_TEXT, struct db_ddi_entry, details),
};
static const struct db_shape entry_shape = DB_SHAPE(struct db_ddi_entry, entry_columns);

bool db_ddi_log_list(struct db_conn *conn, int64_t deployment, const struct db_list *list, struct arena *arena, struct db_ddi_entries *ret_page,
                     struct err *err) {
    struct db_listing listing;

    if (!db_list_begin(conn, DB_QUERY_DDI_LOG_LIST, list, &entry_shape, arena, &listing, err))
        return false;
    db_query_int(listing.stmt, 4, deployment);
    return db_list_page(&listing, &ret_page->items, &ret_page->count, &ret_page->next, err);
}
