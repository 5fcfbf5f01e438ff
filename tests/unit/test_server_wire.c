/* The whole wire with real TLS on loopback, and a stand-in (wire_fake.h) for what comes behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#include "common/file.h"
#include "tests/unit/certs_make.h"
#include "tests/unit/wire_client.h"
#include "tests/unit/wire_fake.h"

static char folder[] = "/tmp/pawl-wire-XXXXXX";
static char reply[65536];

#define WHO "GET /who HTTP/1.1\r\nHost: x\r\n\r\n"

/* ---- a server ---- */

struct server_under_test {
    struct wire *wire;
    struct wire_settings settings;
    char ca[128], certificate[128], key[128];
};

static void server_settings(struct server_under_test *server) {
    snprintf(server->ca, sizeof(server->ca), "%s/ca.pem", folder);
    snprintf(server->certificate, sizeof(server->certificate), "%s/server.pem", folder);
    snprintf(server->key, sizeof(server->key), "%s/server.key", folder);
    server->settings = (struct wire_settings){.listener_count = 2, .workers = 2, .admit = fake_admit, .max_connections_per_device = 100};
    server->settings.listeners[0] = (struct wire_listener){
        .role = API_DEVICE, .address = "127.0.0.1", .client_ca_file = server->ca, .certificate_file = server->certificate, .key_file = server->key};
    server->settings.listeners[1] = (struct wire_listener){.role = API_ADMIN,
                                                           .address = "127.0.0.1",
                                                           .client_certificate = WIRE_CERTIFICATE_REQUESTED,
                                                           .client_ca_file = server->ca,
                                                           .certificate_file = server->certificate,
                                                           .key_file = server->key};
}

static void server_start(struct server_under_test *server) {
    struct err err = {0};
    server->wire = wire_start(&server->settings, NULL, (struct db *)server, &err);
    if (server->wire == NULL)
        fail_msg("%s", err.text);
}

static int start_default(void **state) {
    static struct server_under_test server;
    server_settings(&server);
    server_start(&server);
    *state = &server;
    return 0;
}

static int stop(void **state) {
    struct server_under_test *server = *state;
    wire_stop(server->wire);
    assert_int_equal(fake.begun, fake.finished);
    assert_int_equal(fake.blobs_open, 0);
    return 0;
}

static int device_port(void **state) {
    return wire_port(((struct server_under_test *)*state)->wire, 0);
}

static struct wire_counters count(void **state) {
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

/* ---- who may come in ---- */

static void test_refused_certificates(void **state) {
    static const char *const names[] = {NULL, "foreign", "wrong-eku", "no-eku", "no-san", "two-sans", "expired", "future", "weak", "ca"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            struct client client;
            bool ended = true;
            size_t got = 0;
            /* A TLS 1.3 client learns of it only when it reads: what counts is that no byte of HTTP comes. */
            if (client_open(&client, device_port(state), folder, names[i], version, NULL)) {
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
    assert_true(client_open(&client, device_port(state), folder, "device-2", 0, NULL));
    assert_int_equal(
        client_ask(&client, "GET /who HTTP/1.1\r\nHost: x\r\nX-Controller-Id: device-1\r\nClient-Cert: device-1\r\nX-SSL-Client-CN: device-1\r\n\r\n",
                   reply, sizeof(reply)),
        200);
    assert_non_null(strstr(reply, "id=device-2 address=127.0.0.1"));
    assert_non_null(strstr(reply, "X-Request-Id: "));
    client_close(&client);
    /* The administration listener takes no certificate, or one that verifies; it names no device either way. */
    int admin = wire_port(((struct server_under_test *)*state)->wire, 1);
    for (int i = 0; i < 2; i++) {
        assert_true(client_open(&client, admin, folder, i ? "device-2" : NULL, 0, NULL));
        assert_int_equal(client_ask(&client, WHO, reply, sizeof(reply)), 200);
        assert_non_null(strstr(reply, "id= "));
        client_close(&client);
    }
    (void)(client_open(&client, admin, folder, "foreign", 0, NULL) && client_say(&client, WHO));
    bool ended;
    assert_int_equal(client_read(&client, reply, sizeof(reply), 5000, &ended), 0);
    client_close(&client);
}

static void test_old_protocols(void **state) {
    struct client client;
    assert_false(client_open(&client, device_port(state), folder, "device-1", TLS1_1_VERSION, NULL));
    client_close(&client);
    assert_true(client_open(&client, device_port(state), folder, "device-1", TLS1_2_VERSION, NULL));
    assert_int_equal(client_ask(&client, WHO, reply, sizeof(reply)), 200);
    client_close(&client);
}

/* ---- sessions ---- */

static SSL_SESSION *get_session(void **state, const char *name, int version) {
    struct client client;
    assert_true(client_open(&client, device_port(state), folder, name, version, NULL));
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
    if (client_open(&client, device_port(state), folder, name, 0, session))
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
    assert_true(client_open(&open, device_port(state), folder, "device-1", 0, NULL));
    assert_true(wire_reload(server->wire, &server->settings, &err));
    assert_int_equal(client_ask(&open, WHO, reply, sizeof(reply)), 200); /* live connections keep their context */
    client_close(&open);
    assert_int_equal(use_session(state, session, NULL, &reused), 0); /* what the old CA set verified is void */
    SSL_SESSION_free(session);
    session = get_session(state, "device-1", TLS1_3_VERSION);
    assert_int_equal(use_session(state, session, NULL, &reused), 200);
    SSL_SESSION_free(session);
    struct wire_settings bad = server->settings;
    bad.listeners[0].client_ca_file = "/nonexistent";
    assert_false(wire_reload(server->wire, &bad, &err));
    assert_non_null(strstr(err.text, "/nonexistent"));
    session = get_session(state, "device-1", TLS1_3_VERSION);
    assert_int_equal(use_session(state, session, NULL, &reused), 200);
    SSL_SESSION_free(session);
}

/* ---- requests ---- */

static void each_file(void **state, const char *kind, bool slowly, void (*check)(const char *name, bool ended)) {
    char path[512];
    snprintf(path, sizeof(path), "%s/http/%s", PAWL_TEST_DATA, kind);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    int files = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct buf file CLEANUP(buf_free) = BUF_INIT(65536);
        struct err err;
        struct client client;
        bool ended;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/http/%s/%.200s", PAWL_TEST_DATA, kind, entry->d_name);
        assert_true(file_read(path, &file, &err));
        assert_true(client_open(&client, device_port(state), folder, "device-1", 0, NULL));
        for (size_t i = 0; i < file.len && client_send(&client, file.data + i, slowly ? 1 : file.len); i += slowly ? 1 : file.len) {
        }
        client_read(&client, reply, sizeof(reply), strcmp(kind, "legal") == 0 ? 300 : 5000, &ended);
        check(entry->d_name, ended);
        client_close(&client);
        files++;
    }
    closedir(dir);
    assert_int_equal(files, strcmp(kind, "legal") == 0 ? 7 : 32);
}

static void check_malformed(const char *name, bool ended) {
    int status = strncmp(reply, "HTTP/1.1 ", 9) == 0 ? atoi(reply + 9) : 0;
    if (!ended || status < 400 || strstr(reply, "HTTP/1.1 2") != NULL || strstr(reply, "urn:pawl:problem:") == NULL)
        fail_msg("%s: ended=%d %s", name, ended, reply);
}

static void check_legal(const char *name, bool ended) {
    (void)ended;
    if (strstr(reply, "HTTP/1.1 2") == NULL || strstr(reply, "HTTP/1.1 4") != NULL || strstr(reply, "HTTP/1.1 5") != NULL)
        fail_msg("%s: %s", name, reply);
}

static void test_malformed(void **state) {
    int begun = fake.begun;
    each_file(state, "malformed", false, check_malformed);
    each_file(state, "malformed", true, check_malformed);
    assert_int_equal(fake.begun, begun);
    assert_int_equal(count(state).refused_at_gate, 64);
}

static void test_legal(void **state) {
    int begun = fake.begun;
    each_file(state, "legal", false, check_legal);
    each_file(state, "legal", true, check_legal);
    assert_int_equal(fake.begun - begun, 2 * 9); /* one file holds three */
}

static void test_largest_head(void **state) {
    static char head[GATE_MAX_HEAD + 64];
    struct client client;
    size_t len = (size_t)sprintf(head, "GET /who?");
    for (int i = 0; i < GATE_MAX_QUERY_PARTS - 1; i++)
        len += (size_t)sprintf(head + len, "a&");
    len += (size_t)sprintf(head + len, "a HTTP/1.1\r\nHost: x\r\n");
    for (int i = 1; i < GATE_MAX_FIELDS - 1; i++)
        len += (size_t)sprintf(head + len, "A%d: b\r\n", i);
    len += (size_t)sprintf(head + len, "F: ");
    while (len < GATE_MAX_HEAD - 4)
        head[len++] = 'f';
    strcpy(head + len, "\r\n\r\n");
    assert_true(client_open(&client, device_port(state), folder, "device-1", 0, NULL));
    for (int i = 0; i < 3; i++)
        assert_int_equal(client_ask(&client, head, reply, sizeof(reply)), 200);
    client_close(&client);
}

static void test_writer(void **state) {
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"POST /write HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab", 200},
        {"POST /write-fails HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab", 409},
        {"GET /defer HTTP/1.1\r\nHost: x\r\n\r\n", 200},
        {"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 404},
    };
    struct client client;
    assert_true(client_open(&client, device_port(state), folder, "device-1", 0, NULL));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(client_ask(&client, cases[i].request, reply, sizeof(reply)), cases[i].status);
    atomic_store(&fake_writer.refuse, true);
    assert_int_equal(client_ask(&client, cases[0].request, reply, sizeof(reply)), 503);
    atomic_store(&fake_writer.refuse, false);
    assert_int_equal(client_ask(&client, cases[0].request, reply, sizeof(reply)), 200);
    client_close(&client);
}

static void test_vanishing_clients(void **state) {
    int gone = fake.gone, discarded = fake.discarded;
    struct client client;
    bool ended;
    atomic_store(&fake.writer_delay_ms, 200);
    for (int i = 0; i < 4; i++) {
        /* While the writer has the request. */
        assert_true(client_open(&client, device_port(state), folder, "device-1", 0, NULL));
        assert_true(client_say(&client, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n"));
        clock_sleep_ms(50);
        client_close(&client);
        /* In the middle of a reply. */
        assert_true(client_open(&client, device_port(state), folder, "device-1", 0, NULL));
        assert_true(client_say(&client, "GET /blob HTTP/1.1\r\nHost: x\r\n\r\n"));
        client_read(&client, reply, sizeof(reply), 5000, &ended);
        client_close(&client);
        /* In the middle of a body. */
        assert_true(client_open(&client, device_port(state), folder, "device-1", 0, NULL));
        assert_true(client_say(&client, "PUT /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"));
        clock_sleep_ms(50);
        client_close(&client);
    }
    atomic_store(&fake.writer_delay_ms, 0);
    EVENTUALLY(fake.discarded - discarded == 4);
    EVENTUALLY(fake.blobs_open == 0);
    EVENTUALLY(fake.finished == fake.begun);
    assert_int_equal(fake.gone - gone, 4);
}

static void test_early_refusal(void **state) {
    static char body[65536];
    struct client client;
    bool ended;
    /* The server answers at the head; a client that goes on sending can still read why. */
    assert_true(client_open(&client, device_port(state), folder, "device-1", 0, NULL));
    assert_true(client_say(&client, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"));
    for (int i = 0; i < 40 && client_send(&client, body, sizeof(body)); i++) {
    }
    client_read(&client, reply, sizeof(reply), 5000, &ended);
    assert_memory_equal(reply, "HTTP/1.1 413 ", 13);
    assert_true(ended);
    client_close(&client);
    /* With Expect the body is never asked for. */
    assert_true(client_open(&client, device_port(state), folder, "device-1", 0, NULL));
    assert_int_equal(
        client_ask(&client, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\nExpect: 100-continue\r\n\r\n", reply, sizeof(reply)), 413);
    client_close(&client);
}

static void test_stream(void **state) {
    enum { SIZE = 5 * 1000 * 1000 + 7 };
    char head[128];
    struct client client;
    char *body = calloc(1, SIZE);
    assert_non_null(body);
    assert_true(client_open(&client, device_port(state), folder, "device-1", 0, NULL));
    uint64_t before = atomic_load(&fake.streamed);
    for (int i = 0; i < 2; i++) {
        snprintf(head, sizeof(head), "PUT /stream%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", i ? "-full" : "", SIZE);
        assert_true(client_send(&client, head, strlen(head)));
        assert_true(client_send(&client, body, SIZE));
        assert_int_equal(client_ask(&client, "", reply, sizeof(reply)), i ? 507 : 200);
        if (i == 0)
            assert_int_equal(atomic_load(&fake.streamed) - before, SIZE);
    }
    client_close(&client);
    free(body);
}

static void test_blob(void **state) {
    struct client client;
    bool ended;
    char *got = malloc(FAKE_BLOB_SIZE + 4096);
    assert_non_null(got);
    assert_true(client_open(&client, device_port(state), folder, "device-1", 0, NULL));
    assert_true(client_say(&client, "HEAD /blob HTTP/1.1\r\nHost: x\r\n\r\nGET /check HTTP/1.1\r\nHost: x\r\n\r\n"));
    client_read(&client, reply, sizeof(reply), 500, &ended);
    assert_non_null(strstr(reply, "Content-Length: 33554432\r\n"));
    assert_non_null(strstr(reply, "HTTP/1.1 204 "));
    client_close(&client);
    assert_true(client_open(&client, device_port(state), folder, "device-1", 0, NULL));
    assert_true(client_say(&client, "GET /blob HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    clock_sleep_ms(300); /* every buffer on the way fills up */
    size_t len = client_read(&client, got, FAKE_BLOB_SIZE + 4096, 5000, &ended);
    char *body = strstr(got, "\r\n\r\n") + 4;
    assert_int_equal(got + len - body, FAKE_BLOB_SIZE);
    assert_memory_equal(body, fake.blob, FAKE_BLOB_SIZE);
    assert_true(ended);
    client_close(&client);
    free(got);
}

/* ---- ends ---- */

static void test_disconnect(void **state) {
    struct client one, two, busy;
    bool ended;
    assert_true(client_open(&one, device_port(state), folder, "device-1", 0, NULL));
    assert_true(client_open(&busy, device_port(state), folder, "device-1", 0, NULL));
    assert_true(client_open(&two, device_port(state), folder, "device-2", 0, NULL));
    assert_int_equal(client_ask(&one, WHO, reply, sizeof(reply)), 200);
    assert_int_equal(client_ask(&two, WHO, reply, sizeof(reply)), 200);
    assert_true(client_say(&busy, "GET /blob HTTP/1.1\r\nHost: x\r\n\r\n"));
    int64_t began = clock_mono_ms();
    wire_disconnect_device(((struct server_under_test *)*state)->wire, "device-1");
    assert_int_equal(client_read(&one, reply, sizeof(reply), 5000, &ended), 0);
    assert_true(ended && clock_mono_ms() - began < 1000);
    size_t total = 0;
    do {
        total += client_read(&busy, reply, sizeof(reply), 5000, &ended);
    } while (!ended);
    assert_true(total < FAKE_BLOB_SIZE);
    assert_int_equal(client_ask(&two, WHO, reply, sizeof(reply)), 200);
    client_close(&one);
    client_close(&busy);
    client_close(&two);
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* The first record of a handshake, and no more: made by a client whose bytes go nowhere. */
static size_t client_hello(char *out, size_t size) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *sent = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, sent);
    SSL_connect(ssl);
    int len = BIO_read(sent, out, (int)size);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return (size_t)len;
}

static int start_hasty(void **state) {
    static struct server_under_test server;
    server_settings(&server);
    server.settings.handshake_deadline_ms = server.settings.head_deadline_ms = server.settings.idle_deadline_ms = 1500;
    server.settings.max_connections_per_device = 60;
    server_start(&server);
    *state = &server;
    return 0;
}

static void test_deadlines(void **state) {
    enum { SILENT = 50, STALLED = 50, TRICKLING = 20, IDLE = 5 };
    static char hello[2048];
    int silent[SILENT], stalled[STALLED];
    struct client trickling[TRICKLING], idle[IDLE];
    size_t len = client_hello(hello, sizeof(hello));
    bool ended;
    for (int i = 0; i < TRICKLING; i++) {
        assert_true(client_open(&trickling[i], device_port(state), folder, "device-1", 0, NULL));
        assert_true(client_say(&trickling[i], "G"));
    }
    for (int i = 0; i < IDLE; i++) {
        assert_true(client_open(&idle[i], device_port(state), folder, "device-1", 0, NULL));
        assert_int_equal(client_ask(&idle[i], WHO, reply, sizeof(reply)), 200);
    }
    for (int i = 0; i < SILENT; i++)
        silent[i] = client_connect(device_port(state));
    for (int i = 0; i < STALLED; i++) {
        stalled[i] = client_connect(device_port(state));
        assert_int_equal(send(stalled[i], hello, len, 0), len);
    }
    clock_sleep_ms(100);
    double cpu = cpu_seconds();
    int64_t began = clock_mono_ms();
    for (int round = 1; round < 10; round++) {
        for (int i = 0; i < TRICKLING; i++)
            (void)client_send(&trickling[i], &"GET / HTTP/1.1"[round], 1);
        clock_sleep_ms(50);
    }
    EVENTUALLY(count(state).cut_handshake == SILENT + STALLED);
    EVENTUALLY(count(state).cut_head == TRICKLING);
    EVENTUALLY(count(state).cut_idle == IDLE);
    assert_true(clock_mono_ms() - began < 4000);
    assert_true(cpu_seconds() - cpu < 0.5);
    for (int i = 0; i < TRICKLING; i++) {
        client_read(&trickling[i], reply, sizeof(reply), 5000, &ended);
        assert_true(ended);
        assert_memory_equal(reply, "HTTP/1.1 408 ", 13);
        client_close(&trickling[i]);
    }
    for (int i = 0; i < SILENT; i++)
        close(silent[i]);
    for (int i = 0; i < STALLED; i++)
        close(stalled[i]);
    for (int i = 0; i < IDLE; i++)
        client_close(&idle[i]);
    EVENTUALLY(count(state).open_connections[0] == 0);
}

static int start_narrow(void **state) {
    static struct server_under_test server;
    server_settings(&server);
    server.settings.max_connections = 10;
    server.settings.reserved_admin_connections = 2;
    server.settings.max_connections_per_device = 3;
    server_start(&server);
    *state = &server;
    return 0;
}

static void test_ceilings(void **state) {
    struct client clients[12];
    bool ended;
    int open = 0;
    /* Three a device. */
    for (int i = 0; i < 3; i++)
        assert_true(client_open(&clients[open++], device_port(state), folder, "device-1", 0, NULL));
    struct client extra;
    (void)client_open(&extra, device_port(state), folder, "device-1", 0, NULL);
    (void)client_say(&extra, WHO);
    assert_int_equal(client_read(&extra, reply, sizeof(reply), 5000, &ended), 0);
    assert_true(ended);
    client_close(&extra);
    /* Eight in all for devices, the last two are administration's. */
    for (int i = 0; i < 5; i++)
        assert_true(client_open(&clients[open++], device_port(state), folder, i < 3 ? "device-2" : "device-3", 0, NULL));
    assert_false(client_open(&extra, device_port(state), folder, "device-3", 0, NULL));
    client_close(&extra);
    for (int i = 0; i < 2; i++) {
        assert_true(client_open(&clients[open], wire_port(((struct server_under_test *)*state)->wire, 1), folder, NULL, 0, NULL));
        assert_int_equal(client_ask(&clients[open++], WHO, reply, sizeof(reply)), 200);
    }
    assert_false(client_open(&extra, wire_port(((struct server_under_test *)*state)->wire, 1), folder, NULL, 0, NULL));
    client_close(&extra);
    while (open > 0)
        client_close(&clients[--open]);
    EVENTUALLY(count(state).open_connections[0] + count(state).open_connections[2] == 0);
    assert_true(client_open(&extra, device_port(state), folder, "device-1", 0, NULL));
    assert_int_equal(client_ask(&extra, WHO, reply, sizeof(reply)), 200);
    client_close(&extra);
    assert_int_equal(count(state).refused_at_capacity, 3);
}

static void *drain(void *arg) {
    return wire_drain(arg, 5000) ? arg : NULL;
}

static void test_drain(void **state) {
    struct server_under_test *server = *state;
    struct client idle, busy;
    pthread_t thread;
    void *drained;
    bool ended;
    assert_true(client_open(&idle, device_port(state), folder, "device-1", 0, NULL));
    assert_int_equal(client_ask(&idle, WHO, reply, sizeof(reply)), 200);
    assert_true(client_open(&busy, device_port(state), folder, "device-1", 0, NULL));
    atomic_store(&fake.writer_delay_ms, 400);
    assert_true(client_say(&busy, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n"));
    clock_sleep_ms(100);
    pthread_create(&thread, NULL, drain, server->wire);
    assert_int_equal(client_read(&idle, reply, sizeof(reply), 5000, &ended), 0);
    assert_true(ended);
    client_read(&busy, reply, sizeof(reply), 5000, &ended);
    assert_true(ended);
    assert_memory_equal(reply, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(reply, "Connection: close\r\n"));
    client_close(&idle);
    client_close(&busy);
    pthread_join(thread, &drained);
    assert_non_null(drained);
    atomic_store(&fake.writer_delay_ms, 0);
}

/* What is still open when the wire stops is cut, also what the writer has. */
static void test_stop_in_the_middle(void **state) {
    struct client busy[3];
    (void)state;
    atomic_store(&fake.writer_delay_ms, 150);
    for (int i = 0; i < 3; i++) {
        assert_true(client_open(&busy[i], device_port(state), folder, "device-1", 0, NULL));
        assert_true(client_say(&busy[i], i == 2 ? "GET /blob HTTP/1.1\r\nHost: x\r\n\r\n" : "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
    clock_sleep_ms(50);
    stop(state);
    atomic_store(&fake.writer_delay_ms, 0);
    for (int i = 0; i < 3; i++)
        client_close(&busy[i]);
}

static void test_settings_at_fault(void **state) {
    static struct server_under_test server;
    struct err err;
    (void)state;
    server_settings(&server);
    server.settings.listeners[0].key_file = "/nonexistent";
    assert_null(wire_start(&server.settings, NULL, NULL, &err));
    assert_non_null(strstr(err.text, "/nonexistent"));
    server_settings(&server);
    chmod(server.key, 0440);
    assert_null(wire_start(&server.settings, NULL, NULL, &err));
    assert_int_equal(err.code, ERR_KEY);
    chmod(server.key, 0400);
    server.settings.listeners[0].address = "localhost";
    assert_null(wire_start(&server.settings, NULL, NULL, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    /* A port that is taken is an error, though the sockets share it among themselves. */
    server_settings(&server);
    server_start(&server);
    struct wire_settings second = server.settings;
    second.listeners[0].port = wire_port(server.wire, 0);
    assert_null(wire_start(&second, NULL, NULL, &err));
    assert_non_null(strstr(err.text, "in use"));
    wire_stop(server.wire);
}

/* ---- the PKI ---- */

static int set_up(void **state) {
    static const struct {
        const char *name;
        struct make make;
        bool foreign;
    } leaves[] = {
        {"server", {.san = "DNS:localhost,IP:127.0.0.1", .eku = "serverAuth"}, false},
        {"device-1", {.san = "URI:urn:pawl:device:device-1"}, false},
        {"device-2", {.san = "URI:urn:pawl:device:device-2"}, false},
        {"device-3", {.san = "URI:urn:pawl:device:device-3"}, false},
        {"foreign", {.san = "URI:urn:pawl:device:device-1"}, true},
        {"wrong-eku", {.san = "URI:urn:pawl:device:device-1", .eku = "serverAuth"}, false},
        {"no-eku", {.san = "URI:urn:pawl:device:device-1", .eku = ""}, false},
        {"no-san", {.common_name = "device-1"}, false},
        {"two-sans", {.san = "URI:urn:pawl:device:device-1,URI:urn:pawl:device:device-2"}, false},
        {"expired", {.san = "URI:urn:pawl:device:device-1", .starts_in_s = -200, .ends_in_s = -100}, false},
        {"future", {.san = "URI:urn:pawl:device:device-1", .starts_in_s = 3600}, false},
        {"weak", {.san = "URI:urn:pawl:device:device-1", .key = "P-521"}, false},
    };
    struct made ca = make_ca("ca"), other = make_ca("ca");
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    if (mkdtemp(folder) == NULL)
        return -1;
    make_write(&ca, folder, "ca");
    for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
        struct made leaf = make_certificate(&leaves[i].make, leaves[i].foreign ? &other : &ca);
        make_write(&leaf, folder, leaves[i].name);
        make_free(&leaf);
    }
    make_free(&ca);
    make_free(&other);
    fake_start();
    return 0;
}

static int tear_down(void **state) {
    DIR *dir = opendir(folder);
    (void)state;
    fake_stop();
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    return rmdir(folder);
}

#define WITH(start, test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH(start_default, test_refused_certificates),
        WITH(start_default, test_identity),
        WITH(start_default, test_old_protocols),
        WITH(start_default, test_resumption),
        WITH(start_default, test_resumption_of_revoked),
        WITH(start_default, test_reload),
        WITH(start_default, test_malformed),
        WITH(start_default, test_legal),
        WITH(start_default, test_largest_head),
        WITH(start_default, test_writer),
        WITH(start_default, test_vanishing_clients),
        WITH(start_default, test_early_refusal),
        WITH(start_default, test_stream),
        WITH(start_default, test_blob),
        WITH(start_default, test_disconnect),
        WITH(start_hasty, test_deadlines),
        WITH(start_narrow, test_ceilings),
        WITH(start_default, test_drain),
        cmocka_unit_test_setup(test_stop_in_the_middle, start_default),
        cmocka_unit_test(test_settings_at_fault),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
