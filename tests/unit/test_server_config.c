/* The server's configuration: the table stands as printed in config/, addresses, and what no single row can say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "server/config.h"
#include "tests/unit/folder.h"

/* Loads this text as a file. */
static bool load(const char *text, struct server_config *config, struct err *err) {
    const char *path = in_folder("pawld.conf");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    return server_config_load(path, config, err);
}

static void test_sample_is_the_committed_one(void **state) {
    struct buf sample CLEANUP(buf_free) = BUF_INIT(1 << 20);
    struct buf committed CLEANUP(buf_free) = BUF_INIT(1 << 20);
    struct err err;
    (void)state;
    config_sample(&server_config_table, &sample);
    assert_true(file_read(PAWL_SOURCE_DIR "/config/pawld.conf", &committed, &err));
    assert_string_equal(sample.data, committed.data);
}

static void test_defaults(void **state) {
    struct server_config config;
    struct err err;
    (void)state;
    assert_true(load("", &config, &err));
    assert_string_equal(config.listen.admin, "127.0.0.1:9443"); /* never open to the world by itself */
    assert_false(config.enrolment.auto_accept);
    assert_int_equal(config.limits.head_timeout, 8);
    assert_int_equal(config.fleet.poll_after, 300);
    assert_true(config.log.requests);
    assert_null(config.tls.admin_ca);
    server_config_free(&config);
}

static void test_refused(void **state) {
    static const struct {
        const char *text, *part;
    } rows[] = {
        {"[listen]\ndevice = 8443\n", "[listen] device = 8443"},
        {"[listen]\ndevice = localhost:9999\n", "[listen] device"},
        {"[listen]\nadmin = ::1:9443\n", "[listen] admin"},
        {"[listen]\ndevice = off\nadmin = off\n", "nothing would be served"},
        {"[limits]\nconnections = 32\nadmin_connections = 32\n", "admin_connections"},
        {"[admin]\ncertificate_scopes = device:read\n", "[tls] admin_ca"},
        {"[tls]\nadmin_ca = a\n[admin]\ncertificate_scopes = device:read devices\n", "'devices'"},
        {"[tls]\nadmin_ca = a\n[admin]\ncertificate_scopes = device:read@no/id\n", "certificate_scopes"},
        {"[limits]\nhead_timeout = 0s\n", "head_timeout"},
        {"[fleet]\npoll_jitter = 91\n", "poll_jitter"},
        {"[enrolment]\nauto_accept = perhaps\n", "auto_accept"},
        {"[tls]\nverify = no\n", "verify"}, /* no such thing exists */
        {"[log]\nlevel = loud\n", "level"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct server_config config;
        struct err err;
        if (load(rows[i].text, &config, &err))
            fail_msg("'%s' was taken", rows[i].text);
        assert_int_equal(err.code, ERR_CONFIG);
        if (strstr(err.text, rows[i].part) == NULL)
            fail_msg("'%s': %s", rows[i].text, err.text);
    }
}

static void test_addresses(void **state) {
    static const struct {
        const char *text, *host;
        uint16_t port;
    } good[] = {{"127.0.0.1:9443", "127.0.0.1", 9443}, {"0.0.0.0:0", "0.0.0.0", 0}, {"[::]:8443", "::", 8443}, {"[::1]:65535", "::1", 65535}};
    static const char *const bad[] = {
        "",       ":",     ":1",           "127.0.0.1",     "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1",
        "::1:80", "[]:80", "localhost:80", "[127.0.0.1]:80"};
    char host[64];
    uint16_t port;
    struct err err;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(server_config_address(good[i].text, "x", host, &port, &err));
        assert_string_equal(host, good[i].host);
        assert_int_equal(port, good[i].port);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (server_config_address(bad[i], "x", host, &port, &err))
            fail_msg("'%s' was taken", bad[i]);
}

static void test_variables_of_other_programs(void **state) {
    struct server_config config;
    struct err err;
    (void)state;
    setenv("PAWL_AGENT_SERVER_URL", "x", 1);
    setenv("PAWL_TOKEN_FILE", "x", 1);
    setenv("PAWL_FLEET_POLL_AFTER", "7s", 1);
    assert_true(load("", &config, &err));
    assert_int_equal(config.fleet.poll_after, 7);
    server_config_free(&config);
    setenv("PAWL_FLEET_POLL_AFTR", "7s", 1);
    assert_false(load("", &config, &err));
    unsetenv("PAWL_FLEET_POLL_AFTR");
    unsetenv("PAWL_FLEET_POLL_AFTER");
    unsetenv("PAWL_TOKEN_FILE");
    unsetenv("PAWL_AGENT_SERVER_URL");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample_is_the_committed_one),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_variables_of_other_programs),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_drop);
}
