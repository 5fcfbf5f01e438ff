#include "common/zone_rule.h"

#include <string.h>

#include "common/clock.h"

enum { DAY_SECONDS = 86400, HOUR_SECONDS = 3600 };

/* ---- reading ---- */

/* "EST" or "<+0330>"; at least three characters. */
static bool take_name(const char **at) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t len;
    if (**at != '<') {
        len = strspn(*at, letters);
        *at += len;
        return len >= 3;
    }
    len = strcspn(*at + 1, ">");
    if (len < 3 || (*at)[1 + len] != '>')
        return false;
    *at += len + 2;
    return true;
}

static bool take_number(const char **at, int min, int max, int *ret_number) {
    int number = 0;
    const char *start = *at;
    for (; **at >= '0' && **at <= '9' && *at - start < 4; (*at)++)
        number = number * 10 + (**at - '0');
    if (*at == start || number < min || number > max)
        return false;
    *ret_number = number;
    return true;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(const char **at, int max_hours, int32_t *ret_seconds) {
    int parts[3] = {0};
    bool negative = **at == '-';
    if (**at == '-' || **at == '+')
        (*at)++;
    if (!take_number(at, 0, max_hours, &parts[0]))
        return false;
    for (int i = 1; i < 3 && **at == ':'; i++) {
        (*at)++;
        if (!take_number(at, 0, 59, &parts[i]))
            return false;
    }
    int32_t seconds = parts[0] * HOUR_SECONDS + parts[1] * 60 + parts[2];
    *ret_seconds = negative ? -seconds : seconds;
    return true;
}

static bool take_char(const char **at, char c) {
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

/* ",M10.5.0/3" */
static bool take_switch(const char **at, struct zone_switch *ret_switch) {
    if (!take_char(at, ','))
        return false;
    ret_switch->seconds = 2 * HOUR_SECONDS;
    if (take_char(at, 'M')) {
        ret_switch->kind = ZONE_DAY_WEEK;
        if (!take_number(at, 1, 12, &ret_switch->month) || !take_char(at, '.') || !take_number(at, 1, 5, &ret_switch->week) || !take_char(at, '.') ||
            !take_number(at, 0, 6, &ret_switch->day))
            return false;
    } else if (take_char(at, 'J')) {
        ret_switch->kind = ZONE_DAY_JULIAN;
        if (!take_number(at, 1, 365, &ret_switch->day))
            return false;
    } else {
        ret_switch->kind = ZONE_DAY_NUMBER;
        if (!take_number(at, 0, 365, &ret_switch->day))
            return false;
    }
    return !take_char(at, '/') || take_time(at, 167, &ret_switch->seconds);
}

/* West is positive in these texts. */
static bool take_zone(const char **at, struct zone_rule *rule) {
    if (!take_name(at) || !take_time(at, 24, &rule->standard))
        return false;
    rule->standard = -rule->standard;
    if (**at == '\0')
        return true;
    rule->has_summer = true;
    rule->summer = rule->standard + HOUR_SECONDS;
    if (!take_name(at))
        return false;
    if (**at != ',') {
        if (!take_time(at, 24, &rule->summer))
            return false;
        rule->summer = -rule->summer;
    }
    return take_switch(at, &rule->start) && take_switch(at, &rule->end) && **at == '\0';
}

bool zone_rule_parse(const char *text, struct zone_rule *ret_rule, struct err *err) {
    struct zone_rule rule = {0};
    const char *at = text;
    if (!take_zone(&at, &rule))
        return err_set(err, ERR_FORMAT, "rule '%.64s' cannot be read at byte %zu", text, (size_t)(at - text) + 1);
    *ret_rule = rule;
    return true;
}

/* ---- asking ---- */

static int64_t switch_day(const struct zone_switch *at, int year) {
    if (at->kind == ZONE_DAY_NUMBER)
        return clock_day(year, 1, 1) + at->day;
    if (at->kind == ZONE_DAY_JULIAN)
        return clock_day(year, 1, 1) + at->day - 1 + (at->day >= 60 && clock_month_days(year, 2) == 29);
    int64_t first = clock_day(year, at->month, 1);
    int weekday = (int)(((first + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    int day = (at->day - weekday + 7) % 7 + 7 * (at->week - 1);
    while (day >= clock_month_days(year, at->month))
        day -= 7; /* the fifth is the last */
    return first + day;
}

struct zone_change {
    int64_t at;
    bool to_summer;
};

enum { YEARS = 4, CHANGES = 2 * YEARS };

/* The changes of the year and of those about it: a change can lie some days beyond its own year, and so can both of the year before. */
static void list_changes(const struct zone_rule *rule, int64_t at, struct zone_change changes[CHANGES]) {
    int year = clock_year(at + rule->standard);
    for (int i = 0; i < YEARS; i++) {
        int which = year + i - 2;
        int64_t start = switch_day(&rule->start, which) * DAY_SECONDS + rule->start.seconds - rule->standard;
        int64_t end = switch_day(&rule->end, which) * DAY_SECONDS + rule->end.seconds - rule->summer;
        changes[2 * i] = (struct zone_change){start, true};
        changes[2 * i + 1] = (struct zone_change){end, false};
    }
}

/* The last change that has come rules; when summer time ends in the moment in which it begins, it goes on (all the year). */
int32_t zone_rule_offset(const struct zone_rule *rule, int64_t at) {
    struct zone_change changes[CHANGES];
    const struct zone_change *last = NULL;
    if (!rule->has_summer)
        return rule->standard;
    list_changes(rule, at, changes);
    for (size_t i = 0; i < CHANGES; i++)
        if (changes[i].at <= at && (last == NULL || changes[i].at > last->at || (changes[i].at == last->at && changes[i].to_summer)))
            last = &changes[i];
    return last != NULL && last->to_summer ? rule->summer : rule->standard;
}

int64_t zone_rule_next(const struct zone_rule *rule, int64_t at) {
    struct zone_change changes[CHANGES];
    int64_t next = INT64_MAX;
    if (!rule->has_summer)
        return next;
    list_changes(rule, at, changes);
    for (size_t i = 0; i < CHANGES; i++)
        if (changes[i].at > at && changes[i].at < next)
            next = changes[i].at;
    return next;
}
