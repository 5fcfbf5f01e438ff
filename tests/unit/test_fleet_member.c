#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fleet/member.h"

/* One letter a state; "." it stays. */
static const char letters[FLEET_MEMBER_STATE_COUNT + 1] = "wiRCFtcs";

/* Columns: waiting in-flight retrying confirmed failed timed-out cancelled skipped. */
static const struct {
    enum fleet_member_event event;
    const char *cells;
} table[FLEET_MEMBER_EVENT_COUNT] = {
    {FLEET_MEMBER_OFFER, "i...RR.."},    {FLEET_MEMBER_CONFIRM, "CCC.CCCC"}, {FLEET_MEMBER_FAIL, ".FF....."}, {FLEET_MEMBER_REJECT, ".wF....."},
    {FLEET_MEMBER_TIME_OUT, "ttt....."}, {FLEET_MEMBER_CANCEL, ".cc....."},  {FLEET_MEMBER_SKIP, "sss.ss.."}, {FLEET_MEMBER_RETRY, "....www."},
};

static void test_table(void **state) {
    (void)state;
    for (size_t row = 0; row < ARRAY_LEN(table); row++) {
        assert_int_equal(table[row].event, row);
        for (int from = 0; from < FLEET_MEMBER_STATE_COUNT; from++) {
            enum fleet_member_state to = FLEET_MEMBER_STATE_COUNT;
            bool moved = fleet_member_move((enum fleet_member_state)from, table[row].event, &to);
            char got = moved ? letters[to] : '.';

            if (got != table[row].cells[from])
                fail_msg("event %zu from %s: %c where %c is expected", row, fleet_member_state_name((enum fleet_member_state)from), got,
                         table[row].cells[from]);
            if (!moved)
                assert_int_equal(to, FLEET_MEMBER_STATE_COUNT);
        }
    }
}

static void test_out_of_range(void **state) {
    enum fleet_member_state to;

    (void)state;
    assert_false(fleet_member_move(FLEET_MEMBER_STATE_COUNT, FLEET_MEMBER_CONFIRM, &to));
    assert_false(fleet_member_move(FLEET_MEMBER_WAITING, FLEET_MEMBER_EVENT_COUNT, &to));
    assert_string_equal(fleet_member_state_name(FLEET_MEMBER_STATE_COUNT), "unknown");
}

static void test_names(void **state) {
    enum fleet_member_state parsed;

    (void)state;
    for (int i = 0; i < FLEET_MEMBER_STATE_COUNT; i++) {
        assert_true(fleet_member_state_parse(fleet_member_state_name((enum fleet_member_state)i), &parsed));
        assert_int_equal(parsed, i);
    }
    assert_false(fleet_member_state_parse("open", &parsed));
}

static void test_unsettled(void **state) {
    (void)state;
    for (int i = 0; i < FLEET_MEMBER_STATE_COUNT; i++)
        assert_int_equal(fleet_member_is_unsettled((enum fleet_member_state)i), strchr("wiR", letters[i]) != NULL);
}

/* Ends of a deployment, and what they mean; what is no end means nothing. */
static void test_ends(void **state) {
    static const char *const means[FLEET_EVENT_COUNT] = {
        [FLEET_REPORT_CONFIRMED] = "confirm", [FLEET_REPORT_FAILED] = "fail", [FLEET_REPORT_REJECTED] = "reject", [FLEET_SUPERSEDE] = "skip",
        [FLEET_TIME_OUT] = "time-out",        [FLEET_CANCEL] = "cancel",      [FLEET_CANCEL_FETCHED] = "cancel",  [FLEET_FORCE_CLOSE] = "cancel",
    };
    static const char *const names[FLEET_MEMBER_EVENT_COUNT] = {"offer", "confirm", "fail", "reject", "time-out", "cancel", "skip", "retry"};

    (void)state;
    for (int i = 0; i < FLEET_EVENT_COUNT; i++) {
        enum fleet_member_event event;

        if (!fleet_member_event_of((enum fleet_event)i, &event))
            assert_null(means[i]);
        else
            assert_string_equal(names[event], means[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),     cmocka_unit_test(test_out_of_range), cmocka_unit_test(test_names),
        cmocka_unit_test(test_unsettled), cmocka_unit_test(test_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
