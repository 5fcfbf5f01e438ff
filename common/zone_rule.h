/* The rule in the footer of a TZif file: a POSIX TZ text with the extensions of RFC 9636 §3.3. */
#ifndef PAWL_COMMON_ZONE_RULE_H
#define PAWL_COMMON_ZONE_RULE_H

#include "common/err.h"

/* A day of every year. */
enum zone_day_kind {
    ZONE_DAY_WEEK,   /* Mm.w.d */
    ZONE_DAY_NUMBER, /* n: 0 … 365, the leap day counts */
    ZONE_DAY_JULIAN, /* Jn: 1 … 365, the leap day does not */
};

struct zone_switch {
    enum zone_day_kind kind;
    int day; /* the number, or 0 Sunday … 6 */
    int month, week;
    int32_t seconds; /* of that day by the wall clock before the switch; may lie outside the day */
};

struct zone_rule {
    int32_t standard; /* seconds east of UTC */
    int32_t summer;
    bool has_summer;
    struct zone_switch start, end; /* of summer time */
};

/* ERR_FORMAT. */
bool zone_rule_parse(const char *text, struct zone_rule *ret_rule, struct err *err) MUST_USE;

int32_t zone_rule_offset(const struct zone_rule *rule, int64_t at);

/* The next moment after `at` at which the offset may change; INT64_MAX: never. */
int64_t zone_rule_next(const struct zone_rule *rule, int64_t at);

#endif
