/* Commands: split without a shell, a clean environment, a deadline. */
#include "agent_common.h"

#include "agent/hook.h"
#include "common/clock.h"

static struct err err;

static bool run(const char *command, int64_t timeout_s, struct buf *output) {
    const struct agent_hook_env env[] = {{"PAWL_SLOT", "b"}, {"PAWL_EMPTY", NULL}};
    const struct agent_hook hook = {.what = "hook", .command = command, .env = env, .env_count = ARRAY_LEN(env), .timeout_s = timeout_s};
    return agent_hook_run(&hook, output, &err);
}

static void test_split(UNUSED void **state) {
    static const struct {
        const char *command;
        const char *const words[5]; /* the first NULL: refused */
    } cases[] = {
        {"reboot", {"reboot"}},
        {"  /sbin/reboot\t-f  ", {"/sbin/reboot", "-f"}},
        {"a 'b c' \"d e\" f", {"a", "b c", "d e", "f"}},
        {"a pre'mid dle'post ''", {"a", "premid dlepost", ""}},
        {"a \"it's\"", {"a", "it's"}},
        {"a $HOME;`x` *", {"a", "$HOME;`x`", "*"}},
        {"a 'b", {NULL}},
        {"", {NULL}},
        {"   ", {NULL}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(arena_clear) struct arena arena;
        char **argv;
        arena_init(&arena, 1 << 20);
        bool ok = agent_hook_split(&arena, cases[i].command, &argv, &err);
        assert_int_equal(ok, cases[i].words[0] != NULL);
        for (size_t word = 0; ok && word < ARRAY_LEN(cases[i].words); word++) {
            if (cases[i].words[word] == NULL) {
                assert_null(argv[word]);
                break;
            }
            assert_string_equal(argv[word], cases[i].words[word]);
        }
    }
}

static void test_too_many_words(UNUSED void **state) {
    char command[2 * (AGENT_HOOK_ARGS_MAX + 1) + 1];
    for (size_t i = 0; i < sizeof(command) - 1; i++)
        command[i] = i % 2 == 0 ? 'a' : ' ';
    command[sizeof(command) - 1] = '\0';
    assert_false(run(command, 10, NULL));
    assert_int_equal(err.code, ERR_CONFIG);
}

static void test_environment_is_path_and_ours(UNUSED void **state) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    char expected[4096];
    assert_int_equal(setenv("PAWL_AGENT_SECRET", "canary", 1), 0);
    assert_true(run("/usr/bin/env", 10, &out));
    snprintf(expected, sizeof(expected), "PATH=%s\nPAWL_SLOT=b\n", getenv("PATH"));
    assert_string_equal(out.data, expected);
}

static void test_output_has_a_ceiling_and_does_not_block(UNUSED void **state) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(100);
    assert_true(run("/bin/sh -c 'head -c 300000 /dev/zero | tr \"\\0\" x'", 30, &out));
    assert_int_equal(out.len, 100);
    assert_true(buf_ok(&out, "output", &err));
    assert_true(run("/bin/sh -c 'head -c 300000 /dev/zero'", 30, NULL));
}

static void test_says_how_it_ended(UNUSED void **state) {
    assert_false(run("/bin/sh -c 'exit 3'", 10, NULL));
    assert_int_equal(err.code, ERR_INSTALL);
    assert_non_null(strstr(err.text, "exit status 3"));
    assert_false(run("/bin/sh -c 'kill -9 $$'", 10, NULL));
    assert_non_null(strstr(err.text, "signal 9"));
    assert_false(run("/no/such/program", 10, NULL));
    assert_int_equal(err.code, ERR_INSTALL);
    assert_non_null(strstr(err.text, "/no/such/program"));
}

/* The children go as well: a grandchild that would write the file later must be dead. */
static void test_kills_the_whole_group_in_time(UNUSED void **state) {
    char command[512];
    snprintf(command, sizeof(command), "/bin/sh -c '(sleep 3; echo late > %s) & sleep 60'", in_folder("late"));
    int64_t before = clock_mono_ms();
    assert_false(run(command, 1, NULL));
    assert_int_equal(err.code, ERR_TIMEOUT);
    assert_in_range(clock_mono_ms() - before, 900, 3000);
    clock_sleep_ms(2500);
    assert_int_not_equal(access(in_folder("late"), F_OK), 0);
}

/* What it leaves behind may write for ever: the command has ended. */
static void test_ends_though_a_child_goes_on_writing(UNUSED void **state) {
    char command[512], kill_it[512];
    snprintf(command, sizeof(command), "/bin/sh -c 'yes & echo $! > %s; sleep 0.3'", in_folder("pid"));
    snprintf(kill_it, sizeof(kill_it), "/bin/sh -c 'kill $(cat %s) || :'", in_folder("pid"));
    int64_t before = clock_mono_ms();
    assert_true(run(command, 5, NULL));
    assert_in_range(clock_mono_ms() - before, 200, 4000);
    assert_true(run(kill_it, 5, NULL));
}

static void test_kills_what_ignores_the_polite_signal(UNUSED void **state) {
    int64_t before = clock_mono_ms();
    assert_false(run("/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'", 1, NULL));
    assert_int_equal(err.code, ERR_TIMEOUT);
    assert_in_range(clock_mono_ms() - before, 2900, 6000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_too_many_words),
        cmocka_unit_test(test_environment_is_path_and_ours),
        cmocka_unit_test(test_output_has_a_ceiling_and_does_not_block),
        cmocka_unit_test(test_says_how_it_ended),
        cmocka_unit_test_setup_teardown(test_kills_the_whole_group_in_time, folder_make, folder_drop),
        cmocka_unit_test_setup_teardown(test_ends_though_a_child_goes_on_writing, folder_make, folder_drop),
        cmocka_unit_test(test_kills_what_ignores_the_polite_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
