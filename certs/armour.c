#include "certs/armour.h"

#include <string.h>

#include "common/hex.h"

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Takes "-----BEGIN …-----" before the text and "-----END …-----" behind it away. */
static void trim_armour(const char **text, size_t *len) {
    static const char begin[] = "-----BEGIN ", end[] = "-----END ";
    while (*len > 0 && is_space(**text)) {
        ++*text;
        --*len;
    }
    if (*len < sizeof(begin) || memcmp(*text, begin, sizeof(begin) - 1) != 0)
        return;
    const char *line = memchr(*text, '\n', *len);
    if (line == NULL)
        return;
    *len -= (size_t)(line + 1 - *text);
    *text = line + 1;
    const char *tail = memmem(*text, *len, end, sizeof(end) - 1);
    *len = tail != NULL ? (size_t)(tail - *text) : *len;
}

bool certs_armour_read(const char *text, size_t len, const char *what, struct buf *out, struct err *err) {
    struct buf plain CLEANUP(buf_free) = BUF_INIT(len);
    struct err why;
    trim_armour(&text, &len);
    for (size_t i = 0; i < len; i++)
        if (!is_space(text[i]))
            buf_byte(&plain, text[i]);
    if (!buf_ok(&plain, what, err))
        return false;
    if (plain.len == 0)
        return err_set(err, ERR_INVALID, "%s is empty", what);
    return base64_decode(out, plain.data, plain.len, &why) || err_set(err, ERR_INVALID, "%s is not base64 (RFC 4648)", what);
}
