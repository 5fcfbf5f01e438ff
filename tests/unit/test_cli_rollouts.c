/* Phases and windows as people type them, and the lines of `pawl rollouts watch`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those four before it */
#include <cmocka.h>
#include <string.h>

#include "cli/rollouts_plan.h"
#include "cli/rollouts_watch.h"

/* Both readers of options. */
typedef bool reader(struct arena *arena, const char *text, struct buf *out, struct err *err);

static void expect(reader *read, const char *text, const char *json) {
    CLEANUP(arena_clear) struct arena arena;
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    struct err err = {0};
    arena_init(&arena, 65536);
    if (!read(&arena, text, &out, &err))
        fail_msg("%s: %s", text, err.text);
    assert_string_equal(out.data, json);
}

static void refuse(reader *read, const char *text, const char *why) {
    CLEANUP(arena_clear) struct arena arena;
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    struct err err = {0};
    arena_init(&arena, 65536);
    if (read(&arena, text, &out, &err))
        fail_msg("%s was taken: %s", text, out.data);
    assert_int_equal(err.code, ERR_USAGE);
    if (strstr(err.text, why) == NULL || strstr(err.text, text) == NULL)
        fail_msg("'%s' does not say '%s' and '%s'", err.text, why, text);
}

static void phases(void **state) {
    (void)state;
    expect(cli_rollouts_plan_phase, "10%", "{\"percent\":10}");
    expect(cli_rollouts_plan_phase, "50", "{\"count\":50}");
    expect(cli_rollouts_plan_phase, "rest", "{\"rest\":true}");
    expect(cli_rollouts_plan_phase, "10%,success=95,errors=5%,soak=1h,deadline=1d",
           "{\"percent\":10,\"success_percent\":95,\"error_percent\":5,\"soak_s\":3600,\"deadline_s\":86400}");
    expect(cli_rollouts_plan_phase, "rest,errors=3,success=80%,soak=0", "{\"rest\":true,\"error_count\":3,\"success_percent\":80,\"soak_s\":0}");
    refuse(cli_rollouts_plan_phase, "", "a size like");
    refuse(cli_rollouts_plan_phase, "%", "a size like");
    refuse(cli_rollouts_plan_phase, "0%", "a size like");
    refuse(cli_rollouts_plan_phase, "ten", "a size like");
    refuse(cli_rollouts_plan_phase, "10%,sucess=95", "is expected, not 'sucess=95'");
    refuse(cli_rollouts_plan_phase, "10%,", "is expected, not ''");
    refuse(cli_rollouts_plan_phase, "10%,success=most", "success: a percentage");
    refuse(cli_rollouts_plan_phase, "10%,errors=x", "errors: a number of devices");
    refuse(cli_rollouts_plan_phase, "10%,soak=60", "a duration like");
    refuse(cli_rollouts_plan_phase, "10%,deadline=soon", "a duration like");
}

static void windows(void **state) {
    (void)state;
    expect(cli_rollouts_plan_window, "mon-fri 22:00-04:00", "{\"days\":\"mon-fri\",\"from\":\"22:00\",\"to\":\"04:00\"}");
    expect(cli_rollouts_plan_window, "  daily   01:00-02:00 tag=north  zone=Europe/Berlin ",
           "{\"days\":\"daily\",\"from\":\"01:00\",\"to\":\"02:00\",\"tag\":\"north\",\"zone\":\"Europe/Berlin\"}");
    refuse(cli_rollouts_plan_window, "", "DAYS FROM-TO");
    refuse(cli_rollouts_plan_window, "daily", "DAYS FROM-TO");
    refuse(cli_rollouts_plan_window, "daily 22:00", "DAYS FROM-TO");
    refuse(cli_rollouts_plan_window, "daily 22:00-23:00 Europe/Berlin", "zone= or tag=");
}

static struct cli_rollouts_counts half = {.devices = 10, .waiting = 1, .in_flight = 2, .confirmed = 5, .failed = 1, .timed_out = 1};

static void phase_lines(void **state) {
    (void)state;
    const struct cli_rollouts_phase phase = {.percent = 10, .state = "running", .counts = &half};
    char line[CLI_ROLLOUTS_WATCH_LINE_SIZE];
    cli_rollouts_watch_phase(line, &phase, 1, 100);
    assert_string_equal(line, "phase 1  10 %         running   [!!#####>>..]  5 of 10 confirmed, 2 in flight, 1 failed, 1 timed out");
    cli_rollouts_watch_phase(line, &phase, 1, 0); /* for a script */
    assert_string_equal(line, "phase 1  10 %         running   5 of 10 confirmed, 2 in flight, 1 failed, 1 timed out");
    for (size_t columns = 1; columns < 140; columns++) {
        cli_rollouts_watch_phase(line, &phase, 12, columns);
        assert_true(strlen(line) <= columns);
    }
}

static void bars(void **state) {
    (void)state;
    struct cli_rollouts_counts counts = {.devices = 100000, .failed = 1};
    const struct cli_rollouts_phase phase = {.rest = true, .state = "running", .counts = &counts};
    char line[CLI_ROLLOUTS_WATCH_LINE_SIZE];
    cli_rollouts_watch_phase(line, &phase, 2, 200);
    assert_non_null(strstr(line, "[!......................................."
                                 "]")); /* one failure of many is seen */
    counts = (struct cli_rollouts_counts){.devices = 3, .confirmed = 3};
    cli_rollouts_watch_phase(line, &phase, 2, 200);
    assert_non_null(strstr(line, "[########################################]  3 of 3 confirmed"));
    counts = (struct cli_rollouts_counts){0};
    cli_rollouts_watch_phase(line, &phase, 2, 200);
    assert_non_null(strstr(line, "[........................................]  0 of 0 confirmed"));
    counts = (struct cli_rollouts_counts){.devices = 1, .confirmed = 1, .failed = 1, .retrying = 1, .skipped = 7}; /* a server that lies */
    cli_rollouts_watch_phase(line, &phase, 2, 200);
    assert_non_null(strstr(line, "[!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!]"));
    counts = (struct cli_rollouts_counts){.devices = -5, .confirmed = INT64_MAX, .failed = -7};
    cli_rollouts_watch_phase(line, &phase, 2, 200);
    assert_true(strlen(line) < 200);
}

static void heads(void **state) {
    (void)state;
    struct cli_rollouts_rollout rollout = {
        .id = "7", .product = "router", .version = "1.1.0", .state = "running", .waits_for = "soak", .waits_until = 60};
    char line[CLI_ROLLOUTS_WATCH_LINE_SIZE];
    cli_rollouts_watch_head(line, &rollout);
    assert_string_equal(line, "rollout 7  router 1.1.0  running, waits for soak until 1970-01-01T00:01:00Z");
    rollout = (struct cli_rollouts_rollout){.id = "7", .product = "router", .version = "1.1.0", .state = "paused", .reason = "error-threshold"};
    cli_rollouts_watch_head(line, &rollout);
    assert_string_equal(line, "rollout 7  router 1.1.0  paused (error-threshold)");
    rollout = (struct cli_rollouts_rollout){.id = "7", .product = "router", .version = "1.1.0", .state = "scheduled", .approval = "awaited"};
    cli_rollouts_watch_head(line, &rollout);
    assert_string_equal(line, "rollout 7  router 1.1.0  scheduled, awaits an approval");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phases), cmocka_unit_test(windows), cmocka_unit_test(phase_lines), cmocka_unit_test(bars), cmocka_unit_test(heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
