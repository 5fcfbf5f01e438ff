/* A rollout: the plan that brings a release to a set of devices, phase by phase; who may move it, and what it does next (fleet.md §3). Pure tables.
 *
 * A rollout has its own clock: UTC seconds less the time it has spent paused, so that a pause moves every deadline and soak with it. Times that end
 * in _clock are of this clock, times that end in _at are UTC. Phases are numbered from 1, the canary; 0 is "none yet". */
#ifndef PAWL_FLEET_ROLLOUT_H
#define PAWL_FLEET_ROLLOUT_H

#include "fleet/member.h"
#include "fleet/phase.h"

enum fleet_rollout_state {
    FLEET_ROLLOUT_DRAFT = 0, /* may be changed and deleted */
    FLEET_ROLLOUT_SCHEDULED, /* waits for its time, an approval, or its members to be chosen */
    FLEET_ROLLOUT_RUNNING,
    FLEET_ROLLOUT_PAUSED, /* offers nothing new; what devices have begun goes on */
    FLEET_ROLLOUT_COMPLETED,
    FLEET_ROLLOUT_STOPPED, /* its open deployments are cancelled */
    FLEET_ROLLOUT_STATE_COUNT
};

enum fleet_rollout_event {
    FLEET_ROLLOUT_SCHEDULE = 0, /* operator: at its start_at */
    FLEET_ROLLOUT_START,        /* operator: now, whatever start_at says */
    FLEET_ROLLOUT_PAUSE,        /* operator */
    FLEET_ROLLOUT_RESUME,       /* operator: accepts what had halted it */
    FLEET_ROLLOUT_STOP,         /* operator: for good */
    FLEET_ROLLOUT_BEGIN,        /* system: it is time, it is approved, the members are chosen: phase 1 opens */
    FLEET_ROLLOUT_HALT,         /* system: pauses itself, see fleet_halt */
    FLEET_ROLLOUT_COMPLETE,     /* system */
    FLEET_ROLLOUT_EVENT_COUNT
};

/* The verdict on a move. The zero value refuses. */
enum fleet_rollout_move {
    FLEET_ROLLOUT_REFUSED = 0,
    FLEET_ROLLOUT_TAKEN,
    FLEET_ROLLOUT_SAME, /* it is there already: a repeated request, nothing to do */
};

const char *fleet_rollout_state_name(enum fleet_rollout_state state); /* "draft" … "stopped"; never NULL */
bool fleet_rollout_state_parse(const char *name, enum fleet_rollout_state *ret_state) MUST_USE;
const char *fleet_rollout_event_name(
    enum fleet_rollout_event event); /* "schedule", "start", "pause", "resume", "stop", "begin", "halt", "complete" */

/* *ret_to is written unless FLEET_ROLLOUT_REFUSED. */
enum fleet_rollout_move fleet_rollout_move(enum fleet_rollout_state from, enum fleet_rollout_event event, enum fleet_rollout_state *ret_to) MUST_USE;

/* Devices are held and counted by it: running or paused. */
bool fleet_rollout_is_active(enum fleet_rollout_state state) MUST_USE;

/* Why a rollout is paused. */
enum fleet_halt {
    FLEET_HALT_NONE = 0,  /* "": it is not */
    FLEET_HALT_OPERATOR,  /* operator */
    FLEET_HALT_ERRORS,    /* error-threshold */
    FLEET_HALT_SUCCESS,   /* success-not-reached: the deadline is past, all have answered or are timed out, too few confirmed */
    FLEET_HALT_WITHDRAWN, /* release-withdrawn */
    FLEET_HALT_COUNT
};

const char *fleet_halt_name(enum fleet_halt halt);
bool fleet_halt_parse(const char *name, enum fleet_halt *ret_halt) MUST_USE;

enum fleet_mode {
    FLEET_MODE_FORCED = 0,
    FLEET_MODE_OPTIONAL, /* the device's user may postpone */
    FLEET_MODE_COUNT
};

const char *fleet_mode_name(enum fleet_mode mode); /* "forced", "optional" */
bool fleet_mode_parse(const char *name, enum fleet_mode *ret_mode) MUST_USE;

/* The plan of one phase, and how far it is. */
struct fleet_rollout_phase {
    struct fleet_phase_size size;
    int64_t success_percent;       /* 1 … 100: confirmed, of the members that are not skipped, to advance */
    struct fleet_phase_size error; /* percent of the same, or devices: so many failed, retrying and timed out pause the rollout */
    int64_t soak_s;                /* how long to watch after success is reached */
    int64_t deadline_s;            /* after it opened; whoever is not confirmed then is timed out */

    int64_t opened_clock; /* 0: not open */
    int64_t opened_at;    /* the same and the next in UTC, for people */
    int64_t reached_at;
    int64_t reached_clock; /* success reached, or accepted by an operator who resumed; 0: not yet */
    bool expired;          /* its deadline is past and all its silent members are timed out */
    int64_t pardoned;      /* failures that an operator accepted by resuming */
    int64_t members[FLEET_MEMBER_STATE_COUNT];
};

enum {
    FLEET_ERROR_COUNT_MAX = 1000000000,
    FLEET_SOAK_MAX_S = 90 * 86400,
    FLEET_DEADLINE_MIN_S = 1,
    FLEET_DEADLINE_MAX_S = 366 * 86400,
};

/* A plan's phases: sizes that add up (fleet_phase_check), thresholds and times within their limits. ERR_INVALID with field
 * "phases[0].success_percent", ".error_percent", ".error_count", ".soak_s", ".deadline_s". */
bool fleet_rollout_check(const struct fleet_rollout_phase *phases, size_t count, struct err *err) MUST_USE;

struct fleet_rollout {
    enum fleet_rollout_state state;
    bool continuous;        /* devices join while it runs; it does not complete by itself */
    bool release_withdrawn; /* nobody may have it any more */
    size_t phase;           /* the newest open one; 0: none */
    size_t phase_count;     /* 1 … FLEET_PHASE_MAX */
    struct fleet_rollout_phase *phases;
    int64_t next_due_clock; /* the earliest deadline of those that have their own (retried, or joined later); 0: none has */
};

/* What the rollout does now. The zero value does nothing. */
enum fleet_step_kind {
    FLEET_STEP_NONE = 0, /* it is not running */
    FLEET_STEP_WAIT,     /* see why, and until */
    FLEET_STEP_HALT,     /* pause, with this halt */
    FLEET_STEP_TIME_OUT, /* phase's deadline is past: time out its silent members, then mark it expired */
    FLEET_STEP_DUE,      /* members with a deadline of their own are past it: time them out */
    FLEET_STEP_REACH,    /* phase has reached its success threshold: note the time */
    FLEET_STEP_ADVANCE,  /* open phase + 1 */
    FLEET_STEP_COMPLETE,
    FLEET_STEP_KIND_COUNT
};

enum fleet_wait {
    FLEET_WAIT_NONE = 0,
    FLEET_WAIT_SUCCESS,   /* success-threshold: too few confirmed yet */
    FLEET_WAIT_SOAK,      /* soak */
    FLEET_WAIT_DEVICES,   /* devices: the last phase waits for those that are left */
    FLEET_WAIT_NEWCOMERS, /* newcomers: all is done, and devices may still join */
    FLEET_WAIT_COUNT
};

const char *fleet_step_name(enum fleet_step_kind kind); /* "none", "wait", "halt", … */
const char *fleet_wait_name(enum fleet_wait wait);

struct fleet_step {
    enum fleet_step_kind kind;
    size_t phase; /* with HALT (0: the whole rollout), TIME_OUT, REACH, ADVANCE (the one that is left) and WAIT */
    enum fleet_halt halt;
    enum fleet_wait wait;
    int64_t until_clock; /* with WAIT: nothing moves before this unless a member does; INT64_MAX: never by itself */
};

/* One step; the caller applies it and asks again until it says NONE or WAIT. clock: the rollout's own. */
struct fleet_step fleet_rollout_step(const struct fleet_rollout *rollout, int64_t clock);

/* What an operator's RESUME accepts of what had halted it: in every open phase the failures so far, or in the newest one too few confirmed. */
void fleet_rollout_pardon(struct fleet_rollout *rollout, enum fleet_halt halt, int64_t clock);

/* Sums over a phase's members. */
int64_t fleet_rollout_total(const struct fleet_rollout_phase *phase);     /* all but skipped: what thresholds are of */
int64_t fleet_rollout_errors(const struct fleet_rollout_phase *phase);    /* failed, retrying, timed out */
int64_t fleet_rollout_in_flight(const struct fleet_rollout_phase *phase); /* in flight, retrying */
int64_t fleet_rollout_unsettled(const struct fleet_rollout_phase *phase); /* waiting, in flight, retrying */

#endif
