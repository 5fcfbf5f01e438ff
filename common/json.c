#include "common/json.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/hex.h"
#include "common/text.h"

enum { DEPTH_MAX = 16, TEXT_MAX = 1024, LIST_MAX = 1000, BULK_MAX = 1024 * 1024 };

/* Where the reader stands, for messages: "phases[1].percent". */
struct reader {
    struct arena *arena;
    struct err *err;
    char path[ERR_FIELD_SIZE];
};

static bool read_members(struct reader *reader, const json_t *json, const struct json_shape *shape, void *object, uint64_t *present);

static void free_json(json_t **json) {
    json_decref(*json);
}

/* Adds to the path; returns its length before, for leave(). A path that is too long is cut. */
static size_t enter_member(struct reader *reader, const char *name) {
    size_t len = strlen(reader->path);
    snprintf(reader->path + len, sizeof(reader->path) - len, "%s%s", len > 0 ? "." : "", name);
    return len;
}

static size_t enter_item(struct reader *reader, size_t index) {
    size_t len = strlen(reader->path);
    snprintf(reader->path + len, sizeof(reader->path) - len, "[%zu]", index);
    return len;
}

static void leave(struct reader *reader, size_t len) {
    reader->path[len] = '\0';
}

/* "phases[1].percent must be …". */
static bool refuse(struct reader *reader, const char *expected) {
    if (reader->path[0] == '\0')
        return err_set(reader->err, ERR_INVALID, "the body must be %s", expected);
    return err_set_field(reader->err, ERR_INVALID, reader->path, "%s must be %s", reader->path, expected);
}

static bool refuse_size(struct reader *reader, const char *unit, int64_t min, int64_t max) {
    return err_set_field(reader->err, ERR_INVALID, reader->path, "%s must have %lld to %lld %s", reader->path, (long long)min, (long long)max, unit);
}

/* Nesting is measured before the parser sees a byte, because the parser recurses. */
static bool check_depth(const char *text, size_t len, struct err *err) {
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        switch (text[i]) {
        case '\\':
            i += in_string ? 1 : 0;
            break;
        case '"':
            in_string = !in_string;
            break;
        case '[':
        case '{':
            depth += in_string ? 0 : 1;
            break;
        case ']':
        case '}':
            depth -= in_string ? 0 : 1;
            break;
        default:
            break;
        }
        if (depth > DEPTH_MAX)
            return err_set(err, ERR_INVALID, "JSON is nested deeper than %d", DEPTH_MAX);
    }
    return true;
}

/* Our own words for what the parser says: its own repeat bytes of the text, which may be secret. */
static const char *parser_says(const json_error_t *error) {
    switch (json_error_code(error)) {
    case json_error_duplicate_key:
        return "a member is given twice";
    case json_error_premature_end_of_input:
        return "it ends too early";
    case json_error_end_of_input_expected:
        return "something follows the value";
    case json_error_invalid_utf8:
        return "it is not UTF-8";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "it contains a NUL";
    case json_error_numeric_overflow:
        return "a number is too large";
    default:
        return "syntax error";
    }
}

static json_t *parse(const void *data, size_t len, size_t flags, struct err *err) {
    json_error_t error;
    if (!check_depth(data, len, err))
        return NULL;
    json_t *json = json_loadb(data, len, flags | JSON_DECODE_ANY, &error);
    if (json == NULL && error.text[0] == '\0') /* the parser names every fault but a lack of memory */
        err_no_memory(err);
    else if (json == NULL)
        err_set(err, ERR_INVALID, "not JSON at line %d, column %d: %s", error.line, error.column, parser_says(&error));
    return json;
}

/* Numbers that are not integers mean different things to different readers: they are refused everywhere. */
static bool check_numbers(struct reader *reader, const json_t *json) {
    const char *name;
    json_t *value;
    size_t index;
    if (json_is_real(json))
        return refuse(reader, "an integer");
    json_object_foreach((json_t *)json, name, value) {
        size_t len = enter_member(reader, name);
        if (!check_numbers(reader, value))
            return false;
        leave(reader, len);
    }
    json_array_foreach(json, index, value) {
        size_t len = enter_item(reader, index);
        if (!check_numbers(reader, value))
            return false;
        leave(reader, len);
    }
    return true;
}

static int64_t ceiling(const struct json_field *field, int64_t fallback) {
    return field->max != 0 ? field->max : fallback;
}

static bool has_control(const char *text, size_t len) {
    for (size_t at = 0; at < len;) {
        uint32_t point = 0;
        size_t size = text_utf8_next(text + at, len - at, &point);
        if (size == 0 || (point < 0x20 && point != '\n' && point != '\t') || (point >= 0x7f && point <= 0x9f))
            return true;
        at += size;
    }
    return false;
}

static const char *copy_text(struct reader *reader, const json_t *json, int64_t min, int64_t max) {
    if (!json_is_string(json)) {
        refuse(reader, "a string");
        return NULL;
    }
    const char *text = json_string_value(json);
    size_t len = json_string_length(json);
    if ((int64_t)len < min || (int64_t)len > max) {
        refuse_size(reader, "bytes", min, max);
        return NULL;
    }
    if (has_control(text, len)) {
        refuse(reader, "text without control characters");
        return NULL;
    }
    const char *copy = arena_strndup(reader->arena, text, len);
    if (copy == NULL)
        err_no_memory(reader->err);
    return copy;
}

/* Text that was made to fit; NULL only without memory. */
static const char *cut_text(struct reader *reader, const char *text, size_t len, size_t max) {
    char *copy = arena_alloc(reader->arena, (len < max ? len : max) + 1);
    size_t used = 0;
    if (copy == NULL) {
        err_no_memory(reader->err);
        return NULL;
    }
    for (size_t at = 0; at < len;) {
        uint32_t point = 0;
        size_t size = text_utf8_next(text + at, len - at, &point); /* the parser let only UTF-8 through */
        bool control = size == 0 || point < 0x20 || (point >= 0x7f && point <= 0x9f);
        size_t wanted = control ? 1 : size;
        if (used + wanted > max)
            break;
        if (control)
            copy[used] = ' ';
        else
            memcpy(copy + used, text + at, size);
        used += wanted;
        at += size > 0 ? size : 1;
    }
    return copy;
}

static const char *cut_string(struct reader *reader, const json_t *json, size_t max) {
    return cut_text(reader, json_string_value(json), json_string_length(json), max);
}

static bool read_text(struct reader *reader, const struct json_field *field, const json_t *json, void *place) {
    const char **text = place;
    if ((field->flags & JSON_LENIENT) != 0)
        *text = cut_string(reader, json, (size_t)ceiling(field, TEXT_MAX));
    else
        *text = copy_text(reader, json, field->min, ceiling(field, TEXT_MAX));
    return *text != NULL;
}

static bool read_int(struct reader *reader, const struct json_field *field, const json_t *json, void *place) {
    int64_t *value = place;
    int64_t max = ceiling(field, JSON_INT_MAX);
    int64_t found = json_integer_value(json);
    if (!json_is_integer(json) || found < field->min || found > max) {
        char expected[80];
        snprintf(expected, sizeof(expected), "an integer from %lld to %lld", (long long)field->min, (long long)max);
        return refuse(reader, expected);
    }
    *value = found;
    return true;
}

static bool read_bool(struct reader *reader, const struct json_field *field, const json_t *json, void *place) {
    bool *value = place;
    (void)field;
    if (!json_is_boolean(json))
        return refuse(reader, "true or false");
    *value = json_is_true(json);
    return true;
}

static bool read_time(struct reader *reader, const struct json_field *field, const json_t *json, void *place) {
    (void)field;
    if (!json_is_string(json) || strlen(json_string_value(json)) != json_string_length(json) || !clock_parse_rfc3339(json_string_value(json), place))
        return refuse(reader, "a UTC time like 2026-11-22T08:00:00Z");
    return true;
}

/* The array's length within the field's limits. */
static bool check_list(struct reader *reader, const struct json_field *field, const json_t *json) {
    int64_t count = (int64_t)json_array_size(json);
    if (!json_is_array(json))
        return refuse(reader, "an array");
    if (count < field->min || count > ceiling(field, LIST_MAX))
        return refuse_size(reader, "items", field->min, ceiling(field, LIST_MAX));
    return true;
}

/* The first texts of the array, each made to fit. */
static bool cut_texts(struct reader *reader, const struct json_field *field, const json_t *json, struct json_texts *texts) {
    size_t max = (size_t)ceiling(field, LIST_MAX);
    size_t size = json_array_size(json);
    const char **items = arena_array(reader->arena, size < max ? size : max, sizeof(*items));
    if (items == NULL)
        return err_no_memory(reader->err);
    *texts = (struct json_texts){.items = items};
    for (size_t i = 0; i < size && texts->count < max; i++) {
        const json_t *item = json_array_get(json, i);
        if (!json_is_string(item))
            continue;
        items[texts->count] = cut_string(reader, item, (size_t)field->min);
        if (items[texts->count] == NULL)
            return false;
        texts->count++;
    }
    return true;
}

static bool read_texts(struct reader *reader, const struct json_field *field, const json_t *json, void *place) {
    struct json_texts *texts = place;
    if ((field->flags & JSON_LENIENT) != 0)
        return cut_texts(reader, field, json, texts);
    if (!check_list(reader, field, json))
        return false;
    size_t count = json_array_size(json);
    const char **items = arena_array(reader->arena, count, sizeof(*items));
    if (items == NULL)
        return err_no_memory(reader->err);
    for (size_t i = 0; i < count; i++) {
        size_t len = enter_item(reader, i);
        items[i] = copy_text(reader, json_array_get(json, i), 0, TEXT_MAX);
        if (items[i] == NULL)
            return false;
        leave(reader, len);
    }
    *texts = (struct json_texts){.count = count, .items = items};
    return true;
}

static bool read_object(struct reader *reader, const struct json_field *field, const json_t *json, void *place) {
    void **object = place;
    *object = arena_alloc(reader->arena, field->shape->size);
    if (*object == NULL)
        return err_no_memory(reader->err);
    return read_members(reader, json, field->shape, *object, NULL);
}

static bool read_objects(struct reader *reader, const struct json_field *field, const json_t *json, void *place) {
    struct json_list *list = place;
    if (!check_list(reader, field, json))
        return false;
    size_t count = json_array_size(json);
    char *items = arena_array(reader->arena, count, field->shape->size);
    if (items == NULL)
        return err_no_memory(reader->err);
    for (size_t i = 0; i < count; i++) {
        size_t len = enter_item(reader, i);
        if (!read_members(reader, json_array_get(json, i), field->shape, items + i * field->shape->size, NULL))
            return false;
        leave(reader, len);
    }
    *list = (struct json_list){.count = count, .items = items};
    return true;
}

static bool read_raw(struct reader *reader, const struct json_field *field, const json_t *json, void *place) {
    const char **raw = place;
    const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
    if (!check_numbers(reader, json))
        return false;
    size_t len = json_dumpb(json, NULL, 0, flags); /* 0: no memory, here and below */
    if (len > 0 && ((int64_t)len < field->min || (int64_t)len > ceiling(field, BULK_MAX)))
        return refuse_size(reader, "bytes", field->min, ceiling(field, BULK_MAX));
    char *text = len == 0 ? NULL : arena_alloc(reader->arena, len + 1);
    if (text == NULL || json_dumpb(json, text, len, flags) != len)
        return err_no_memory(reader->err);
    *raw = text;
    return true;
}

static bool read_base64(struct reader *reader, const struct json_field *field, const json_t *json, void *place) {
    struct json_bytes *bytes = place;
    int64_t max = ceiling(field, BULK_MAX);
    struct err reason;
    if (!json_is_string(json))
        return refuse(reader, "a string of base64");
    CLEANUP(buf_free) struct buf decoded = BUF_INIT((size_t)max);
    if (!base64_decode(&decoded, json_string_value(json), json_string_length(json), &reason) && reason.code == ERR_INVALID)
        return refuse(reader, "base64 (RFC 4648 section 4, padded)");
    if (decoded.failed == ERR_NO_MEMORY)
        return err_no_memory(reader->err);
    if (decoded.failed == ERR_TOO_LARGE || (int64_t)decoded.len < field->min)
        return refuse_size(reader, "bytes", field->min, max);
    const uint8_t *data = arena_memdup(reader->arena, decoded.data, decoded.len);
    if (data == NULL)
        return err_no_memory(reader->err);
    *bytes = (struct json_bytes){.len = decoded.len, .data = data};
    return true;
}

/* The first texts of the object, names and values made to fit. A name that is cut to one that is there already is left out. */
static bool cut_map(struct reader *reader, const struct json_field *field, const json_t *json, struct json_map *map) {
    size_t max = (size_t)ceiling(field, LIST_MAX);
    size_t size = json_object_size(json);
    struct json_pair *items = arena_array(reader->arena, size < max ? size : max, sizeof(*items));
    const char *name;
    json_t *value;
    if (items == NULL)
        return err_no_memory(reader->err);
    *map = (struct json_map){.items = items};
    json_object_foreach((json_t *)json, name, value) {
        if (!json_is_string(value) || map->count == max)
            continue;
        struct json_pair pair = {.name = cut_text(reader, name, strlen(name), (size_t)field->min),
                                 .value = cut_string(reader, value, (size_t)field->min)};
        if (pair.name == NULL || pair.value == NULL)
            return false;
        bool known = false;
        for (size_t i = 0; i < map->count; i++)
            known |= strcmp(items[i].name, pair.name) == 0;
        if (!known)
            items[map->count++] = pair;
    }
    return true;
}

static bool read_map(struct reader *reader, const struct json_field *field, const json_t *json, void *place) {
    struct json_map *map = place;
    int64_t count = (int64_t)json_object_size(json);
    const char *name;
    json_t *value;
    if ((field->flags & JSON_LENIENT) != 0)
        return cut_map(reader, field, json, map);
    if (!json_is_object(json))
        return refuse(reader, "an object");
    if (count < field->min || count > ceiling(field, LIST_MAX))
        return refuse_size(reader, "members", field->min, ceiling(field, LIST_MAX));
    struct json_pair *items = arena_array(reader->arena, (size_t)count, sizeof(*items));
    if (items == NULL)
        return err_no_memory(reader->err);
    *map = (struct json_map){.items = items};
    json_object_foreach((json_t *)json, name, value) {
        size_t len = enter_member(reader, name);
        struct json_pair *pair = &items[map->count++];
        bool none = json_is_null(value);
        if (has_control(name, strlen(name)))
            return refuse(reader, "named without control characters");
        pair->name = arena_strdup(reader->arena, name);
        pair->value = none ? NULL : copy_text(reader, value, 0, TEXT_MAX);
        if (pair->name == NULL)
            return err_no_memory(reader->err);
        if (pair->value == NULL && !none)
            return false;
        leave(reader, len);
    }
    return true;
}

static bool (*const read_value[])(struct reader *reader, const struct json_field *field, const json_t *json, void *place) = {
    [JSON_TEXT] = read_text,     [JSON_INT] = read_int,         [JSON_BOOL] = read_bool, [JSON_TIME] = read_time,     [JSON_TEXTS] = read_texts,
    [JSON_STRUCT] = read_object, [JSON_STRUCTS] = read_objects, [JSON_RAW] = read_raw,   [JSON_BASE64] = read_base64, [JSON_MAP] = read_map,
};

static bool is_known(const struct json_shape *shape, const char *name) {
    for (size_t i = 0; i < shape->count; i++)
        if (strcmp(shape->fields[i].name, name) == 0)
            return (shape->fields[i].flags & JSON_WRITE_ONLY) == 0;
    return false;
}

/* Is the value of the kind that a lenient field takes? */
static bool has_kind(const struct json_field *field, const json_t *json) {
    switch (field->type) {
    case JSON_TEXT:
    case JSON_TIME:
    case JSON_BASE64:
        return json_is_string(json);
    case JSON_INT:
        return json_is_integer(json) && json_integer_value(json) >= field->min && json_integer_value(json) <= ceiling(field, JSON_INT_MAX);
    case JSON_BOOL:
        return json_is_boolean(json);
    case JSON_TEXTS:
    case JSON_STRUCTS:
        return json_is_array(json);
    case JSON_STRUCT:
    case JSON_MAP:
        return json_is_object(json);
    case JSON_RAW:
        break;
    }
    return true;
}

static bool check_members(struct reader *reader, const json_t *json, const struct json_shape *shape) {
    const char *name;
    json_t *value;
    if (!json_is_object(json))
        return refuse(reader, "an object");
    json_object_foreach((json_t *)json, name, value) {
        if (shape->open || is_known(shape, name))
            continue;
        enter_member(reader, name);
        return err_set_field(reader->err, ERR_UNKNOWN_FIELD, reader->path, "unknown field %s", reader->path);
    }
    return true;
}

static bool read_members(struct reader *reader, const json_t *json, const struct json_shape *shape, void *object, uint64_t *present) {
    if (!check_members(reader, json, shape))
        return false;
    for (size_t i = 0; i < shape->count; i++) {
        const struct json_field *field = &shape->fields[i];
        const json_t *value = (field->flags & JSON_WRITE_ONLY) != 0 ? NULL : json_object_get(json, field->name);
        if (value != NULL && (field->flags & JSON_LENIENT) != 0 && !has_kind(field, value))
            value = NULL;
        size_t len = enter_member(reader, field->name);
        if (value == NULL && (field->flags & JSON_REQUIRED) != 0)
            return err_set_field(reader->err, ERR_INVALID, reader->path, "%s is missing", reader->path);
        bool is_absent = value == NULL || (json_is_null(value) && (field->flags & JSON_NULLABLE) != 0);
        if (!is_absent && !read_value[field->type](reader, field, value, (char *)object + field->offset))
            return false;
        if (value != NULL && present != NULL)
            *present |= UINT64_C(1) << i;
        leave(reader, len);
    }
    return true;
}

static bool read_json(struct arena *arena, const json_t *json, const struct json_shape *shape, void *ret_object, uint64_t *ret_present,
                      struct err *err) {
    struct reader reader = {.arena = arena, .err = err};
    uint64_t present = 0;
    memset(ret_object, 0, shape->size);
    if (json == NULL || !read_members(&reader, json, shape, ret_object, &present))
        return false;
    if (ret_present != NULL)
        *ret_present = present;
    return true;
}

bool json_read(struct arena *arena, const void *data, size_t len, const struct json_shape *shape, void *ret_object, uint64_t *ret_present,
               struct err *err) {
    CLEANUP(free_json) json_t *json = parse(data, len, JSON_REJECT_DUPLICATES, err);
    return read_json(arena, json, shape, ret_object, ret_present, err);
}

static char *clean(struct arena *arena, const char *data, size_t len) {
    char *text = arena_memdup(arena, data, len);
    for (size_t at = 0; text != NULL && at < len;) {
        uint32_t point = 0;
        size_t size = text_utf8_next(text + at, len - at, &point);
        if (size == 0)
            text[at] = '?';
        else if (point < 0x20)
            text[at] = ' ';
        at += size > 0 ? size : 1;
    }
    return text;
}

bool json_read_dirty(struct arena *arena, const void *data, size_t len, const struct json_shape *shape, void *ret_object, uint64_t *ret_present,
                     struct err *err) {
    CLEANUP(free_json) json_t *json = parse(data, len, JSON_ALLOW_NUL, err);
    if (json == NULL && err->code == ERR_INVALID && len > 0) {
        char *text = clean(arena, data, len);
        json = text != NULL ? parse(text, len, JSON_ALLOW_NUL, err) : NULL;
        if (text == NULL)
            err_no_memory(err);
    }
    return read_json(arena, json, shape, ret_object, ret_present, err);
}

static int append_dump(const char *text, size_t len, void *out) {
    buf_append(out, text, len);
    return 0;
}

bool json_pretty(struct buf *out, const void *data, size_t len, struct err *err) {
    CLEANUP(free_json) json_t *json = parse(data, len, JSON_REJECT_DUPLICATES, err);
    if (json == NULL)
        return false;
    if (json_dump_callback(json, append_dump, out, JSON_INDENT(2) | JSON_ENCODE_ANY) != 0)
        return err_no_memory(err);
    return buf_ok(out, "JSON", err);
}
