#include "common/zone.h"

#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/zone_rule.h"

enum {
    DAY_SECONDS = 86400,
    HEADER_SIZE = 44,
    OFFSET_MIN = -25 * 3600, /* RFC 9636 §3.2: what every reader can take lies between these */
    OFFSET_MAX = 26 * 3600,
    RULE_MAX = 256,
};

/* Years 3 to 9998: what clock_year() knows, with room on both sides. */
static const int64_t time_min = INT64_C(-62072438400);
static const int64_t time_max = INT64_C(253370764800);

struct zone {
    size_t count;
    const int64_t *times; /* ascending */
    const int32_t *offsets;
    int32_t first_offset; /* before the first time */
    bool has_rule;        /* from the last time on; without: its offset stays */
    struct zone_rule rule;
};

/* ---- the file ---- */

struct reader {
    const uint8_t *at;
    size_t left;
};

/* The numbers of a header (RFC 9636 §3.1), in its order. */
struct header {
    uint8_t version;
    uint32_t isut, isstd, leap, time, type, chars;
};

static uint64_t big_endian(const uint8_t *at, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

static const uint8_t *take(struct reader *reader, size_t len) {
    const uint8_t *at = reader->at;
    if (len > reader->left)
        return NULL;
    reader->at += len;
    reader->left -= len;
    return at;
}

static bool take_header(struct reader *reader, struct header *ret_header) {
    const uint8_t *at = take(reader, HEADER_SIZE);
    uint32_t numbers[6];
    if (at == NULL || memcmp(at, "TZif", 4) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        numbers[i] = (uint32_t)big_endian(at + 20 + 4 * i, 4);
        if (numbers[i] > ZONE_FILE_MAX)
            return false;
    }
    *ret_header = (struct header){at[4], numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]};
    return true;
}

/* The block behind a header, its times of that many bytes. */
static size_t block_size(const struct header *header, size_t time_size) {
    return header->time * (time_size + 1) + header->type * (size_t)6 + header->chars + header->leap * (time_size + 4) + header->isstd + header->isut;
}

static bool check_header(const struct header *header, struct err *err) {
    if (header->leap > 0)
        return err_set(err, ERR_FORMAT, "counts leap seconds, which UTC times do not");
    return (header->type > 0 && header->type <= 256 && header->chars > 0) || err_set(err, ERR_FORMAT, "has no local time types");
}

/* Types are six bytes: offset, is summer time, name. */
static bool read_offset(const uint8_t *types, uint32_t type, int32_t *ret_offset, struct err *err) {
    int32_t offset = (int32_t)(uint32_t)big_endian(types + (size_t)6 * type, 4);
    if (offset <= OFFSET_MIN || offset >= OFFSET_MAX)
        return err_set(err, ERR_FORMAT, "has an offset of %d seconds from UTC", (int)offset);
    *ret_offset = offset;
    return true;
}

static bool read_block(struct arena *arena, const struct header *header, const uint8_t *block, struct zone *zone, struct err *err) {
    const uint8_t *indices = block + (size_t)8 * header->time;
    const uint8_t *types = indices + header->time;
    int64_t *times = arena_array(arena, header->time, sizeof(*times));
    int32_t *offsets = arena_array(arena, header->time, sizeof(*offsets));
    if (header->time > 0 && (times == NULL || offsets == NULL))
        return err_no_memory(err);
    for (uint32_t i = 0; i < header->time; i++) {
        times[i] = (int64_t)big_endian(block + (size_t)8 * i, 8);
        if (i > 0 && times[i] <= times[i - 1])
            return err_set(err, ERR_FORMAT, "has times that do not ascend");
        if (indices[i] >= header->type)
            return err_set(err, ERR_FORMAT, "names a local time type that it does not have");
        if (!read_offset(types, indices[i], &offsets[i], err))
            return false;
    }
    zone->times = times;
    zone->offsets = offsets;
    zone->count = header->time;
    return read_offset(types, 0, &zone->first_offset, err);
}

/* "\nCET-1CEST,M3.5.0,M10.5.0/3\n", or nothing between the line feeds. */
static bool read_footer(struct reader *reader, struct zone *zone, struct err *err) {
    char rule[RULE_MAX];
    const uint8_t *end = reader->left > 1 ? memchr(reader->at + 1, '\n', reader->left - 1) : NULL;
    if (end == NULL || reader->at[0] != '\n' || (size_t)(end - reader->at) > sizeof(rule))
        return err_set(err, ERR_FORMAT, "has no footer");
    size_t len = (size_t)(end - reader->at) - 1;
    memcpy(rule, reader->at + 1, len);
    rule[len] = '\0';
    zone->has_rule = len > 0;
    if (strlen(rule) != len)
        return err_set(err, ERR_FORMAT, "has a NUL in its footer");
    return !zone->has_rule || zone_rule_parse(rule, &zone->rule, err);
}

static bool read_file(struct arena *arena, struct reader *reader, struct zone *zone, struct err *err) {
    struct header first, header;
    if (!take_header(reader, &first))
        return err_set(err, ERR_FORMAT, "is no TZif file");
    if (first.version < '2')
        return err_set(err, ERR_FORMAT, "is of version 1; version 2 or later is needed");
    if (take(reader, block_size(&first, 4)) == NULL || !take_header(reader, &header) || header.version != first.version)
        return err_set(err, ERR_FORMAT, "ends before its second header");
    if (!check_header(&header, err))
        return false;
    const uint8_t *block = take(reader, block_size(&header, 8));
    if (block == NULL)
        return err_set(err, ERR_FORMAT, "ends within its data");
    return read_block(arena, &header, block, zone, err) && read_footer(reader, zone, err);
}

bool zone_parse(struct arena *arena, const char *name, const void *data, size_t len, const struct zone **ret_zone, struct err *err) {
    struct reader reader = {.at = data, .left = len};
    struct zone *zone = arena_alloc(arena, sizeof(*zone));
    if (zone == NULL)
        return err_no_memory(err);
    if (!read_file(arena, &reader, zone, err))
        return err->code == ERR_NO_MEMORY ? false : err_prefix(err, "time zone '%s'", name);
    *ret_zone = zone;
    return true;
}

bool zone_name_is_valid(const char *name) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-./";
    size_t len = strlen(name);
    if (len == 0 || len >= ZONE_NAME_SIZE || strspn(name, allowed) != len || name[0] == '.' || name[0] == '/' || name[len - 1] == '/')
        return false;
    return strstr(name, "//") == NULL && strstr(name, "/.") == NULL;
}

bool zone_load(struct arena *arena, const char *folder, const char *name, const struct zone **ret_zone, struct err *err) {
    CLEANUP(buf_free) struct buf data = BUF_INIT(ZONE_FILE_MAX);
    if (!zone_name_is_valid(name))
        return err_set(err, ERR_INVALID, "'%.64s' is no time zone; expected a name like Europe/Berlin or UTC", name);
    char *path = arena_printf(arena, "%s/%s", folder != NULL ? folder : ZONE_FOLDER, name);
    if (path == NULL)
        return err_no_memory(err);
    if (!file_read(path, &data, err)) {
        if (err->code == ERR_NO_MEMORY)
            return false;
        return err_set(err, ERR_INVALID, "time zone '%s' is not known here; expected a name like Europe/Berlin or UTC", name);
    }
    return zone_parse(arena, name, data.data != NULL ? data.data : "", data.len, ret_zone, err);
}

/* ---- the clock ---- */

static int64_t clamp(int64_t at) {
    return at < time_min ? time_min : at > time_max ? time_max : at;
}

/* How many of the times have come. */
static size_t times_until(const struct zone *zone, int64_t at) {
    size_t low = 0, high = zone->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->times[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int32_t zone_offset(const struct zone *zone, int64_t at) {
    size_t come = times_until(zone, at);
    if (come == zone->count && zone->has_rule)
        return zone_rule_offset(&zone->rule, clamp(at));
    return come > 0 ? zone->offsets[come - 1] : zone->first_offset;
}

/* The next moment after `at` at which the offset may change. */
static int64_t next_change(const struct zone *zone, int64_t at) {
    size_t come = times_until(zone, at);
    if (come < zone->count)
        return zone->times[come];
    return zone->has_rule ? zone_rule_next(&zone->rule, clamp(at)) : INT64_MAX;
}

/* Division that rounds down, also below zero. */
static int64_t divide(int64_t value, int64_t by, int64_t *ret_rest) {
    int64_t rest = value % by;
    rest += rest < 0 ? by : 0;
    *ret_rest = rest;
    return (value - rest) / by;
}

struct zone_local zone_local(const struct zone *zone, int64_t at) {
    struct zone_local local = {.offset = zone_offset(zone, at)};
    int64_t second, weekday;
    local.day = divide(clamp(at) + local.offset, DAY_SECONDS, &second);
    (void)divide(local.day + 3, 7, &weekday); /* 1970-01-01 was a Thursday */
    local.weekday = (int)weekday;
    local.minute = (int)(second / 60);
    local.second = (int)(second % 60);
    return local;
}

/* The first moment at which the wall clock has reached the time: forward over the spans of one offset. */
int64_t zone_moment(const struct zone *zone, int64_t day, int minute) {
    const int64_t day_min = time_min / DAY_SECONDS + 3, day_max = time_max / DAY_SECONDS - 3;
    int64_t wanted = (day < day_min ? day_min : day > day_max ? day_max : day) * DAY_SECONDS + minute * (int64_t)60;
    for (int64_t at = wanted - OFFSET_MAX;;) {
        int64_t next = next_change(zone, at);
        int64_t moment = wanted - zone_offset(zone, at);
        moment = moment < at ? at : moment;
        if (moment < next)
            return moment;
        at = next;
    }
}
