/* IANA time zones out of the system's own TZif files (RFC 9636), with the rule in their footer for the years behind the table. */
#ifndef PAWL_COMMON_ZONE_H
#define PAWL_COMMON_ZONE_H

#include "common/arena.h"
#include "common/err.h"

#define ZONE_FOLDER "/usr/share/zoneinfo"

enum { ZONE_NAME_SIZE = 65, ZONE_FILE_MAX = 64 * 1024 };

struct zone; /* immutable; read by any thread */

/* "Europe/Berlin", "UTC". Letters, digits, "_+-" and "/" between parts; no part begins with a dot; nothing absolute. */
bool zone_name_is_valid(const char *name) MUST_USE;

/* Reads <folder>/<name> (folder NULL: ZONE_FOLDER). ERR_INVALID: no such zone, or a name that cannot be one; ERR_FORMAT: a broken file. */
bool zone_load(struct arena *arena, const char *folder, const char *name, const struct zone **ret_zone, struct err *err) MUST_USE;

/* The same from memory: a whole TZif file of version 2 or later. ERR_FORMAT. */
bool zone_parse(struct arena *arena, const char *name, const void *data, size_t len, const struct zone **ret_zone, struct err *err) MUST_USE;

/* Seconds east of UTC at that moment. */
int32_t zone_offset(const struct zone *zone, int64_t at);

/* The wall clock at that moment. */
struct zone_local {
    int64_t day;    /* since 1970-01-01 */
    int weekday;    /* 0 Monday … 6 Sunday */
    int minute;     /* of the day: 0 … 1439 */
    int second;     /* of the minute */
    int32_t offset; /* seconds east of UTC */
};
struct zone_local zone_local(const struct zone *zone, int64_t at);

/* The moment at which the wall clock first shows this (day since 1970-01-01, minute 0 … 1440). A time that comes twice: its first coming; a time
 * that is skipped: the moment at which the clock jumps over it. */
int64_t zone_moment(const struct zone *zone, int64_t day, int minute);

#endif
