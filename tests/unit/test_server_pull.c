/* Replies that are made while they are sent: long lists, streams, clients that do not read and clients that leave. */
#include "tests/unit/wire_server.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

static void open_and_ask(void **state, struct client *client, const char *request) {
    assert_true(client_open(client, device_port(state), "device-1", 0, NULL));
    assert_true(client_say(client, request));
}

/* Takes the chunks apart in place; the length of what they hold. *ret_end: behind the last one; NULL: it never came. */
static size_t dechunk(char *body, char **ret_end) {
    char *out = body, *at = body;
    *ret_end = NULL;
    for (;;) {
        char *line_end = strstr(at, "\r\n");
        if (line_end == NULL)
            return (size_t)(out - body);
        size_t size = strtoul(at, NULL, 16);
        at = line_end + 2;
        if (size == 0) {
            *ret_end = at + 2;
            return (size_t)(out - body);
        }
        memmove(out, at, size);
        out += size;
        at += size + 2;
    }
}

/* Every byte of a long reply arrives in order, whatever the pace of the reader, and the connection serves the next request. */
static void test_list(void **state) {
    const size_t size = (size_t)FAKE_PIECES * FAKE_PIECE_BYTES + 65536;
    char *got = malloc(size), *end;
    struct client client;
    bool ended;
    assert_non_null(got);
    open_and_ask(state, &client, GET("/lines") GET("/check"));
    clock_sleep_ms(100); /* buffers on the way fill up */
    size_t len = client_read(&client, got, size, 2000, &ended);
    assert_false(ended);
    assert_non_null(strstr(got, "Transfer-Encoding: chunked\r\n"));
    assert_null(strstr(got, "Content-Length"));
    char *body = strstr(got, "\r\n\r\n") + 4;
    size_t body_len = dechunk(body, &end);
    assert_non_null(end);
    assert_memory_equal(end, "HTTP/1.1 204 ", 13);
    assert_true(len < size - 1);
    assert_int_equal(body_len, (size_t)FAKE_PIECES / 3 * 2 * FAKE_PIECE_BYTES);
    for (int piece = 0, at = 0; piece < FAKE_PIECES; piece++) {
        if (piece % 3 == 2)
            continue;
        assert_int_equal(body[at], '0' + piece % 10);
        assert_int_equal(body[at + FAKE_PIECE_BYTES - 1], '0' + piece % 10);
        at += FAKE_PIECE_BYTES;
    }
    client_close(&client);
    free(got);
}

static void test_head(void **state) {
    struct client client;
    bool ended;
    open_and_ask(state, &client, "HEAD /lines HTTP/1.1\r\nHost: x\r\n\r\n" GET("/check"));
    client_read(&client, reply, sizeof(reply), 500, &ended);
    assert_memory_equal(reply, "HTTP/1.1 200 ", 13);
    char *second = strstr(reply, "\r\n\r\n");
    assert_memory_equal(second + 4, "HTTP/1.1 204 ", 13);
    client_close(&client);
}

/* A list that fails on the way must not look whole. */
static void test_failure(void **state) {
    char *got = malloc(4 * FAKE_PIECE_BYTES), *end;
    struct client client;
    bool ended;
    assert_non_null(got);
    open_and_ask(state, &client, GET("/broken"));
    client_read(&client, got, 4 * FAKE_PIECE_BYTES, 5000, &ended);
    assert_true(ended);
    dechunk(strstr(got, "\r\n\r\n") + 4, &end);
    assert_null(end);
    client_close(&client);
    free(got);
}

/* A client that stops reading is asked for no more than what the buffers on the way hold, and cut in the end. */
static void test_no_reader(void **state) {
    struct client client;
    open_and_ask(state, &client, GET("/lines"));
    EVENTUALLY(count(state).bytes_sent > FAKE_PIECE_BYTES);
    uint64_t sent;
    do {
        sent = count(state).bytes_sent;
        clock_sleep_ms(300);
    } while (count(state).bytes_sent > sent);
    assert_true(sent < (uint64_t)FAKE_PIECES / 3 * 2 * FAKE_PIECE_BYTES);
    assert_int_equal(fake.pulls_open, 1);
    client_close(&client);
    EVENTUALLY(fake.pulls_open == 0);
}

/* Reads until this text has come, at most 5 s. */
static bool await(struct client *client, const char *text) {
    bool ended = false;
    size_t len = 0;
    for (int64_t end = clock_mono_ms() + 5000; clock_mono_ms() < end && !ended;) {
        len += client_read(client, reply + len, sizeof(reply) - len, 20, &ended);
        if (strstr(reply, text) != NULL)
            return true;
    }
    return false;
}

static void test_stream(void **state) {
    struct server_under_test *server = *state;
    struct client client;
    atomic_store(&fake.tick_ms, 100);
    atomic_store(&fake.news, 1);
    open_and_ask(state, &client, GET("/ticks"));
    assert_true(await(&client, "tick 0 news 1\n"));
    assert_true(await(&client, "tick 3 ")); /* by the clock */
    atomic_store(&fake.tick_ms, 20000);
    assert_true(await(&client, "tick "));
    for (int i = 2; i < 5; i++) { /* by news */
        char expected[16];
        snprintf(expected, sizeof(expected), "news %d\n", i);
        atomic_store(&fake.news, i);
        wire_tell_news(server->wire);
        assert_true(await(&client, expected));
    }
    client_close(&client);
    EVENTUALLY(fake.pulls_open == 0); /* noticed without a byte to send */
}

static void *drain(void *arg) {
    return wire_drain(arg, 5000) ? arg : NULL;
}

/* Streams end as if they had come to their end, also those that are just being waited with; a list is sent to its own. */
static void test_drain(void **state) {
    struct server_under_test *server = *state;
    struct client streams[3];
    pthread_t thread;
    void *drained;
    bool ended;
    char *end;
    atomic_store(&fake.tick_ms, 20000);
    for (int i = 0; i < 3; i++) {
        open_and_ask(state, &streams[i], GET("/ticks"));
        assert_true(await(&streams[i], "tick 0 "));
    }
    int64_t before = clock_mono_ms();
    pthread_create(&thread, NULL, drain, server->wire);
    for (int i = 0; i < 3; i++) {
        client_read(&streams[i], reply, sizeof(reply), 5000, &ended);
        assert_true(ended);
        dechunk(reply, &end);
        assert_non_null(end);
        client_close(&streams[i]);
    }
    pthread_join(thread, &drained);
    assert_non_null(drained);
    assert_true(clock_mono_ms() - before < 4000);
}

/* Streams that are open when the wire stops are cut. */
static void test_stop(void **state) {
    struct client client;
    open_and_ask(state, &client, GET("/ticks"));
    assert_true(await(&client, "tick 0 "));
    stop(state);
    client_close(&client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH(start_default, test_list),
        WITH(start_default, test_head),
        WITH(start_default, test_failure),
        WITH(start_default, test_no_reader),
        WITH(start_default, test_stream),
        WITH(start_default, test_drain),
        cmocka_unit_test_setup(test_stop, start_default),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
