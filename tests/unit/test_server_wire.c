/* How connections end: deadlines, ceilings, revocation, draining, stopping. */
#include "tests/unit/wire_server.h"

#include <sys/resource.h>

/* ---- ends ---- */

static void test_disconnect(void **state) {
    struct client one, two, busy;
    bool ended;
    assert_true(client_open(&one, device_port(state), "device-1", 0, NULL));
    assert_true(client_open(&busy, device_port(state), "device-1", 0, NULL));
    assert_true(client_open(&two, device_port(state), "device-2", 0, NULL));
    assert_int_equal(client_ask(&one, WHO, reply, sizeof(reply)), 200);
    assert_int_equal(client_ask(&two, WHO, reply, sizeof(reply)), 200);
    assert_true(client_say(&busy, "GET /blob HTTP/1.1\r\nHost: x\r\n\r\n"));
    wire_disconnect_device(((struct server_under_test *)*state)->wire, "device-1");
    assert_int_equal(client_read(&one, reply, sizeof(reply), 5000, &ended), 0);
    assert_true(ended); /* long before its idle deadline */
    /* Not even what the kernel had taken already: the client has read nothing so far. */
    clock_sleep_ms(100);
    size_t total = 0;
    do {
        total += client_read(&busy, reply, sizeof(reply), 5000, &ended);
    } while (!ended);
    assert_true(total < FAKE_BLOB_SIZE / 4);
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
        assert_true(client_open(&trickling[i], device_port(state), "device-1", 0, NULL));
        assert_true(client_say(&trickling[i], "G"));
    }
    for (int i = 0; i < IDLE; i++) {
        assert_true(client_open(&idle[i], device_port(state), "device-1", 0, NULL));
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

static int start_single(void **state) {
    static struct server_under_test server;
    server_settings(&server);
    server.settings.workers = 1;
    server_start(&server);
    *state = &server;
    return 0;
}

/* Two hundred requests in one record keep the only worker busy; who asks meanwhile is answered after a few of them. */
static void test_turns(void **state) {
    enum { MANY = 200 };
    static char requests[MANY * sizeof(WHO) + 64];
    struct client greedy, polite;
    size_t len = (size_t)snprintf(requests, sizeof(requests), "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < MANY; i++)
        len += (size_t)snprintf(requests + len, sizeof(requests) - len, "%s", WHO);
    assert_true(client_open(&greedy, device_port(state), "device-1", 0, NULL));
    assert_true(client_open(&polite, device_port(state), "device-2", 0, NULL));
    assert_int_equal(client_ask(&polite, WHO, reply, sizeof(reply)), 200);
    int before = fake.begun;
    assert_true(client_send(&greedy, requests, len));
    EVENTUALLY(fake.begun > before);
    assert_int_equal(client_ask(&polite, "GET /count HTTP/1.1\r\nHost: x\r\n\r\n", reply, sizeof(reply)), 200);
    int count_then = (int)strtol(strstr(reply, "\r\n\r\n"), NULL, 10);
    assert_in_range(count_then - before, 2, 50);
    EVENTUALLY(fake.finished == before + 1 + MANY + 1);
    client_close(&greedy);
    client_close(&polite);
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
        assert_true(client_open(&clients[open++], device_port(state), "device-1", 0, NULL));
    struct client extra;
    (void)client_open(&extra, device_port(state), "device-1", 0, NULL);
    (void)client_say(&extra, WHO);
    assert_int_equal(client_read(&extra, reply, sizeof(reply), 5000, &ended), 0);
    assert_true(ended);
    client_close(&extra);
    /* Eight in all for devices, the last two are administration's, and whoever has shown that he is an administrator keeps his. */
    for (int i = 0; i < 5; i++)
        assert_true(client_open(&clients[open++], device_port(state), i < 3 ? "device-2" : "device-3", 0, NULL));
    assert_false(client_open(&extra, device_port(state), "device-3", 0, NULL));
    client_close(&extra);
    for (int i = 0; i < 2; i++) {
        assert_true(client_open(&clients[open], wire_port(((struct server_under_test *)*state)->wire, 1), "admin-1", 0, NULL));
        assert_int_equal(client_ask(&clients[open++], WHO, reply, sizeof(reply)), 200);
    }
    assert_false(client_open(&extra, wire_port(((struct server_under_test *)*state)->wire, 1), NULL, 0, NULL));
    client_close(&extra);
    while (open > 0)
        client_close(&clients[--open]);
    EVENTUALLY(count(state).open_connections[0] + count(state).open_connections[2] == 0);
    assert_true(client_open(&extra, device_port(state), "device-1", 0, NULL));
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
    assert_true(client_open(&idle, device_port(state), "device-1", 0, NULL));
    assert_int_equal(client_ask(&idle, WHO, reply, sizeof(reply)), 200);
    assert_true(client_open(&busy, device_port(state), "device-1", 0, NULL));
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
        assert_true(client_open(&busy[i], device_port(state), "device-1", 0, NULL));
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

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH(start_default, test_disconnect),     WITH(start_hasty, test_deadlines), WITH(start_single, test_turns),
        WITH(start_narrow, test_ceilings),        WITH(start_default, test_drain),   cmocka_unit_test_setup(test_stop_in_the_middle, start_default),
        cmocka_unit_test(test_settings_at_fault),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
