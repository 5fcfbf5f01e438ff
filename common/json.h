/* JSON by descriptor: one table per object says name, type, place and ceiling; one reader names the field at fault, one writer. */
#ifndef PAWL_COMMON_JSON_H
#define PAWL_COMMON_JSON_H

#include "common/arena.h"
#include "common/buf.h"

/* How a member looks in C. */
enum json_kind {
    JSON_TEXT,    /* const char *          "text" (UTF-8, no control characters but \n and \t) */
    JSON_INT,     /* int64_t               123 */
    JSON_BOOL,    /* bool                  true */
    JSON_TIME,    /* int64_t, UTC seconds  "2026-11-22T08:00:00Z"; 0 is "absent" when writing */
    JSON_TEXTS,   /* struct json_texts     ["a", "b"] */
    JSON_STRUCT,  /* struct X * (pointer)  {…} by .shape; NULL is "absent" when writing */
    JSON_STRUCTS, /* struct json_list      [{…}, …] by .shape */
    JSON_RAW,     /* const char *          any value, as compact text */
    JSON_BASE64,  /* struct json_bytes     "YWJj" */
    JSON_MAP,     /* struct json_map       {"any name": "text", …}; a null among the values is a NULL */
};

/* 2^53 − 1: what every reader of JSON keeps exactly. */
#define JSON_INT_MAX INT64_C(9007199254740991)

enum json_flag {
    JSON_REQUIRED = 1,   /* reading: ERR_INVALID when it is missing */
    JSON_NULLABLE = 2,   /* reading: null is taken as absent; writing: absent is written as null instead of left out */
    JSON_WRITE_ONLY = 4, /* reading: counts as unknown (a field the server sets) */
    JSON_LENIENT = 8     /* reading: what does not fit is made to. A text is cut to max bytes, a list or map to max items of min bytes each, control
                            characters become spaces, a value of another type counts as absent */
};

struct json_texts {
    size_t count;
    const char **items;
};

struct json_list {
    size_t count;
    void *items; /* contiguous structs of shape->size */
};

struct json_bytes {
    size_t len;
    const uint8_t *data;
};

struct json_pair {
    const char *name;
    const char *value;
};

struct json_map {
    size_t count;
    struct json_pair *items;
};

struct json_shape;

struct json_field {
    const char *name;
    enum json_kind type;
    size_t offset;
    unsigned flags;
    int64_t min; /* JSON_TEXT and BASE64: bytes; JSON_INT: value; lists and JSON_MAP: items */
    int64_t max; /* JSON_RAW: bytes; 0: the type's own ceiling (text 1 KiB, list 1,000, integer 2^53−1, raw and base64 1 MiB) */
    const struct json_shape *shape;
};

struct json_shape {
    const struct json_field *fields;
    size_t count; /* at most 64 */
    size_t size;  /* of the C struct */
    bool open;    /* reading: unknown members are ignored (for replies of a newer server); else ERR_UNKNOWN_FIELD */
};

/* The row of a member that is called the same in C; what else it needs stands behind the flags:
 *     JSON_FIELD(struct device, id, JSON_TEXT, JSON_REQUIRED, .max = 64) */
#define JSON_FIELD(object, member, kind, bits, ...)                                                                                                  \
    { .name = #member, .type = (kind), .offset = offsetof(object, member), .flags = (bits), __VA_ARGS__ }
#define JSON_SHAPE(type, table)                                                                                                                      \
    { .fields = (table), .count = ARRAY_LEN(table), .size = sizeof(type) }
#define JSON_SHAPE_OPEN(type, table)                                                                                                                 \
    { .fields = (table), .count = ARRAY_LEN(table), .size = sizeof(type), .open = true }

/* Reads one object into *ret_object (zeroed first; everything it points to is in the arena). Refuses duplicate members, depth over 16,
 * reals, NUL, anything behind the object. ERR_INVALID or ERR_UNKNOWN_FIELD with err->field set to the dotted path ("phases[1].percent").
 * ret_present (may be NULL): bit i is set when fields[i] was given, be it as null. */
bool json_read(struct arena *arena, const void *data, size_t len, const struct json_shape *shape, void *ret_object, uint64_t *ret_present,
               struct err *err) MUST_USE;

/* The same for bodies of clients that do not escape what they send: a member given twice is taken once, and when the text is no JSON, bytes below
 * 0x20 become spaces, bytes that are not UTF-8 become '?', and it is read once more. */
bool json_read_dirty(struct arena *arena, const void *data, size_t len, const struct json_shape *shape, void *ret_object, uint64_t *ret_present,
                     struct err *err) MUST_USE;

/* Appends the object, compact. Absent are NULL pointers, time 0, a map without items and, when JSON_NULLABLE, lists without items (else "[]").
 * Strings that are not UTF-8 are written with U+FFFD in place of the bad bytes. */
void json_write(struct buf *out, const struct json_shape *shape, const void *object);

/* Appends {"name":"value",…}. */
void json_write_map(struct buf *out, const struct json_map *map);

/* Appends "text" with quotes and escapes. */
void json_write_text(struct buf *out, const char *text);

/* Pretty-prints any JSON text (two spaces) onto *out; for --json on a terminal. */
bool json_pretty(struct buf *out, const void *data, size_t len, struct err *err) MUST_USE;

#endif
