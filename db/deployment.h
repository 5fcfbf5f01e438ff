/* Deployments: one device × one release, at most one open per device; the operations that must be atomic are here. */
#ifndef PAWL_DB_DEPLOYMENT_H
#define PAWL_DB_DEPLOYMENT_H

#include "db/catalog.h"

struct db_deployment {
    int64_t id; /* from 1001 up */
    const char *device;
    int64_t release;
    const char *product;
    const char *version;
    int64_t sequence;
    enum fleet_deployment_state state;
    const char *sha256;     /* of the release's image, hex */
    const char *origin;     /* "manual", "rollout", "latest" */
    int64_t rollout;        /* with "rollout" */
    int64_t phase;          /* of that rollout */
    const char *reason;     /* why it was cancelled or superseded; "": none */
    int64_t report_seq;     /* the highest one taken; 0: none */
    int64_t progress;       /* percent; -1: never said */
    const char *error_code; /* as reported: "E_HASH"; "": none */
    const char *error_text;
    int64_t created_at;
    int64_t updated_at;
    int64_t closed_at; /* 0: open */
};

struct db_deployments {
    size_t count;
    struct db_deployment *items;
    const char *next; /* where the next page begins; NULL: this is the last */
};

/* NULL, "", 0 and false are "any". */
struct db_deployment_filter {
    const char *device;
    const char *product;
    int64_t release;
    int64_t rollout;
    bool by_state;
    enum fleet_deployment_state state;
};

bool db_deployment_get(struct db_conn *conn, int64_t id, struct arena *arena, struct db_deployment *ret_deployment, struct err *err) MUST_USE;

bool db_deployment_list(struct db_conn *conn, const struct db_deployment_filter *filter, const struct db_list *list, struct arena *arena,
                        struct db_deployments *ret_page, struct err *err) MUST_USE;

bool db_deployment_count(struct db_conn *conn, int64_t ret_by_state[FLEET_DEPLOYMENT_STATE_COUNT], struct err *err) MUST_USE;

/* An operator's assignment: the rules are asked (ERR_DOWNGRADE, ERR_HARDWARE, ERR_STEPPING_STONE, ERR_DEVICE_PENDING/REVOKED/RETIRED, ERR_GONE for a
 * withdrawn release …, named by fleet_reason_error()), an open deployment is superseded, a quarantine for this release is lifted. */
bool db_deployment_assign(struct db_conn *tx, const char *device, int64_t release, int64_t now, int64_t *ret_id, struct err *err) MUST_USE;

/* The same; but while a DDI client has fetched the open one and not answered, that is cancelled (its client is asked, if it was not) and the
 * assignment waits for its end, however it ends: *ret_waits_for is the open one, *ret_id 0. A newer one replaces what waits. Else *ret_waits_for is
 * 0. */
bool db_deployment_assign_or_wait(struct db_conn *tx, const char *device, int64_t release, int64_t now, int64_t *ret_id, int64_t *ret_waits_for,
                                  struct err *err) MUST_USE;

/* The operator's word: closed at once, and the release is not offered to this device again by policy. ERR_CONFLICT: closed already.
 * reason: for people, may be "". */
bool db_deployment_cancel(struct db_conn *tx, int64_t id, const char *reason, int64_t now, struct err *err) MUST_USE;

/* The same release for the same device once more, after failed, timed-out, cancelled or superseded; a quarantine for it is lifted. Of a rollout
 * under way it is again that rollout's. While that newer
 * deployment is open, repeating gives it again. ERR_CONFLICT naming the state: open, confirmed; the errors of an assignment. */
bool db_deployment_retry(struct db_conn *tx, int64_t id, int64_t now, int64_t *ret_id, struct err *err) MUST_USE;

/* Cancelled from any open state, without asking the device; held like a cancelled one. Cancelled already: nothing changes. ERR_CONFLICT naming the
 * state: it ended otherwise. */
bool db_deployment_force_close(struct db_conn *tx, int64_t id, const char *reason, int64_t now, struct err *err) MUST_USE;

struct db_offered {
    enum fleet_reason reason;
    int64_t deployment; /* 0 unless FLEET_REASON_OFFERED */
    int64_t release;
    int64_t rollout; /* that it comes from; 0: none */
};

/* Decides once more from the store and makes the offer durable: creates the policy's deployment, or moves an assigned one to offered.
 * Repeating it changes nothing. */
bool db_deployment_offer(struct db_conn *tx, const char *device, int64_t now, struct db_offered *ret_offered, struct err *err) MUST_USE;

enum { DB_MAX_REPORTS = 1000 }; /* per deployment; past it only confirmed, failed and rejected are taken (else ERR_RATE) */

struct db_report_new {
    int64_t deployment;
    int64_t report_seq; /* ≥ 1, rising per deployment */
    enum fleet_event event;
    int64_t progress;       /* percent; -1: not said */
    const char *error_code; /* NULL: none */
    const char *error_text; /* NULL: none */
    bool installed_known;   /* what the device says it runs */
    int64_t installed_sequence;
    const char *installed_version; /* NULL: not said */
};

struct db_reported {
    enum fleet_deployment_state state; /* the deployment's, after the report that this number recorded */
    bool repeated;                     /* the report was known: nothing changed */
    int64_t floor_sequence;            /* the device's, now */
};

/* A device's report. ERR_NOT_FOUND: no such deployment of this device. ERR_CONFLICT: the number goes backwards, or was used for something else, or
 * the state table refuses, or "confirmed" with another sequence than the release's. Confirmed raises the floor by the release's signed values. */
bool db_deployment_report(struct db_conn *tx, const char *device, const struct db_report_new *report, int64_t now, struct db_reported *ret_reported,
                          struct err *err) MUST_USE;

/* Of deployments that were closed before this time, what was said on the way goes: all reports but the last one, and a DDI client's log. A slice of
 * at most some thousand rows; *ret_pruned: deployments, call again when it is not 0. */
bool db_deployment_prune(struct db_conn *tx, int64_t before, size_t *ret_pruned, struct err *err) MUST_USE;

/* For downloads: is there an open deployment of this release for this device, or one closed at or after `since`? */
bool db_deployment_entitles(struct db_conn *conn, const char *device, int64_t release, int64_t since, bool *ret_entitled, struct err *err) MUST_USE;

#endif
