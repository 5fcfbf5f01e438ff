/* Any bytes as a TZif file; the zone it gives must answer everywhere, and a moment must show the time it was asked for, or be a jump over it. */
#include <stdlib.h>

#include "common/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t wall_minutes(const struct zone *zone, int64_t at) {
    struct zone_local local = zone_local(zone, at);
    if (local.minute < 0 || local.minute > 1439 || local.second < 0 || local.second > 59 || local.weekday < 0 || local.weekday > 6)
        abort();
    return local.day * 1440 + local.minute;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const int64_t days[] = {INT64_MIN, -40000, -1, 0, 11000, 20541, 20751, 47000, INT64_MAX};
    CLEANUP(arena_clear) struct arena arena;
    const struct zone *zone;
    struct err err;
    arena_init(&arena, 1 << 22);
    if (!zone_parse(&arena, "fuzzed", data, size, &zone, &err))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(days); i++) {
        for (int minute = 0; minute <= 1440; minute += 90) {
            int64_t moment = zone_moment(zone, days[i], minute);
            bool clamped = i == 0 || i + 1 == ARRAY_LEN(days);
            if (!clamped && wall_minutes(zone, moment) < days[i] * 1440 + minute)
                abort();
            if (!clamped && wall_minutes(zone, moment) > days[i] * 1440 + minute && zone_offset(zone, moment) == zone_offset(zone, moment - 1))
                abort();
        }
        (void)wall_minutes(zone, days[i]);
    }
    return 0;
}
