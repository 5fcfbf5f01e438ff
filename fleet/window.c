#include "fleet/window.h"

#include <stdio.h>
#include <string.h>

#include "common/text.h"

enum { WEEK = 7, HORIZON = 2 * WEEK + 1, DAY_MINUTES = 1440 };

static const char *const day_names[WEEK] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

/* ---- the rule ---- */

struct span {
    int64_t start, end;
};

static bool has_day(const struct fleet_window *window, int64_t day) {
    int64_t weekday = (day + 3) % WEEK; /* 1970-01-01 was a Thursday */
    return (window->days & (1u << (weekday < 0 ? weekday + WEEK : weekday))) != 0;
}

/* The span that begins on that day; false: there is none. */
static bool span_of(const struct fleet_window *window, int64_t day, struct span *ret_span) {
    bool next_day = window->to_minute <= window->from_minute;

    if (!has_day(window, day))
        return false;
    ret_span->start = zone_moment(window->zone, day, window->from_minute);
    ret_span->end = zone_moment(window->zone, next_day ? day + 1 : day, window->to_minute);
    return ret_span->start < ret_span->end;
}

/* The end of a span in which the moment lies. */
static bool is_inside(const struct fleet_window *window, int64_t at, int64_t *ret_end) {
    int64_t today = zone_local(window->zone, at).day;

    for (int64_t day = today - 2; day <= today + 1; day++) {
        struct span span;

        if (span_of(window, day, &span) && span.start <= at && at < span.end) {
            *ret_end = span.end;
            return true;
        }
    }
    return false;
}

static bool any_inside(const struct fleet_window *windows, size_t count, int64_t at, int64_t *ret_end) {
    for (size_t i = 0; i < count; i++)
        if (is_inside(&windows[i], at, ret_end))
            return true;
    return false;
}

static int64_t next_start(const struct fleet_window *window, int64_t at) {
    int64_t today = zone_local(window->zone, at).day;

    for (int64_t day = today - 1; day <= today + HORIZON; day++) {
        struct span span;

        if (span_of(window, day, &span) && span.start > at)
            return span.start;
    }
    return INT64_MAX;
}

struct fleet_window_answer fleet_window_at(const struct fleet_window *windows, size_t count, int64_t now) {
    struct fleet_window_answer answer = {.open = count == 0, .until = INT64_MAX};
    int64_t end;

    if (count == 0)
        return answer;
    answer.open = any_inside(windows, count, now, &end);
    if (answer.open) {
        /* On from window to window, as long as one begins before the other ends. */
        answer.until = end;
        while (answer.until - now < (int64_t)HORIZON * DAY_MINUTES * 60 && any_inside(windows, count, answer.until, &end))
            answer.until = end;
        return answer;
    }
    for (size_t i = 0; i < count; i++) {
        int64_t start = next_start(&windows[i], now);

        answer.until = start < answer.until ? start : answer.until;
    }
    return answer;
}

/* ---- the texts ---- */

static bool find_day(const char *text, size_t len, size_t *ret_day) {
    for (size_t i = 0; i < WEEK; i++) {
        if (len == strlen(day_names[i]) && memcmp(text, day_names[i], len) == 0) {
            *ret_day = i;
            return true;
        }
    }
    return false;
}

/* "mon" or "fri-sun" (also over the end of the week: "sat-mon"). */
static bool take_days(const char *text, size_t len, unsigned *days) {
    const char *dash = memchr(text, '-', len);
    size_t first, last;

    if (!find_day(text, dash ? (size_t)(dash - text) : len, &first))
        return false;
    last = first;
    if (dash && !find_day(dash + 1, len - (size_t)(dash + 1 - text), &last))
        return false;
    for (size_t day = first;; day = (day + 1) % WEEK) {
        *days |= 1u << day;
        if (day == last)
            return true;
    }
}

bool fleet_window_parse_days(const char *text, unsigned *ret_days, struct err *err) {
    unsigned days = 0;

    if (strcmp(text, "daily") == 0) {
        *ret_days = (1u << WEEK) - 1;
        return true;
    }
    for (const char *at = text;;) {
        size_t len = strcspn(at, ",");

        if (!take_days(at, len, &days))
            return err_set(err, ERR_INVALID, "'%.64s' are no days; expected 'daily', or mon … sun in a list or a range like mon-fri,sun", text);
        if (at[len] == '\0')
            break;
        at += len + 1;
    }
    *ret_days = days;
    return true;
}

bool fleet_window_parse_time(const char *text, bool is_end, int *ret_minute, struct err *err) {
    int64_t hour, minute;
    bool good = strlen(text) == 5 && text[2] == ':' && text_to_int_n(text, 2, 0, 24, &hour) && text_to_int_n(text + 3, 2, 0, 59, &minute) &&
                (hour < 24 || (is_end && minute == 0));

    if (!good)
        return err_set(err, ERR_INVALID, "'%.16s' is no time of day; expected 00:00 to %s", text, is_end ? "24:00" : "23:59");
    *ret_minute = (int)(hour * 60 + minute);
    return true;
}

void fleet_window_print_days(unsigned days, char ret_text[FLEET_WINDOW_DAYS_SIZE]) {
    size_t len = 0;

    ret_text[0] = '\0';
    if ((days & ((1u << WEEK) - 1)) == (1u << WEEK) - 1) {
        (void)text_copy(ret_text, FLEET_WINDOW_DAYS_SIZE, "daily");
        return;
    }
    for (size_t i = 0; i < WEEK; i++) {
        size_t last = i;

        if ((days & (1u << i)) == 0)
            continue;
        while (last + 1 < WEEK && (days & (1u << (last + 1))) != 0)
            last++;
        const char *between = last > i + 1 ? "-" : last > i ? "," : "";
        len += (size_t)snprintf(ret_text + len, FLEET_WINDOW_DAYS_SIZE - len, "%s%s%s%s", len > 0 ? "," : "", day_names[i], between,
                                last > i ? day_names[last] : "");
        i = last;
    }
}

void fleet_window_print_time(int minute, char ret_text[FLEET_WINDOW_TIME_SIZE]) {
    snprintf(ret_text, FLEET_WINDOW_TIME_SIZE, "%02d:%02d", minute / 60 % 100, minute % 60);
}
