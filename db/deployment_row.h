/* Steps that the operations on devices and deployments share; for db/device*.c and db/deployment*.c. */
#ifndef PAWL_DB_DEPLOYMENT_ROW_H
#define PAWL_DB_DEPLOYMENT_ROW_H

#include "db/deployment.h"
#include "db/query.h"

/* Moves a deployment by the state table, guarded again in SQL. ERR_CONFLICT when the table or the guard refuses. reason NULL: as it was. */
bool db_deployment_apply(struct db_conn *tx, int64_t id, enum fleet_deployment_state from, enum fleet_event event, const char *reason, int64_t now,
                         struct err *err) MUST_USE;

/* What a cancel is for this deployment: FLEET_CANCEL, or FLEET_CANCEL_FETCHED when a client that has fetched it must be asked first. */
enum fleet_event db_deployment_cancel_event(const struct db_device_hot *hot, int64_t id);

/* DB_QUERY_QUARANTINE_HOLD: the policy does not offer it this release again; DB_QUERY_QUARANTINE_LIFT: it may. */
bool db_deployment_quarantine(struct db_conn *tx, enum db_query query, const char *device, int64_t release, struct err *err) MUST_USE;

/* Cancelled, or asked to be (a client that fetched it); the release may be offered again. Open, and not cancelling already; else ERR_CONFLICT. */
bool db_deployment_cancel_open(struct db_conn *tx, int64_t id, const char *reason, int64_t now, struct err *err) MUST_USE;

/* Where a new one comes from. */
struct db_deployment_source {
    const char *origin;
    int64_t rollout; /* 0: none */
    int64_t phase;
};

/* db_deployment_assign() for somebody else; the rollout's member is not touched. */
bool db_deployment_assign_from(struct db_conn *tx, const char *device, int64_t release, const struct db_deployment_source *source, int64_t now,
                               int64_t *ret_id, struct err *err) MUST_USE;

/* May the device have this release now? FLEET_REASON_OFFERED: yes; db_deployment_check(): else the error of that reason. */
bool db_deployment_rule(const struct db_device_hot *hot, const struct db_release *release, enum fleet_reason *ret_reason, struct err *err) MUST_USE;
bool db_deployment_check(const struct db_device_hot *hot, const struct db_release *release, struct err *err) MUST_USE;

/* Is the open one in the hands of a client that must answer first? */
bool db_deployment_must_wait(const struct db_device_hot *hot);

/* Takes out what waits for the device's open deployment; 0: nothing. */
bool db_deployment_waiting_get(struct db_conn *conn, const char *device, int64_t *ret_release, struct err *err) MUST_USE;
bool db_deployment_waiting_take(struct db_conn *tx, const char *device, int64_t *ret_release, struct err *err) MUST_USE;

/* The open one has closed: what waited for that is assigned, or given up with an event when the rules refuse it now. */
bool db_deployment_follow(struct db_conn *tx, const char *device, int64_t now, struct err *err) MUST_USE;

/* Records what the device runs, if that is new; a fall raises "rolled-back", when unasked (db/registry.h) once an hour at most. *ret_changed:
 * db_registry_touch() must say installed. */
bool db_device_installed(struct db_conn *tx, const struct db_device_hot *hot, int64_t sequence, const char *version, bool unasked, int64_t now,
                         bool *ret_changed, struct err *err) MUST_USE;

#endif
