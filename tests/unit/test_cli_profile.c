/* Profiles: what a section fills in, what it leaves alone, and which files and addresses are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those four before it */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cli/profile.h"

static struct arena arena;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 1 << 20);
    setenv("HOME", "/home/op", 1);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_clear(&arena);
    return 0;
}

static const char text[] = "# two servers\n"
                           "[default]\n"
                           "server = https://a.example:9443\n"
                           "  ca=~/ca.pem  \r\n"
                           "\n"
                           "[lab]\n"
                           "server = https://lab:9443\n"
                           "; the token of the lab\n"
                           "token_file = /run/lab.token\n"
                           "state_dir = ~/lab-state\n";

static bool parse(const char *config, const char *name, bool required, struct cli_profile *profile, struct err *err) {
    return cli_profile_parse(&arena, "config", config, strlen(config), name, required, profile, err);
}

static void a_section_fills_in(void **state) {
    (void)state;
    struct cli_profile profile = {0};
    struct err err = {0};
    assert_true(parse(text, "default", false, &profile, &err));
    assert_string_equal(profile.server, "https://a.example:9443");
    assert_string_equal(profile.ca, "/home/op/ca.pem");
    assert_null(profile.token_file);
    profile = (struct cli_profile){0};
    assert_true(parse(text, "lab", true, &profile, &err));
    assert_string_equal(profile.server, "https://lab:9443");
    assert_string_equal(profile.token_file, "/run/lab.token");
    assert_string_equal(profile.state_dir, "/home/op/lab-state");
    assert_null(profile.ca);
}

static void an_option_is_worth_more(void **state) {
    (void)state;
    struct cli_profile profile = {.server = "https://given:1"};
    struct err err = {0};
    assert_true(parse(text, "lab", true, &profile, &err));
    assert_string_equal(profile.server, "https://given:1");
    assert_string_equal(profile.token_file, "/run/lab.token");
}

static void faults_name_their_line(void **state) {
    (void)state;
    static const struct {
        const char *config, *expected;
    } cases[] = {
        {"server = https://x\n", "config:1: expected [profile] or key = value"},
        {"[a]\nserver\n", "config:2: expected [profile] or key = value"},
        {"[a\n", "config:1: a section is [name]"},
        {"[a]\nserver =\n", "config:2: 'server' has no value"},
        {"[a]\nsever = https://x\n", "config:2: unknown key 'sever'; a profile has server, ca, token_file, state_dir"},
        {"[b]\ninsecure = yes\n[a]\n", "config:2: unknown key 'insecure'; a profile has server, ca, token_file, state_dir"},
        {"[a]\nca = x\nca = y\n", "config:3: 'ca' is given twice"},
        {"[a]\n[b]\n[a]\n", "config:3: profile 'a' stands here a second time"},
        {"[b]\nca = x\n", "config: no profile 'a'"},
        {"", "config: no profile 'a'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cli_profile profile = {0};
        struct err err = {0};
        assert_false(parse(cases[i].config, "a", true, &profile, &err));
        assert_int_equal(err.code, ERR_CONFIG);
        assert_string_equal(err.text, cases[i].expected);
    }
    struct cli_profile profile = {0};
    struct err err = {0};
    assert_false(cli_profile_parse(&arena, "config", "[a]\0\n", 5, "a", false, &profile, &err));
    assert_string_equal(err.text, "config: a zero byte is in it");
}

static void only_https_and_only_a_host(void **state) {
    (void)state;
    static const struct {
        const char *server, *kept; /* NULL: refused */
    } cases[] = {
        {"https://localhost:9443", "https://localhost:9443"},
        {"https://pawl.example/", "https://pawl.example"},
        {"https://[::1]:9443", "https://[::1]:9443"},
        {"http://localhost:9443", NULL},
        {"HTTPS://localhost", NULL},
        {"localhost:9443", NULL},
        {"https://", NULL},
        {"https:///", NULL},
        {"https://user@host", NULL},
        {"https://host/api", NULL},
        {"https://host?x", NULL},
        {"https://ho%73t", NULL},
        {"https://host\n", NULL},
        {"file:///etc/passwd", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *kept = NULL;
        struct err err = {0};
        assert_int_equal(cli_profile_check_server(&arena, cases[i].server, &kept, &err), cases[i].kept != NULL);
        if (cases[i].kept != NULL)
            assert_string_equal(kept, cases[i].kept);
        else
            assert_int_equal(err.code, ERR_USAGE);
    }
}

static void a_named_profile_must_exist(void **state) {
    (void)state;
    struct cli_profile profile = {.name = "lab"};
    struct err err = {0};
    setenv("PAWL_CONFIG", "/nonexistent/pawl/config", 1);
    assert_false(cli_profile_load(&arena, &profile, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    unsetenv("PAWL_CONFIG");
    setenv("HOME", "/nonexistent", 1);
    setenv("PAWL_TOKEN_FILE", "/run/token", 1);
    profile = (struct cli_profile){0};
    assert_true(cli_profile_load(&arena, &profile, &err));
    assert_string_equal(profile.name, "default");
    assert_string_equal(profile.token_file, "/run/token");
    unsetenv("PAWL_TOKEN_FILE");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_section_fills_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_option_is_worth_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(faults_name_their_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_https_and_only_a_host, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_named_profile_must_exist, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
