/* Rollouts: the plan, the members and their states, the operator's moves. What runs by itself is db/rollout_run.h.
 *
 * The members are rows of their own, written in slices; counts by phase and state are kept in the transaction of each change. Of the active rollouts
 * phase and state of every member lie in memory beside the registry, one byte a registered device and rollout, so that a poll asks no SQL. */
#ifndef PAWL_DB_ROLLOUT_H
#define PAWL_DB_ROLLOUT_H

#include "db/db.h"
#include "fleet/offer.h"
#include "fleet/rollout.h"

enum {
    DB_ROLLOUT_MAX_IDS = 10000, /* in an explicit list */
    DB_ROLLOUT_MAX_ACTIVE = 32, /* scheduled, running or paused ones of one product */
    DB_ROLLOUT_MAX_WINDOWS = 16,
    DB_ROLLOUT_NAME_MAX = 128, /* bytes */
};

/* A maintenance window as it is kept; days and times as in fleet/window.h. */
struct db_rollout_window {
    int64_t days; /* bit 0 Monday */
    int64_t from_minute;
    int64_t to_minute;
    const char *zone;
    const char *tag; /* "": for every device; else for those with this tag, to which then only such windows apply */
};

/* What an operator says. */
struct db_rollout_plan {
    const char *product;
    int64_t release;
    const char *name;
    const char *filter;  /* over the product's devices; "": all of them */
    struct db_texts ids; /* instead of a filter, when count > 0 */
    enum fleet_mode mode;
    bool continuous;
    int64_t start_at;      /* 0: when it is started */
    int64_t max_in_flight; /* 0: no limit */
    size_t phase_count;
    struct fleet_rollout_phase *phases; /* plan part */
    size_t window_count;
    struct db_rollout_window *windows;
};

struct db_rollout {
    int64_t id;                  /* from 1 up */
    struct db_rollout_plan plan; /* phases with what has happened in them */
    const char *version;         /* of the release */
    int64_t sequence;
    bool withdrawn; /* the release */
    uint64_t salt;
    bool by_ids; /* the target is a list, be it read or left out */
    enum fleet_rollout_state state;
    enum fleet_halt halt;
    int64_t phase;           /* the newest open one; 0: none */
    int64_t matched;         /* devices chosen when it was last tried to begin; -1: not yet */
    bool awaits_approval;    /* more devices than may begin, or join, without; nobody joins until then */
    const char *created_by;  /* an actor, as in the audit */
    const char *changed_by;  /* who wrote the plan last */
    const char *approved_by; /* "": nobody */
    int64_t created_at;
    int64_t approved_at;    /* 0: not */
    int64_t started_at;     /* phase 1 opened; 0: not */
    int64_t paused_at;      /* 0: not paused */
    int64_t held_s;         /* spent paused before */
    int64_t ended_at;       /* completed or stopped; 0: not */
    bool working;           /* its members or deployments are still being written: cancelling, retrying */
    int64_t next_due_clock; /* of members with a deadline of their own; 0: none */
    int64_t revision;       /* for the ETag: rises with what an operator does, and with every change of state or phase */
};

struct db_rollouts {
    size_t count;
    struct db_rollout *items;
    const char *next; /* where the next page begins; NULL: this is the last */
};

/* UTC of a time ahead of the rollout's clock (0 stays 0); of a paused one: as if it were resumed at once after it was paused. */
int64_t db_rollout_time(const struct db_rollout *rollout, int64_t clock);

/* The rollout's own clock. */
int64_t db_rollout_clock(const struct db_rollout *rollout, int64_t now);

/* What it does next, or waits for. */
struct fleet_step db_rollout_step(const struct db_rollout *rollout, int64_t now);

/* Everything that can be wrong with a plan: ERR_INVALID with the field ("filter", "ids[3]", "phases[1].success_percent", "windows[0].zone",
 * "start_at", "max_in_flight", "name"), ERR_NOT_FOUND for product or release (field "release"), ERR_GONE for a withdrawn one, ERR_CONFLICT for one of
 * another product. Asked by create and update; alone for a dry run. */
bool db_rollout_check(struct db_conn *conn, const struct db_rollout_plan *plan, struct err *err) MUST_USE;

bool db_rollout_create(struct db_conn *tx, const struct db_rollout_plan *plan, const char *actor, int64_t now, int64_t *ret_id,
                       struct err *err) MUST_USE;
bool db_rollout_get(struct db_conn *conn, int64_t id, struct arena *arena, struct db_rollout *ret_rollout, struct err *err) MUST_USE;

/* NULL, "" and false are "any". */
struct db_rollout_filter {
    const char *product;
    bool by_state;
    enum fleet_rollout_state state;
};

/* The lists of ids are left out. */
bool db_rollout_list(struct db_conn *conn, const struct db_rollout_filter *filter, const struct db_list *list, struct arena *arena,
                     struct db_rollouts *ret_page, struct err *err) MUST_USE;

/* The whole plan anew, of a draft (else ERR_CONFLICT); the product stays. ERR_PRECONDITION when the revision is another. Takes an approval back. */
bool db_rollout_update(struct db_conn *tx, int64_t id, int64_t revision, const struct db_rollout_plan *plan, const char *actor,
                       struct err *err) MUST_USE;

/* Of a draft; else ERR_CONFLICT. */
bool db_rollout_delete(struct db_conn *tx, int64_t id, int64_t revision, struct err *err) MUST_USE;

/* An operator's move (SCHEDULE, START, PAUSE, RESUME, STOP). ERR_CONFLICT names the state when the table forbids it. *ret_changed false: it was there
 * already. Started or scheduled, it begins by itself when db_rollout_run() finds it due, approved and its members chosen. SCHEDULE needs a start_at
 * (ERR_INVALID, field "start_at"). ERR_CONFLICT also for more than
 * DB_ROLLOUT_MAX_ACTIVE. Raises the event of the new state: rollout-scheduled, -running, -paused, -stopped. */
bool db_rollout_move(struct db_conn *tx, int64_t id, enum fleet_rollout_event event, int64_t now, bool *ret_changed, struct err *err) MUST_USE;

/* Of a draft or scheduled one. ERR_CONFLICT: the actor made or changed it. *ret_changed false: it was approved. Raises rollout-approved. */
bool db_rollout_approve(struct db_conn *tx, int64_t id, const char *actor, int64_t now, bool *ret_changed, struct err *err) MUST_USE;

/* Failed, timed-out and cancelled members wait again, out of quarantine, with a deadline of their own; in slices, by db_rollout_run(). Of a running
 * or paused one; else ERR_CONFLICT. */
bool db_rollout_retry(struct db_conn *tx, int64_t id, int64_t now, struct err *err) MUST_USE;

struct db_rollout_excluded {
    enum fleet_reason reason;
    int64_t count;
};

struct db_rollout_preview {
    int64_t matched;  /* by filter or list */
    int64_t unknown;  /* ids of the list that are no devices of the product */
    int64_t included; /* matched, and may have the release */
    size_t phase_count;
    int64_t phases[FLEET_PHASE_MAX];
    size_t excluded_count; /* most first */
    struct db_rollout_excluded excluded[FLEET_REASON_COUNT];
};

/* What would be chosen if it began now. Reads alone; 100,000 devices take some tenths of a second, so not on a network thread that has others to
 * serve. The plan as for create (name and windows do not matter). */
bool db_rollout_preview(struct db_conn *conn, const struct db_rollout_plan *plan, struct db_rollout_preview *ret_preview, struct err *err) MUST_USE;

struct db_rollout_member {
    const char *device;
    int64_t phase;
    enum fleet_member_state state;
    int64_t deployment; /* its newest one in this rollout; 0: none */
    int64_t due_at;     /* a deadline of its own, UTC; 0: its phase's */
    int64_t updated_at;
};

struct db_rollout_members {
    size_t count;
    struct db_rollout_member *items;
    bool more;
    const char *next; /* of a list: where the next page begins */
};

struct db_rollout_member_filter {
    bool by_state;
    enum fleet_member_state state;
    int64_t phase; /* 0: any */
};

/* Sorted by device, or with a state and no phase by phase and device. */
bool db_rollout_member_list(struct db_conn *conn, int64_t rollout, const struct db_rollout_member_filter *filter, const struct db_list *list,
                            struct arena *arena, struct db_rollout_members *ret_page, struct err *err) MUST_USE;

#endif
