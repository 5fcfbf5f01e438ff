/* Times as text, both ways, checked against the C library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"

static void test_rfc3339_known(void **state) {
    static const struct {
        int64_t time;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z"},
        {-1, "1969-12-31T23:59:59Z"},
        {951782400, "2000-02-29T00:00:00Z"},
        {INT64_C(4107542400), "2100-03-01T00:00:00Z"},
        {1795334400, "2026-11-22T08:00:00Z"},
        {INT64_C(253402300799), "9999-12-31T23:59:59Z"},
        {INT64_C(-62167219200), "0000-01-01T00:00:00Z"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[CLOCK_RFC3339_SIZE];
        int64_t time = 1;
        clock_rfc3339(cases[i].time, text);
        assert_string_equal(text, cases[i].text);
        assert_true(clock_parse_rfc3339(text, &time));
        assert_int_equal(time, cases[i].time);
    }
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    clock_rfc3339(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00Z");
}

/* Steps of 11 days and some through 10,000 years. */
static void test_agrees_with_the_c_library(void **state) {
    (void)state;
    for (int64_t time = INT64_C(-62167219200); time < INT64_C(253402300800); time += 1000003) {
        char text[CLOCK_RFC3339_SIZE], http[CLOCK_HTTP_SIZE], expected[64];
        int64_t back = 1;
        time_t seconds = (time_t)time;
        struct tm parts;
        assert_non_null(gmtime_r(&seconds, &parts));
        clock_rfc3339(time, text);
        snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02dZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                 parts.tm_min, parts.tm_sec);
        assert_string_equal(text, expected);
        assert_true(clock_parse_rfc3339(text, &back));
        assert_int_equal(back, time);
        clock_http(time, http);
        assert_int_equal(strftime(expected, 5, "%a,", &parts), 4);
        assert_memory_equal(http, expected, 4);
        assert_true(clock_parse_http(http, &back));
        assert_int_equal(back, time);
    }
}

static void test_rfc3339_refused(void **state) {
    static const char *const bad[] = {
        "",
        "2026-11-22",
        "2026-11-22T08:00:00",
        "2026-11-22T08:00:00z",
        "2026-11-22t08:00:00Z",
        "2026-11-22 08:00:00Z",
        "2026-11-22T08:00:00.0Z",
        "2026-11-22T08:00:00+00:00",
        "2026-11-22T08:00:00Z ",
        " 2026-11-22T08:00:00Z",
        "2026-13-22T08:00:00Z",
        "2026-00-22T08:00:00Z",
        "2026-11-31T08:00:00Z",
        "2026-11-00T08:00:00Z",
        "2026-02-29T08:00:00Z",
        "2100-02-29T08:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T08:60:00Z",
        "2026-11-22T08:00:60Z",
        "20261-11-22T08:00:00Z",
        "2026-1-22T08:00:00Z",
        "-026-11-22T08:00:00Z",
        "+026-11-22T08:00:00Z",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t time = 77;
        assert_false(clock_parse_rfc3339(bad[i], &time));
        assert_int_equal(time, 77);
    }
}

/* The three forms of RFC 9110 section 5.6.7. */
static void test_http_forms(void **state) {
    char text[CLOCK_HTTP_SIZE];
    int64_t time = 0;
    (void)state;
    clock_http(784111777, text);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    static const char *const good[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        time = 0;
        assert_true(clock_parse_http(good[i], &time));
        assert_int_equal(time, 784111777);
    }
    static const char *const bad[] = {
        "",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Xyz, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Xov 1994 08:49:37 GMT",
        "784111777",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(clock_parse_http(bad[i], &time));
}

static void test_clocks_run(void **state) {
    (void)state;
    assert_true(clock_now() > 1700000000);
    int64_t before = clock_mono_ms();
    int64_t before_us = clock_mono_us();
    clock_sleep_ms(20);
    clock_sleep_ms(-1);
    assert_true(clock_mono_ms() - before >= 19);
    assert_true(clock_mono_us() - before_us >= 19000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc3339_known),   cmocka_unit_test(test_agrees_with_the_c_library),
        cmocka_unit_test(test_rfc3339_refused), cmocka_unit_test(test_http_forms),
        cmocka_unit_test(test_clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
