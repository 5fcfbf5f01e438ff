/* Numbers, units, identifiers and UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/text.h"

static void test_comparisons(void **state) {
    (void)state;
    assert_true(text_equal("a", "a"));
    assert_false(text_equal("a", "b"));
    assert_true(text_equal(NULL, NULL));
    assert_false(text_equal("", NULL));
    assert_false(text_equal(NULL, ""));
    assert_true(text_starts("abc", "ab"));
    assert_false(text_starts("ab", "abc"));
    assert_true(text_ends("abc", "bc"));
    assert_true(text_ends("abc", ""));
    assert_false(text_ends("bc", "abc"));
    assert_false(text_ends("abc", "ab"));
}

static void test_copy(void **state) {
    char out[4] = "zzz";
    (void)state;
    assert_true(text_copy(out, sizeof(out), "abc"));
    assert_string_equal(out, "abc");
    assert_false(text_copy(out, sizeof(out), "abcd"));
    assert_string_equal(out, "");
    assert_false(text_copy(out, 0, ""));
}

static void test_integers(void **state) {
    static const struct {
        const char *text;
        int64_t min, max;
        bool valid;
        int64_t value;
    } cases[] = {
        {"0", 0, 10, true, 0},
        {"10", 0, 10, true, 10},
        {"11", 0, 10, false, 0},
        {"-1", 0, 10, false, 0},
        {"-1", -1, 10, true, -1},
        {"9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX},
        {"-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN},
        {"9223372036854775808", INT64_MIN, INT64_MAX, false, 0},
        {"-9223372036854775809", INT64_MIN, INT64_MAX, false, 0},
        {"18446744073709551617", INT64_MIN, INT64_MAX, false, 0},
        {"", 0, 10, false, 0},
        {"-", -10, 10, false, 0},
        {"+1", 0, 10, false, 0},
        {" 1", 0, 10, false, 0},
        {"1 ", 0, 10, false, 0},
        {"1x", 0, 10, false, 0},
        {"0x1", 0, 10, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t value = 77;
        assert_int_equal(text_to_int(cases[i].text, cases[i].min, cases[i].max, &value), cases[i].valid);
        assert_int_equal(value, cases[i].valid ? cases[i].value : 77);
    }
    int64_t value = 0;
    assert_true(text_to_int_n("123456", 3, 0, 1000, &value));
    assert_int_equal(value, 123);
}

static void test_units(void **state) {
    static const struct {
        const char *text;
        int64_t size, duration; /* −1: refused */
    } cases[] = {
        {"0", 0, 0},
        {"512", 512, -1},
        {"16k", 16384, -1},
        {"16K", 16384, -1},
        {"4M", 4194304, -1},
        {"1G", 1073741824, -1},
        {"2t", INT64_C(2199023255552), -1},
        {"90s", -1, 90},
        {"15m", 15 << 20, 900},
        {"6h", -1, 21600},
        {"90d", -1, 7776000},
        {"", -1, -1},
        {"k", -1, -1},
        {"d", -1, -1},
        {"-1s", -1, -1},
        {"-1k", -1, -1},
        {"1.5G", -1, -1},
        {"1 k", -1, -1},
        {"1kk", -1, -1},
        {"9223372036854775807k", -1, -1},
        {"9223372036854775807m", -1, -1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t size = -1, duration = -1;
        assert_int_equal(text_to_size(cases[i].text, &size), cases[i].size >= 0);
        assert_int_equal(text_to_duration(cases[i].text, &duration), cases[i].duration >= 0);
        assert_int_equal(size, cases[i].size);
        assert_int_equal(duration, cases[i].duration);
    }
}

static void test_ids(void **state) {
    char longest[66];
    (void)state;
    memset(longest, 'a', 65);
    longest[65] = '\0';
    assert_false(text_is_id(longest));
    longest[64] = '\0';
    assert_true(text_is_id(longest));
    static const char *const good[] = {"a", "A-1_b.c:d", "...", "00:11:22"};
    static const char *const bad[] = {"", ".", "..", "a/b", "a b", "a\n", "ä", "a%41", "a\\b"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(text_is_id(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(text_is_id(bad[i]));
}

static void test_utf8(void **state) {
    static const struct {
        const char *text;
        uint32_t point; /* of a single character; 0: not well-formed */
    } cases[] = {
        {"a", 'a'},
        {"\x7f", 0x7f},
        {"\xc2\x80", 0x80},
        {"\xdf\xbf", 0x7ff},
        {"\xe0\xa0\x80", 0x800},
        {"\xed\x9f\xbf", 0xd7ff},
        {"\xee\x80\x80", 0xe000},
        {"\xef\xbf\xbf", 0xffff},
        {"\xf0\x90\x80\x80", 0x10000},
        {"\xf4\x8f\xbf\xbf", 0x10ffff},
        {"\x80", 0},
        {"\xc0\x80", 0},
        {"\xc1\xbf", 0},
        {"\xe0\x9f\xbf", 0},
        {"\xed\xa0\x80", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\xff", 0},
        {"\xc2", 0},
        {"\xe2\x82", 0},
        {"\xf0\x9f\x98", 0},
        {"\xe2\x28\xa1", 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t point = 0;
        size_t len = strlen(cases[i].text);
        assert_int_equal(text_utf8_next(cases[i].text, len, &point), cases[i].point != 0 ? len : 0);
        assert_int_equal(point, cases[i].point);
        assert_int_equal(text_is_utf8(cases[i].text, len), cases[i].point != 0);
    }
    assert_true(text_is_utf8("", 0));
    assert_true(text_is_utf8("a\0b", 3));
    assert_false(text_is_utf8("ok\xc3", 3));
}

static void test_printable(void **state) {
    (void)state;
    assert_true(text_is_printable(""));
    assert_true(text_is_printable("Grüße, 世界"));
    static const char *const bad[] = {"a\nb", "\t", "\x7f", "\xc2\x85", "\x1b[0m", "\xff"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(text_is_printable(bad[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comparisons), cmocka_unit_test(test_copy), cmocka_unit_test(test_integers),  cmocka_unit_test(test_units),
        cmocka_unit_test(test_ids),         cmocka_unit_test(test_utf8), cmocka_unit_test(test_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
