#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "fleet/deployment.h"

/* One letter a cell: where the event leads. "." refused, "L" late (the state stays). */
static const char letters[FLEET_DEPLOYMENT_STATE_COUNT + 1] = "aodDirXCFcst";

/* Columns: assigned offered downloading downloaded installing rebooting cancelling | confirmed failed cancelled superseded timed-out. */
static const struct {
    const char *event;
    const char *cells;
} table[FLEET_EVENT_COUNT] = {
    {
        "downloading",
        ".dddd.......",
    },
    {
        "downloaded",
        ".DDDD.......",
    },
    {
        "installing",
        ".iiii.......",
    },
    {
        "rebooting",
        ".rrrrr......",
    },
    {
        "confirmed",
        ".CCCCCC..LLL",
    },
    {
        "failed",
        ".FFFFFF.....",
    },
    {
        "rejected",
        ".cccccc.....",
    },
    {
        "offer",
        "o...........",
    },
    {
        "supersede",
        "sssssss.....",
    },
    {
        "time-out",
        ".ttttt......",
    },
    {
        "cancel",
        "cccccc......",
    },
    {
        "cancel-fetched",
        ".XXXXX......",
    },
    {
        "cancel-accepted",
        "......c.....",
    },
    {
        "cancel-refused",
        "......i.....",
    },
    {
        "force-close",
        "ccccccc.....",
    },
};

static char cell(enum fleet_deployment_state from, enum fleet_event event) {
    enum fleet_deployment_state to = FLEET_DEPLOYMENT_STATE_COUNT;

    switch (fleet_deployment_move(from, event, &to)) {
    case FLEET_MOVE_TAKEN:
        return letters[to];
    case FLEET_MOVE_LATE:
        assert_int_equal(to, from);
        return 'L';
    default:
        assert_int_equal(to, FLEET_DEPLOYMENT_STATE_COUNT); /* untouched */
        return '.';
    }
}

static void test_table(void **state) {
    (void)state;
    for (unsigned event = 0; event < FLEET_EVENT_COUNT; event++) {
        assert_string_equal(fleet_event_name((enum fleet_event)event), table[event].event);
        for (unsigned from = 0; from < FLEET_DEPLOYMENT_STATE_COUNT; from++) {
            char got = cell((enum fleet_deployment_state)from, (enum fleet_event)event);

            if (got != table[event].cells[from])
                fail_msg("%s + %s: '%c' where '%c' is expected", fleet_deployment_state_name((enum fleet_deployment_state)from), table[event].event,
                         got, table[event].cells[from]);
        }
    }
}

/* Nothing leaves a closed state, and every open one can be closed. */
static void test_closed_is_closed(void **state) {
    (void)state;
    for (unsigned from = 0; from < FLEET_DEPLOYMENT_STATE_COUNT; from++) {
        bool open = fleet_deployment_is_open((enum fleet_deployment_state)from);
        bool closable = false;

        assert_int_equal(open, from < FLEET_CONFIRMED);
        for (unsigned event = 0; event < FLEET_EVENT_COUNT; event++) {
            enum fleet_deployment_state to;
            enum fleet_move move = fleet_deployment_move((enum fleet_deployment_state)from, (enum fleet_event)event, &to);

            if (!open)
                assert_int_not_equal(move, FLEET_MOVE_TAKEN);
            closable = closable || (move == FLEET_MOVE_TAKEN && !fleet_deployment_is_open(to));
        }
        assert_int_equal(closable, open);
    }
}

static void test_names(void **state) {
    enum fleet_deployment_state parsed;
    enum fleet_event event;

    (void)state;
    for (unsigned i = 0; i < FLEET_DEPLOYMENT_STATE_COUNT; i++) {
        assert_true(fleet_deployment_state_parse(fleet_deployment_state_name((enum fleet_deployment_state)i), &parsed));
        assert_int_equal(parsed, i);
    }
    assert_string_equal(fleet_deployment_state_name(FLEET_TIMED_OUT), "timed-out");
    assert_string_equal(fleet_deployment_state_name(FLEET_DEPLOYMENT_STATE_COUNT), "unknown");
    assert_false(fleet_deployment_state_parse("timed_out", &parsed));
    for (unsigned i = 0; i < FLEET_REPORT_COUNT; i++) {
        assert_true(fleet_event_parse_report(fleet_event_name((enum fleet_event)i), &event));
        assert_int_equal(event, i);
        assert_int_equal(fleet_event_actor((enum fleet_event)i), FLEET_ACTOR_DEVICE);
    }
    /* A device cannot say what only the server or an operator does. */
    assert_false(fleet_event_parse_report("offer", &event));
    assert_false(fleet_event_parse_report("cancel", &event));
    assert_int_equal(fleet_event_actor(FLEET_CANCEL), FLEET_ACTOR_OPERATOR);
    assert_int_equal(fleet_event_actor(FLEET_TIME_OUT), FLEET_ACTOR_SYSTEM);
}

static void test_out_of_range(void **state) {
    enum fleet_deployment_state to;

    (void)state;
    assert_int_equal(fleet_deployment_move(FLEET_DEPLOYMENT_STATE_COUNT, FLEET_OFFER, &to), FLEET_MOVE_REFUSED);
    assert_int_equal(fleet_deployment_move(FLEET_ASSIGNED, FLEET_EVENT_COUNT, &to), FLEET_MOVE_REFUSED);
    assert_false(fleet_deployment_is_open(FLEET_DEPLOYMENT_STATE_COUNT));
}

static void test_failures(void **state) {
    (void)state;
    for (unsigned event = 0; event < FLEET_EVENT_COUNT; event++)
        assert_int_equal(fleet_deployment_counts_as_failure((enum fleet_event)event),
                         event == FLEET_REPORT_FAILED || event == FLEET_REPORT_REJECTED || event == FLEET_TIME_OUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_closed_is_closed), cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_out_of_range), cmocka_unit_test(test_failures)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
