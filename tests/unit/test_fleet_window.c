/* Maintenance windows: over midnight, over both changes of the clock, several at once, and their texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "fleet/window.h"

enum { ROW_WINDOWS = 2 };

struct row {
    struct {
        const char *days, *from, *to, *zone;
    } windows[ROW_WINDOWS];
    const char *now;
    bool open;
    const char *until; /* NULL: never */
};

#define NIGHT                                                                                                                                        \
    { "daily", "22:00", "04:00", "Europe/Berlin" }
#define OFFICE                                                                                                                                       \
    { "mon-fri", "09:00", "17:00", "UTC" }

/* 2026-11-22 is a Sunday. */
static const struct row rows[] = {
    {{OFFICE}, "2026-11-23T08:59:59Z", false, "2026-11-23T09:00:00Z"},
    {{OFFICE}, "2026-11-23T09:00:00Z", true, "2026-11-23T17:00:00Z"},
    {{OFFICE}, "2026-11-23T16:59:59Z", true, "2026-11-23T17:00:00Z"},
    {{OFFICE}, "2026-11-23T17:00:00Z", false, "2026-11-24T09:00:00Z"},
    {{OFFICE}, "2026-11-27T18:00:00Z", false, "2026-11-30T09:00:00Z"},
    {{NIGHT}, "2026-11-22T20:59:59Z", false, "2026-11-22T21:00:00Z"},
    {{NIGHT}, "2026-11-22T21:00:00Z", true, "2026-11-23T03:00:00Z"},
    {{NIGHT}, "2026-11-23T02:59:59Z", true, "2026-11-23T03:00:00Z"},
    {{NIGHT}, "2026-11-23T03:00:00Z", false, "2026-11-23T21:00:00Z"},
    /* The night the clock goes forward is an hour shorter, the other an hour longer. */
    {{NIGHT}, "2026-03-28T21:00:00Z", true, "2026-03-29T02:00:00Z"},
    {{NIGHT}, "2026-03-29T02:00:00Z", false, "2026-03-29T20:00:00Z"},
    {{NIGHT}, "2026-10-24T20:00:00Z", true, "2026-10-25T03:00:00Z"},
    {{NIGHT}, "2026-10-25T00:30:00Z", true, "2026-10-25T03:00:00Z"},
    {{NIGHT}, "2026-10-25T01:30:00Z", true, "2026-10-25T03:00:00Z"},
    {{NIGHT}, "2026-10-25T03:00:00Z", false, "2026-10-25T21:00:00Z"},
    /* Over midnight belongs to the day it begins on: the weekend's last ends on Monday morning. */
    {{{"sat,sun", "23:00", "01:00", "UTC"}}, "2026-11-23T00:59:59Z", true, "2026-11-23T01:00:00Z"},
    {{{"sat,sun", "23:00", "01:00", "UTC"}}, "2026-11-23T23:30:00Z", false, "2026-11-28T23:00:00Z"},
    {{{"sat,sun", "23:00", "01:00", "UTC"}}, "2026-11-21T00:30:00Z", false, "2026-11-21T23:00:00Z"},
    /* A window that begins within the hour that is skipped opens when the clock jumps. */
    {{{"daily", "02:30", "05:00", "Europe/Berlin"}}, "2026-03-29T00:59:59Z", false, "2026-03-29T01:00:00Z"},
    {{{"daily", "02:30", "05:00", "Europe/Berlin"}}, "2026-03-29T01:00:00Z", true, "2026-03-29T03:00:00Z"},
    /* One that ends within it closes then; one that lies in it whole does not open that day. */
    {{{"daily", "01:00", "02:30", "Europe/Berlin"}}, "2026-03-29T00:30:00Z", true, "2026-03-29T01:00:00Z"},
    {{{"daily", "02:10", "02:50", "Europe/Berlin"}}, "2026-03-29T00:59:00Z", false, "2026-03-30T00:10:00Z"},
    {{{"daily", "02:10", "02:50", "Europe/Berlin"}}, "2026-03-29T01:00:00Z", false, "2026-03-30T00:10:00Z"},
    {{{"sun", "02:10", "02:50", "Europe/Berlin"}}, "2026-03-28T12:00:00Z", false, "2026-04-05T00:10:00Z"},
    /* The hour that comes twice counts once, at its first coming. */
    {{{"daily", "02:15", "02:45", "Europe/Berlin"}}, "2026-10-25T00:20:00Z", true, "2026-10-25T00:45:00Z"},
    {{{"daily", "02:15", "02:45", "Europe/Berlin"}}, "2026-10-25T01:20:00Z", false, "2026-10-26T01:15:00Z"},
    /* Whole days. */
    {{{"sun", "00:00", "24:00", "UTC"}}, "2026-11-22T12:00:00Z", true, "2026-11-23T00:00:00Z"},
    {{{"sun", "12:00", "12:00", "UTC"}}, "2026-11-23T11:59:59Z", true, "2026-11-23T12:00:00Z"},
    {{{"sat,sun", "00:00", "24:00", "UTC"}}, "2026-11-21T12:00:00Z", true, "2026-11-23T00:00:00Z"},
    {{{"sun", "00:00", "24:00", "Europe/Berlin"}}, "2026-10-25T12:00:00Z", true, "2026-10-25T23:00:00Z"},
    /* Two windows: open when either is, until both are closed. */
    {{OFFICE, {"mon", "16:00", "20:00", "UTC"}}, "2026-11-23T10:00:00Z", true, "2026-11-23T20:00:00Z"},
    {{OFFICE, {"mon", "17:00", "20:00", "UTC"}}, "2026-11-23T10:00:00Z", true, "2026-11-23T20:00:00Z"},
    {{OFFICE, {"mon", "18:00", "20:00", "UTC"}}, "2026-11-23T10:00:00Z", true, "2026-11-23T17:00:00Z"},
    {{OFFICE, {"mon", "18:00", "20:00", "UTC"}}, "2026-11-23T17:30:00Z", false, "2026-11-23T18:00:00Z"},
    {{{"mon", "18:00", "20:00", "UTC"}, OFFICE}, "2026-11-23T20:00:00Z", false, "2026-11-24T09:00:00Z"},
    {{{"mon", "09:00", "10:00", "America/New_York"}, {"mon", "09:00", "10:00", "Asia/Tokyo"}}, "2026-11-23T00:30:00Z", true, "2026-11-23T01:00:00Z"},
    {{{"mon", "09:00", "10:00", "America/New_York"}, {"mon", "09:00", "10:00", "Asia/Tokyo"}}, "2026-11-23T01:00:00Z", false, "2026-11-23T14:00:00Z"},
    /* None. */
    {{{NULL, NULL, NULL, NULL}}, "2026-11-23T01:00:00Z", true, NULL},
};

static size_t windows_of(const struct row *row, struct arena *arena, struct fleet_window windows[ROW_WINDOWS]) {
    struct err err;
    size_t count = 0;
    for (; count < ROW_WINDOWS && row->windows[count].days != NULL; count++) {
        assert_true(fleet_window_parse_days(row->windows[count].days, &windows[count].days, &err));
        assert_true(fleet_window_parse_time(row->windows[count].from, false, &windows[count].from_minute, &err));
        assert_true(fleet_window_parse_time(row->windows[count].to, true, &windows[count].to_minute, &err));
        assert_true(zone_load(arena, NULL, row->windows[count].zone, &windows[count].zone, &err));
    }
    return count;
}

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(arena_clear) struct arena arena;
        struct fleet_window windows[ROW_WINDOWS];
        int64_t now;
        char until[CLOCK_RFC3339_SIZE];
        arena_init(&arena, 1 << 20);
        assert_true(clock_parse_rfc3339(rows[i].now, &now));
        size_t count = windows_of(&rows[i], &arena, windows);
        struct fleet_window_answer answer = fleet_window_at(windows, count, now);
        clock_rfc3339(answer.until, until);
        bool good = answer.open == rows[i].open && (rows[i].until != NULL ? strcmp(until, rows[i].until) == 0 : answer.until == INT64_MAX);
        if (!good)
            fail_msg("row %zu at %s: %s until %s", i, rows[i].now, answer.open ? "open" : "closed", until);
    }
}

/* The answer stands until its end and not a second longer, minute for minute over both changes of the clock. */
static void test_until_is_true(void **state) {
    static const char *const starts[] = {"2026-03-27T00:00:00Z", "2026-10-23T00:00:00Z", "2040-03-23T00:00:00Z"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(arena_clear) struct arena arena;
        struct fleet_window windows[ROW_WINDOWS];
        arena_init(&arena, 1 << 20);
        size_t count = windows_of(&rows[i], &arena, windows);
        for (size_t j = 0; j < ARRAY_LEN(starts) && count > 0; j++) {
            int64_t now;
            assert_true(clock_parse_rfc3339(starts[j], &now));
            struct fleet_window_answer answer = fleet_window_at(windows, count, now);
            for (int64_t end = now + 5 * 86400; now < end; now += 300) {
                struct fleet_window_answer next = fleet_window_at(windows, count, now);
                if (now < answer.until ? next.open != answer.open || next.until != answer.until : next.open == answer.open)
                    fail_msg("row %zu at %lld", i, (long long)now);
                answer = next;
            }
        }
    }
}

static void test_always_and_never(void **state) {
    CLEANUP(arena_clear) struct arena arena;
    struct fleet_window window = {.days = 127, .from_minute = 0, .to_minute = 1440};
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 20);
    assert_true(zone_load(&arena, NULL, "UTC", &window.zone, &err));
    struct fleet_window_answer answer = fleet_window_at(&window, 1, 1795334400);
    assert_true(answer.open);
    assert_true(answer.until >= 1795334400 + 14 * 86400 && answer.until < INT64_MAX);
    window.days = 0;
    answer = fleet_window_at(&window, 1, 1795334400);
    assert_false(answer.open);
    assert_true(answer.until == INT64_MAX);
}

static void test_texts(void **state) {
    static const struct {
        const char *text, *printed;
        unsigned days;
    } days[] = {{"mon", "mon", 1},          {"sun", "sun", 64},
                {"mon-fri", "mon-fri", 31}, {"mon,tue", "mon,tue", 3},
                {"mon-tue", "mon,tue", 3},  {"sat-mon", "mon,sat,sun", 97},
                {"daily", "daily", 127},    {"mon-sun", "daily", 127},
                {"tue,tue", "tue", 2},      {"mon,wed,fri-sun", "mon,wed,fri-sun", 117}};
    static const char *const bad_days[] = {"",     "monday",      "Mon",     "mon,",     ",mon",     "mon-",
                                           "-mon", "mon-fri-sun", "mon tue", "weekdays", "mon--tue", "0"};
    static const char *const bad_times[] = {"", "9:00", "09:0", "24:01", "25:00", "12:60", "-1:00", "12.00", "12:00:00", "12:00 ", "1a:00"};
    struct err err;
    unsigned mask;
    int minute;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(days); i++) {
        char text[FLEET_WINDOW_DAYS_SIZE];
        assert_true(fleet_window_parse_days(days[i].text, &mask, &err));
        assert_int_equal(mask, days[i].days);
        fleet_window_print_days(mask, text);
        assert_string_equal(text, days[i].printed);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad_days); i++) {
        if (fleet_window_parse_days(bad_days[i], &mask, &err))
            fail_msg("'%s'", bad_days[i]);
        assert_int_equal(err.code, ERR_INVALID);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad_times); i++) {
        if (fleet_window_parse_time(bad_times[i], true, &minute, &err))
            fail_msg("'%s'", bad_times[i]);
        assert_int_equal(err.code, ERR_INVALID);
    }
    assert_false(fleet_window_parse_time("24:00", false, &minute, &err));
    assert_string_equal(err.text, "'24:00' is no time of day; expected 00:00 to 23:59");
    assert_true(fleet_window_parse_time("24:00", true, &minute, &err));
    assert_int_equal(minute, 1440);
    char text[FLEET_WINDOW_TIME_SIZE];
    fleet_window_print_time(1440, text);
    assert_string_equal(text, "24:00");
    fleet_window_print_time(545, text);
    assert_string_equal(text, "09:05");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_until_is_true),
        cmocka_unit_test(test_always_and_never),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
