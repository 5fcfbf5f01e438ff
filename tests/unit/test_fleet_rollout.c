#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fleet/rollout.h"

/* Columns: draft scheduled running paused completed stopped. A letter: where it leads; "=": it is there already; ".": refused. */
static const char letters[FLEET_ROLLOUT_STATE_COUNT + 1] = "dsrpcx";

static const struct {
    const char *event;
    const char *cells;
} moves[FLEET_ROLLOUT_EVENT_COUNT] = {
    {"schedule", "s=...."}, {"start", "ss=..."}, {"pause", "..p=.."}, {"resume", "..=r.."},
    {"stop", ".xxx.="},     {"begin", ".r...."}, {"halt", "..p..."},  {"complete", "..c..."},
};

static void test_moves(void **state) {
    (void)state;
    for (int event = 0; event < FLEET_ROLLOUT_EVENT_COUNT; event++) {
        assert_string_equal(fleet_rollout_event_name((enum fleet_rollout_event)event), moves[event].event);
        for (int from = 0; from < FLEET_ROLLOUT_STATE_COUNT; from++) {
            enum fleet_rollout_state to = FLEET_ROLLOUT_STATE_COUNT;
            enum fleet_rollout_move move = fleet_rollout_move((enum fleet_rollout_state)from, (enum fleet_rollout_event)event, &to);
            char got = move == FLEET_ROLLOUT_TAKEN ? letters[to] : move == FLEET_ROLLOUT_SAME ? '=' : '.';

            if (got != moves[event].cells[from])
                fail_msg("%s from %s: %c where %c is expected", moves[event].event, fleet_rollout_state_name((enum fleet_rollout_state)from), got,
                         moves[event].cells[from]);
            assert_int_equal(to, move == FLEET_ROLLOUT_REFUSED ? FLEET_ROLLOUT_STATE_COUNT
                                 : move == FLEET_ROLLOUT_SAME  ? from
                                                               : (int)(strchr(letters, got) - letters));
        }
    }
}

static void test_moves_out_of_range(void **state) {
    enum fleet_rollout_state to;

    (void)state;
    assert_int_equal(fleet_rollout_move(FLEET_ROLLOUT_STATE_COUNT, FLEET_ROLLOUT_STOP, &to), FLEET_ROLLOUT_REFUSED);
    assert_int_equal(fleet_rollout_move(FLEET_ROLLOUT_RUNNING, FLEET_ROLLOUT_EVENT_COUNT, &to), FLEET_ROLLOUT_REFUSED);
}

#define CHECK_NAMES(type, count, name, parse)                                                                                                        \
    do {                                                                                                                                             \
        type parsed;                                                                                                                                 \
        for (int i = 0; i < (count); i++) {                                                                                                          \
            assert_true(parse(name((type)i), &parsed));                                                                                              \
            assert_int_equal(parsed, i);                                                                                                             \
        }                                                                                                                                            \
        assert_false(parse("no such name", &parsed));                                                                                                \
        assert_string_equal(name((type)(count)), "unknown");                                                                                         \
    } while (0)

static void test_names(void **state) {
    (void)state;
    CHECK_NAMES(enum fleet_rollout_state, FLEET_ROLLOUT_STATE_COUNT, fleet_rollout_state_name, fleet_rollout_state_parse);
    CHECK_NAMES(enum fleet_halt, FLEET_HALT_COUNT, fleet_halt_name, fleet_halt_parse);
    CHECK_NAMES(enum fleet_mode, FLEET_MODE_COUNT, fleet_mode_name, fleet_mode_parse);
    assert_string_equal(fleet_step_name(FLEET_STEP_ADVANCE), "advance");
    assert_string_equal(fleet_step_name(FLEET_STEP_KIND_COUNT), "unknown");
    assert_string_equal(fleet_wait_name(FLEET_WAIT_SOAK), "soak");
    assert_string_equal(fleet_wait_name(FLEET_WAIT_COUNT), "unknown");
    assert_true(fleet_rollout_is_active(FLEET_ROLLOUT_PAUSED));
    assert_false(fleet_rollout_is_active(FLEET_ROLLOUT_SCHEDULED));
}

/* A rollout of two phases of ten: success 80 %, errors 20 %, soak 60 s, deadline 1,000 s; phase 1 opened at 100. */
struct fixture {
    struct fleet_rollout rollout;
    struct fleet_rollout_phase phases[2];
};

static struct fixture *two_phases(struct fixture *fixture) {
    memset(fixture, 0, sizeof *fixture);
    for (int i = 0; i < 2; i++)
        fixture->phases[i] = (struct fleet_rollout_phase){.size = {.unit = FLEET_PHASE_PERCENT, .amount = 50},
                                                          .success_percent = 80,
                                                          .error = {.unit = FLEET_PHASE_PERCENT, .amount = 20},
                                                          .soak_s = 60,
                                                          .deadline_s = 1000,
                                                          .members = {[FLEET_MEMBER_WAITING] = 10}};
    fixture->phases[0].opened_clock = 100;
    fixture->rollout = (struct fleet_rollout){.state = FLEET_ROLLOUT_RUNNING, .phase = 1, .phase_count = 2, .phases = fixture->phases};
    return fixture;
}

/* One row a situation: how many of the newest open phase are waiting, in flight, retrying, confirmed, failed, timed out, cancelled, skipped. */
struct row {
    const char *what;
    int64_t members[FLEET_MEMBER_STATE_COUNT];
    size_t phase; /* the newest open one; those before are as they should be: reached, expired, all confirmed */
    int64_t reached_clock;
    bool expired;
    int64_t pardoned;
    int64_t next_due_clock;
    bool continuous, withdrawn;
    int64_t clock;
    enum fleet_step_kind kind;
    size_t kind_phase;
    enum fleet_halt halt;
    enum fleet_wait wait;
    int64_t until;
};

#define WAITS(why, to)      FLEET_STEP_WAIT, 1, FLEET_HALT_NONE, FLEET_WAIT_##why, (to)
#define WAITS_LAST(why, to) FLEET_STEP_WAIT, 2, FLEET_HALT_NONE, FLEET_WAIT_##why, (to)
#define HALTS(where, why)   FLEET_STEP_HALT, (where), FLEET_HALT_##why, FLEET_WAIT_NONE, 0
#define ACTS(kind, where)   FLEET_STEP_##kind, (where), FLEET_HALT_NONE, FLEET_WAIT_NONE, 0

static const struct row steps[] = {
    {"nobody has answered", {10, 0, 0, 0, 0, 0, 0, 0}, 1, 0, false, 0, 0, false, false, 200, WAITS(SUCCESS, 1100)},
    {"one too few confirmed", {1, 2, 0, 7, 0, 0, 0, 0}, 1, 0, false, 0, 0, false, false, 200, WAITS(SUCCESS, 1100)},
    {"just enough confirmed", {0, 2, 0, 8, 0, 0, 0, 0}, 1, 0, false, 0, 0, false, false, 200, ACTS(REACH, 1)},
    {"the skipped do not count", {0, 0, 0, 4, 1, 0, 0, 5}, 1, 0, false, 1, 0, false, false, 200, ACTS(REACH, 1)},
    {"the cancelled are no success", {0, 0, 0, 7, 0, 0, 3, 0}, 1, 0, false, 0, 0, false, false, 200, WAITS(SUCCESS, 1100)},
    {"all were skipped", {0, 0, 0, 0, 0, 0, 0, 10}, 1, 0, false, 0, 0, false, false, 200, ACTS(REACH, 1)},
    {"nobody belongs to it", {0, 0, 0, 0, 0, 0, 0, 0}, 1, 0, false, 0, 0, false, false, 200, ACTS(REACH, 1)},
    {"soaking", {0, 2, 0, 8, 0, 0, 0, 0}, 1, 200, false, 0, 0, false, false, 259, WAITS(SOAK, 260)},
    {"soaking, a deadline comes first", {0, 2, 0, 8, 0, 0, 0, 0}, 1, 1090, false, 0, 0, false, false, 1095, WAITS(SOAK, 1100)},
    {"soaked", {0, 2, 0, 8, 0, 0, 0, 0}, 1, 200, false, 0, 0, false, false, 260, ACTS(ADVANCE, 1)},
    {"one failure is below the threshold", {8, 1, 0, 0, 1, 0, 0, 0}, 1, 0, false, 0, 0, false, false, 200, WAITS(SUCCESS, 1100)},
    {"two failures reach it", {8, 0, 0, 0, 2, 0, 0, 0}, 1, 0, false, 0, 0, false, false, 200, HALTS(1, ERRORS)},
    {"a failure that tries again is one", {8, 0, 1, 0, 1, 0, 0, 0}, 1, 0, false, 0, 0, false, false, 200, HALTS(1, ERRORS)},
    {"silence is a failure", {8, 0, 0, 0, 1, 1, 0, 0}, 1, 0, false, 0, 0, false, false, 200, HALTS(1, ERRORS)},
    {"errors weigh more than success", {0, 0, 0, 8, 2, 0, 0, 0}, 1, 0, false, 0, 0, false, false, 200, HALTS(1, ERRORS)},
    {"errors while soaking", {0, 0, 0, 8, 2, 0, 0, 0}, 1, 200, false, 0, 0, false, false, 250, HALTS(1, ERRORS)},
    {"of fewer, by those that were skipped", {0, 4, 0, 0, 1, 0, 0, 5}, 1, 0, false, 0, 0, false, false, 200, HALTS(1, ERRORS)},
    {"accepted failures", {8, 0, 0, 0, 2, 0, 0, 0}, 1, 0, false, 2, 0, false, false, 200, WAITS(SUCCESS, 1100)},
    {"one more than accepted is below again", {7, 0, 0, 0, 3, 0, 0, 0}, 1, 0, false, 2, 0, false, false, 200, WAITS(SUCCESS, 1100)},
    {"two more than accepted", {6, 0, 0, 0, 4, 0, 0, 0}, 1, 0, false, 2, 0, false, false, 200, HALTS(1, ERRORS)},
    {"cancelled ones are no errors", {2, 0, 0, 0, 0, 0, 8, 0}, 1, 0, false, 0, 0, false, false, 200, WAITS(SUCCESS, 1100)},
    {"a second before the deadline", {0, 3, 0, 7, 0, 0, 0, 0}, 1, 0, false, 0, 0, false, false, 1099, WAITS(SUCCESS, 1100)},
    {"the deadline", {0, 3, 0, 7, 0, 0, 0, 0}, 1, 0, false, 0, 0, false, false, 1100, ACTS(TIME_OUT, 1)},
    {"the deadline with nobody silent is noted too", {0, 0, 0, 7, 1, 0, 2, 0}, 1, 0, false, 0, 0, false, false, 1100, ACTS(TIME_OUT, 1)},
    {"past it too few confirmed, too few errors", {0, 0, 0, 7, 1, 0, 2, 0}, 1, 0, true, 0, 0, false, false, 1100, HALTS(1, SUCCESS)},
    {"past it somebody tries again", {0, 0, 1, 7, 0, 0, 2, 0}, 1, 0, true, 0, 1500, false, false, 1100, WAITS(SUCCESS, 1500)},
    {"who tried again is silent", {0, 0, 1, 7, 0, 0, 2, 0}, 1, 0, true, 0, 1500, false, false, 1500, ACTS(DUE, 0)},
    {"withdrawn", {10, 0, 0, 0, 0, 0, 0, 0}, 1, 0, false, 0, 0, false, true, 200, HALTS(0, WITHDRAWN)},
    {"last phase, not reached", {3, 0, 0, 7, 0, 0, 0, 0}, 2, 0, false, 0, 0, false, false, 300, WAITS_LAST(SUCCESS, 1200)},
    {"last phase, reached and soaked, one is left", {1, 0, 0, 9, 0, 0, 0, 0}, 2, 300, false, 0, 0, false, false, 400, WAITS_LAST(DEVICES, 1200)},
    {"last phase, one may try again", {0, 0, 0, 9, 1, 0, 0, 0}, 2, 300, false, 0, 0, false, false, 400, WAITS_LAST(DEVICES, 1200)},
    {"last phase, it may not any more", {0, 0, 0, 9, 1, 0, 0, 0}, 2, 300, true, 0, 0, false, false, 1200, ACTS(COMPLETE, 2)},
    {"last phase, all confirmed", {0, 0, 0, 10, 0, 0, 0, 0}, 2, 300, false, 0, 0, false, false, 400, ACTS(COMPLETE, 2)},
    {"last phase, all confirmed, soaking", {0, 0, 0, 10, 0, 0, 0, 0}, 2, 350, false, 0, 0, false, false, 400, WAITS_LAST(SOAK, 410)},
    {"continuous: all are done", {0, 0, 0, 10, 0, 0, 0, 0}, 2, 300, true, 0, 0, true, false, 1300, WAITS_LAST(NEWCOMERS, INT64_MAX)},
};

static void apply_row(struct fixture *fixture, const struct row *row) {
    struct fleet_rollout_phase *phase = &fixture->phases[row->phase - 1];

    if (row->phase == 2) {
        fixture->phases[0].reached_clock = 110;
        fixture->phases[0].expired = true;
        memset(fixture->phases[0].members, 0, sizeof fixture->phases[0].members);
        fixture->phases[0].members[FLEET_MEMBER_CONFIRMED] = 10;
        phase->opened_clock = 200;
    }
    memcpy(phase->members, row->members, sizeof phase->members);
    phase->reached_clock = row->reached_clock;
    phase->expired = row->expired;
    phase->pardoned = row->pardoned;
    fixture->rollout.phase = row->phase;
    fixture->rollout.next_due_clock = row->next_due_clock;
    fixture->rollout.continuous = row->continuous;
    fixture->rollout.release_withdrawn = row->withdrawn;
}

static void test_steps(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        const struct row *row = &steps[i];
        struct fixture fixture;
        struct fleet_step step;

        apply_row(two_phases(&fixture), row);
        step = fleet_rollout_step(&fixture.rollout, row->clock);
        if (step.kind != row->kind || step.phase != row->kind_phase || step.halt != row->halt || step.wait != row->wait ||
            step.until_clock != row->until)
            fail_msg("%s: %s, phase %zu, halt '%s', wait '%s' until %lld", row->what, fleet_step_name(step.kind), step.phase,
                     fleet_halt_name(step.halt), fleet_wait_name(step.wait), (long long)step.until_clock);
    }
}

/* Only a running rollout with an open phase does anything at all. */
static void test_steps_of_others(void **state) {
    struct fixture fixture;

    (void)state;
    for (int i = 0; i < FLEET_ROLLOUT_STATE_COUNT; i++) {
        apply_row(two_phases(&fixture), &steps[11]);
        fixture.rollout.state = (enum fleet_rollout_state)i;
        assert_int_equal(fleet_rollout_step(&fixture.rollout, 5000).kind, i == FLEET_ROLLOUT_RUNNING ? FLEET_STEP_HALT : FLEET_STEP_NONE);
    }
    two_phases(&fixture)->rollout.phase = 0;
    assert_int_equal(fleet_rollout_step(&fixture.rollout, 5000).kind, FLEET_STEP_NONE);
    fixture.rollout.phase = 3;
    assert_int_equal(fleet_rollout_step(&fixture.rollout, 5000).kind, FLEET_STEP_NONE);
}

/* A phase that was left is still watched: for errors and for its deadline. */
static void test_earlier_phases(void **state) {
    struct fixture fixture;
    struct fleet_step step;

    (void)state;
    apply_row(two_phases(&fixture), &steps[28]);
    assert_string_equal(steps[28].what, "last phase, not reached");
    fixture.phases[0].members[FLEET_MEMBER_CONFIRMED] = 8;
    fixture.phases[0].members[FLEET_MEMBER_FAILED] = 2;
    step = fleet_rollout_step(&fixture.rollout, 300);
    assert_int_equal(step.kind, FLEET_STEP_HALT);
    assert_int_equal(step.phase, 1);
    fixture.phases[0].members[FLEET_MEMBER_FAILED] = 0;
    fixture.phases[0].members[FLEET_MEMBER_WAITING] = 2;
    fixture.phases[0].expired = false;
    step = fleet_rollout_step(&fixture.rollout, 1099);
    assert_int_equal(step.kind, FLEET_STEP_WAIT);
    assert_int_equal(step.until_clock, 1100);
    step = fleet_rollout_step(&fixture.rollout, 1100);
    assert_int_equal(step.kind, FLEET_STEP_TIME_OUT);
    assert_int_equal(step.phase, 1);
}

static void test_error_counts(void **state) {
    struct fixture fixture;

    (void)state;
    two_phases(&fixture)->phases[0].error = (struct fleet_phase_size){.unit = FLEET_PHASE_DEVICES, .amount = 3};
    fixture.phases[0].members[FLEET_MEMBER_FAILED] = 2;
    assert_int_equal(fleet_rollout_step(&fixture.rollout, 200).kind, FLEET_STEP_WAIT);
    fixture.phases[0].members[FLEET_MEMBER_TIMED_OUT] = 1;
    assert_int_equal(fleet_rollout_step(&fixture.rollout, 200).kind, FLEET_STEP_HALT);
}

static void test_pardon(void **state) {
    struct fixture fixture;

    (void)state;
    apply_row(two_phases(&fixture), &steps[11]);
    assert_int_equal(fleet_rollout_step(&fixture.rollout, 200).halt, FLEET_HALT_ERRORS);
    fleet_rollout_pardon(&fixture.rollout, FLEET_HALT_OPERATOR, 200);
    assert_int_equal(fleet_rollout_step(&fixture.rollout, 200).halt, FLEET_HALT_ERRORS); /* that was not what halted it */
    fleet_rollout_pardon(&fixture.rollout, FLEET_HALT_ERRORS, 200);
    assert_int_equal(fleet_rollout_step(&fixture.rollout, 200).kind, FLEET_STEP_WAIT);
    assert_int_equal(fixture.phases[0].reached_clock, 0);

    apply_row(two_phases(&fixture), &steps[24]);
    assert_int_equal(fleet_rollout_step(&fixture.rollout, 1100).halt, FLEET_HALT_SUCCESS);
    fleet_rollout_pardon(&fixture.rollout, FLEET_HALT_SUCCESS, 1100);
    assert_int_equal(fixture.phases[0].reached_clock, 1100);
    assert_int_equal(fleet_rollout_step(&fixture.rollout, 1160).kind, FLEET_STEP_ADVANCE);
    assert_int_equal(fixture.phases[1].reached_clock, 0);
}

/* Whatever the counts are, a rollout neither hangs for ever nor acts without end: by the clock alone every phase comes to an end. */
static void test_no_hang(void **state) {
    uint32_t random = 1;

    (void)state;
    for (int run = 0; run < 20000; run++) {
        struct fixture fixture;
        int64_t clock = 100;
        int acts = 0;

        two_phases(&fixture);
        for (int i = 0; i < 2; i++) {
            for (int s = 0; s < FLEET_MEMBER_STATE_COUNT; s++) {
                random = random * 1664525 + 1013904223;
                fixture.phases[i].members[s] = s == FLEET_MEMBER_RETRYING ? 0 : (random >> 16) % 4;
            }
        }
        while (fixture.rollout.state == FLEET_ROLLOUT_RUNNING) {
            struct fleet_step step = fleet_rollout_step(&fixture.rollout, clock);
            struct fleet_rollout_phase *phase = &fixture.phases[step.phase ? step.phase - 1 : 0];

            if (++acts > 20)
                fail_msg("run %d: no end", run);
            switch (step.kind) {
            case FLEET_STEP_WAIT:
                assert_true(step.until_clock > clock && step.until_clock < INT64_MAX);
                clock = step.until_clock;
                break;
            case FLEET_STEP_TIME_OUT:
                phase->members[FLEET_MEMBER_TIMED_OUT] += fleet_rollout_unsettled(phase);
                phase->members[FLEET_MEMBER_WAITING] = phase->members[FLEET_MEMBER_IN_FLIGHT] = 0;
                phase->expired = true;
                break;
            case FLEET_STEP_REACH:
                phase->reached_clock = clock;
                break;
            case FLEET_STEP_ADVANCE:
                fixture.phases[fixture.rollout.phase++].opened_clock = clock;
                break;
            case FLEET_STEP_HALT:
            case FLEET_STEP_COMPLETE:
                fixture.rollout.state = FLEET_ROLLOUT_COMPLETED;
                break;
            default:
                fail_msg("run %d: %s", run, fleet_step_name(step.kind));
            }
        }
    }
}

static void test_sums(void **state) {
    const struct fleet_rollout_phase phase = {.members = {1, 2, 4, 8, 16, 32, 64, 128}};

    (void)state;
    assert_int_equal(fleet_rollout_total(&phase), 127);
    assert_int_equal(fleet_rollout_errors(&phase), 4 + 16 + 32);
    assert_int_equal(fleet_rollout_in_flight(&phase), 2 + 4);
    assert_int_equal(fleet_rollout_unsettled(&phase), 1 + 2 + 4);
}

/* One value a row is wrong. */
static void test_check(void **state) {
    static const struct {
        const char *field;
        size_t phase;
        struct fleet_rollout_phase values;
    } rows[] = {
#define PHASE(percent, success, unit, errors, soak, deadline)                                                                                        \
    {.size = {FLEET_PHASE_PERCENT, (percent)},                                                                                                       \
     .success_percent = (success),                                                                                                                   \
     .error = {FLEET_PHASE_##unit, (errors)},                                                                                                        \
     .soak_s = (soak),                                                                                                                               \
     .deadline_s = (deadline)}
#define GOOD PHASE(50, 90, PERCENT, 5, 60, 3600)
        {NULL, 0, GOOD},
        {"phases[0].success_percent", 0, PHASE(50, 0, PERCENT, 5, 60, 3600)},
        {"phases[1].success_percent", 1, PHASE(50, 101, PERCENT, 5, 60, 3600)},
        {"phases[0].error_percent", 0, PHASE(50, 90, PERCENT, 0, 60, 3600)},
        {"phases[0].error_percent", 0, PHASE(50, 90, PERCENT, 101, 60, 3600)},
        {"phases[0].error_percent", 0, PHASE(50, 90, NOTHING, 5, 60, 3600)},
        {"phases[0].error_percent", 0, PHASE(50, 90, REST, 5, 60, 3600)},
        {"phases[1].error_count", 1, PHASE(50, 90, DEVICES, 0, 60, 3600)},
        {NULL, 1, PHASE(50, 90, DEVICES, 7, 60, 3600)},
        {"phases[0].soak_s", 0, PHASE(50, 90, PERCENT, 5, -1, 3600)},
        {"phases[0].soak_s", 0, PHASE(50, 90, PERCENT, 5, FLEET_SOAK_MAX_S + 1, 3600)},
        {"phases[0].deadline_s", 0, PHASE(50, 90, PERCENT, 5, 60, 0)},
        {"phases[0].deadline_s", 0, PHASE(50, 90, PERCENT, 5, 60, FLEET_DEADLINE_MAX_S + 1)},
        {"phases", 0, PHASE(49, 90, PERCENT, 5, 60, 3600)},
    };
    struct fleet_rollout_phase many[FLEET_PHASE_MAX + 1];
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fleet_rollout_phase phases[2] = {GOOD, GOOD};
        bool ok;

        phases[rows[i].phase] = rows[i].values;
        err.code = ERR_NONE;
        err.field[0] = '\0';
        ok = fleet_rollout_check(phases, 2, &err);
        if (ok != (rows[i].field == NULL))
            fail_msg("row %zu: %s", i, ok ? "taken" : err.text);
        if (!ok) {
            assert_int_equal(err.code, ERR_INVALID);
            assert_string_equal(err.field, rows[i].field);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = (struct fleet_rollout_phase)GOOD;
    assert_false(fleet_rollout_check(many, 0, &err));
    assert_string_equal(err.field, "phases");
    assert_false(fleet_rollout_check(many, ARRAY_LEN(many), &err));
    assert_string_equal(err.field, "phases");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),           cmocka_unit_test(test_moves_out_of_range),
        cmocka_unit_test(test_names),           cmocka_unit_test(test_steps),
        cmocka_unit_test(test_steps_of_others), cmocka_unit_test(test_earlier_phases),
        cmocka_unit_test(test_error_counts),    cmocka_unit_test(test_pardon),
        cmocka_unit_test(test_no_hang),         cmocka_unit_test(test_sums),
        cmocka_unit_test(test_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
