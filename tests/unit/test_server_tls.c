/* Who may come in, by certificate and by session. */
#include "tests/unit/wire_server.h"

/* ---- who may come in ---- */

static void test_refused_certificates(void **state) {
    static const char *const names[] = {NULL, "foreign", "wrong-eku", "no-eku", "no-san", "two-sans", "expired", "future", "weak", "ca"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            struct client client;
            bool ended = true;
            size_t got = 0;
            /* A TLS 1.3 client learns of it only when it reads: what counts is that no byte of HTTP comes. */
            if (client_open(&client, device_port(state), names[i], version, NULL)) {
                (void)client_say(&client, WHO);
                got = client_read(&client, reply, sizeof(reply), 5000, &ended);
            }
            if (got > 0 || !ended)
                fail_msg("certificate '%s', TLS %x: %s", names[i] ? names[i] : "none", (unsigned)version, reply);
            client_close(&client);
        }
    }
    EVENTUALLY(count(state).handshakes_failed == 2 * ARRAY_LEN(names));
    assert_int_equal(count(state).handshakes_full, 0);
    assert_int_equal(count(state).requests, 0);
}

static void test_identity(void **state) {
    struct client client;
    assert_true(client_open(&client, device_port(state), "device-2", 0, NULL));
    assert_int_equal(
        client_ask(&client, "GET /who HTTP/1.1\r\nHost: x\r\nX-Controller-Id: device-1\r\nClient-Cert: device-1\r\nX-SSL-Client-CN: device-1\r\n\r\n",
                   reply, sizeof(reply)),
        200);
    assert_non_null(strstr(reply, "id=device-2 address=127.0.0.1"));
    assert_non_null(strstr(reply, "X-Request-Id: "));
    client_close(&client);
    /* The administration listener takes no certificate, or one that verifies; it names no device either way, and lets no
     * device in. */
    int admin = wire_port(((struct server_under_test *)*state)->wire, 1);
    for (int i = 0; i < 2; i++) {
        assert_true(client_open(&client, admin, i ? "admin-1" : NULL, 0, NULL));
        assert_int_equal(client_ask(&client, WHO, reply, sizeof(reply)), 200);
        assert_non_null(strstr(reply, "id= "));
        client_close(&client);
    }
    for (int i = 0; i < 2; i++) {
        bool ended;
        (void)(client_open(&client, admin, i ? "device-2" : "foreign", 0, NULL) && client_say(&client, WHO));
        assert_int_equal(client_read(&client, reply, sizeof(reply), 5000, &ended), 0);
        assert_true(ended);
        client_close(&client);
    }
}

static void test_old_protocols(void **state) {
    struct client client;
    assert_false(client_open(&client, device_port(state), "device-1", TLS1_1_VERSION, NULL));
    client_close(&client);
    assert_true(client_open(&client, device_port(state), "device-1", TLS1_2_VERSION, NULL));
    assert_int_equal(client_ask(&client, WHO, reply, sizeof(reply)), 200);
    client_close(&client);
}

/* ---- sessions ---- */

static SSL_SESSION *get_session(void **state, const char *name, int version) {
    struct client client;
    assert_true(client_open(&client, device_port(state), name, version, NULL));
    assert_int_equal(client_ask(&client, WHO, reply, sizeof(reply)), 200);
    SSL_SESSION *session = client.session;
    if (session != NULL)
        SSL_SESSION_up_ref(session);
    SSL_shutdown(client.ssl);
    client_close(&client);
    return session;
}

/* Connects with the session and no certificate, or another's. Returns the status; 0: no byte of HTTP came. */
static int use_session(void **state, SSL_SESSION *session, const char *name, bool *ret_reused) {
    struct client client;
    int status = 0;
    if (client_open(&client, device_port(state), name, 0, session))
        status = client_ask(&client, WHO, reply, sizeof(reply));
    *ret_reused = SSL_session_reused(client.ssl) == 1;
    client_close(&client);
    return status;
}

static void test_resumption(void **state) {
    SSL_SESSION *session = get_session(state, "device-1", TLS1_3_VERSION);
    bool reused;
    assert_non_null(session);
    /* Identity comes from the record, not from the certificate at hand. */
    assert_int_equal(use_session(state, session, "device-2", &reused), 200);
    assert_true(reused);
    assert_non_null(strstr(reply, "id=device-1 "));
    /* Spent: a full handshake, and the certificate counts. */
    assert_int_equal(use_session(state, session, "device-2", &reused), 200);
    assert_false(reused);
    assert_non_null(strstr(reply, "id=device-2 "));
    assert_int_equal(use_session(state, session, NULL, &reused), 0);
    SSL_SESSION_free(session);
    session = get_session(state, "device-1", TLS1_2_VERSION);
    assert_int_equal(use_session(state, session, "device-1", &reused), 200);
    assert_false(reused);
    SSL_SESSION_free(session);
    assert_int_equal(count(state).handshakes_resumed, 1);
}

static void test_resumption_of_revoked(void **state) {
    SSL_SESSION *session = get_session(state, "device-1", TLS1_3_VERSION);
    bool reused;
    atomic_store(&fake.refuse_devices, true);
    assert_int_equal(use_session(state, session, "device-1", &reused), 0);
    assert_int_equal(use_session(state, session, NULL, &reused), 0);
    atomic_store(&fake.refuse_devices, false);
    SSL_SESSION_free(session);
    session = get_session(state, "device-1", TLS1_3_VERSION);
    wire_disconnect_device(((struct server_under_test *)*state)->wire, "device-1");
    assert_int_equal(use_session(state, session, NULL, &reused), 0);
    SSL_SESSION_free(session);
    assert_int_equal(count(state).handshakes_resumed, 0);
}

static void test_reload(void **state) {
    struct server_under_test *server = *state;
    SSL_SESSION *session = get_session(state, "device-1", TLS1_3_VERSION);
    struct client open;
    struct err err;
    bool reused;
    assert_true(client_open(&open, device_port(state), "device-1", 0, NULL));
    assert_true(wire_reload(server->wire, &server->settings, &err));
    assert_int_equal(client_ask(&open, WHO, reply, sizeof(reply)), 200); /* live connections keep their context */
    client_close(&open);
    assert_int_equal(use_session(state, session, NULL, &reused), 200); /* neither CAs nor lists have changed */
    SSL_SESSION_free(session);
    struct wire_settings bad = server->settings;
    bad.listeners[0].clients.ca = "/nonexistent";
    assert_false(wire_reload(server->wire, &bad, &err));
    assert_non_null(strstr(err.text, "/nonexistent"));
    session = get_session(state, "device-1", TLS1_3_VERSION);
    assert_int_equal(use_session(state, session, NULL, &reused), 200);
    SSL_SESSION_free(session);
}

/* Writes a list of `issuer` that names one leaf, or none. */
static void write_crl(const char *issuer, const char *name, const char *path) {
    struct made signer = make_read(issuer), leaf = make_read(name ? name : "device-1");
    const struct made *const gone[] = {&leaf};
    make_crl(&(struct make_crl){0}, &signer, gone, name ? 1 : 0, path);
    make_free(&signer);
    make_free(&leaf);
}

static void expect_cut(struct client *client) {
    bool ended = false;
    assert_int_equal(client_read(client, reply, sizeof(reply), 5000, &ended), 0);
    assert_true(ended);
    client_close(client);
}

static void test_revocation_lists(void **state) {
    struct server_under_test *server = *state;
    struct wire_settings settings = server->settings;
    struct client first, second, admin;
    struct wire_crl listed[4];
    struct err err;
    bool reused;
    char crl[TEMPORARY_SIZE + 16];
    snprintf(crl, sizeof(crl), "%s/device.crl", folder);
    settings.listeners[0].clients.crl = crl;
    assert_int_equal(wire_crls(server->wire, listed, ARRAY_LEN(listed)), 0);
    write_crl("ca", NULL, crl);
    assert_true(wire_reload(server->wire, &settings, &err));
    assert_int_equal(wire_crls(server->wire, listed, ARRAY_LEN(listed)), 1);
    assert_int_equal(listed[0].role, API_DEVICE);
    assert_int_equal(listed[0].crl.revoked, 0);

    SSL_SESSION *one = get_session(state, "device-1", TLS1_3_VERSION), *two = get_session(state, "device-2", TLS1_3_VERSION);
    SSL_SESSION *open_on = get_session(state, "device-2", TLS1_3_VERSION);
    assert_true(client_open(&first, device_port(state), "device-1", 0, NULL));
    assert_true(client_open(&second, device_port(state), NULL, 0, open_on)); /* resumed: it has shown no certificate */
    assert_int_equal(client_ask(&second, "GET /who HTTP/1.1\r\nHost: x\r\n\r\n", reply, sizeof(reply)), 200);
    assert_true(client_open(&admin, wire_port(server->wire, 1), "admin-1", 0, NULL));
    write_crl("ca", "device-2", crl);
    assert_true(wire_reload(server->wire, &settings, &err));
    expect_cut(&second);
    assert_int_equal(client_ask(&first, WHO, reply, sizeof(reply)), 200);
    assert_int_equal(client_ask(&admin, WHO, reply, sizeof(reply)), 200); /* another listener has another list */
    client_close(&first);
    client_close(&admin);
    assert_int_equal(use_session(state, two, "device-2", &reused), 0);
    assert_int_equal(use_session(state, one, NULL, &reused), 0); /* a list has changed: no session outlives that */
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        assert_int_equal(client_open(&second, device_port(state), "device-2", version, NULL) && client_ask(&second, WHO, reply, sizeof(reply)) > 0,
                         false);
        client_close(&second);
    }

    /* A list that nobody known has signed changes nothing. */
    write_crl("device-3", NULL, crl);
    assert_false(wire_reload(server->wire, &settings, &err));
    assert_non_null(strstr(err.text, "not signed by a configured CA"));
    assert_false(client_open(&second, device_port(state), "device-2", TLS1_2_VERSION, NULL));
    client_close(&second);
    SSL_SESSION_free(one);
    SSL_SESSION_free(two);
    SSL_SESSION_free(open_on);
}

/* Old and new CA side by side, then the new one alone: only what stands on the old one goes. */
static void test_roll_over(void **state) {
    struct server_under_test *server = *state;
    struct wire_settings settings = server->settings;
    struct made fresh = make_ca("ca of tomorrow"), leaf = make_certificate(&(struct make){.san = "URI:urn:pawl:device:device-9"}, &fresh);
    struct client old, young, nobody;
    struct err err;
    char both[TEMPORARY_SIZE + 16], alone[TEMPORARY_SIZE + 16];
    snprintf(both, sizeof(both), "%s/both.pem", folder);
    snprintf(alone, sizeof(alone), "%s/fresh.pem", folder);
    make_write(&fresh, "fresh");
    make_write(&leaf, "device-9");
    make_join(both, (const char *[]){server->ca, alone, NULL});
    settings.listeners[0].clients.ca = settings.listeners[1].clients.ca = both;
    assert_true(wire_reload(server->wire, &settings, &err));
    assert_true(client_open(&old, device_port(state), "device-1", 0, NULL));
    assert_true(client_open(&young, device_port(state), "device-9", 0, NULL));
    assert_true(client_open(&nobody, wire_port(server->wire, 1), NULL, 0, NULL));
    assert_int_equal(client_ask(&young, WHO, reply, sizeof(reply)), 200);
    settings.listeners[0].clients.ca = settings.listeners[1].clients.ca = alone;
    assert_true(wire_reload(server->wire, &settings, &err));
    expect_cut(&old);
    assert_int_equal(client_ask(&young, WHO, reply, sizeof(reply)), 200);
    assert_int_equal(client_ask(&nobody, WHO, reply, sizeof(reply)), 200); /* who has shown no certificate loses none */
    client_close(&young);
    client_close(&nobody);
    make_free(&fresh);
    make_free(&leaf);
}

/* What a handler leaves in OpenSSL's queue is no fault of the connections of its thread. */
static void test_errors_of_others(void **state) {
    struct client client;
    assert_true(client_open(&client, device_port(state), "device-1", 0, NULL));
    for (int i = 0; i < 3; i++)
        assert_int_equal(client_ask(&client, "GET /error-left HTTP/1.1\r\nHost: x\r\n\r\n", reply, sizeof(reply)), 200);
    client_close(&client);
}

/* A connection ends with the first request after its certificate has. */
static void test_certificate_ends(void **state) {
    struct client client;
    int status = 200;
    assert_true(client_open(&client, device_port(state), "brief", 0, NULL));
    assert_int_equal(client_ask(&client, WHO, reply, sizeof(reply)), 200);
    int begun = fake.begun;
    for (int i = 0; i < 100 && status == 200; i++) {
        clock_sleep_ms(100);
        status = client_ask(&client, WHO, reply, sizeof(reply));
    }
    assert_int_equal(status, 0);
    assert_true(fake.begun > begun);
    client_close(&client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH(start_default, test_certificate_ends), /* the first, because it must still be good when it starts */
        WITH(start_default, test_refused_certificates),  WITH(start_default, test_identity),
        WITH(start_default, test_old_protocols),         WITH(start_default, test_resumption),
        WITH(start_default, test_resumption_of_revoked), WITH(start_default, test_reload),
        WITH(start_default, test_revocation_lists),      WITH(start_default, test_roll_over),
        WITH(start_default, test_errors_of_others),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
