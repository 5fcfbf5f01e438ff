/* Hex and base64, both ways and refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/hex.h"

static void test_hex(void **state) {
    const uint8_t bytes[] = {0x00, 0x7f, 0x80, 0xff};
    uint8_t back[4] = {1, 1, 1, 1};
    char text[9];
    (void)state;
    hex_encode(bytes, sizeof(bytes), text);
    assert_string_equal(text, "007f80ff");
    assert_true(hex_decode(text, 8, back));
    assert_memory_equal(back, bytes, 4);
    back[0] = 9;
    static const char *const bad[] = {"007f80fF", "007f80g0", "00 f80ff", "007f80f\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(hex_decode(bad[i], 8, back));
    assert_false(hex_decode("007", 3, back));
    assert_int_equal(back[0], 9); /* untouched on failure */
    assert_true(hex_decode("", 0, back));
}

static void test_digest(void **state) {
    char text[66];
    (void)state;
    memset(text, 'a', sizeof(text));
    text[64] = '\0';
    assert_true(hex_is_digest(text));
    text[63] = 'A';
    assert_false(hex_is_digest(text));
    text[63] = '\0';
    assert_false(hex_is_digest(text));
    memset(text, 'a', sizeof(text));
    text[65] = '\0';
    assert_false(hex_is_digest(text));
}

/* RFC 4648 section 10. */
static const struct {
    const char *text, *base64, *url;
} vectors[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xff\xef\xbe", "/+++", "_---"},
};

static void test_base64_vectors(void **state) {
    struct err err;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        CLEANUP(buf_free) struct buf out = BUF_INIT(100);
        buf_text(&out, ">");
        base64_encode(&out, vectors[i].text, strlen(vectors[i].text));
        assert_string_equal(out.data + 1, vectors[i].base64);
        buf_reset(&out);
        buf_text(&out, ">");
        base64url_encode(&out, vectors[i].text, strlen(vectors[i].text));
        assert_string_equal(out.data + 1, vectors[i].url);
        buf_reset(&out);
        buf_text(&out, ">");
        assert_true(base64_decode(&out, vectors[i].base64, strlen(vectors[i].base64), &err));
        assert_string_equal(out.data + 1, vectors[i].text);
    }
}

static void test_base64_lines(void **state) {
    static const struct { size_t len, lines, last; } rows[] = {{0, 0, 0}, {1, 1, 4}, {47, 1, 64}, {48, 1, 64}, {49, 2, 4}, {96, 2, 64}};
    static const char zeros[96] = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_free) struct buf out = BUF_INIT(200);
        base64_encode_lines(&out, zeros, rows[i].len);
        size_t full = rows[i].lines == 0 ? 0 : rows[i].lines - 1;
        assert_int_equal(out.len, rows[i].lines == 0 ? 0 : full * 65 + rows[i].last + 1);
        for (size_t line = 1; line <= full; line++)
            assert_int_equal(out.data[line * 65 - 1], '\n');
        assert_true(out.len == 0 || out.data[out.len - 1] == '\n');
    }
}

static void test_base64_is_strict(void **state) {
    static const char *const bad[] = {
        "Z", "Zg", "Zg=", "Zg===", "Zg==Zg==", "Zh==", "Zm9=", "Zm 9", "Zm9v\n", "Z===", "====", "Zm9_", "=m9v", "Zm=v"};
    CLEANUP(buf_free) struct buf out = BUF_INIT(100);
    struct err err;
    (void)state;
    buf_text(&out, "keep");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(base64_decode(&out, bad[i], strlen(bad[i]), &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(out.data, "keep");
    }
}

static void test_base64_ceiling(void **state) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(3);
    struct err err;
    (void)state;
    assert_true(base64_decode(&out, "Zm9v", 4, &err));
    buf_reset(&out);
    assert_false(base64_decode(&out, "Zm9vYg==", 8, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hex),          cmocka_unit_test(test_digest),           cmocka_unit_test(test_base64_vectors),
        cmocka_unit_test(test_base64_lines), cmocka_unit_test(test_base64_is_strict), cmocka_unit_test(test_base64_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
