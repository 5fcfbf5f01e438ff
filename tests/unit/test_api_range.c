/* The Range header row by row: what RFC 9110 §14 and the device API say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/range.h"

enum { SIZE = 1000 };

struct row {
    const char *text;
    enum api_range expected;
    uint64_t first, last;
};

static void check(const struct row *rows, size_t count, uint64_t size) {
    for (size_t i = 0; i < count; i++) {
        uint64_t first = 7777, last = 7777;
        enum api_range got = api_range_parse(rows[i].text, size, &first, &last);
        const char *text = rows[i].text != NULL ? rows[i].text : "(none)";
        if (got != rows[i].expected)
            fail_msg("'%s': %d where %d is expected", text, (int)got, (int)rows[i].expected);
        bool part = got == API_RANGE_PART;
        if (part && (first != rows[i].first || last != rows[i].last))
            fail_msg("'%s': %llu-%llu where %llu-%llu is expected", text, (unsigned long long)first, (unsigned long long)last,
                     (unsigned long long)rows[i].first, (unsigned long long)rows[i].last);
        if (!part && (first != 7777 || last != 7777))
            fail_msg("'%s': wrote a range although there is none", text);
    }
}

static void test_parts(void **state) {
    static const struct row rows[] = {
        {"bytes=0-0", API_RANGE_PART, 0, 0},
        {"bytes=0-", API_RANGE_PART, 0, SIZE - 1},
        {"bytes=0-999", API_RANGE_PART, 0, 999},
        {"bytes=0-1000", API_RANGE_PART, 0, 999},
        {"bytes=10-19", API_RANGE_PART, 10, 19},
        {"bytes=999-", API_RANGE_PART, 999, 999},
        {"bytes=999-999", API_RANGE_PART, 999, 999},
        {"bytes=-1", API_RANGE_PART, 999, 999},
        {"bytes=-1000", API_RANGE_PART, 0, 999},
        {"bytes=-1001", API_RANGE_PART, 0, 999},
        {"bytes=5-99999999999999999999999999", API_RANGE_PART, 5, 999},
        {"bytes=-99999999999999999999999999", API_RANGE_PART, 0, 999},
        {"BYTES=0-1", API_RANGE_PART, 0, 1},
        {"bytes= 0-1", API_RANGE_PART, 0, 1},
        {"bytes=0-1 ", API_RANGE_PART, 0, 1},
        {"bytes=00-01", API_RANGE_PART, 0, 1},
    };
    (void)state;
    check(rows, ARRAY_LEN(rows), SIZE);
}

static void test_no_byte_of_it(void **state) {
    static const struct row rows[] = {
        {"bytes=1000-", API_RANGE_NONE, 0, 0},
        {"bytes=1000-1000", API_RANGE_NONE, 0, 0},
        {"bytes=18446744073709551615-", API_RANGE_NONE, 0, 0},
        {"bytes=18446744073709551616-", API_RANGE_NONE, 0, 0},
        {"bytes=99999999999999999999-99999999999999999999", API_RANGE_NONE, 0, 0},
        {"bytes=-0", API_RANGE_NONE, 0, 0},
    };
    (void)state;
    check(rows, ARRAY_LEN(rows), SIZE);
}

static void test_whole(void **state) {
    static const struct row rows[] = {
        {NULL, API_RANGE_WHOLE, 0, 0},
        {"", API_RANGE_WHOLE, 0, 0},
        {"bytes", API_RANGE_WHOLE, 0, 0},
        {"bytes=", API_RANGE_WHOLE, 0, 0},
        {"bytes=-", API_RANGE_WHOLE, 0, 0},
        {"bytes=abc", API_RANGE_WHOLE, 0, 0},
        {"bytes=1", API_RANGE_WHOLE, 0, 0},
        {"bytes=2-1", API_RANGE_WHOLE, 0, 0},
        {"bytes=0-1x", API_RANGE_WHOLE, 0, 0},
        {"bytes=0x1-2", API_RANGE_WHOLE, 0, 0},
        {"bytes=+0-1", API_RANGE_WHOLE, 0, 0},
        {"bytes=0--1", API_RANGE_WHOLE, 0, 0},
        {"bytes=--1", API_RANGE_WHOLE, 0, 0},
        {"bytes =0-1", API_RANGE_WHOLE, 0, 0},
        {"bytes=0 -1", API_RANGE_WHOLE, 0, 0},
        {"bytes=0-1,4-5", API_RANGE_WHOLE, 0, 0},
        {"bytes=0-0,-1", API_RANGE_WHOLE, 0, 0},
        {"bytes=-1,0-0", API_RANGE_WHOLE, 0, 0},
        {"bytes=5000-6000,0-0", API_RANGE_WHOLE, 0, 0},
        {"lines=0-1", API_RANGE_WHOLE, 0, 0},
        {"0-1", API_RANGE_WHOLE, 0, 0},
        {"bytes 0-1", API_RANGE_WHOLE, 0, 0},
    };
    (void)state;
    check(rows, ARRAY_LEN(rows), SIZE);
}

static void test_sizes(void **state) {
    const uint64_t huge = UINT64_C(5000000000);
    static const struct row empty[] = {{"bytes=0-", API_RANGE_NONE, 0, 0}, {"bytes=-1", API_RANGE_NONE, 0, 0}};
    static const struct row one[] = {{"bytes=0-", API_RANGE_PART, 0, 0}, {"bytes=1-", API_RANGE_NONE, 0, 0}, {"bytes=-5", API_RANGE_PART, 0, 0}};
    const struct row large[] = {
        {"bytes=4294967296-4294967297", API_RANGE_PART, UINT64_C(4294967296), UINT64_C(4294967297)},
        {"bytes=2147483647-2147483648", API_RANGE_PART, 2147483647, UINT64_C(2147483648)},
        {"bytes=-4294967297", API_RANGE_PART, huge - UINT64_C(4294967297), huge - 1},
    };
    (void)state;
    check(empty, ARRAY_LEN(empty), 0);
    check(one, ARRAY_LEN(one), 1);
    check(large, ARRAY_LEN(large), huge);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_no_byte_of_it),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
