/* Configuration: order of sources, refusals with their line, sample and print. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"
#include "common/file.h"
#include "common/text.h"
#include "tests/unit/folder.h"

struct settings {
    char *address;
    int64_t port;
    int64_t body;
    int64_t idle;
    char *folder;
    int level;
    bool colour;
    char *token;
};

static const char *const levels[] = {"error", "info", NULL};

static const struct config_key keys[] = {
    {"listen", "address", CONFIG_TEXT, offsetof(struct settings, address), NULL, 0, 0, NULL, CONFIG_REQUIRED, "Where to listen"},
    {"listen", "port", CONFIG_INT, offsetof(struct settings, port), "8443", 1, 65535, NULL, 0, "Port"},
    {"listen", "body", CONFIG_SIZE, offsetof(struct settings, body), "64k", 1024, 1 << 30, NULL, 0, "Largest body"},
    {"listen", "idle", CONFIG_DURATION, offsetof(struct settings, idle), "90s", 1, 86400, NULL, CONFIG_RELOADABLE, "Idle time\nof a connection"},
    {"listen", "folder", CONFIG_PATH, offsetof(struct settings, folder), "data", 0, 0, NULL, 0, "Folder"},
    {"log", "level", CONFIG_CHOICE, offsetof(struct settings, level), "info", 0, 0, levels, 0, "What is told"},
    {"log", "colour", CONFIG_BOOL, offsetof(struct settings, colour), NULL, 0, 0, NULL, 0, "In colour"},
    {"log", "token", CONFIG_TEXT, offsetof(struct settings, token), NULL, 0, 0, NULL, CONFIG_SECRET, "Password"},
};
static const char *const foreign[] = {"PAWLTEST_OTHER_", NULL};
static const struct config_table table = {"tested", "PAWLTEST_", keys, ARRAY_LEN(keys), foreign};

static bool parse(const char *name, const char *text, struct settings *ret_settings, struct err *err) {
    return config_parse(&table, name, text, strlen(text), true, ret_settings, err);
}

static void test_defaults_and_all_types(void **state) {
    struct settings settings;
    struct err err;
    (void)state;
    assert_true(parse("/etc/t.conf", "[listen]\naddress = [::]\n", &settings, &err));
    assert_string_equal(settings.address, "[::]");
    assert_int_equal(settings.port, 8443);
    assert_int_equal(settings.body, 65536);
    assert_int_equal(settings.idle, 90);
    assert_string_equal(settings.folder, "/etc/data");
    assert_int_equal(settings.level, 1);
    assert_false(settings.colour);
    assert_null(settings.token);
    config_free(&table, &settings);
    assert_null(settings.address);

    assert_true(
        parse("t.conf",
              "# comment\n; comment\n[listen]\naddress=a b ; note\r\nport = 1\nbody = 1G\nidle=1d\nfolder=/x\n\n[log]\nlevel = error\ncolour = on\n"
              "token = hunter2\n[listen]",
              &settings, &err));
    assert_string_equal(settings.address, "a b");
    assert_int_equal(settings.port, 1);
    assert_int_equal(settings.body, 1 << 30);
    assert_int_equal(settings.idle, 86400);
    assert_string_equal(settings.folder, "/x");
    assert_int_equal(settings.level, 0);
    assert_true(settings.colour);
    assert_string_equal(settings.token, "hunter2");
    config_free(&table, &settings);

    assert_true(parse(NULL, "[listen]\naddress = a\nport =\nfolder =\n", &settings, &err)); /* "key =" means none */
    assert_int_equal(settings.port, 0);
    assert_null(settings.folder);
    config_free(&table, &settings);
}

static void test_environment_wins(void **state) {
    struct settings settings;
    struct err err;
    (void)state;
    setenv("PAWLTEST_LISTEN_PORT", "99", 1);
    setenv("PAWLTEST_LISTEN_ADDRESS", "b", 1);
    setenv("PAWLTEST_OTHER_THING", "of a program beside", 1);
    assert_true(parse("t.conf", "[listen]\naddress = a\nport = 1\n", &settings, &err));
    assert_string_equal(settings.address, "b");
    assert_int_equal(settings.port, 99);
    config_free(&table, &settings);
    assert_true(config_parse(&table, NULL, "[listen]\naddress = a\n", 21, false, &settings, &err));
    assert_string_equal(settings.address, "a");
    config_free(&table, &settings);

    setenv("PAWLTEST_LISTEN_PORT", "x", 1);
    assert_false(parse("t.conf", "", &settings, &err));
    assert_string_equal(err.text, "environment PAWLTEST_LISTEN_PORT: [listen] port = x: expected number from 1 to 65535");
    unsetenv("PAWLTEST_LISTEN_PORT");
    setenv("PAWLTEST_LISTEN_PROT", "1", 1);
    assert_false(parse("t.conf", "", &settings, &err));
    assert_string_equal(err.text, "environment: PAWLTEST_LISTEN_PROT is no key of tested");
    unsetenv("PAWLTEST_LISTEN_PROT");
    unsetenv("PAWLTEST_LISTEN_ADDRESS");
    unsetenv("PAWLTEST_OTHER_THING");
}

static void test_failure_writes_nothing(void **state) {
    struct settings settings;
    struct err err;
    (void)state;
    memset(&settings, 0x5a, sizeof(settings));
    const struct settings before = settings;
    assert_false(parse("t.conf", "[listen]\naddress = a\n[log]\nlevel = x\n", &settings, &err));
    assert_memory_equal(&settings, &before, sizeof(settings));
    assert_string_equal(err.field, "level");
}

/* tests/data/config/invalid: NAME.conf and in NAME.expect the message. */
static void test_invalid_folder(void **state) {
    int count = 0;
    (void)state;
    DIR *listing = opendir(PAWL_TEST_DATA "/config/invalid");
    assert_non_null(listing);
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        CLEANUP(buf_free) struct buf input = BUF_INIT(10000);
        CLEANUP(buf_free) struct buf expected = BUF_INIT(1000);
        char path[PATH_MAX];
        struct settings settings;
        struct err err;
        if (!text_ends(entry->d_name, ".conf"))
            continue;
        snprintf(path, sizeof(path), "%s/config/invalid/%s", PAWL_TEST_DATA, entry->d_name);
        assert_true(file_read(path, &input, &err));
        memcpy(path + strlen(path) - strlen("conf"), "expect", sizeof("expect"));
        assert_true(file_read(path, &expected, &err));
        expected.data[expected.len - 1] = '\0';
        if (config_parse(&table, "t.conf", input.data, input.len, true, &settings, &err))
            fail_msg("%s was read", entry->d_name);
        assert_int_equal(err.code, ERR_CONFIG);
        assert_string_equal(err.text, expected.data);
        count++;
    }
    closedir(listing);
    assert_true(count >= 20);
}

static void test_file(void **state) {
    struct settings settings;
    struct err err;
    (void)state;
    const char *path = in_folder("tested.conf");
    assert_true(file_write_atomic(path, "[listen]\naddress = a\n", 21, 0644, &err));
    assert_true(config_load(&table, path, &settings, &err));
    assert_string_equal(settings.folder, in_folder("data")); /* relative to the file */
    config_free(&table, &settings);
    unlink(path);
    assert_false(config_load(&table, path, &settings, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    assert_non_null(strstr(err.text, path));
    setenv("PAWLTEST_LISTEN_ADDRESS", "b", 1);
    assert_true(config_load(&table, NULL, &settings, &err));
    assert_string_equal(settings.address, "b");
    config_free(&table, &settings);
    unsetenv("PAWLTEST_LISTEN_ADDRESS");
}

static const char sample[] = "# Configuration of tested. Every key is shown with its default; take away the \"#\" to change it.\n"
                             "# Sizes: 16k, 4M, 1G (powers of 1024). Durations: 30s, 15m, 6h, 90d. Relative paths start at this file's folder.\n"
                             "\n"
                             "[listen]\n"
                             "\n"
                             "# Where to listen\n"
                             "# (text; required; PAWLTEST_LISTEN_ADDRESS)\n"
                             "#address =\n"
                             "\n"
                             "# Port\n"
                             "# (number from 1 to 65535; PAWLTEST_LISTEN_PORT)\n"
                             "#port = 8443\n"
                             "\n"
                             "# Largest body\n"
                             "# (size from 1k to 1G; PAWLTEST_LISTEN_BODY)\n"
                             "#body = 64k\n"
                             "\n"
                             "# Idle time\n"
                             "# of a connection\n"
                             "# (duration from 1s to 1d; reload takes effect; PAWLTEST_LISTEN_IDLE)\n"
                             "#idle = 90s\n"
                             "\n"
                             "# Folder\n"
                             "# (path; PAWLTEST_LISTEN_FOLDER)\n"
                             "#folder = data\n"
                             "\n"
                             "[log]\n"
                             "\n"
                             "# What is told\n"
                             "# (one of error, info; PAWLTEST_LOG_LEVEL)\n"
                             "#level = info\n"
                             "\n"
                             "# In colour\n"
                             "# (yes or no; PAWLTEST_LOG_COLOUR)\n"
                             "#colour =\n"
                             "\n"
                             "# Password\n"
                             "# (text; PAWLTEST_LOG_TOKEN)\n"
                             "#token =\n";

static void test_sample(void **state) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(10000);
    struct settings settings;
    struct err err;
    (void)state;
    config_sample(&table, &out);
    assert_string_equal(out.data, sample);
    assert_false(parse("t.conf", out.data, &settings, &err)); /* only the required key is lacking */
    assert_string_equal(err.text, "t.conf: [listen] address: a value is required");
}

static void test_print_hides_secrets_and_can_be_read(void **state) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(10000);
    struct settings settings, again;
    struct err err;
    (void)state;
    assert_true(parse("t.conf", "[listen]\naddress = a\nidle = 5400s\nbody = 1500\nfolder =\n[log]\ntoken = hunter2\n", &settings, &err));
    config_print(&table, &settings, &out);
    assert_string_equal(out.data, "[listen]\naddress = a\nport = 8443\nbody = 1500\nidle = 90m\n#folder =\n\n[log]\nlevel = info\ncolour = no\n"
                                  "token = (set)\n");
    assert_true(parse("t.conf", out.data, &again, &err));
    assert_int_equal(again.idle, 5400);
    config_free(&table, &settings);
    config_free(&table, &again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_and_all_types),
        cmocka_unit_test(test_environment_wins),
        cmocka_unit_test(test_failure_writes_nothing),
        cmocka_unit_test(test_invalid_folder),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_print_hides_secrets_and_can_be_read),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_drop);
}
