#include "common/csv.h"

#include <string.h>

/* A cell in quotes from *at on (behind the first quote), unescaped in place; *at is then behind the closing quote. */
static bool take_quoted(char **at, struct err *err) {
    char *out = *at;
    for (char *c = *at; *c != '\0'; c++) {
        if (*c == '"' && c[1] != '"') {
            *at = c + 1;
            *out = '\0'; /* out is at most the quote */
            return true;
        }
        c += *c == '"';
        *out++ = *c;
    }
    return err_set(err, ERR_INVALID, "a quote is not closed on its line");
}

static bool take_cell(char **at, const char **ret_cell, struct err *err) {
    char *c = *at;
    if (*c == '"') {
        *ret_cell = ++c;
        if (!take_quoted(&c, err))
            return false;
        if (*c != '\0' && *c != ',')
            return err_set(err, ERR_INVALID, "expected ',' behind a closing quote");
    } else {
        *ret_cell = c;
        c += strcspn(c, ",\"");
        if (*c == '"')
            return err_set(err, ERR_INVALID, "a quote within a cell that does not begin with one");
    }
    *at = c;
    return true;
}

bool csv_split(char *line, const char **ret_cells, size_t max, size_t *ret_count, struct err *err) {
    size_t count = 0;
    for (char *at = line;;) {
        if (count == max)
            return err_set(err, ERR_INVALID, "more than %zu cells", max);
        if (!take_cell(&at, &ret_cells[count], err))
            return false;
        count++;
        bool last = *at == '\0';
        *at++ = '\0';
        if (last)
            break;
    }
    *ret_count = count;
    return true;
}
