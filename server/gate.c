#include "server/gate.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "server/status.h"

/* What each refusal is answered with. */
static const struct refusal {
    const char *name;
    int status;
    enum err_code code;
    const char *detail;
} refusals[GATE_REFUSAL_COUNT] = {
    [GATE_NOTHING] = {"nothing", 500, ERR_INTERNAL, "refused without a reason"},
    [GATE_CONTROL_BYTE] = {"control-byte", 400, ERR_INVALID, "a control byte in the request head"},
    [GATE_BARE_CR] = {"bare-cr", 400, ERR_INVALID, "a CR that no LF follows in the request head"},
    [GATE_BARE_LF] = {"bare-lf", 400, ERR_INVALID, "a LF without CR in the request head"},
    [GATE_HIGH_BYTE] = {"high-byte", 400, ERR_INVALID, "a byte above 0x7e in the request head"},
    [GATE_REQUEST_LINE] = {"request-line", 400, ERR_INVALID, "the first line is not: method, one space, target, one space, HTTP/1.1"},
    [GATE_METHOD] = {"method", 501, ERR_NOT_IMPLEMENTED, "a method that is longer than 16 bytes"},
    [GATE_TARGET] = {"target", 400, ERR_INVALID, "the target is not an absolute path, or has a character that must be percent-encoded"},
    [GATE_TARGET_ESCAPE] = {"target-escape", 400, ERR_INVALID,
                            "the path has a dot segment, an encoded dot, slash or control byte, or a bad percent escape"},
    [GATE_QUERY] = {"query", 400, ERR_INVALID, "more than 32 parts in the query"},
    [GATE_VERSION] = {"version", 505, ERR_NOT_IMPLEMENTED, "only HTTP/1.1 is spoken here"},
    [GATE_FIELD_NAME] = {"field-name", 400, ERR_INVALID, "a header line that is not: name, colon, value"},
    [GATE_FIELD_FOLDED] = {"field-folded", 400, ERR_INVALID, "a header line that continues the one before"},
    [GATE_FIELD_TWICE] = {"field-twice", 400, ERR_INVALID, "a header that may stand once stands twice"},
    [GATE_HOST] = {"host", 400, ERR_INVALID, "the Host header is missing or is not a host"},
    [GATE_LENGTH] = {"length", 400, ERR_INVALID, "Content-Length is not a number of 1 to 18 digits"},
    [GATE_TRANSFER_ENCODING] = {"transfer-encoding", 501, ERR_NOT_IMPLEMENTED, "Transfer-Encoding in a request; send Content-Length"},
    [GATE_EXPECT] = {"expect", 417, ERR_INVALID, "an expectation other than 100-continue"},
    [GATE_HEAD_TOO_LARGE] = {"head-too-large", 431, ERR_TOO_LARGE, "the request head is over 8 KiB"},
    [GATE_TOO_MANY_FIELDS] = {"too-many-fields", 431, ERR_TOO_LARGE, "more than 64 headers"},
    [GATE_HEAD_TIMEOUT] = {"head-timeout", 408, ERR_TIMEOUT, "the request head did not arrive in time"},
    [GATE_OVERLOADED] = {"overloaded", 503, ERR_BUSY, "too busy for another request"},
};

enum { BIT_TOKEN = 1, BIT_PATH = 2, BIT_QUERY = 4, BIT_HOST = 8, BIT_HEX = 16 };

/* The character classes of RFC 9110 §5.6.2 (token) and RFC 3986 §3.3, §3.4 (path, query; what follows a "%" is looked at apart), and of a host with
 * port. */
static const unsigned char classes[256] = {
    ['0' ... '9'] = BIT_TOKEN | BIT_PATH | BIT_QUERY | BIT_HOST | BIT_HEX,
    ['A' ... 'F'] = BIT_TOKEN | BIT_PATH | BIT_QUERY | BIT_HOST | BIT_HEX,
    ['G' ... 'Z'] = BIT_TOKEN | BIT_PATH | BIT_QUERY | BIT_HOST,
    ['a' ... 'f'] = BIT_TOKEN | BIT_PATH | BIT_QUERY | BIT_HOST | BIT_HEX,
    ['g' ... 'z'] = BIT_TOKEN | BIT_PATH | BIT_QUERY | BIT_HOST,
    ['-'] = BIT_TOKEN | BIT_PATH | BIT_QUERY | BIT_HOST,
    ['.'] = BIT_TOKEN | BIT_PATH | BIT_QUERY | BIT_HOST,
    ['_'] = BIT_TOKEN | BIT_PATH | BIT_QUERY | BIT_HOST,
    ['~'] = BIT_TOKEN | BIT_PATH | BIT_QUERY,
    ['!'] = BIT_TOKEN | BIT_PATH | BIT_QUERY,
    ['$'] = BIT_TOKEN | BIT_PATH | BIT_QUERY,
    ['&'] = BIT_TOKEN | BIT_PATH | BIT_QUERY,
    ['\''] = BIT_TOKEN | BIT_PATH | BIT_QUERY,
    ['*'] = BIT_TOKEN | BIT_PATH | BIT_QUERY,
    ['+'] = BIT_TOKEN | BIT_PATH | BIT_QUERY,
    ['%'] = BIT_TOKEN | BIT_PATH | BIT_QUERY,
    ['#'] = BIT_TOKEN,
    ['^'] = BIT_TOKEN,
    ['`'] = BIT_TOKEN,
    ['|'] = BIT_TOKEN,
    ['('] = BIT_PATH | BIT_QUERY,
    [')'] = BIT_PATH | BIT_QUERY,
    [','] = BIT_PATH | BIT_QUERY,
    [';'] = BIT_PATH | BIT_QUERY,
    ['='] = BIT_PATH | BIT_QUERY,
    ['@'] = BIT_PATH | BIT_QUERY,
    ['/'] = BIT_PATH | BIT_QUERY,
    [':'] = BIT_PATH | BIT_QUERY | BIT_HOST,
    ['?'] = BIT_QUERY,
    ['['] = BIT_HOST,
    [']'] = BIT_HOST,
};

static bool all_of(const char *text, size_t len, unsigned wanted) {
    for (size_t i = 0; i < len; i++)
        if (!(classes[(unsigned char)text[i]] & wanted))
            return false;
    return len > 0;
}

static unsigned hex_value(char c) {
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

/* Each escape is two hex digits and no NUL; in a path it may not hide what the path's structure is made of, nor a control byte. */
static enum gate_refusal check_escapes(const char *text, size_t len, bool path) {
    for (const char *at = memchr(text, '%', len); at; at = memchr(at + 1, '%', (size_t)(text + len - at - 1))) {
        if (text + len - at < 3 || !all_of(at + 1, 2, BIT_HEX))
            return GATE_TARGET_ESCAPE;
        unsigned byte = hex_value(at[1]) << 4 | hex_value(at[2]);
        if (byte == 0 || (path && (byte == '/' || byte == '\\' || byte == '.' || byte < 0x20 || byte == 0x7f)))
            return GATE_TARGET_ESCAPE;
    }
    return GATE_NOTHING;
}

static bool has_dot_segment(const char *path, size_t len) {
    size_t start = 1;
    for (size_t i = 1; i <= len; i++) {
        if (i == len || path[i] == '/') {
            size_t segment = i - start;
            if ((segment == 1 && path[start] == '.') || (segment == 2 && path[start] == '.' && path[start + 1] == '.'))
                return true;
            start = i + 1;
        }
    }
    return false;
}

static enum gate_refusal check_query(const char *query, size_t len) {
    size_t parts = 1;
    for (size_t i = 0; i < len; i++)
        parts += query[i] == '&';
    if (len > 0 && !all_of(query, len, BIT_QUERY))
        return GATE_TARGET;
    return parts > GATE_MAX_QUERY_PARTS ? GATE_QUERY : check_escapes(query, len, false);
}

static enum gate_refusal check_target(const char *target, size_t len) {
    if (len == 0 || target[0] != '/')
        return GATE_TARGET;
    const char *question = memchr(target, '?', len);
    size_t path_len = question ? (size_t)(question - target) : len;
    if (!all_of(target, path_len, BIT_PATH))
        return GATE_TARGET;
    if (has_dot_segment(target, path_len))
        return GATE_TARGET_ESCAPE;
    enum gate_refusal refusal = check_escapes(target, path_len, true);
    return refusal || !question ? refusal : check_query(question + 1, len - path_len - 1);
}

static enum gate_refusal read_request_line(const char *line, size_t len) {
    const char *space = memchr(line, ' ', len);
    if (!space || !all_of(line, (size_t)(space - line), BIT_TOKEN))
        return GATE_REQUEST_LINE;
    const char *target = space + 1;
    size_t rest = len - (size_t)(target - line);
    const char *second = memchr(target, ' ', rest);
    if (!second)
        return GATE_REQUEST_LINE;
    const char *version = second + 1;
    size_t version_len = len - (size_t)(version - line);
    if (version_len != 8 || memcmp(version, "HTTP/", 5) != 0 || version[6] != '.')
        return GATE_REQUEST_LINE;
    if (space - line > 16)
        return GATE_METHOD;
    if (memcmp(version, "HTTP/1.1", 8) != 0)
        return GATE_VERSION;
    return check_target(target, (size_t)(second - target));
}

static enum gate_refusal read_host(struct gate *gate, const char *value, size_t len) {
    (void)gate;
    return len <= 255 && all_of(value, len, BIT_HOST) ? GATE_NOTHING : GATE_HOST;
}

static enum gate_refusal read_length(struct gate *gate, const char *value, size_t len) {
    uint64_t number = 0;
    if (len < 1 || len > 18)
        return GATE_LENGTH;
    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9')
            return GATE_LENGTH;
        number = number * 10 + (uint64_t)(value[i] - '0');
    }
    gate->content_length = number;
    return GATE_NOTHING;
}

static enum gate_refusal read_transfer_encoding(struct gate *gate, const char *value, size_t len) {
    (void)gate, (void)value, (void)len;
    return GATE_TRANSFER_ENCODING;
}

static enum gate_refusal read_expect(struct gate *gate, const char *value, size_t len) {
    gate->expects_continue = len == 12 && strncasecmp(value, "100-continue", 12) == 0;
    return gate->expects_continue ? GATE_NOTHING : GATE_EXPECT;
}

/* One of the options, which are separated by commas. */
static enum gate_refusal read_connection(struct gate *gate, const char *value, size_t len) {
    for (size_t start = 0, i = 0; i <= len; i++) {
        if (i == len || value[i] == ',' || value[i] == ' ' || value[i] == '\t') {
            gate->closes |= i - start == 5 && strncasecmp(value + start, "close", 5) == 0;
            start = i + 1;
        }
    }
    return GATE_NOTHING;
}

/* Fields that are looked at. Most may stand once: two of them are two readings of one request. */
static const struct known {
    const char *name;
    size_t len;
    enum gate_refusal (*read)(struct gate *gate, const char *value, size_t len); /* NULL: any value */
    bool often;
} known[] = {
#define KNOWN(name, read, often)                                                                                                                     \
    { name, sizeof(name) - 1, read, often }
    KNOWN("Host", read_host, false),
    KNOWN("Content-Length", read_length, false),
    KNOWN("Transfer-Encoding", read_transfer_encoding, false),
    KNOWN("Expect", read_expect, false),
    KNOWN("Connection", read_connection, true),
    KNOWN("Content-Type", NULL, false),
    KNOWN("Authorization", NULL, false),
    KNOWN("Range", NULL, false),
    KNOWN("If-Range", NULL, false),
    KNOWN("If-Modified-Since", NULL, false),
    KNOWN("Idempotency-Key", NULL, false),
#undef KNOWN
};

static enum gate_refusal read_field(struct gate *gate, const char *line, size_t len) {
    if (line[0] == ' ' || line[0] == '\t')
        return GATE_FIELD_FOLDED;
    const char *colon = memchr(line, ':', len);
    size_t name_len = colon ? (size_t)(colon - line) : 0;
    if (!all_of(line, name_len, BIT_TOKEN))
        return GATE_FIELD_NAME;
    const char *value = colon + 1;
    const char *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (known[i].len == name_len && strncasecmp(known[i].name, line, name_len) == 0) {
            if (!known[i].often && (gate->seen & 1U << i))
                return GATE_FIELD_TWICE;
            gate->seen |= 1U << i;
            return known[i].read ? known[i].read(gate, value, (size_t)(end - value)) : GATE_NOTHING;
        }
    }
    return GATE_NOTHING;
}

/* One complete line without its CRLF. Sets head_len at the empty line. */
static enum gate_refusal read_line(struct gate *gate, const char *line, size_t len) {
    if (gate->lines == 0)
        return read_request_line(line, len);
    if (len > 0)
        return gate->lines > GATE_MAX_FIELDS ? GATE_TOO_MANY_FIELDS : read_field(gate, line, len);
    if (!(gate->seen & 1U))
        return GATE_HOST;
    gate->head_len = gate->scanned + 1;
    gate->body_left = gate->content_length;
    return GATE_NOTHING;
}

static enum gate_refusal check_byte(const struct gate *gate, const char *data, size_t i) {
    unsigned char c = (unsigned char)data[i];
    bool after_cr = i > gate->line_start && data[i - 1] == '\r';
    if (i >= GATE_MAX_HEAD)
        return GATE_HEAD_TOO_LARGE;
    if (c == '\n')
        return after_cr ? GATE_NOTHING : GATE_BARE_LF;
    if (after_cr)
        return GATE_BARE_CR;
    if (c >= 0x80)
        return GATE_HIGH_BYTE;
    return (c < 0x20 && c != '\r' && (c != '\t' || gate->lines == 0)) || c == 0x7f ? GATE_CONTROL_BYTE : GATE_NOTHING;
}

enum gate_verdict gate_scan(struct gate *gate, const char *data, size_t len) {
    for (; !gate->refusal && !gate->head_len && gate->scanned < len; gate->scanned++) {
        size_t i = gate->scanned;
        gate->refusal = check_byte(gate, data, i);
        if (!gate->refusal && data[i] == '\n') {
            gate->refusal = read_line(gate, data + gate->line_start, i - 1 - gate->line_start);
            gate->line_start = i + 1;
            gate->lines++;
        }
    }
    if (gate->refusal)
        return GATE_REFUSED;
    return gate->head_len ? GATE_COMPLETE : GATE_MORE;
}

size_t gate_body(struct gate *gate, size_t len) {
    size_t taken = gate->body_left < len ? (size_t)gate->body_left : len;
    gate->body_left -= taken;
    return taken;
}

void gate_reset(struct gate *gate) {
    *gate = (struct gate){0};
}

static const struct refusal *row_of(enum gate_refusal refusal) {
    return &refusals[refusal < GATE_REFUSAL_COUNT ? refusal : GATE_NOTHING];
}

size_t gate_reply(enum gate_refusal refusal, const char *request_id, int64_t now, char ret_reply[GATE_REPLY_SIZE]) {
    const struct refusal *row = row_of(refusal);
    const char *phrase = status_phrase(row->status);
    char date[CLOCK_HTTP_SIZE];
    clock_http(now, date);
    char body[320];
    int body_len = snprintf(body, sizeof(body),
                            "{\"type\":\"urn:pawl:problem:%s\",\"title\":\"%s\",\"status\":%d,\"detail\":\"%s\",\"request_id\":\"%s\"}",
                            err_slug(row->code), phrase, row->status, row->detail, request_id);
    int len = snprintf(ret_reply, GATE_REPLY_SIZE,
                       "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\nX-Request-Id: %s\r\n%s"
                       "Connection: close\r\n\r\n%s",
                       row->status, phrase, date, body_len, request_id, row->status == 503 ? "Retry-After: 5\r\n" : "", body);
    return len > 0 && len < GATE_REPLY_SIZE ? (size_t)len : 0;
}

const char *gate_refusal_name(enum gate_refusal refusal) {
    return row_of(refusal)->name;
}

int gate_refusal_status(enum gate_refusal refusal) {
    return row_of(refusal)->status;
}
