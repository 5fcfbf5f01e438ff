#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/text.h"

enum { LINE_MAX_BYTES = 4096, BARE_MAX = 256, TAIL_BYTES = 8 /* kept free for what closes a line */ };

static _Atomic(enum log_level) lowest = LOG_INFO;
static enum log_format chosen = LOG_LOGFMT;

static const char *const level_names[] = {[LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

struct line {
    char data[LINE_MAX_BYTES];
    size_t len;
    bool full; /* nothing more is begun */
};

void log_setup(enum log_level level, enum log_format format) {
    lowest = level;
    chosen = format;
}

void log_set_level(enum log_level level) {
    lowest = level;
}

bool log_enabled(enum log_level level) {
    return level <= lowest;
}

/* All of the text or nothing. */
static bool put(struct line *line, const char *text, size_t len) {
    if (line->full || line->len + len > sizeof(line->data) - TAIL_BYTES) {
        line->full = true;
        return false;
    }
    memcpy(line->data + line->len, text, len);
    line->len += len;
    return true;
}

/* What closes something: there is room for it always. */
static void put_tail(struct line *line, const char *text) {
    size_t len = strlen(text);
    if (line->len + len <= sizeof(line->data)) {
        memcpy(line->data + line->len, text, len);
        line->len += len;
    }
}

/* False when not even the first quote fits; a long text is cut. */
static bool put_quoted(struct line *line, const char *text) {
    size_t left = strlen(text);
    if (!put(line, "\"", 1))
        return false;
    while (left > 0 && !line->full) {
        char escape[8];
        uint32_t point = 0;
        size_t size = text_utf8_next(text, left, &point);
        if (size == 0) {
            put(line, "\xef\xbf\xbd", 3);
            size = 1;
        } else if (point == '"' || point == '\\') {
            escape[0] = '\\';
            escape[1] = *text;
            put(line, escape, 2);
        } else if (point < 0x20 || (point >= 0x7f && point <= 0x9f)) {
            snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)point);
            put(line, escape, 6);
        } else {
            put(line, text, size);
        }
        text += size;
        left -= size;
    }
    put_tail(line, "\"");
    return true;
}

/* What logfmt leaves bare. */
static const bool bare[256] = {
    ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true, ['.'] = true, ['_'] = true, [':'] = true, ['/'] = true,
    ['+'] = true,         ['@'] = true,         ['%'] = true,         [','] = true, ['-'] = true, ['['] = true, [']'] = true,
};

static bool is_bare(const char *text) {
    size_t len = 0;
    while (bare[(unsigned char)text[len]])
        len++;
    return len > 0 && len <= BARE_MAX && text[len] == '\0';
}

/* A pair that does not fit is left out. */
static void put_pair(struct line *line, const char *key, const char *value) {
    size_t before = line->len;
    bool json = chosen == LOG_JSON;
    bool fits = put(line, json ? ",\"" : " ", json ? 2 : 1) && put(line, key, strlen(key)) && put(line, json ? "\":" : "=", json ? 2 : 1);
    if (fits)
        fits = !json && is_bare(value) ? put(line, value, strlen(value)) : put_quoted(line, value);
    if (!fits)
        line->len = before;
}

static void begin(struct line *line, enum log_level level, const char *message) {
    char now[CLOCK_RFC3339_SIZE];
    clock_rfc3339(clock_now(), now);
    line->len = 0;
    line->full = false;
    if (chosen == LOG_JSON) {
        put(line, "{\"time\":\"", 9);
        put(line, now, strlen(now));
        put(line, "\"", 1);
    } else {
        put(line, "time=", 5);
        put(line, now, strlen(now));
    }
    put_pair(line, "level", level_names[level]);
    put_pair(line, "msg", message);
}

/* A failed write cannot be reported anywhere; the line is lost. */
static void finish(struct line *line) {
    put_tail(line, chosen == LOG_JSON ? "}\n" : "\n");
    ssize_t ignored UNUSED = write(STDERR_FILENO, line->data, line->len);
}

void log_event(enum log_level level, const char *message, ...) {
    struct line line;
    va_list pairs;
    if (!log_enabled(level))
        return;
    begin(&line, level, message);
    va_start(pairs, message);
    for (const char *key = va_arg(pairs, const char *); key != NULL; key = va_arg(pairs, const char *)) {
        const char *value = va_arg(pairs, const char *);
        if (value != NULL)
            put_pair(&line, key, value);
    }
    va_end(pairs);
    finish(&line);
}

void log_err(enum log_level level, const char *message, const struct err *err) {
    log_event(level, message, "code", err_slug(err->code), "error", err->text, (char *)NULL);
}
