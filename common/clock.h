/* The only file that asks the operating system what time it is; everything else is told. */
#ifndef PAWL_COMMON_CLOCK_H
#define PAWL_COMMON_CLOCK_H

#include "common/err.h"

enum { CLOCK_RFC3339_SIZE = 21, CLOCK_HTTP_SIZE = 30 };

int64_t clock_now(void);     /* UTC seconds since 1970 */
int64_t clock_mono_ms(void); /* for deadlines: never steps */
int64_t clock_mono_us(void);

/* "2026-11-22T08:00:00Z" (RFC 3339, what TUF and the API use); years 0000 to 9999. */
void clock_rfc3339(int64_t time, char ret_text[CLOCK_RFC3339_SIZE]);
bool clock_parse_rfc3339(const char *text, int64_t *ret_time); /* exactly that form */

/* IMF-fixdate, "Sun, 22 Nov 2026 08:00:00 GMT" (RFC 9110 §5.6.7). The parser also takes the two obsolete forms. */
void clock_http(int64_t time, char ret_text[CLOCK_HTTP_SIZE]);
bool clock_parse_http(const char *text, int64_t *ret_time);

/* The proleptic Gregorian calendar: the UTC year of a time (0 … 9999), and days from 1970-01-01 to a date of such a year. */
int clock_year(int64_t time);
int64_t clock_day(int year, int month, int day);
int clock_month_days(int year, int month);

/* Sleeps that long, or until a signal arrives. */
void clock_sleep_ms(int64_t ms);

#endif
