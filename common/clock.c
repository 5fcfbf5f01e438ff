#include "common/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { DAY_SECONDS = 86400, EPOCH_DAYS = 719528 /* from 0000-01-01 to 1970-01-01 */ };

/* A UTC date and time in the proleptic Gregorian calendar. */
struct civil {
    int year, month, day, hour, minute, second;
    int weekday; /* 0 is Sunday */
};

static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const day_names[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

static int64_t now_us(clockid_t id) {
    struct timespec spec = {0};
    clock_gettime(id, &spec);
    return (int64_t)spec.tv_sec * 1000000 + spec.tv_nsec / 1000;
}

int64_t clock_now(void) {
    return now_us(CLOCK_REALTIME) / 1000000;
}

int64_t clock_mono_ms(void) {
    return now_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_us(void) {
    return now_us(CLOCK_MONOTONIC);
}

static bool is_leap(int year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int clock_month_days(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days from 0000-01-01 to the first of January of a year that is not negative. */
static int64_t days_before_year(int64_t year) {
    return year * 365 + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
}

int64_t clock_day(int year, int month, int day) {
    int64_t days = days_before_year(year) + day - 1;
    for (int i = 1; i < month; i++)
        days += clock_month_days(year, i);
    return days - EPOCH_DAYS;
}

static int64_t civil_to_time(const struct civil *civil) {
    return clock_day(civil->year, civil->month, civil->day) * DAY_SECONDS + civil->hour * 3600 + civil->minute * 60 + civil->second;
}

/* Times outside the years 0000 to 9999 become the nearest second inside. */
static struct civil civil_of_time(int64_t time) {
    const int64_t first = -(int64_t)EPOCH_DAYS * DAY_SECONDS;
    const int64_t last = (days_before_year(10000) - EPOCH_DAYS) * DAY_SECONDS - 1;
    int64_t since = (time < first ? first : time > last ? last : time) - first;
    int64_t days = since / DAY_SECONDS;
    int rest = (int)(since % DAY_SECONDS);

    struct civil civil = {.year = (int)(days / 366), .month = 1, .hour = rest / 3600, .minute = rest / 60 % 60, .second = rest % 60};
    civil.weekday = (int)((days + 6) % 7); /* 0000-01-01 was a Saturday */
    while (days_before_year(civil.year + 1) <= days)
        civil.year++;
    civil.day = 1 + (int)(days - days_before_year(civil.year));
    while (civil.day > clock_month_days(civil.year, civil.month)) {
        civil.day -= clock_month_days(civil.year, civil.month);
        civil.month++;
    }
    return civil;
}

int clock_year(int64_t time) {
    return civil_of_time(time).year;
}

void clock_rfc3339(int64_t time, char ret_text[CLOCK_RFC3339_SIZE]) {
    struct civil civil = civil_of_time(time);
    char text[80];
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02dZ", civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second);
    memcpy(ret_text, text, CLOCK_RFC3339_SIZE - 1);
    ret_text[CLOCK_RFC3339_SIZE - 1] = '\0';
}

void clock_http(int64_t time, char ret_text[CLOCK_HTTP_SIZE]) {
    struct civil civil = civil_of_time(time);
    char text[80];
    snprintf(text, sizeof(text), "%.3s, %02d %s %04d %02d:%02d:%02d GMT", day_names[civil.weekday], civil.day, month_names[civil.month - 1],
             civil.year, civil.hour, civil.minute, civil.second);
    memcpy(ret_text, text, CLOCK_HTTP_SIZE - 1);
    ret_text[CLOCK_HTTP_SIZE - 1] = '\0';
}

/* Exactly that many digits, with a space allowed for the first one; -1 when they are not there. */
static int take_digits(const char **at, int count, bool space_padded) {
    int value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (i == 0 && space_padded && **at == ' ')
            continue;
        if (**at < '0' || **at > '9')
            return -1;
        value = value * 10 + (**at - '0');
    }
    return value;
}

/* One of the names, by its first name_len bytes (0: whole); its index + 1, or -1. */
static int take_name(const char **at, const char *const *names, size_t count, size_t name_len) {
    for (size_t i = 0; i < count; i++) {
        size_t len = name_len > 0 ? name_len : strlen(names[i]);
        if (strncmp(*at, names[i], len) == 0) {
            *at += len;
            return (int)i + 1;
        }
    }
    return -1;
}

/* RFC 9110 §5.6.7: the year nearest to now, at most 50 years ahead. */
static int full_year(int two_digits) {
    int now = civil_of_time(clock_now()).year;
    int year = now / 100 * 100 + two_digits;
    return two_digits < 0 ? -1 : year > now + 50 ? year - 100 : year;
}

/* One conversion of parse(); false when the text has something else there. */
static bool take(const char **at, char letter, struct civil *civil) {
    switch (letter) {
    case 'Y':
        return (civil->year = take_digits(at, 4, false)) >= 0;
    case 'y':
        return (civil->year = full_year(take_digits(at, 2, false))) >= 0;
    case 'm':
        return (civil->month = take_digits(at, 2, false)) >= 0;
    case 'b':
        return (civil->month = take_name(at, month_names, ARRAY_LEN(month_names), 3)) >= 0;
    case 'd':
        return (civil->day = take_digits(at, 2, false)) >= 0;
    case 'e':
        return (civil->day = take_digits(at, 2, true)) >= 0;
    case 'H':
        return (civil->hour = take_digits(at, 2, false)) >= 0;
    case 'M':
        return (civil->minute = take_digits(at, 2, false)) >= 0;
    case 'S':
        return (civil->second = take_digits(at, 2, false)) >= 0;
    case 'a':
        return (civil->weekday = take_name(at, day_names, ARRAY_LEN(day_names), 3)) >= 0;
    case 'A':
        return (civil->weekday = take_name(at, day_names, ARRAY_LEN(day_names), 0)) >= 0;
    default:
        return false;
    }
}

/* The text must be the pattern to its last byte; the letters are those of strptime(). */
static bool parse(const char *text, const char *pattern, int64_t *ret_time) {
    struct civil civil = {0};
    for (; *pattern != '\0'; pattern++) {
        bool fits = *pattern == '%' ? take(&text, *++pattern, &civil) : *text++ == *pattern;
        if (!fits)
            return false;
    }
    if (*text != '\0' || civil.month < 1 || civil.month > 12 || civil.day < 1 || civil.day > clock_month_days(civil.year, civil.month) ||
        civil.hour > 23 || civil.minute > 59 || civil.second > 59)
        return false;
    *ret_time = civil_to_time(&civil);
    return true;
}

bool clock_parse_rfc3339(const char *text, int64_t *ret_time) {
    return parse(text, "%Y-%m-%dT%H:%M:%SZ", ret_time);
}

bool clock_parse_http(const char *text, int64_t *ret_time) {
    return parse(text, "%a, %d %b %Y %H:%M:%S GMT", ret_time) || parse(text, "%A, %d-%b-%y %H:%M:%S GMT", ret_time) ||
           parse(text, "%a %b %e %H:%M:%S %Y", ret_time);
}

void clock_sleep_ms(int64_t ms) {
    if (ms <= 0)
        return;
    struct timespec spec = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000 * 1000000)};
    nanosleep(&spec, NULL);
}
