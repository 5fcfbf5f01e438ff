#include "fleet/rollout.h"

#include <stdio.h>
#include <string.h>

static const char *const state_names[FLEET_ROLLOUT_STATE_COUNT] = {
    [FLEET_ROLLOUT_DRAFT] = "draft",   [FLEET_ROLLOUT_SCHEDULED] = "scheduled", [FLEET_ROLLOUT_RUNNING] = "running",
    [FLEET_ROLLOUT_PAUSED] = "paused", [FLEET_ROLLOUT_COMPLETED] = "completed", [FLEET_ROLLOUT_STOPPED] = "stopped",
};
static const char *const halt_names[FLEET_HALT_COUNT] = {
    [FLEET_HALT_NONE] = "",
    [FLEET_HALT_OPERATOR] = "operator",
    [FLEET_HALT_ERRORS] = "error-threshold",
    [FLEET_HALT_SUCCESS] = "success-not-reached",
    [FLEET_HALT_WITHDRAWN] = "release-withdrawn",
};
static const char *const mode_names[FLEET_MODE_COUNT] = {[FLEET_MODE_FORCED] = "forced", [FLEET_MODE_OPTIONAL] = "optional"};
static const char *const step_names[FLEET_STEP_KIND_COUNT] = {
    [FLEET_STEP_NONE] = "none", [FLEET_STEP_WAIT] = "wait",   [FLEET_STEP_HALT] = "halt",       [FLEET_STEP_TIME_OUT] = "time-out",
    [FLEET_STEP_DUE] = "due",   [FLEET_STEP_REACH] = "reach", [FLEET_STEP_ADVANCE] = "advance", [FLEET_STEP_COMPLETE] = "complete",
};
static const char *const wait_names[FLEET_WAIT_COUNT] = {
    [FLEET_WAIT_NONE] = "",           [FLEET_WAIT_SUCCESS] = "success-threshold", [FLEET_WAIT_SOAK] = "soak",
    [FLEET_WAIT_DEVICES] = "devices", [FLEET_WAIT_NEWCOMERS] = "newcomers",
};

#define IN(state) (1u << FLEET_ROLLOUT_##state)

/* From where each event moves where; and where it finds that it has happened already, or that something past it has. */
static const struct {
    const char *name;
    unsigned from;
    enum fleet_rollout_state to;
    unsigned same;
} events[FLEET_ROLLOUT_EVENT_COUNT] = {
    [FLEET_ROLLOUT_SCHEDULE] = {"schedule", IN(DRAFT), FLEET_ROLLOUT_SCHEDULED, IN(SCHEDULED)},
    [FLEET_ROLLOUT_START] = {"start", IN(DRAFT) | IN(SCHEDULED), FLEET_ROLLOUT_SCHEDULED, IN(RUNNING)},
    [FLEET_ROLLOUT_PAUSE] = {"pause", IN(RUNNING), FLEET_ROLLOUT_PAUSED, IN(PAUSED)},
    [FLEET_ROLLOUT_RESUME] = {"resume", IN(PAUSED), FLEET_ROLLOUT_RUNNING, IN(RUNNING)},
    [FLEET_ROLLOUT_STOP] = {"stop", IN(SCHEDULED) | IN(RUNNING) | IN(PAUSED), FLEET_ROLLOUT_STOPPED, IN(STOPPED)},
    [FLEET_ROLLOUT_BEGIN] = {"begin", IN(SCHEDULED), FLEET_ROLLOUT_RUNNING, 0},
    [FLEET_ROLLOUT_HALT] = {"halt", IN(RUNNING), FLEET_ROLLOUT_PAUSED, 0},
    [FLEET_ROLLOUT_COMPLETE] = {"complete", IN(RUNNING), FLEET_ROLLOUT_COMPLETED, 0},
};

/* The index of a name in a table; count: it is not there. */
static unsigned find(const char *const *names, unsigned count, const char *name) {
    unsigned i = 0;

    while (i < count && strcmp(names[i], name) != 0)
        i++;
    return i;
}

const char *fleet_rollout_state_name(enum fleet_rollout_state state) {
    return (unsigned)state < FLEET_ROLLOUT_STATE_COUNT ? state_names[state] : "unknown";
}

bool fleet_rollout_state_parse(const char *name, enum fleet_rollout_state *ret_state) {
    unsigned found = find(state_names, FLEET_ROLLOUT_STATE_COUNT, name);

    if (found < FLEET_ROLLOUT_STATE_COUNT)
        *ret_state = (enum fleet_rollout_state)found;
    return found < FLEET_ROLLOUT_STATE_COUNT;
}

const char *fleet_rollout_event_name(enum fleet_rollout_event event) {
    return (unsigned)event < FLEET_ROLLOUT_EVENT_COUNT ? events[event].name : "unknown";
}

const char *fleet_halt_name(enum fleet_halt halt) {
    return (unsigned)halt < FLEET_HALT_COUNT ? halt_names[halt] : "unknown";
}

bool fleet_halt_parse(const char *name, enum fleet_halt *ret_halt) {
    unsigned found = find(halt_names, FLEET_HALT_COUNT, name);

    if (found < FLEET_HALT_COUNT)
        *ret_halt = (enum fleet_halt)found;
    return found < FLEET_HALT_COUNT;
}

const char *fleet_mode_name(enum fleet_mode mode) {
    return (unsigned)mode < FLEET_MODE_COUNT ? mode_names[mode] : "unknown";
}

bool fleet_mode_parse(const char *name, enum fleet_mode *ret_mode) {
    unsigned found = find(mode_names, FLEET_MODE_COUNT, name);

    if (found < FLEET_MODE_COUNT)
        *ret_mode = (enum fleet_mode)found;
    return found < FLEET_MODE_COUNT;
}

const char *fleet_step_name(enum fleet_step_kind kind) {
    return (unsigned)kind < FLEET_STEP_KIND_COUNT ? step_names[kind] : "unknown";
}

const char *fleet_wait_name(enum fleet_wait wait) {
    return (unsigned)wait < FLEET_WAIT_COUNT ? wait_names[wait] : "unknown";
}

enum fleet_rollout_move fleet_rollout_move(enum fleet_rollout_state from, enum fleet_rollout_event event, enum fleet_rollout_state *ret_to) {
    if ((unsigned)from >= FLEET_ROLLOUT_STATE_COUNT || (unsigned)event >= FLEET_ROLLOUT_EVENT_COUNT)
        return FLEET_ROLLOUT_REFUSED;
    if (events[event].from & (1u << from)) {
        *ret_to = events[event].to;
        return FLEET_ROLLOUT_TAKEN;
    }
    if (events[event].same & (1u << from)) {
        *ret_to = from;
        return FLEET_ROLLOUT_SAME;
    }
    return FLEET_ROLLOUT_REFUSED;
}

bool fleet_rollout_is_active(enum fleet_rollout_state state) {
    return state == FLEET_ROLLOUT_RUNNING || state == FLEET_ROLLOUT_PAUSED;
}

int64_t fleet_rollout_total(const struct fleet_rollout_phase *phase) {
    int64_t total = 0;

    for (unsigned i = 0; i < FLEET_MEMBER_STATE_COUNT; i++)
        total += i == FLEET_MEMBER_SKIPPED ? 0 : phase->members[i];
    return total;
}

int64_t fleet_rollout_errors(const struct fleet_rollout_phase *phase) {
    return phase->members[FLEET_MEMBER_FAILED] + phase->members[FLEET_MEMBER_RETRYING] + phase->members[FLEET_MEMBER_TIMED_OUT];
}

int64_t fleet_rollout_in_flight(const struct fleet_rollout_phase *phase) {
    return phase->members[FLEET_MEMBER_IN_FLIGHT] + phase->members[FLEET_MEMBER_RETRYING];
}

int64_t fleet_rollout_unsettled(const struct fleet_rollout_phase *phase) {
    return phase->members[FLEET_MEMBER_WAITING] + fleet_rollout_in_flight(phase);
}

/* Amounts within their limits, naming the field. */
static bool check_amount(size_t index, const char *name, int64_t amount, int64_t min, int64_t max, struct err *err) {
    char field[ERR_FIELD_SIZE];

    if (amount >= min && amount <= max)
        return true;
    snprintf(field, sizeof field, "phases[%zu].%s", index, name);
    return err_set_field(err, ERR_INVALID, field, "%s must be %lld to %lld", field, (long long)min, (long long)max);
}

static bool check_phase(const struct fleet_rollout_phase *phase, size_t index, struct err *err) {
    char field[ERR_FIELD_SIZE];

    if (phase->error.unit != FLEET_PHASE_PERCENT && phase->error.unit != FLEET_PHASE_DEVICES) {
        snprintf(field, sizeof field, "phases[%zu].error_percent", index);
        return err_set_field(err, ERR_INVALID, field, "phases[%zu] needs either error_percent or error_count", index);
    }
    return check_amount(index, "success_percent", phase->success_percent, 1, 100, err) &&
           check_amount(index, phase->error.unit == FLEET_PHASE_PERCENT ? "error_percent" : "error_count", phase->error.amount, 1,
                        phase->error.unit == FLEET_PHASE_PERCENT ? 100 : FLEET_ERROR_COUNT_MAX, err) &&
           check_amount(index, "soak_s", phase->soak_s, 0, FLEET_SOAK_MAX_S, err) &&
           check_amount(index, "deadline_s", phase->deadline_s, FLEET_DEADLINE_MIN_S, FLEET_DEADLINE_MAX_S, err);
}

bool fleet_rollout_check(const struct fleet_rollout_phase *phases, size_t count, struct err *err) {
    struct fleet_phase_size sizes[FLEET_PHASE_MAX];

    if (count < 1 || count > FLEET_PHASE_MAX)
        return err_set_field(err, ERR_INVALID, "phases", "a rollout has 1 to %d phases, not %zu", FLEET_PHASE_MAX, count);
    for (size_t i = 0; i < count; i++) {
        sizes[i] = phases[i].size;
        if (!check_phase(&phases[i], i, err))
            return false;
    }
    return fleet_phase_check(sizes, count, err);
}

static bool errors_reached(const struct fleet_rollout_phase *phase) {
    int64_t errors = fleet_rollout_errors(phase) - phase->pardoned;

    if (errors <= 0)
        return false;
    if (phase->error.unit == FLEET_PHASE_DEVICES)
        return errors >= phase->error.amount;
    return errors * 100 >= phase->error.amount * fleet_rollout_total(phase);
}

static bool success_reached(const struct fleet_rollout_phase *phase) {
    return phase->members[FLEET_MEMBER_CONFIRMED] * 100 >= phase->success_percent * fleet_rollout_total(phase);
}

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The next deadline that is ahead, of a phase or of a member. */
static int64_t next_deadline(const struct fleet_rollout *rollout) {
    int64_t next = rollout->next_due_clock ? rollout->next_due_clock : INT64_MAX;

    for (size_t i = 0; i < rollout->phase; i++)
        if (!rollout->phases[i].expired)
            next = earlier(next, rollout->phases[i].opened_clock + rollout->phases[i].deadline_s);
    return next;
}

static struct fleet_step wait_for(const struct fleet_rollout *rollout, enum fleet_wait wait, int64_t until_clock) {
    return (struct fleet_step){.kind = FLEET_STEP_WAIT, .phase = rollout->phase, .wait = wait, .until_clock = until_clock};
}

static struct fleet_step halt(size_t phase, enum fleet_halt why) {
    return (struct fleet_step){.kind = FLEET_STEP_HALT, .phase = phase, .halt = why};
}

static struct fleet_step act(enum fleet_step_kind kind, size_t phase) {
    return (struct fleet_step){.kind = kind, .phase = phase};
}

/* The last phase is reached and has soaked. */
static struct fleet_step step_last(const struct fleet_rollout *rollout) {
    bool may_change = false;

    for (size_t i = 0; i < rollout->phase_count; i++) {
        const struct fleet_rollout_phase *phase = &rollout->phases[i];

        may_change |= fleet_rollout_unsettled(phase) > 0;
        may_change |= !phase->expired && fleet_rollout_errors(phase) > 0; /* they may try again until then */
    }
    if (may_change)
        return wait_for(rollout, FLEET_WAIT_DEVICES, next_deadline(rollout));
    if (rollout->continuous)
        return wait_for(rollout, FLEET_WAIT_NEWCOMERS, next_deadline(rollout));
    return act(FLEET_STEP_COMPLETE, rollout->phase);
}

/* The newest open phase; deadlines and errors were looked at before. */
static struct fleet_step step_phase(const struct fleet_rollout *rollout, int64_t clock) {
    const struct fleet_rollout_phase *phase = &rollout->phases[rollout->phase - 1];

    if (phase->reached_clock == 0) {
        if (success_reached(phase))
            return act(FLEET_STEP_REACH, rollout->phase);
        if (phase->expired && fleet_rollout_unsettled(phase) == 0)
            return halt(rollout->phase, FLEET_HALT_SUCCESS);
        return wait_for(rollout, FLEET_WAIT_SUCCESS, next_deadline(rollout));
    }
    if (clock < phase->reached_clock + phase->soak_s)
        return wait_for(rollout, FLEET_WAIT_SOAK, earlier(phase->reached_clock + phase->soak_s, next_deadline(rollout)));
    return rollout->phase < rollout->phase_count ? act(FLEET_STEP_ADVANCE, rollout->phase) : step_last(rollout);
}

struct fleet_step fleet_rollout_step(const struct fleet_rollout *rollout, int64_t clock) {
    if (rollout->state != FLEET_ROLLOUT_RUNNING || rollout->phase < 1 || rollout->phase > rollout->phase_count)
        return act(FLEET_STEP_NONE, 0);
    if (rollout->release_withdrawn)
        return halt(0, FLEET_HALT_WITHDRAWN);
    for (size_t i = 0; i < rollout->phase; i++)
        if (errors_reached(&rollout->phases[i]))
            return halt(i + 1, FLEET_HALT_ERRORS);
    for (size_t i = 0; i < rollout->phase; i++)
        if (!rollout->phases[i].expired && clock >= rollout->phases[i].opened_clock + rollout->phases[i].deadline_s)
            return act(FLEET_STEP_TIME_OUT, i + 1);
    if (rollout->next_due_clock != 0 && clock >= rollout->next_due_clock)
        return act(FLEET_STEP_DUE, 0);
    return step_phase(rollout, clock);
}

void fleet_rollout_pardon(struct fleet_rollout *rollout, enum fleet_halt why, int64_t clock) {
    for (size_t i = 0; i < rollout->phase && i < rollout->phase_count; i++) {
        struct fleet_rollout_phase *phase = &rollout->phases[i];

        if (why == FLEET_HALT_ERRORS)
            phase->pardoned = fleet_rollout_errors(phase);
        if (why == FLEET_HALT_SUCCESS && i + 1 == rollout->phase && phase->reached_clock == 0)
            phase->reached_clock = clock;
    }
}
