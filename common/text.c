#include "common/text.h"

#include <string.h>

enum { ID_MAX = 64 };

bool text_equal(const char *a, const char *b) {
    if (a == NULL || b == NULL)
        return a == b;
    return strcmp(a, b) == 0;
}

bool text_starts(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *text, const char *suffix) {
    size_t text_len = strlen(text);
    size_t suffix_len = strlen(suffix);
    return suffix_len <= text_len && memcmp(text + text_len - suffix_len, suffix, suffix_len) == 0;
}

bool text_copy(char *ret_out, size_t size, const char *text) {
    size_t len = strlen(text);
    if (size == 0)
        return false;
    if (len >= size) {
        ret_out[0] = '\0';
        return false;
    }
    memmove(ret_out, text, len + 1);
    return true;
}

bool text_to_int_n(const char *text, size_t len, int64_t min, int64_t max, int64_t *ret_value) {
    bool negative = len > 0 && text[0] == '-';
    size_t at = negative ? 1 : 0;
    if (at == len)
        return false;
    int64_t value = 0; /* counted downwards, so that INT64_MIN fits */
    for (; at < len; at++) {
        if (text[at] < '0' || text[at] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, text[at] - '0', &value))
            return false;
    }
    if (!negative && __builtin_sub_overflow((int64_t)0, value, &value))
        return false;
    if (value < min || value > max)
        return false;
    *ret_value = value;
    return true;
}

bool text_to_int(const char *text, int64_t min, int64_t max, int64_t *ret_value) {
    return text_to_int_n(text, strlen(text), min, max, ret_value);
}

struct unit {
    char letter;
    int64_t factor;
};

/* Digits and one letter of the table; digits alone when bare_max allows the number. */
static bool to_units(const char *text, const struct unit *units, size_t count, int64_t bare_max, int64_t *ret_value) {
    size_t len = strlen(text);
    if (text_to_int_n(text, len, 0, bare_max, ret_value))
        return true;
    for (size_t i = 0; i < count && len > 1; i++) {
        int64_t value;
        if (text[len - 1] != units[i].letter)
            continue;
        if (!text_to_int_n(text, len - 1, 0, INT64_MAX, &value) || __builtin_mul_overflow(value, units[i].factor, &value))
            return false;
        *ret_value = value;
        return true;
    }
    return false;
}

bool text_to_size(const char *text, int64_t *ret_bytes) {
    static const struct unit units[] = {
        {'k', INT64_C(1) << 10}, {'K', INT64_C(1) << 10}, {'m', INT64_C(1) << 20}, {'M', INT64_C(1) << 20},
        {'g', INT64_C(1) << 30}, {'G', INT64_C(1) << 30}, {'t', INT64_C(1) << 40}, {'T', INT64_C(1) << 40},
    };
    return to_units(text, units, ARRAY_LEN(units), INT64_MAX, ret_bytes);
}

bool text_to_duration(const char *text, int64_t *ret_seconds) {
    static const struct unit units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    return to_units(text, units, ARRAY_LEN(units), 0, ret_seconds);
}

bool text_is_id(const char *text) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
    size_t len = strspn(text, allowed);
    return len > 0 && len <= ID_MAX && text[len] == '\0' && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

/* Length of the well-formed sequence at *text (Unicode table 3-7), 0 when there is none. */
static size_t utf8_sequence(const unsigned char *text, size_t len, uint32_t *ret_point) {
    static const struct {
        unsigned char first, last, second_min, second_max;
        unsigned char size, mask;
    } forms[] = {
        {0x00, 0x7f, 0x00, 0x00, 1, 0x7f}, {0xc2, 0xdf, 0x80, 0xbf, 2, 0x1f}, {0xe0, 0xe0, 0xa0, 0xbf, 3, 0x0f},
        {0xe1, 0xec, 0x80, 0xbf, 3, 0x0f}, {0xed, 0xed, 0x80, 0x9f, 3, 0x0f}, {0xee, 0xef, 0x80, 0xbf, 3, 0x0f},
        {0xf0, 0xf0, 0x90, 0xbf, 4, 0x07}, {0xf1, 0xf3, 0x80, 0xbf, 4, 0x07}, {0xf4, 0xf4, 0x80, 0x8f, 4, 0x07},
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (text[0] < forms[i].first || text[0] > forms[i].last)
            continue;
        if (len < forms[i].size)
            return 0;
        uint32_t point = text[0] & forms[i].mask;
        for (size_t k = 1; k < forms[i].size; k++) {
            unsigned char min = k == 1 ? forms[i].second_min : 0x80;
            unsigned char max = k == 1 ? forms[i].second_max : 0xbf;
            if (text[k] < min || text[k] > max)
                return 0;
            point = point << 6 | (text[k] & 0x3fU);
        }
        *ret_point = point;
        return forms[i].size;
    }
    return 0;
}

size_t text_utf8_next(const char *text, size_t len, uint32_t *ret_point) {
    return len == 0 ? 0 : utf8_sequence((const unsigned char *)text, len, ret_point);
}

bool text_is_utf8(const char *text, size_t len) {
    uint32_t point;
    for (size_t at = 0; at < len;) {
        size_t size = text_utf8_next(text + at, len - at, &point);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

bool text_is_printable(const char *text) {
    size_t len = strlen(text);
    for (size_t at = 0; at < len;) {
        uint32_t point = 0;
        size_t size = text_utf8_next(text + at, len - at, &point);
        if (size == 0 || point < 0x20 || (point >= 0x7f && point <= 0x9f))
            return false;
        at += size;
    }
    return true;
}
