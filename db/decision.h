/* Why a device gets what it gets: the decision of its next poll, and every rollout that was considered for it (fleet.md §3). */
#ifndef PAWL_DB_DECISION_H
#define PAWL_DB_DECISION_H

#include "db/rollout.h"

struct db_decision_rollout {
    int64_t id;
    const char *name;
    enum fleet_rollout_state state;
    const char *version; /* of its release */
    int64_t sequence;
    bool is_member;
    int64_t phase; /* the device's; 0: no member */
    enum fleet_member_state member;
    enum fleet_reason reason; /* FLEET_REASON_OFFERED: this one would give, or gives, the device its release */
    int64_t until;            /* the reason stands before this by itself; 0: no telling */
};

struct db_decision {
    enum fleet_reason reason; /* FLEET_REASON_OFFERED: with a release */
    int64_t release;          /* 0: none */
    const char *version;      /* "": none */
    int64_t open_deployment;  /* 0: none */
    int64_t waiting;          /* the release that was assigned and waits for the open deployment's end; 0: none */
    const char *origin;       /* where the offer or the open deployment comes from: "manual", "rollout", "latest"; "": nothing */
    int64_t rollout;          /* with "rollout" */
    enum fleet_policy policy; /* the product's; meaningless without a product */
    int64_t until;            /* a "nothing" stands before this by itself; 0: no telling */
    size_t rollout_count;     /* scheduled, running or paused ones of its product, in the order in which they are asked */
    struct db_decision_rollout *rollouts;
};

/* Reads alone. ERR_NOT_FOUND: no such device. */
bool db_decision_get(struct db_conn *conn, const char *device, int64_t now, struct arena *arena, struct db_decision *ret_decision,
                     struct err *err) MUST_USE;

#endif
