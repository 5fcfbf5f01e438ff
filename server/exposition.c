#include "server/exposition.h"

#include <stdarg.h>
#include <stdio.h>

void exposition_head(struct buf *out, const char *name, const char *type, const char *help) {
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void exposition_gauge(struct buf *out, const char *name, const char *help, int64_t value) {
    exposition_head(out, name, "gauge", help);
    buf_printf(out, "%s %lld\n", name, (long long)value);
}

void exposition_counter(struct buf *out, const char *name, const char *help, uint64_t value) {
    exposition_head(out, name, "counter", help);
    buf_printf(out, "%s %llu\n", name, (unsigned long long)value);
}

static void put_label(struct buf *out, const char *name, const char *value) {
    buf_printf(out, "%s=\"", name);
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\')
            buf_byte(out, '\\');
        buf_text(out, *value == '\n' ? "\\n" : "");
        if (*value != '\n')
            buf_byte(out, *value);
    }
    buf_byte(out, '"');
}

void exposition_sample(struct buf *out, const char *name, int64_t value, ...) {
    va_list pairs;
    const char *separator = "{";
    buf_text(out, name);
    va_start(pairs, value);
    for (const char *label; (label = va_arg(pairs, const char *)) != NULL; separator = ",") {
        buf_text(out, separator);
        put_label(out, label, va_arg(pairs, const char *));
    }
    va_end(pairs);
    buf_printf(out, "%s %lld\n", separator[0] == ',' ? "}" : "", (long long)value);
}

static void put_bucket(struct buf *out, const char *name, const char *label, const char *value, const char *bound, uint64_t count) {
    buf_printf(out, "%s_bucket{", name);
    if (label != NULL) {
        put_label(out, label, value);
        buf_byte(out, ',');
    }
    buf_printf(out, "le=\"%s\"} %llu\n", bound, (unsigned long long)count);
}

void exposition_histogram(struct buf *out, const char *name, const char *label, const char *value, const struct exposition_histogram *histogram) {
    uint64_t below = 0;
    for (size_t i = 0; i < histogram->count; i++) {
        char bound[32];
        snprintf(bound, sizeof(bound), "%g", (double)histogram->bounds_us[i] / 1e6);
        below += histogram->classes[i];
        put_bucket(out, name, label, value, bound, below);
    }
    below += histogram->classes[histogram->count];
    put_bucket(out, name, label, value, "+Inf", below);
    static const char *const endings[] = {"_sum", "_count"};
    for (size_t i = 0; i < 2; i++) {
        buf_printf(out, "%s%s%s", name, endings[i], label != NULL ? "{" : "");
        if (label != NULL) {
            put_label(out, label, value);
            buf_byte(out, '}');
        }
        if (i == 0)
            buf_printf(out, " %llu.%06llu\n", (unsigned long long)(histogram->sum_us / 1000000), (unsigned long long)(histogram->sum_us % 1000000));
        else
            buf_printf(out, " %llu\n", (unsigned long long)below);
    }
}
