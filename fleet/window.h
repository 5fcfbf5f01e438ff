/* Maintenance windows: days and times by the wall clock of a zone; is one open, and until when does that answer stand? Pure. */
#ifndef PAWL_FLEET_WINDOW_H
#define PAWL_FLEET_WINDOW_H

#include "common/zone.h"

enum { FLEET_WINDOW_MAX = 16 }; /* windows in one place */

/* Open on each of its days from one wall-clock time to the other. A window over midnight belongs to the day it begins on. */
struct fleet_window {
    unsigned days;   /* bit 0 Monday … bit 6 Sunday */
    int from_minute; /* of the day: 0 … 1439 */
    int to_minute;   /* 0 … 1440; at or before from_minute: of the next day; equal: 24 hours */
    const struct zone *zone;
};

/* The zero value is "closed". */
struct fleet_window_answer {
    bool open;
    int64_t until; /* the answer stands before this moment: it closes, or opens, then; INT64_MAX: never. Windows that touch are one, for two weeks */
};

/* Open when any window is open; no window at all is always open. count ≤ FLEET_WINDOW_MAX.
 * Wall-clock times that come twice or not at all: see zone_moment(); a window that the clock jumps over whole does not open that day. */
struct fleet_window_answer fleet_window_at(const struct fleet_window *windows, size_t count, int64_t now);

/* "mon" … "sun", and a list of them or ranges: "mon-fri", "sat,sun", "daily". ERR_INVALID says what was expected. */
bool fleet_window_parse_days(const char *text, unsigned *ret_days, struct err *err) MUST_USE;

/* "22:00" … ; "24:00" only as an end. ERR_INVALID. */
bool fleet_window_parse_time(const char *text, bool is_end, int *ret_minute, struct err *err) MUST_USE;

/* Canonical texts of both; ret_text of these sizes. */
enum { FLEET_WINDOW_DAYS_SIZE = 32, FLEET_WINDOW_TIME_SIZE = 8 };
void fleet_window_print_days(unsigned days, char ret_text[FLEET_WINDOW_DAYS_SIZE]);
void fleet_window_print_time(int minute, char ret_text[FLEET_WINDOW_TIME_SIZE]);

#endif
