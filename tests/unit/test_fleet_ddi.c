/* The table of DDI feedback: every execution × result × situation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "fleet/ddi.h"

/* One row an execution, a cell each finished (none, success, failure): the event, and S F C R for the result that it closes with. */
static const struct {
    const char *execution;
    const char *events[3];
    const char *results;
} feedback_table[] = {
    {"closed", {"confirmed", "confirmed", "failed"}, "SSF"},
    {"proceeding", {"installing", "installing", "installing"}, "..."},
    {"canceled", {"rejected", "rejected", "rejected"}, "CCC"},
    {"scheduled", {"unknown", "unknown", "unknown"}, "..."},
    {"rejected", {"unknown", "unknown", "unknown"}, "..."},
    {"resumed", {"installing", "installing", "installing"}, "..."},
    {"download", {"downloading", "downloading", "downloading"}, "..."},
    {"downloaded", {"downloaded", "downloaded", "downloaded"}, "..."},
};
static const struct {
    const char *execution;
    const char *events[3];
    const char *results;
} cancel_table[] = {
    {"closed", {"cancel-accepted", "cancel-accepted", "cancel-refused"}, "CCR"},
    {"proceeding", {"unknown", "unknown", "unknown"}, "..."},
    {"canceled", {"unknown", "unknown", "unknown"}, "..."},
    {"scheduled", {"unknown", "unknown", "unknown"}, "..."},
    {"rejected", {"cancel-refused", "cancel-refused", "cancel-refused"}, "RRR"},
    {"resumed", {"unknown", "unknown", "unknown"}, "..."},
    {"download", {"unknown", "unknown", "unknown"}, "..."},
    {"downloaded", {"unknown", "unknown", "unknown"}, "..."},
};

static enum fleet_ddi_result result_of(char letter) {
    return letter == 'S'   ? FLEET_DDI_SUCCEEDED
           : letter == 'F' ? FLEET_DDI_FAILED
           : letter == 'C' ? FLEET_DDI_CANCELLED
           : letter == 'R' ? FLEET_DDI_CANCEL_REFUSED
                           : FLEET_DDI_NO_RESULT;
}

/* What is right by ddi.md for this meaning in this situation with this record. */
static enum fleet_ddi_verdict expected(bool cancel, enum fleet_ddi_situation situation, enum fleet_ddi_result recorded, enum fleet_ddi_result said) {
    bool heard = cancel ? situation == FLEET_DDI_CANCELLING : situation != FLEET_DDI_OVER;
    if (said != FLEET_DDI_NO_RESULT && said == recorded)
        return FLEET_DDI_REPEATED;
    if (!heard)
        return FLEET_DDI_GONE;
    return said != FLEET_DDI_NO_RESULT ? FLEET_DDI_TAKEN : FLEET_DDI_NOTED;
}

static void check(bool cancel, const char *name, int finished, const char *event, enum fleet_ddi_result said) {
    enum fleet_ddi_execution execution;
    assert_true(fleet_ddi_execution_parse(name, &execution));
    assert_string_equal(fleet_ddi_execution_name(execution), name);
    for (int situation = 0; situation < FLEET_DDI_SITUATION_COUNT; situation++) {
        for (int recorded = 0; recorded < FLEET_DDI_RESULT_COUNT; recorded++) {
            struct fleet_ddi_ruling ruling = cancel ? fleet_ddi_cancel((enum fleet_ddi_situation)situation, (enum fleet_ddi_result)recorded,
                                                                       execution, (enum fleet_ddi_finished)finished)
                                                    : fleet_ddi_feedback((enum fleet_ddi_situation)situation, (enum fleet_ddi_result)recorded,
                                                                         execution, (enum fleet_ddi_finished)finished, NULL);
            assert_string_equal(fleet_event_name(ruling.event), event);
            assert_int_equal(ruling.result, said);
            assert_int_equal(ruling.verdict, expected(cancel, (enum fleet_ddi_situation)situation, (enum fleet_ddi_result)recorded, said));
        }
    }
}

static void test_feedback(void **state) {
    (void)state;
    assert_int_equal(ARRAY_LEN(feedback_table), FLEET_DDI_EXECUTION_COUNT);
    for (size_t i = 0; i < ARRAY_LEN(feedback_table); i++)
        for (int finished = 0; finished < FLEET_DDI_FINISHED_COUNT; finished++)
            check(false, feedback_table[i].execution, finished, feedback_table[i].events[finished], result_of(feedback_table[i].results[finished]));
}

static void test_cancel(void **state) {
    (void)state;
    assert_int_equal(ARRAY_LEN(cancel_table), FLEET_DDI_EXECUTION_COUNT);
    for (size_t i = 0; i < ARRAY_LEN(cancel_table); i++)
        for (int finished = 0; finished < FLEET_DDI_FINISHED_COUNT; finished++)
            check(true, cancel_table[i].execution, finished, cancel_table[i].events[finished], result_of(cancel_table[i].results[finished]));
}

static void test_awaiting_restart(void **state) {
    static const char words[] = "All Chunks Installed.";
    (void)state;
    assert_int_equal(fleet_ddi_feedback(FLEET_DDI_RUNNING, FLEET_DDI_NO_RESULT, FLEET_DDI_PROCEEDING, FLEET_DDI_NONE, words).event,
                     FLEET_REPORT_REBOOTING);
    assert_int_equal(fleet_ddi_feedback(FLEET_DDI_RUNNING, FLEET_DDI_NO_RESULT, FLEET_DDI_PROCEEDING, FLEET_DDI_NONE, "All Chunks").event,
                     FLEET_REPORT_INSTALLING);
    assert_int_equal(fleet_ddi_feedback(FLEET_DDI_RUNNING, FLEET_DDI_NO_RESULT, FLEET_DDI_CLOSED, FLEET_DDI_FAILURE, words).event,
                     FLEET_REPORT_FAILED);
}

static void test_names(void **state) {
    static const char *const none[] = {"", "Closed", "cancelled", "closed ", NULL};
    enum fleet_ddi_execution execution;
    enum fleet_ddi_finished finished;
    enum fleet_ddi_result result;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        assert_false(fleet_ddi_execution_parse(none[i], &execution));
        assert_false(fleet_ddi_finished_parse(none[i], &finished));
    }
    for (int i = 0; i < FLEET_DDI_FINISHED_COUNT; i++) {
        assert_true(fleet_ddi_finished_parse(fleet_ddi_finished_name((enum fleet_ddi_finished)i), &finished));
        assert_int_equal(finished, i);
    }
    assert_null(fleet_ddi_result_name(FLEET_DDI_NO_RESULT));
    for (int i = 1; i < FLEET_DDI_RESULT_COUNT; i++) {
        assert_true(fleet_ddi_result_parse(fleet_ddi_result_name((enum fleet_ddi_result)i), &result));
        assert_int_equal(result, i);
    }
    assert_false(fleet_ddi_result_parse("", &result));
    assert_int_equal(fleet_ddi_feedback(FLEET_DDI_SITUATION_COUNT, FLEET_DDI_NO_RESULT, FLEET_DDI_CLOSED, FLEET_DDI_SUCCESS, NULL).verdict,
                     FLEET_DDI_GONE);
    assert_int_equal(fleet_ddi_cancel(FLEET_DDI_CANCELLING, FLEET_DDI_NO_RESULT, FLEET_DDI_CLOSED, FLEET_DDI_FINISHED_COUNT).verdict, FLEET_DDI_GONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feedback),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_awaiting_restart),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
