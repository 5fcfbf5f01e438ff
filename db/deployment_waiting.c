/* Assignments that wait for the answer of a client that has fetched the open deployment. */
#include <stdio.h>

#include "db/deployment_row.h"
#include "db/event.h"
#include "db/store.h"

enum { SCRATCH_BYTES = 1 << 20 };

bool db_deployment_must_wait(const struct db_device_hot *hot) {
    return hot->open_deployment &&
           (hot->open_state == FLEET_CANCELLING || db_deployment_cancel_event(hot, hot->open_deployment) == FLEET_CANCEL_FETCHED);
}

bool db_deployment_waiting_get(struct db_conn *conn, const char *device, int64_t *ret_release, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_DEPLOYMENT_WAITING_GET);

    *ret_release = 0;
    db_query_text(stmt, 1, device);
    return db_query_number(stmt, "release", ret_release, err);
}

bool db_deployment_waiting_take(struct db_conn *tx, const char *device, int64_t *ret_release, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DEPLOYMENT_WAITING_TAKE);

    *ret_release = 0;
    db_query_text(stmt, 1, device);
    return db_query_number(stmt, "release", ret_release, err);
}

bool db_deployment_assign_or_wait(struct db_conn *tx, const char *device, int64_t release_id, int64_t now, int64_t *ret_id, int64_t *ret_waits_for,
                                  struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_device_hot hot;
    struct db_release release;
    struct db_stmt *stmt;
    char reason[DB_ID_SIZE + DB_VERSION_SIZE + 32];

    arena_init(&arena, SCRATCH_BYTES);
    if (!db_registry_read(tx, device, &hot, err))
        return false;
    if (!db_deployment_must_wait(&hot)) {
        *ret_waits_for = 0;
        return db_deployment_assign(tx, device, release_id, now, ret_id, err);
    }
    if (!db_release_get(tx, release_id, &arena, &release, err) || !db_deployment_check(&hot, &release, err))
        return false;
    snprintf(reason, sizeof reason, "superseded by %s %s", release.product, release.version);
    if (hot.open_state != FLEET_CANCELLING && !db_deployment_cancel_open(tx, hot.open_deployment, reason, now, err))
        return false;
    stmt = db_query_begin(tx, DB_QUERY_DEPLOYMENT_WAITING_SET);
    db_query_text(stmt, 1, device);
    db_query_int(stmt, 2, release_id);
    db_query_int(stmt, 3, now);
    if (!db_query_run(stmt, NULL, err))
        return false;
    *ret_id = 0;
    *ret_waits_for = hot.open_deployment;
    return true;
}

bool db_deployment_follow(struct db_conn *tx, const char *device, int64_t now, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_device_hot hot;
    struct db_release release;
    enum fleet_reason reason;
    char detail[128];
    int64_t wanted, id;

    arena_init(&arena, SCRATCH_BYTES);
    if (!db_deployment_waiting_take(tx, device, &wanted, err))
        return false;
    if (wanted == 0)
        return true;
    if (!db_registry_read(tx, device, &hot, err) || !db_release_get(tx, wanted, &arena, &release, err) ||
        !db_deployment_rule(&hot, &release, &reason, err))
        return false;
    if (reason == FLEET_REASON_OFFERED)
        return db_deployment_assign(tx, device, wanted, now, &id, err);
    snprintf(detail, sizeof detail, "{\"sequence\":%lld,\"reason\":\"%s\"}", (long long)release.sequence, fleet_reason_name(reason));
    return db_event_insert(tx, now, "deployment-not-assigned", device, detail, err);
}
