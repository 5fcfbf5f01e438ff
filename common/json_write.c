/* The part of json.h that writes. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/text.h"

static const struct {
    char byte;
    const char *escape;
} short_escapes[] = {{'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\n"}, {'\t', "\\t"}, {'\r', "\\r"}, {'\b', "\\b"}, {'\f', "\\f"}};

static void write_escape(struct buf *out, char byte) {
    for (size_t i = 0; i < ARRAY_LEN(short_escapes); i++) {
        if (short_escapes[i].byte == byte) {
            buf_text(out, short_escapes[i].escape);
            return;
        }
    }
    buf_printf(out, "\\u%04x", (unsigned)(unsigned char)byte);
}

void json_write_text(struct buf *out, const char *text) {
    size_t left = strlen(text);
    buf_byte(out, '"');
    while (left > 0) {
        uint32_t point = 0;
        size_t size = text_utf8_next(text, left, &point);
        if (size == 0) {
            buf_text(out, "\xef\xbf\xbd");
            size = 1;
        } else if (point < 0x20 || point == '"' || point == '\\') {
            write_escape(out, *text);
        } else {
            buf_append(out, text, size);
        }
        text += size;
        left -= size;
    }
    buf_byte(out, '"');
}

static void write_int(struct buf *out, const struct json_field *field, const void *place) {
    (void)field;
    buf_printf(out, "%lld", (long long)*(const int64_t *)place);
}

static void write_bool(struct buf *out, const struct json_field *field, const void *place) {
    (void)field;
    buf_text(out, *(const bool *)place ? "true" : "false");
}

static void write_text(struct buf *out, const struct json_field *field, const void *place) {
    (void)field;
    json_write_text(out, *(const char *const *)place);
}

static void write_raw(struct buf *out, const struct json_field *field, const void *place) {
    (void)field;
    buf_text(out, *(const char *const *)place);
}

static void write_time(struct buf *out, const struct json_field *field, const void *place) {
    char text[CLOCK_RFC3339_SIZE];
    (void)field;
    clock_rfc3339(*(const int64_t *)place, text);
    json_write_text(out, text);
}

static void write_texts(struct buf *out, const struct json_field *field, const void *place) {
    const struct json_texts *texts = place;
    (void)field;
    buf_byte(out, '[');
    for (size_t i = 0; i < texts->count; i++) {
        if (i > 0)
            buf_byte(out, ',');
        json_write_text(out, texts->items[i]);
    }
    buf_byte(out, ']');
}

static void write_object(struct buf *out, const struct json_field *field, const void *place) {
    json_write(out, field->shape, *(const void *const *)place);
}

static void write_objects(struct buf *out, const struct json_field *field, const void *place) {
    const struct json_list *list = place;
    buf_byte(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            buf_byte(out, ',');
        json_write(out, field->shape, (const char *)list->items + i * field->shape->size);
    }
    buf_byte(out, ']');
}

static void write_base64(struct buf *out, const struct json_field *field, const void *place) {
    const struct json_bytes *bytes = place;
    (void)field;
    buf_byte(out, '"');
    base64_encode(out, bytes->data, bytes->len);
    buf_byte(out, '"');
}

void json_write_map(struct buf *out, const struct json_map *map) {
    buf_byte(out, '{');
    for (size_t i = 0; i < map->count; i++) {
        if (i > 0)
            buf_byte(out, ',');
        json_write_text(out, map->items[i].name);
        buf_byte(out, ':');
        if (map->items[i].value == NULL)
            buf_text(out, "null");
        else
            json_write_text(out, map->items[i].value);
    }
    buf_byte(out, '}');
}

static void write_map(struct buf *out, const struct json_field *field, const void *place) {
    (void)field;
    json_write_map(out, place);
}

static void (*const write_value[])(struct buf *out, const struct json_field *field, const void *place) = {
    [JSON_TEXT] = write_text,     [JSON_INT] = write_int,         [JSON_BOOL] = write_bool, [JSON_TIME] = write_time,     [JSON_TEXTS] = write_texts,
    [JSON_STRUCT] = write_object, [JSON_STRUCTS] = write_objects, [JSON_RAW] = write_raw,   [JSON_BASE64] = write_base64, [JSON_MAP] = write_map,
};

static bool is_absent(const struct json_field *field, const void *place) {
    bool nullable = (field->flags & JSON_NULLABLE) != 0;
    switch (field->type) {
    case JSON_TEXT:
    case JSON_STRUCT:
    case JSON_RAW:
        return *(const void *const *)place == NULL;
    case JSON_TIME:
        return *(const int64_t *)place == 0;
    case JSON_BASE64:
        return ((const struct json_bytes *)place)->data == NULL;
    case JSON_TEXTS:
        return nullable && ((const struct json_texts *)place)->items == NULL;
    case JSON_STRUCTS:
        return nullable && ((const struct json_list *)place)->items == NULL;
    case JSON_MAP:
        return ((const struct json_map *)place)->items == NULL;
    case JSON_INT:
    case JSON_BOOL:
        return false;
    }
    return false;
}

void json_write(struct buf *out, const struct json_shape *shape, const void *object) {
    bool first = true;
    buf_byte(out, '{');
    for (size_t i = 0; i < shape->count; i++) {
        const struct json_field *field = &shape->fields[i];
        const void *place = (const char *)object + field->offset;
        bool absent = is_absent(field, place);
        if (absent && (field->flags & JSON_NULLABLE) == 0)
            continue;
        if (!first)
            buf_byte(out, ',');
        first = false;
        json_write_text(out, field->name);
        buf_byte(out, ':');
        if (absent)
            buf_text(out, "null");
        else
            write_value[field->type](out, field, place);
    }
    buf_byte(out, '}');
}
