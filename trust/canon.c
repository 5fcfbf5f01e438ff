#include "trust/canon.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "trust/profile.h"

/* Every byte of a file is printable ASCII (a line feed is written "\n" there), and brackets outside of strings nest at most CANON_DEPTH_MAX deep;
 * asked before the parser may recurse. */
static bool scan(const char *data, size_t len, const char *what, struct err *err) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)data[i];
        if (PROFILE_STRICT && (byte < 0x20 || byte > 0x7e))
            return err_set(err, ERR_FORMAT, "%s: byte 0x%02x at offset %zu is not printable ASCII", what, byte, i);
        if (in_string) {
            if (byte == '\\')
                i++;
            else if (byte == '"')
                in_string = false;
            continue;
        }
        if (byte == '"')
            in_string = true;
        else if (byte == '{' || byte == '[')
            depth++;
        else if ((byte == '}' || byte == ']') && depth > 0)
            depth--;
        if (depth > CANON_DEPTH_MAX)
            return err_set(err, ERR_FORMAT, "%s: nested deeper than %d", what, CANON_DEPTH_MAX);
    }
    return true;
}

/* The two forms differ in the line feed only: raw in signed bytes, \n in a file (where jansson writes the same, JSON_COMPACT | JSON_SORT_KEYS). */
enum form { FORM_FILE, FORM_SIGNED };

/* Writes a value, refusing what has no canonical form. Collects bytes, and appends or compares some thousand of them at a time. */
struct writer {
    enum form form;
    const char *what;
    size_t depth;    /* containers around the value */
    struct buf *out; /* NULL: compare with what follows */
    const char *expected;
    size_t expected_len;
    size_t compared; /* bytes found equal */
    bool differs;
    size_t used;
    char chunk[4096];
};

static void compare(struct writer *writer, const char *data, size_t len) {
    for (size_t i = 0; i < len && !writer->differs; i++) {
        writer->differs = writer->compared == writer->expected_len || writer->expected[writer->compared] != data[i];
        writer->compared += !writer->differs;
    }
}

static void pass_on(struct writer *writer, const char *data, size_t len) {
    if (writer->out != NULL)
        buf_append(writer->out, data, len);
    else if (!writer->differs && len <= writer->expected_len - writer->compared && memcmp(writer->expected + writer->compared, data, len) == 0)
        writer->compared += len;
    else
        compare(writer, data, len);
}

static void flush(struct writer *writer) {
    pass_on(writer, writer->chunk, writer->used);
    writer->used = 0;
}

static void put(struct writer *writer, const char *data, size_t len) {
    if (len > sizeof writer->chunk - writer->used)
        flush(writer);
    if (len > sizeof writer->chunk) {
        pass_on(writer, data, len);
        return;
    }
    memcpy(writer->chunk + writer->used, data, len);
    writer->used += len;
}

static void put_byte(struct writer *writer, char byte) {
    if (writer->used == sizeof writer->chunk)
        flush(writer);
    writer->chunk[writer->used++] = byte;
}

static bool is_allowed(unsigned char byte, bool line_feed) {
    return !PROFILE_STRICT || (byte >= 0x20 && byte <= 0x7e) || (line_feed && byte == '\n');
}

/* Only the quote and the backslash are escaped (OLPC canonical JSON), and in a file the line feed. A member's name has none. */
static bool put_text(struct writer *writer, const char *text, size_t len, bool line_feed, struct err *err) {
    size_t from = 0;
    put_byte(writer, '"');
    for (size_t i = 0; i < len; i++) {
        char byte = text[i];
        if (!is_allowed((unsigned char)byte, line_feed))
            return err_set(err, ERR_FORMAT, "%s: character 0x%02x in a string is not allowed", writer->what, (unsigned char)byte);
        bool as_n = byte == '\n' && writer->form == FORM_FILE;
        if (byte == '"' || byte == '\\' || as_n) {
            put(writer, text + from, i - from);
            put_byte(writer, '\\');
            put_byte(writer, as_n ? 'n' : byte);
            from = i + 1;
        }
    }
    put(writer, text + from, len - from);
    put_byte(writer, '"');
    return true;
}

static bool put_integer(struct writer *writer, json_int_t value, struct err *err) {
    if (value > JSON_INT_MAX || value < -JSON_INT_MAX)
        return err_set(err, ERR_FORMAT, "%s: an integer lies outside ±(2^53-1)", writer->what);
    char digits[24];
    size_t at = sizeof digits;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0)
        digits[--at] = '-';
    put(writer, digits + at, sizeof digits - at);
    return true;
}

static bool write_value(struct writer *writer, const json_t *value, struct err *err);

static bool write_member(struct writer *writer, const char *name, const json_t *member, bool first, struct err *err) {
    if (!first)
        put_byte(writer, ',');
    if (!put_text(writer, name, strlen(name), false, err))
        return false;
    put_byte(writer, ':');
    return write_value(writer, member, err);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool write_sorted(struct writer *writer, const json_t *object, struct err *err) {
    const char **names = calloc(json_object_size(object) + 1, sizeof *names);
    if (names == NULL)
        return err_no_memory(err);
    size_t used = 0;
    const char *name = NULL;
    json_t *member = NULL;
    json_object_foreach((json_t *)object, name, member) {
        names[used++] = name;
    }
    qsort(names, used, sizeof *names, compare_names);
    bool fine = true;
    for (size_t i = 0; fine && i < used; i++)
        fine = write_member(writer, names[i], json_object_get(object, names[i]), i == 0, err);
    free(names);
    return fine;
}

/* Members of a document that was read from its canonical form come in order. */
static bool is_sorted(const json_t *object) {
    const char *before = NULL, *name = NULL;
    json_t *member = NULL;
    json_object_foreach((json_t *)object, name, member) {
        if (before != NULL && strcmp(before, name) > 0)
            return false;
        before = name;
    }
    return true;
}

static bool write_object(struct writer *writer, const json_t *object, struct err *err) {
    bool fine = true, first = true;
    put_byte(writer, '{');
    if (is_sorted(object)) {
        const char *name = NULL;
        json_t *member = NULL;
        json_object_foreach((json_t *)object, name, member) {
            fine = fine && write_member(writer, name, member, first, err);
            first = false;
        }
    } else {
        fine = write_sorted(writer, object, err);
    }
    put_byte(writer, '}');
    return fine;
}

static bool write_array(struct writer *writer, const json_t *array, struct err *err) {
    put_byte(writer, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            put_byte(writer, ',');
        if (!write_value(writer, json_array_get(array, i), err))
            return false;
    }
    put_byte(writer, ']');
    return true;
}

static bool write_container(struct writer *writer, const json_t *value, struct err *err) {
    if (writer->depth == CANON_DEPTH_MAX)
        return err_set(err, ERR_FORMAT, "%s: nested deeper than %d", writer->what, CANON_DEPTH_MAX);
    writer->depth++;
    bool fine = json_is_object(value) ? write_object(writer, value, err) : write_array(writer, value, err);
    writer->depth--;
    return fine;
}

static bool write_value(struct writer *writer, const json_t *value, struct err *err) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        return write_container(writer, value, err);
    case JSON_STRING:
        return put_text(writer, json_string_value(value), json_string_length(value), true, err);
    case JSON_INTEGER:
        return put_integer(writer, json_integer_value(value), err);
    case JSON_TRUE:
        put(writer, "true", strlen("true"));
        return true;
    case JSON_FALSE:
        put(writer, "false", strlen("false"));
        return true;
    case JSON_NULL:
        put(writer, "null", strlen("null"));
        return true;
    case JSON_REAL:
        return err_set(err, ERR_FORMAT, "%s: real numbers are not allowed", writer->what);
    }
    return err_set(err, ERR_INTERNAL, "%s: unknown JSON type", writer->what);
}

static bool write_form(struct buf *out, enum form form, const json_t *value, const char *what, struct err *err) {
    struct writer writer = {.out = out, .form = form, .what = what};
    if (!write_value(&writer, value, err))
        return false;
    flush(&writer);
    return buf_ok(out, what, err);
}

/* The value can be said in the canonical form, and these bytes say it so. */
static bool check_form(const json_t *value, const char *data, size_t len, const char *what, struct err *err) {
    struct writer writer = {.form = FORM_FILE, .what = what, .expected = data, .expected_len = len};
    if (!write_value(&writer, value, err))
        return false;
    flush(&writer);
    bool same = !writer.differs && writer.compared == len;
    return same || !PROFILE_STRICT ||
           err_set(err, ERR_FORMAT, "%s: differs from its canonical file form (compact, members sorted) at offset %zu", what, writer.compared);
}

bool canon_parse(const void *data, size_t len, size_t max, const char *what, struct json_t **ret_value, struct err *err) {
    if (len > max)
        return err_set(err, ERR_LENGTH, "%s: %zu bytes, more than the allowed %zu", what, len, max);
    if (!scan(data, len, what, err))
        return false;
    json_error_t error;
    json_t *value = json_loadb(data, len, JSON_REJECT_DUPLICATES, &error);
    if (value == NULL)
        return err_set(err, ERR_FORMAT, "%s: not JSON: %s at offset %d", what, error.text, error.position);
    if (!check_form(value, data, len, what, err)) {
        json_decref(value);
        return false;
    }
    *ret_value = value;
    return true;
}

bool canon_signed_bytes(struct buf *out, const struct json_t *value, struct err *err) {
    return write_form(out, FORM_SIGNED, value, "signed part", err);
}

bool canon_file_bytes(struct buf *out, const struct json_t *value, struct err *err) {
    return write_form(out, FORM_FILE, value, "document", err);
}
