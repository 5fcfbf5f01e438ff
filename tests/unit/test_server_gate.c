/* The gate: every file of malformed requests is refused for the right reason, every legal one passes, whole or byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/file.h"
#include "server/gate.h"

/* tests/data/http/malformed/<name>.http and why it is refused. */
static const struct {
    const char *name;
    enum gate_refusal refusal;
    int status;
} malformed[] = {
    {"absolute-target", GATE_TARGET, 400},
    {"bare-cr-in-field", GATE_BARE_CR, 400},
    {"bare-lf", GATE_BARE_LF, 400},
    {"bare-lf-in-field", GATE_BARE_LF, 400},
    {"content-length-empty", GATE_LENGTH, 400},
    {"content-length-hex", GATE_LENGTH, 400},
    {"content-length-huge", GATE_LENGTH, 400},
    {"content-length-list", GATE_LENGTH, 400},
    {"content-length-negative", GATE_LENGTH, 400},
    {"content-length-plus", GATE_LENGTH, 400},
    {"dot-segments", GATE_TARGET_ESCAPE, 400},
    {"escaped-dots", GATE_TARGET_ESCAPE, 400},
    {"escaped-nul", GATE_TARGET_ESCAPE, 400},
    {"escaped-slash", GATE_TARGET_ESCAPE, 400},
    {"field-first-folded", GATE_FIELD_FOLDED, 400},
    {"field-folded", GATE_FIELD_FOLDED, 400},
    {"field-name-empty", GATE_FIELD_NAME, 400},
    {"field-name-not-token", GATE_FIELD_NAME, 400},
    {"field-without-colon", GATE_FIELD_NAME, 400},
    {"host-missing", GATE_HOST, 400},
    {"host-twice", GATE_FIELD_TWICE, 400},
    {"host-with-slash", GATE_HOST, 400},
    {"length-and-transfer-encoding", GATE_TRANSFER_ENCODING, 501},
    {"nul-in-field", GATE_CONTROL_BYTE, 400},
    {"nul-in-target", GATE_CONTROL_BYTE, 400},
    {"old-version", GATE_VERSION, 505},
    {"space-before-colon", GATE_FIELD_NAME, 400},
    {"transfer-encoding-chunked", GATE_TRANSFER_ENCODING, 501},
    {"transfer-encoding-space-before-colon", GATE_FIELD_NAME, 400},
    {"two-content-lengths", GATE_FIELD_TWICE, 400},
    {"two-equal-content-lengths", GATE_FIELD_TWICE, 400},
    {"two-spaces-in-request-line", GATE_REQUEST_LINE, 400},
};

static const struct {
    const char *name;
    uint64_t content_length;
    bool expects_continue;
} legal[] = {
    {"expect-continue", 5, true},
    {"get", 0, false},
    {"head", 0, false},
    {"pipelined", 0, false},
    {"post", 5, false},
    {"query-and-escapes", 0, false},
    {"white-space-around-values", 0, false},
};

/* Byte by byte the bytes lie in a buffer of exactly that size, so that the sanitizer sees any look ahead. */
static enum gate_verdict scan(struct gate *gate, const char *data, size_t len, bool slowly) {
    gate_reset(gate);
    if (!slowly)
        return gate_scan(gate, data, len);
    enum gate_verdict verdict = GATE_MORE;
    for (size_t i = 1; i <= len && verdict == GATE_MORE; i++) {
        char *exact = malloc(i);
        assert_non_null(exact);
        memcpy(exact, data, i);
        verdict = gate_scan(gate, exact, i);
        free(exact);
    }
    return verdict;
}

static void read_case(const char *kind, const char *name, struct buf *out) {
    char path[512];
    struct err err;
    snprintf(path, sizeof(path), "%s/http/%s/%s.http", PAWL_TEST_DATA, kind, name);
    buf_init(out, 65536);
    if (!file_read(path, out, &err))
        fail_msg("%s", err.text);
}

static void test_malformed(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
        struct buf file CLEANUP(buf_free) = {0};
        struct gate gate;
        read_case("malformed", malformed[i].name, &file);
        for (int slowly = 0; slowly < 2; slowly++) {
            assert_int_equal(scan(&gate, file.data, file.len, slowly), GATE_REFUSED);
            if (gate.refusal != malformed[i].refusal)
                fail_msg("%s: refused as %s", malformed[i].name, gate_refusal_name(gate.refusal));
            assert_int_equal(gate_refusal_status(gate.refusal), malformed[i].status);
            assert_int_equal(gate_scan(&gate, file.data, file.len), GATE_REFUSED); /* and stays so */
        }
    }
}

static void test_legal(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(legal); i++) {
        struct buf file CLEANUP(buf_free) = {0};
        struct gate gate;
        read_case("legal", legal[i].name, &file);
        for (int slowly = 0; slowly < 2; slowly++) {
            if (scan(&gate, file.data, file.len, slowly) != GATE_COMPLETE)
                fail_msg("%s: refused as %s", legal[i].name, gate_refusal_name(gate.refusal));
            assert_int_equal(gate.head_len, strstr(file.data, "\r\n\r\n") + 4 - file.data);
            assert_int_equal(gate.content_length, legal[i].content_length);
            assert_int_equal(gate.expects_continue, legal[i].expects_continue);
        }
    }
}

/* "GET /<path> HTTP/1.1", "Host: x", then count fields and filler up to size bytes in all. */
static void make_head(struct buf *out, size_t fields, size_t size) {
    buf_reset(out);
    buf_text(out, "GET /x HTTP/1.1\r\nHost: x\r\n");
    for (size_t i = 1; i < fields; i++)
        buf_printf(out, "A%zu: b\r\n", i);
    if (size > out->len + 7) {
        buf_text(out, "F: ");
        while (out->len < size - 4)
            buf_byte(out, 'f');
        buf_text(out, "\r\n");
    }
    buf_text(out, "\r\n");
}

static void test_ceilings(void **state) {
    struct buf head CLEANUP(buf_free) = BUF_INIT(4 * GATE_MAX_HEAD);
    struct gate gate;
    (void)state;
    make_head(&head, GATE_MAX_FIELDS, 0);
    assert_int_equal(scan(&gate, head.data, head.len, false), GATE_COMPLETE);
    make_head(&head, GATE_MAX_FIELDS + 1, 0);
    assert_int_equal(scan(&gate, head.data, head.len, false), GATE_REFUSED);
    assert_int_equal(gate.refusal, GATE_TOO_MANY_FIELDS);
    make_head(&head, 1, GATE_MAX_HEAD);
    assert_int_equal(head.len, GATE_MAX_HEAD);
    assert_int_equal(scan(&gate, head.data, head.len, true), GATE_COMPLETE);
    make_head(&head, 1, GATE_MAX_HEAD + 1);
    assert_int_equal(scan(&gate, head.data, head.len, true), GATE_REFUSED);
    assert_int_equal(gate.refusal, GATE_HEAD_TOO_LARGE);
    for (int extra = 0; extra < 2; extra++) {
        buf_reset(&head);
        buf_text(&head, "GET /x?a");
        for (int i = 1; i < GATE_MAX_QUERY_PARTS + extra; i++)
            buf_text(&head, "&a");
        buf_text(&head, " HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(scan(&gate, head.data, head.len, false), extra ? GATE_REFUSED : GATE_COMPLETE);
        assert_int_equal(gate.refusal, extra ? GATE_QUERY : GATE_NOTHING);
    }
}

/* One byte of each value at one place; the bytes that may stand there are listed. */
static void check_bytes(const char *before, const char *after, const char *allowed) {
    for (int byte = 0; byte < 256; byte++) {
        struct buf head CLEANUP(buf_free) = BUF_INIT(256);
        struct gate gate;
        buf_text(&head, before);
        buf_byte(&head, (char)byte);
        buf_text(&head, after);
        buf_text(&head, "\r\n\r\n");
        bool good = byte > 0 && byte < 0x7f && strchr(allowed, byte) != NULL;
        if ((scan(&gate, head.data, head.len, false) == GATE_COMPLETE) != good)
            fail_msg("byte 0x%02x after '%s': %s", (unsigned)byte, before, gate_refusal_name(gate.refusal));
    }
}

#define ALNUM "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static void test_each_byte(void **state) {
    (void)state;
    check_bytes("G", "T / HTTP/1.1\r\nHost: x", ALNUM "!#$%&'*+-.^_`|~");
    check_bytes("GET /a", "b HTTP/1.1\r\nHost: x", ALNUM "-._~!$&'()*+,;=:@/?");
    check_bytes("GET /a?b", "c HTTP/1.1\r\nHost: x", ALNUM "-._~!$&'()*+,;=:@/?");
    check_bytes("GET / HTTP/1.", "\r\nHost: x", "1");
    check_bytes("GET / HTTP/1.1\r\nHost: a", "b", ALNUM ".-_:[]");
    check_bytes("GET / HTTP/1.1\r\nHost: x\r\nA", "b: c", ALNUM "!#$%&'*+-.^_`|~:");
    check_bytes("GET / HTTP/1.1\r\nHost: x\r\nA: b", "c", ALNUM "\t !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~");
    check_bytes("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1", "2", "0123456789");
}

static void test_escapes(void **state) {
    static const struct {
        const char *target;
        bool good;
    } targets[] = {
        {"/%41", true},       {"/a%20b", true},   {"/%2F", false}, {"/%2f", false}, {"/%5c", false}, {"/%2e", false},
        {"/%2E%2e/x", false}, {"/%00", false},    {"/%0a", false}, {"/%7f", false}, {"/%", false},   {"/%4", false},
        {"/%4g", false},      {"/%%41", false},   {"/.", false},   {"/..", false},  {"/a/.", false}, {"/a/..", false},
        {"/./a", false},      {"/../a", false},   {"/...", true},  {"/.a", true},   {"/a..", true},  {"/?..", true},
        {"/?a=%2F%2e", true}, {"/?a=%00", false}, {"/?%", false},  {"//", true},    {"/?a?b", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        char head[128];
        struct gate gate;
        int len = snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", targets[i].target);
        if ((scan(&gate, head, (size_t)len, false) == GATE_COMPLETE) != targets[i].good)
            fail_msg("%s: %s", targets[i].target, gate_refusal_name(gate.refusal));
    }
}

static void test_refused_at_once(void **state) {
    struct gate gate = {0};
    (void)state;
    /* A client that waits for its answer must not wait for a deadline. */
    assert_int_equal(gate_scan(&gate, "GET / HTTP/1.1\r\nHost: x\n", 24), GATE_REFUSED);
    gate_reset(&gate);
    assert_int_equal(gate_scan(&gate, "\x16\x03\x01", 3), GATE_REFUSED);
    gate_reset(&gate);
    assert_int_equal(gate_scan(&gate, "PRI * HTTP/2.0\r\n", 16), GATE_REFUSED);
    assert_int_equal(gate.refusal, GATE_VERSION);
}

static void test_close(void **state) {
    static const struct {
        const char *fields;
        bool closes;
    } cases[] = {
        {"", false},
        {"Connection: close\r\n", true},
        {"connection: CLOSE\r\n", true},
        {"Connection: keep-alive, close\r\n", true},
        {"Connection: keep-alive\r\nConnection: close\r\n", true},
        {"Connection: closed\r\n", false},
        {"Connection: not-close\r\n", false},
        {"X-Connection: close\r\n", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char head[128];
        struct gate gate;
        int len = snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", cases[i].fields);
        assert_int_equal(scan(&gate, head, (size_t)len, false), GATE_COMPLETE);
        if (gate.closes != cases[i].closes)
            fail_msg("%s", cases[i].fields);
    }
}

static void test_body(void **state) {
    struct gate gate = {0};
    const char head[] = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n";
    (void)state;
    assert_int_equal(gate_scan(&gate, head, sizeof(head) - 1), GATE_COMPLETE);
    assert_int_equal(gate_body(&gate, 4), 4);
    assert_int_equal(gate_body(&gate, 100), 6);
    assert_int_equal(gate_body(&gate, 1), 0);
}

static void test_reply(void **state) {
    char reply[GATE_REPLY_SIZE];
    (void)state;
    for (int i = 0; i < GATE_REFUSAL_COUNT; i++) {
        size_t len = gate_reply((enum gate_refusal)i, "0123456789abcdef0123456789abcdef", 1795334400, reply);
        char *body = strstr(reply, "\r\n\r\n");
        char *length = strstr(reply, "Content-Length: ");
        assert_true(len > 0 && len == strlen(reply) && body != NULL && length != NULL);
        assert_int_equal(strtol(length + 16, NULL, 10), strlen(body + 4));
        assert_non_null(strstr(reply, "Connection: close\r\n"));
        assert_non_null(strstr(reply, "X-Request-Id: 0123456789abcdef0123456789abcdef\r\n"));
        assert_non_null(strstr(body, "\"type\":\"urn:pawl:problem:"));
        assert_int_equal(strtol(reply + 9, NULL, 10), gate_refusal_status((enum gate_refusal)i));
        assert_true(reply[13] != '\r'); /* a reason phrase for each status */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed), cmocka_unit_test(test_legal),   cmocka_unit_test(test_ceilings),
        cmocka_unit_test(test_each_byte), cmocka_unit_test(test_escapes), cmocka_unit_test(test_refused_at_once),
        cmocka_unit_test(test_body),      cmocka_unit_test(test_close),   cmocka_unit_test(test_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
