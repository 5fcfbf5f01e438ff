/* A server under test for the wire's tests: real TLS on loopback, certificates made at start, and a stand-in (wire_fake.h) for what comes behind it.
 */
#ifndef PAWL_TESTS_UNIT_WIRE_SERVER_H
#define PAWL_TESTS_UNIT_WIRE_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <signal.h>

#include "tests/unit/certs_make.h"
#include "tests/unit/wire_client.h"
#include "tests/unit/wire_fake.h"

static char reply[65536];

#define WHO "GET /who HTTP/1.1\r\nHost: x\r\n\r\n"

/* ---- a server ---- */

struct server_under_test {
    struct wire *wire;
    struct wire_settings settings;
    char ca[TEMPORARY_SIZE + 16], certificate[TEMPORARY_SIZE + 16], key[TEMPORARY_SIZE + 16];
};

static inline void server_settings(struct server_under_test *server) {
    snprintf(server->ca, sizeof(server->ca), "%s/ca.pem", folder);
    snprintf(server->certificate, sizeof(server->certificate), "%s/server.pem", folder);
    snprintf(server->key, sizeof(server->key), "%s/server.key", folder);
    server->settings = (struct wire_settings){.listener_count = 2, .workers = 2, .admit = fake_admit, .max_connections_per_device = 100};
    server->settings.listeners[0] = (struct wire_listener){
        .role = API_DEVICE, .address = "127.0.0.1", .clients.ca = server->ca, .certificate_file = server->certificate, .key_file = server->key};
    server->settings.listeners[1] = (struct wire_listener){.role = API_ADMIN,
                                                           .address = "127.0.0.1",
                                                           .client_certificate = WIRE_CERTIFICATE_REQUESTED,
                                                           .clients.ca = server->ca,
                                                           .certificate_file = server->certificate,
                                                           .key_file = server->key};
}

static inline void server_start(struct server_under_test *server) {
    struct err err = {0};
    server->wire = wire_start(&server->settings, NULL, (struct db *)server, &err);
    if (server->wire == NULL)
        fail_msg("%s", err.text);
}

static inline int start_default(void **state) {
    static struct server_under_test server;
    server_settings(&server);
    server_start(&server);
    *state = &server;
    return 0;
}

static inline int stop(void **state) {
    struct server_under_test *server = *state;
    wire_stop(server->wire);
    assert_int_equal(fake.begun, fake.finished);
    assert_int_equal(fake.blobs_open, 0);
    assert_int_equal(fake.pulls_open, 0);
    return 0;
}

static inline int device_port(void **state) {
    return wire_port(((struct server_under_test *)*state)->wire, 0);
}

static inline struct wire_counters count(void **state) {
    struct wire_counters counters;
    wire_count(((struct server_under_test *)*state)->wire, &counters);
    return counters;
}

/* Until something is so, at most 5 s. */
#define EVENTUALLY(condition)                                                                                                                        \
    do {                                                                                                                                             \
        for (int tries_ = 0; tries_ < 500 && !(condition); tries_++)                                                                                 \
            clock_sleep_ms(10);                                                                                                                      \
        assert_true(condition);                                                                                                                      \
    } while (0)

/* ---- the PKI ---- */

static inline int set_up(void **state) {
    static const struct {
        const char *name;
        struct make make;
        bool foreign;
    } leaves[] = {
        {"server", {.san = "DNS:localhost,IP:127.0.0.1", .eku = "serverAuth"}, false},
        {"device-1", {.san = "URI:urn:pawl:device:device-1"}, false},
        {"device-2", {.san = "URI:urn:pawl:device:device-2"}, false},
        {"device-3", {.san = "URI:urn:pawl:device:device-3"}, false},
        {"admin-1", {.san = "URI:urn:pawl:admin:alice"}, false},
        {"foreign", {.san = "URI:urn:pawl:device:device-1"}, true},
        {"wrong-eku", {.san = "URI:urn:pawl:device:device-1", .eku = "serverAuth"}, false},
        {"no-eku", {.san = "URI:urn:pawl:device:device-1", .eku = ""}, false},
        {"no-san", {.common_name = "device-1"}, false},
        {"two-sans", {.san = "URI:urn:pawl:device:device-1,URI:urn:pawl:device:device-2"}, false},
        {"expired", {.san = "URI:urn:pawl:device:device-1", .starts_in_s = -200, .ends_in_s = -100}, false},
        {"brief", {.san = "URI:urn:pawl:device:device-4", .ends_in_s = 6}, false},
        {"future", {.san = "URI:urn:pawl:device:device-1", .starts_in_s = 3600}, false},
        {"weak", {.san = "URI:urn:pawl:device:device-1", .key = "P-521"}, false},
    };
    struct made ca = make_ca("ca"), other = make_ca("ca");
    signal(SIGPIPE, SIG_IGN);
    folder_make(state);
    make_write(&ca, "ca");
    for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
        struct made leaf = make_certificate(&leaves[i].make, leaves[i].foreign ? &other : &ca);
        make_write(&leaf, leaves[i].name);
        make_free(&leaf);
    }
    make_free(&ca);
    make_free(&other);
    fake_start();
    return 0;
}

static inline int tear_down(void **state) {
    fake_stop();
    return folder_drop(state);
}

#define WITH(start, test) cmocka_unit_test_setup_teardown(test, start, stop)

#endif
