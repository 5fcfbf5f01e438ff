/* Requests through the whole wire, by both readers: the front itself and the HTTP library. */
#include "tests/unit/wire_server.h"

#include "common/file.h"
#include "server/gate.h"
#include "server/guard.h"

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
        assert_true(client_open(&client, device_port(state), "device-1", 0, NULL));
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
    int status = strncmp(reply, "HTTP/1.1 ", 9) == 0 ? (int)strtol(reply + 9, NULL, 10) : 0;
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
    struct client client;
    assert_true(client_open(&client, device_port(state), "device-1", 0, NULL));
    /* By both readers: without a body the front answers, with one the HTTP library. */
    for (int body = 0; body < 2; body++) {
        struct buf head CLEANUP(buf_free) = BUF_INIT(2 * GATE_MAX_HEAD);
        buf_text(&head, body ? "POST /echo?" : "GET /who?");
        for (int i = 0; i < GATE_MAX_QUERY_PARTS - 1; i++)
            buf_text(&head, "a&");
        buf_printf(&head, "a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n", body);
        for (int i = 2; i < GATE_MAX_FIELDS - 1; i++)
            buf_printf(&head, "A%d: b\r\n", i);
        buf_text(&head, "F: ");
        while (head.len < GATE_MAX_HEAD - 4)
            buf_byte(&head, 'f');
        buf_text(&head, body ? "\r\n\r\nx" : "\r\n\r\n");
        for (int i = 0; i < 3; i++)
            assert_int_equal(client_ask(&client, head.data, reply, sizeof(reply)), 200);
    }
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
    assert_true(client_open(&client, device_port(state), "device-1", 0, NULL));
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
        int begun = fake.begun;
        /* While the writer has the request. */
        assert_true(client_open(&client, device_port(state), "device-1", 0, NULL));
        assert_true(client_say(&client, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n"));
        EVENTUALLY(fake.begun == begun + 1);
        client_close(&client);
        /* In the middle of a reply. */
        assert_true(client_open(&client, device_port(state), "device-1", 0, NULL));
        assert_true(client_say(&client, "GET /blob HTTP/1.1\r\nHost: x\r\n\r\n"));
        client_read(&client, reply, sizeof(reply), 5000, &ended);
        client_close(&client);
        /* In the middle of a body. */
        assert_true(client_open(&client, device_port(state), "device-1", 0, NULL));
        assert_true(client_say(&client, "PUT /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"));
        EVENTUALLY(fake.begun == begun + 3);
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
    assert_true(client_open(&client, device_port(state), "device-1", 0, NULL));
    assert_true(client_say(&client, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"));
    for (int i = 0; i < 40 && client_send(&client, body, sizeof(body)); i++) {
    }
    client_read(&client, reply, sizeof(reply), 5000, &ended);
    assert_memory_equal(reply, "HTTP/1.1 413 ", 13);
    assert_true(ended);
    client_close(&client);
    /* With Expect the body is never asked for. */
    assert_true(client_open(&client, device_port(state), "device-1", 0, NULL));
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
    assert_true(client_open(&client, device_port(state), "device-1", 0, NULL));
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
    assert_true(client_open(&client, device_port(state), "device-1", 0, NULL));
    assert_true(client_say(&client, "HEAD /blob HTTP/1.1\r\nHost: x\r\n\r\nGET /check HTTP/1.1\r\nHost: x\r\n\r\n"));
    client_read(&client, reply, sizeof(reply), 500, &ended);
    assert_non_null(strstr(reply, "Content-Length: 33554432\r\n"));
    assert_non_null(strstr(reply, "HTTP/1.1 204 "));
    client_close(&client);
    assert_true(client_open(&client, device_port(state), "device-1", 0, NULL));
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

/* An image that is cut short on the disk while it is sent: the client sees the reply end early, and the server lives. */
static void test_torn_blob(void **state) {
    struct client client;
    struct err err;
    bool ended;
    assert_true(guard_start(&err)); /* again: cmocka has put its own handler in place */
    assert_true(client_open(&client, device_port(state), "device-1", 0, NULL));
    assert_true(client_say(&client, "GET /torn HTTP/1.1\r\nHost: x\r\n\r\n"));
    size_t total = 0;
    do {
        total += client_read(&client, reply, sizeof(reply), 5000, &ended);
    } while (!ended);
    assert_true(total < FAKE_TORN_SIZE);
    client_close(&client);
    assert_true(client_open(&client, device_port(state), "device-1", 0, NULL));
    assert_int_equal(client_ask(&client, WHO, reply, sizeof(reply)), 200);
    client_close(&client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH(start_default, test_malformed),
        WITH(start_default, test_legal),
        WITH(start_default, test_largest_head),
        WITH(start_default, test_writer),
        WITH(start_default, test_vanishing_clients),
        WITH(start_default, test_early_refusal),
        WITH(start_default, test_stream),
        WITH(start_default, test_blob),
        WITH(start_default, test_torn_blob),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
