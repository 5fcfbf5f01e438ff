#include "trust/canon.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "trust/profile.h"

enum { FILE_FLAGS = JSON_COMPACT | JSON_SORT_KEYS };

#define INTEGER_MAX INT64_C(9007199254740991) /* 2^53 − 1: what every JSON reader keeps exactly */

/* Every byte of a file is printable ASCII (a line feed is written "\n" there), and brackets outside of strings nest at most CANON_DEPTH_MAX deep;
 * asked before the parser may recurse. */
static bool scan(const char *data, size_t len, const char *what, struct err *err) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)data[i];
        if (PROFILE_STRICT && (byte < 0x20 || byte > 0x7e)) {
            return err_set(err, ERR_FORMAT, "%s: byte 0x%02x at offset %zu is not printable ASCII", what, byte, i);
        }
        if (in_string) {
            if (byte == '\\') {
                i++;
            } else if (byte == '"') {
                in_string = false;
            }
            continue;
        }
        if (byte == '"') {
            in_string = true;
        } else if (byte == '{' || byte == '[') {
            depth++;
        } else if ((byte == '}' || byte == ']') && depth > 0) {
            depth--;
        }
        if (depth > CANON_DEPTH_MAX) {
            return err_set(err, ERR_FORMAT, "%s: nested deeper than %d", what, CANON_DEPTH_MAX);
        }
    }
    return true;
}

static bool check_text(const char *text, size_t len, bool line_feed, const char *what, struct err *err) {
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool fine = (byte >= 0x20 && byte <= 0x7e) || (line_feed && byte == '\n');
        if (PROFILE_STRICT && !fine) {
            return err_set(err, ERR_FORMAT, "%s: character 0x%02x in a string is not allowed", what, byte);
        }
    }
    return true;
}

static bool check_value(const json_t *value, size_t depth, const char *what, struct err *err);

static bool check_object(const json_t *object, size_t depth, const char *what, struct err *err) {
    const char *name = NULL;
    json_t *member = NULL;
    json_object_foreach((json_t *)object, name, member) {
        if (!check_text(name, strlen(name), false, what, err) || !check_value(member, depth + 1, what, err)) {
            return false;
        }
    }
    return true;
}

static bool check_array(const json_t *array, size_t depth, const char *what, struct err *err) {
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!check_value(json_array_get(array, i), depth + 1, what, err)) {
            return false;
        }
    }
    return true;
}

/* depth counts the containers around the value. */
static bool check_value(const json_t *value, size_t depth, const char *what, struct err *err) {
    bool container = json_is_object(value) || json_is_array(value);
    if (container && depth >= CANON_DEPTH_MAX) {
        return err_set(err, ERR_FORMAT, "%s: nested deeper than %d", what, CANON_DEPTH_MAX);
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return check_object(value, depth, what, err);
    case JSON_ARRAY:
        return check_array(value, depth, what, err);
    case JSON_STRING:
        return check_text(json_string_value(value), json_string_length(value), true, what, err);
    case JSON_INTEGER:
        if (json_integer_value(value) > INTEGER_MAX || json_integer_value(value) < -INTEGER_MAX) {
            return err_set(err, ERR_FORMAT, "%s: an integer lies outside ±(2^53-1)", what);
        }
        return true;
    case JSON_REAL:
        return err_set(err, ERR_FORMAT, "%s: real numbers are not allowed", what);
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        return true;
    }
    return err_set(err, ERR_INTERNAL, "%s: unknown JSON type", what);
}

/* What is left of the received bytes while the value is written again. */
struct compare {
    const char *at;
    size_t left;
};

static int compare_chunk(const char *chunk, size_t size, void *context) {
    struct compare *compare = context;
    if (size > compare->left || memcmp(chunk, compare->at, size) != 0) {
        return -1;
    }
    compare->at += size;
    compare->left -= size;
    return 0;
}

static bool check_same_bytes(const json_t *value, const char *data, size_t len, const char *what, struct err *err) {
    struct compare compare = {.at = data, .left = len};
    if (json_dump_callback(value, compare_chunk, &compare, FILE_FLAGS) != 0 || compare.left != 0) {
        return err_set(err, ERR_FORMAT, "%s: differs from its canonical file form (compact, members sorted) at offset %zu", what, len - compare.left);
    }
    return true;
}

bool canon_parse(const void *data, size_t len, size_t max, const char *what, struct json_t **ret_value, struct err *err) {
    if (len > max) {
        return err_set(err, ERR_LENGTH, "%s: %zu bytes, more than the allowed %zu", what, len, max);
    }
    if (!scan(data, len, what, err)) {
        return false;
    }
    json_error_t error;
    json_t *value = json_loadb(data, len, JSON_REJECT_DUPLICATES, &error);
    if (value == NULL) {
        return err_set(err, ERR_FORMAT, "%s: not JSON: %s at offset %d", what, error.text, error.position);
    }
    if (!check_value(value, 0, what, err) || (PROFILE_STRICT && !check_same_bytes(value, data, len, what, err))) {
        json_decref(value);
        return false;
    }
    *ret_value = value;
    return true;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* OLPC canonical JSON: only the quote and the backslash are escaped. */
static void write_text(struct buf *out, const char *text, size_t len) {
    size_t from = 0;
    buf_byte(out, '"');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"' || text[i] == '\\') {
            buf_append(out, text + from, i - from);
            buf_byte(out, '\\');
            from = i;
        }
    }
    buf_append(out, text + from, len - from);
    buf_byte(out, '"');
}

static bool write_value(struct buf *out, const json_t *value, struct err *err);

static bool write_object(struct buf *out, const json_t *object, struct err *err) {
    size_t count = json_object_size(object);
    const char **names = calloc(count + 1, sizeof *names);
    if (names == NULL) {
        return err_no_memory(err);
    }
    size_t used = 0;
    const char *name = NULL;
    json_t *member = NULL;
    json_object_foreach((json_t *)object, name, member) {
        names[used++] = name;
    }
    qsort(names, used, sizeof *names, compare_names);
    buf_byte(out, '{');
    bool fine = true;
    for (size_t i = 0; fine && i < used; i++) {
        if (i > 0) {
            buf_byte(out, ',');
        }
        write_text(out, names[i], strlen(names[i]));
        buf_byte(out, ':');
        fine = write_value(out, json_object_get(object, names[i]), err);
    }
    buf_byte(out, '}');
    free(names);
    return fine;
}

static bool write_array(struct buf *out, const json_t *array, struct err *err) {
    buf_byte(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0) {
            buf_byte(out, ',');
        }
        if (!write_value(out, json_array_get(array, i), err)) {
            return false;
        }
    }
    buf_byte(out, ']');
    return true;
}

/* The value has passed check_value(). */
static bool write_value(struct buf *out, const json_t *value, struct err *err) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return write_object(out, value, err);
    case JSON_ARRAY:
        return write_array(out, value, err);
    case JSON_STRING:
        write_text(out, json_string_value(value), json_string_length(value));
        return true;
    case JSON_INTEGER:
        buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return true;
    case JSON_TRUE:
        buf_text(out, "true");
        return true;
    case JSON_FALSE:
        buf_text(out, "false");
        return true;
    case JSON_NULL:
        buf_text(out, "null");
        return true;
    case JSON_REAL:
        break;
    }
    return err_set(err, ERR_INTERNAL, "a real number cannot be signed");
}

bool canon_signed_bytes(struct buf *out, const struct json_t *value, struct err *err) {
    return check_value(value, 0, "signed part", err) && write_value(out, value, err) && buf_ok(out, "signed bytes", err);
}

static int append_chunk(const char *chunk, size_t size, void *context) {
    buf_append(context, chunk, size);
    return 0;
}

bool canon_file_bytes(struct buf *out, const struct json_t *value, struct err *err) {
    if (!check_value(value, 0, "document", err)) {
        return false;
    }
    if (json_dump_callback(value, append_chunk, out, FILE_FLAGS) != 0) {
        return err_no_memory(err);
    }
    return buf_ok(out, "document", err);
}
