#include "api/range.h"

#include <strings.h>

/* Digits into a number that stops at UINT64_MAX instead of wrapping: past every file is past every file. False: no digit. */
static bool number(const char **text, uint64_t *ret_value) {
    uint64_t value = 0;
    const char *p = *text;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
    }
    if (p == *text)
        return false;
    *text = p;
    *ret_value = value;
    return true;
}

static const char *skip_space(const char *text) {
    while (*text == ' ' || *text == '\t')
        text++;
    return text;
}

/* "-n": the last n bytes. */
static enum api_range suffix(const char *text, uint64_t size, uint64_t *ret_first, uint64_t *ret_last) {
    uint64_t count;
    if (!number(&text, &count) || *skip_space(text) != '\0')
        return API_RANGE_WHOLE;
    if (count == 0 || size == 0)
        return API_RANGE_NONE;
    *ret_first = count >= size ? 0 : size - count;
    *ret_last = size - 1;
    return API_RANGE_PART;
}

enum api_range api_range_parse(const char *text, uint64_t size, uint64_t *ret_first, uint64_t *ret_last) {
    if (text == NULL || strncasecmp(text, "bytes=", 6) != 0)
        return API_RANGE_WHOLE;
    text = skip_space(text + 6);
    if (*text == '-')
        return suffix(text + 1, size, ret_first, ret_last);

    uint64_t first, last = UINT64_MAX;
    if (!number(&text, &first) || *text++ != '-')
        return API_RANGE_WHOLE;
    bool open_end = *skip_space(text) == '\0';
    if (!open_end && (!number(&text, &last) || *skip_space(text) != '\0'))
        return API_RANGE_WHOLE;
    if (last < first)
        return API_RANGE_WHOLE;
    if (first >= size)
        return API_RANGE_NONE;
    *ret_first = first;
    *ret_last = last >= size ? size - 1 : last;
    return API_RANGE_PART;
}
