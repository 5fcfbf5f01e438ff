/* Reports: numbered per deployment, kept until taken, written as the API wants them. */
#include "agent_common.h"

#include "agent/report.h"

static struct err err;
static struct arena arena;

static int set_up(void **state) {
    arena_init(&arena, 16 << 20);
    return folder_make(state);
}

static int tear_down(void **state) {
    arena_clear(&arena);
    return folder_drop(state);
}

static struct agent_state fresh(void) {
    struct agent_state state;
    assert_true(agent_state_create(folder, &err));
    assert_true(agent_state_load(&arena, folder, &state, &err));
    return state;
}

static void queue(struct agent_state *state, const char *deployment, const char *name) {
    const struct agent_report report = {.state = name, .progress = -1};
    assert_true(agent_report_queue(state, deployment, &report, &err));
}

static const struct agent_queued *at(const struct agent_state *state, size_t index) {
    return (const struct agent_queued *)state->reports.items + index;
}

static void test_numbers_count_per_deployment(UNUSED void **unused) {
    struct agent_state state = fresh();
    queue(&state, "1", "downloading");
    queue(&state, "1", "downloaded");
    queue(&state, "2", "downloading");
    queue(&state, "2", "rejected");
    const int64_t numbers[] = {1, 2, 1, 2};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        assert_int_equal(at(&state, i)->report_seq, numbers[i]);
    assert_string_equal(state.reported, "rejected");
}

static void test_a_full_queue_keeps_what_ends_something(UNUSED void **unused) {
    struct agent_state state = fresh(), again;
    queue(&state, "1", "failed");
    for (int i = 0; i < 3 * AGENT_REPORTS_MAX; i++)
        queue(&state, "2", "downloading");
    queue(&state, "2", "confirmed");
    assert_int_equal(state.reports.count, AGENT_REPORTS_MAX);
    assert_string_equal(at(&state, 0)->state, "failed");
    assert_string_equal(at(&state, AGENT_REPORTS_MAX - 1)->state, "confirmed");
    assert_true(agent_state_save(&state, &err));
    assert_true(agent_state_load(&arena, folder, &again, &err));
    assert_int_equal(again.reports.count, AGENT_REPORTS_MAX);
}

static void expect_json(const struct agent_queued *queued, const char *expected) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    agent_report_write(queued, &out);
    assert_true(buf_ok(&out, "report", &err));
    assert_string_equal(out.data, expected);
}

static void test_body(UNUSED void **unused) {
    expect_json(&(struct agent_queued){.deployment = "7", .report_seq = 3, .state = "downloading", .progress = 0},
                "{\"deployment\":\"7\",\"report_seq\":3,\"state\":\"downloading\",\"progress\":0}");
    expect_json(&(struct agent_queued){.deployment = "7", .report_seq = 4, .state = "failed", .progress = -1, .error = "E_HASH", .detail = "a \"b\""},
                "{\"deployment\":\"7\",\"report_seq\":4,\"state\":\"failed\",\"error\":{\"code\":\"E_HASH\",\"detail\":\"a \\\"b\\\"\"}}");
    expect_json(&(struct agent_queued){.deployment = "7", .report_seq = 5, .state = "confirmed", .progress = -1, .installed = "1.0.0", .sequence = 9},
                "{\"deployment\":\"7\",\"report_seq\":5,\"state\":\"confirmed\",\"installed\":{\"version\":\"1.0.0\",\"sequence\":9}}");
}

static void test_a_servers_words_do_not_break_the_state(UNUSED void **unused) {
    struct agent_state state = fresh();
    const struct err why = {.code = ERR_TARGET, .text = "x\xc2\x80y\xffz"};
    const struct agent_report report = {.state = "rejected", .progress = -1, .error = &why};
    assert_true(agent_report_queue(&state, "1", &report, &err));
    assert_true(agent_state_save(&state, &err));
    assert_string_equal(at(&state, 0)->error, "E_TARGET");
    assert_string_equal(at(&state, 0)->detail, "x??y?z");
}

static void test_verdict_on_a_reply(UNUSED void **unused) {
    static const struct {
        long status;
        enum err_code code;
        enum agent_reported reported;
    } cases[] = {
        {200, ERR_NONE, AGENT_REPORT_TAKEN},          {204, ERR_NONE, AGENT_REPORT_TAKEN},
        {409, ERR_CONFLICT, AGENT_REPORT_DROPPED},    {404, ERR_NOT_FOUND, AGENT_REPORT_DROPPED},
        {400, ERR_INVALID, AGENT_REPORT_DROPPED},     {400, ERR_UNKNOWN_FIELD, AGENT_REPORT_DROPPED},
        {400, ERR_NETWORK, AGENT_REPORT_KEEP},        {403, ERR_DEVICE_PENDING, AGENT_REPORT_KEEP},
        {403, ERR_DEVICE_REVOKED, AGENT_REPORT_KEEP}, {401, ERR_UNAUTHENTICATED, AGENT_REPORT_KEEP},
        {429, ERR_RATE, AGENT_REPORT_KEEP},           {500, ERR_BUSY, AGENT_REPORT_KEEP},
        {503, ERR_BUSY, AGENT_REPORT_KEEP},           {302, ERR_NETWORK, AGENT_REPORT_KEEP},
        {0, ERR_NETWORK, AGENT_REPORT_KEEP},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(agent_report_judge(cases[i].status, cases[i].code), cases[i].reported);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_numbers_count_per_deployment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_queue_keeps_what_ends_something, set_up, tear_down),
        cmocka_unit_test(test_body),
        cmocka_unit_test_setup_teardown(test_a_servers_words_do_not_break_the_state, set_up, tear_down),
        cmocka_unit_test(test_verdict_on_a_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
