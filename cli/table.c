#include "cli/table.h"

#include <string.h>

void cli_table_init(struct cli_table *table, struct arena *arena) {
    *table = (struct cli_table){.arena = arena};
}

void cli_table_column(struct cli_table *table, const char *title, bool right) {
    if (table->columns == CLI_TABLE_MAX_COLUMNS)
        return;
    table->titles[table->columns] = title;
    table->right[table->columns] = right;
    table->columns++;
}

/* The control character that starts at this byte, in bytes: C0 and DEL are one, C1 (as UTF-8) two; 0: none. */
static size_t control_length(const unsigned char *at) {
    if (at[0] < 0x20 || at[0] == 0x7f)
        return 1;
    if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f)
        return 2;
    return 0;
}

const char *cli_table_clean(struct arena *arena, const char *text) {
    char *clean = arena_strdup(arena, text);
    if (clean == NULL)
        return NULL;
    char *to = clean;
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0';) {
        size_t control = control_length(at);
        if (control == 0) {
            *to++ = (char)*at++;
            continue;
        }
        *to++ = *at == '\n' || *at == '\t' ? ' ' : '?';
        at += control;
    }
    *to = '\0';
    return clean;
}

const char *cli_table_line(struct arena *arena, const char *text, size_t columns) {
    const char *clean = cli_table_clean(arena, text == NULL ? "" : text);
    if (clean == NULL)
        return "";
    size_t len = 0;
    for (size_t width = 0; clean[len] != '\0'; len++) {
        width += ((unsigned char)clean[len] & 0xc0) != 0x80;
        if (columns > 0 && width > columns)
            break;
    }
    const char *cut = arena_strndup(arena, clean, len);
    return cut == NULL ? "" : cut;
}

bool cli_table_add(struct cli_table *table, const char *const *cells, struct err *err) {
    struct cli_table_row *row = arena_alloc(table->arena, sizeof(*row));
    if (row == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < table->columns; i++) {
        row->cells[i] = cells[i] == NULL || cells[i][0] == '\0' ? "-" : cli_table_clean(table->arena, cells[i]);
        if (row->cells[i] == NULL)
            return err_no_memory(err);
    }
    if (table->last == NULL)
        table->first = row;
    else
        table->last->next = row;
    table->last = row;
    table->rows++;
    return true;
}

/* Characters, not bytes: UTF-8 continuation bytes do not count. */
static size_t width_of(const char *text) {
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void pad(struct buf *out, size_t count) {
    for (size_t i = 0; i < count; i++)
        buf_byte(out, ' ');
}

static void print_aligned(const struct cli_table *table, const char *const *cells, const size_t *widths, struct buf *out) {
    for (size_t i = 0; i < table->columns; i++) {
        size_t gap = widths[i] - width_of(cells[i]);
        if (i > 0)
            buf_text(out, "  ");
        if (table->right[i])
            pad(out, gap);
        buf_text(out, cells[i]);
        if (!table->right[i] && i + 1 < table->columns)
            pad(out, gap);
    }
    buf_byte(out, '\n');
}

static void print_tabbed(const struct cli_table *table, const char *const *cells, struct buf *out) {
    for (size_t i = 0; i < table->columns; i++) {
        if (i > 0)
            buf_byte(out, '\t');
        buf_text(out, cells[i]);
    }
    buf_byte(out, '\n');
}

void cli_table_print(const struct cli_table *table, bool aligned, struct buf *out) {
    if (!aligned) {
        for (const struct cli_table_row *row = table->first; row != NULL; row = row->next)
            print_tabbed(table, row->cells, out);
        return;
    }
    size_t widths[CLI_TABLE_MAX_COLUMNS] = {0};
    for (size_t i = 0; i < table->columns; i++)
        widths[i] = width_of(table->titles[i]);
    for (const struct cli_table_row *row = table->first; row != NULL; row = row->next)
        for (size_t i = 0; i < table->columns; i++)
            widths[i] = width_of(row->cells[i]) > widths[i] ? width_of(row->cells[i]) : widths[i];
    print_aligned(table, table->titles, widths, out);
    for (const struct cli_table_row *row = table->first; row != NULL; row = row->next)
        print_aligned(table, row->cells, widths, out);
}
