/* Time zones: against the C library over every zone of the system, the hours around both changes, broken files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/text.h"
#include "common/zone.h"
#include "common/zone_rule.h"

static const struct zone *load(struct arena *arena, const char *name) {
    const struct zone *zone;
    struct err err;
    if (!zone_load(arena, NULL, name, &zone, &err))
        fail_msg("%s", err.text);
    return zone;
}

static int64_t at(const char *text) {
    int64_t time;
    assert_true(clock_parse_rfc3339(text, &time));
    return time;
}

/* Every 29 days and odd seconds from 1900 to 2150, and a second around each change that lies between two such steps. */
static void compare(const char *name, const struct zone *zone) {
    enum { STEP = 29 * 86400 + 3607 };
    int32_t before = zone_offset(zone, at("1900-01-01T00:00:00Z"));
    setenv("TZ", name, 1);
    tzset();
    for (int64_t time = at("1900-01-01T00:00:00Z"); time < at("2150-01-01T00:00:00Z"); time += STEP) {
        int64_t probes[3] = {time, time, time};
        int32_t offset = zone_offset(zone, time);
        int64_t low = time - STEP, high = time;
        while (offset != before && high - low > 1) {
            int64_t middle = low + (high - low) / 2;
            *(zone_offset(zone, middle) == before ? &low : &high) = middle;
        }
        probes[1] = low;
        probes[2] = high;
        before = offset;
        for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
            time_t c_time = (time_t)probes[i];
            struct tm tm;
            assert_non_null(localtime_r(&c_time, &tm));
            struct zone_local local = zone_local(zone, probes[i]);
            if (local.offset != tm.tm_gmtoff || local.minute != tm.tm_hour * 60 + tm.tm_min || local.second != tm.tm_sec ||
                (local.weekday + 1) % 7 != tm.tm_wday || local.day != clock_day(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday))
                fail_msg("%s at %lld: %d, not %ld", name, (long long)probes[i], (int)local.offset, tm.tm_gmtoff);
        }
    }
}

static void test_every_zone(void **state) {
    CLEANUP(buf_free) struct buf table = BUF_INIT(1 << 20);
    struct err err;
    int count = 0;
    char *save = NULL;
    (void)state;
    assert_true(file_read(ZONE_FOLDER "/tzdata.zi", &table, &err));
    for (char *line = strtok_r(table.data, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        char name[ZONE_NAME_SIZE];
        CLEANUP(arena_clear) struct arena arena;
        if (sscanf(line, "Z %64s", name) != 1)
            continue;
        arena_init(&arena, 1 << 20);
        compare(name, load(&arena, name));
        count++;
    }
    unsetenv("TZ");
    tzset();
    assert_true(count > 300);
}

/* Wall clock to moment: the hour that is skipped and the one that comes twice. */
static void test_moments(void **state) {
    static const struct {
        const char *zone;
        int year, month, day;
        int minute;
        const char *expected;
    } rows[] = {
        {"UTC", 2026, 11, 22, 0, "2026-11-22T00:00:00Z"},
        {"UTC", 2026, 11, 22, 1440, "2026-11-23T00:00:00Z"},
        {"Europe/Berlin", 2026, 11, 22, 120, "2026-11-22T01:00:00Z"},
        {"Europe/Berlin", 2026, 7, 1, 120, "2026-07-01T00:00:00Z"},
        {"Europe/Berlin", 2026, 3, 29, 119, "2026-03-29T00:59:00Z"},
        {"Europe/Berlin", 2026, 3, 29, 120, "2026-03-29T01:00:00Z"}, /* 02:00 does not come: it is 03:00 */
        {"Europe/Berlin", 2026, 3, 29, 150, "2026-03-29T01:00:00Z"},
        {"Europe/Berlin", 2026, 3, 29, 180, "2026-03-29T01:00:00Z"},
        {"Europe/Berlin", 2026, 3, 29, 181, "2026-03-29T01:01:00Z"},
        {"Europe/Berlin", 2026, 10, 25, 119, "2026-10-24T23:59:00Z"},
        {"Europe/Berlin", 2026, 10, 25, 150, "2026-10-25T00:30:00Z"}, /* the first of two */
        {"Europe/Berlin", 2026, 10, 25, 180, "2026-10-25T02:00:00Z"},
        {"Europe/Berlin", 2099, 7, 1, 720, "2099-07-01T10:00:00Z"}, /* by the rule behind the table */
        {"Europe/Berlin", 2099, 3, 29, 150, "2099-03-29T01:00:00Z"},
        {"America/New_York", 2026, 11, 1, 90, "2026-11-01T05:30:00Z"},
        {"Australia/Lord_Howe", 2026, 10, 4, 135, "2026-10-03T15:30:00Z"}, /* skips half an hour */
        {"Asia/Kathmandu", 2026, 1, 1, 0, "2025-12-31T18:15:00Z"},
        {"America/Nuuk", 2026, 10, 24, 1425, "2026-10-25T00:45:00Z"}, /* changes by a rule of -1 o'clock */
        {"Pacific/Apia", 2011, 12, 30, 720, "2011-12-30T10:00:00Z"},  /* a day that never was */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(arena_clear) struct arena arena;
        char found[CLOCK_RFC3339_SIZE];
        arena_init(&arena, 1 << 20);
        clock_rfc3339(zone_moment(load(&arena, rows[i].zone), clock_day(rows[i].year, rows[i].month, rows[i].day), rows[i].minute), found);
        if (strcmp(found, rows[i].expected) != 0)
            fail_msg("row %zu (%s): %s, expected %s", i, rows[i].zone, found, rows[i].expected);
    }
}

/* The far ends of time neither overflow nor loop. */
static void test_extremes(void **state) {
    static const int64_t times[] = {INT64_MIN, INT64_MIN + 1, -1, 0, INT64_MAX - 1, INT64_MAX};
    CLEANUP(arena_clear) struct arena arena;
    (void)state;
    arena_init(&arena, 1 << 20);
    const struct zone *zone = load(&arena, "Europe/Berlin");
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct zone_local local = zone_local(zone, times[i]);
        assert_in_range(local.minute, 0, 1439);
        assert_in_range(local.weekday, 0, 6);
        int64_t moment = zone_moment(zone, times[i], 1440);
        assert_true(moment > -(INT64_C(1) << 40) && moment < INT64_C(1) << 40);
    }
}

static void test_names(void **state) {
    static const char *const good[] = {"UTC", "Europe/Berlin", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "America/Port-au-Prince"};
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      "../shadow",
                                      "Europe/../../etc/passwd",
                                      "/etc/localtime",
                                      "Europe/",
                                      "a//b",
                                      "./UTC",
                                      "a/.b",
                                      "a b",
                                      "Europe\\Berlin",
                                      "CET-1CEST,M3.5.0",
                                      ":UTC",
                                      "\n",
                                      "Köln/Dom",
                                      "a\x01/b",
                                      "0123456789012345678901234567890123456789012345678901234567890123456789"};
    CLEANUP(arena_clear) struct arena arena;
    const struct zone *zone;
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(zone_name_is_valid(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (zone_name_is_valid(bad[i]))
            fail_msg("%s", bad[i]);
        assert_false(zone_load(&arena, NULL, bad[i], &zone, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
    assert_false(zone_load(&arena, NULL, "Europe/Nowhere", &zone, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.text, "time zone 'Europe/Nowhere' is not known here; expected a name like Europe/Berlin or UTC");
    assert_false(zone_load(&arena, NULL, "Europe", &zone, &err)); /* a folder */
    assert_int_equal(err.code, ERR_INVALID);
    assert_false(zone_load(&arena, NULL, "zone.tab", &zone, &err)); /* some other file */
    assert_int_equal(err.code, ERR_FORMAT);
}

/* tests/data/zone/invalid: NAME.tzif, and in NAME.expect the message. */
static void test_invalid_folder(void **state) {
    int count = 0;
    (void)state;
    DIR *folder = opendir(PAWL_TEST_DATA "/zone/invalid");
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        CLEANUP(arena_clear) struct arena arena;
        CLEANUP(buf_free) struct buf file = BUF_INIT(1 << 17);
        CLEANUP(buf_free) struct buf expect = BUF_INIT(1000);
        const struct zone *zone;
        struct err err;
        char path[PATH_MAX];
        if (!text_ends(entry->d_name, ".tzif"))
            continue;
        arena_init(&arena, 1 << 20);
        snprintf(path, sizeof(path), PAWL_TEST_DATA "/zone/invalid/%s", entry->d_name);
        assert_true(file_read(path, &file, &err));
        memcpy(path + strlen(path) - 5, ".expect", sizeof(".expect"));
        assert_true(file_read(path, &expect, &err));
        expect.data[expect.len - 1] = '\0';
        if (zone_parse(&arena, "X", file.data != NULL ? file.data : "", file.len, &zone, &err))
            fail_msg("%s was taken", entry->d_name);
        assert_int_equal(err.code, ERR_FORMAT);
        if (strcmp(err.text, expect.data) != 0)
            fail_msg("%s: %s", entry->d_name, err.text);
        count++;
    }
    closedir(folder);
    assert_true(count >= 15);
}

/* Forms of the footer that few zones use. */
static void test_rules(void **state) {
    static const struct {
        const char *rule, *at;
        int32_t offset;
    } rows[] = {
        {"UTC0", "2026-01-01T00:00:00Z", 0},
        {"<+0330>-3:30", "2026-07-01T00:00:00Z", 12600},
        {"LMT-0:53:28", "2026-07-01T00:00:00Z", 3208},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-03-08T06:59:59Z", -18000},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-03-08T07:00:00Z", -14400},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-11-01T05:59:59Z", -14400},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-11-01T06:00:00Z", -18000},
        {"NZST-12NZDT,M9.5.0,M4.1.0/3", "2026-12-31T23:00:00Z", 46800}, /* over the turn of the year */
        {"NZST-12NZDT,M9.5.0,M4.1.0/3", "2026-07-01T00:00:00Z", 43200},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2026-01-01T00:00:00Z", 0}, /* summer time below standard time */
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2026-07-01T00:00:00Z", 3600},
        {"XXX3EDT4,0/0,J365/23", "2026-12-31T23:59:59Z", -14400}, /* summer time all the year */
        {"XXX3EDT4,0/0,J365/23", "2027-01-01T03:00:00Z", -14400},
        {"EET-2EEST,M3.4.4/50,M10.4.4/50", "2026-03-27T23:59:59Z", 7200}, /* 50 o'clock of a Thursday is 2 o'clock of a Saturday */
        {"EET-2EEST,M3.4.4/50,M10.4.4/50", "2026-03-28T00:00:00Z", 10800},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T00:59:59Z", -7200},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00:00Z", -3600},
        {"AAA0BBB,J60/0,J61/0", "2028-03-01T12:00:00Z", 3600}, /* J60 is the first of March, leap year or not */
        {"AAA0BBB,J60/0,J61/0", "2027-03-01T12:00:00Z", 3600},
        {"AAA0BBB,59/0,60/0", "2028-02-29T12:00:00Z", 3600}, /* 59 is the leap day where there is one */
        {"AAA0BBB,59/0,60/0", "2027-03-01T12:00:00Z", 3600},
    };
    static const char *const bad[] = {"",
                                      "UT0",
                                      "UTC",
                                      "<>0",
                                      "<+3>0",
                                      "<+03-3",
                                      "UTC25",
                                      "UTC0:60",
                                      "UTC0X",
                                      "EST5EDT",
                                      "EST5EDT,M3.2.0",
                                      "EST5EDT,M13.2.0,M11.1.0",
                                      "EST5EDT,M3.6.0,M11.1.0",
                                      "EST5EDT,M3.2.7,M11.1.0",
                                      "EST5EDT,M0.2.0,M11.1.0",
                                      "EST5EDT,J0,J5",
                                      "EST5EDT,J366,J5",
                                      "EST5EDT,366,5",
                                      "EST5EDT,M3.2.0/168,M11.1.0",
                                      "EST5EDT,M3.2.0,M11.1.0 ",
                                      "EST5EDT,M3.2.0;M11.1.0",
                                      "EST5EDT,M03.002.00000,M11.1.0"};
    struct zone_rule rule;
    struct err err;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(zone_rule_parse(rows[i].rule, &rule, &err));
        int32_t offset = zone_rule_offset(&rule, at(rows[i].at));
        if (offset != rows[i].offset)
            fail_msg("%s at %s: %d", rows[i].rule, rows[i].at, (int)offset);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (zone_rule_parse(bad[i], &rule, &err))
            fail_msg("%s was taken", bad[i]);
        assert_int_equal(err.code, ERR_FORMAT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_zone), cmocka_unit_test(test_moments),        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_invalid_folder), cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
