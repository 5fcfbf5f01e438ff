/* Rows of text cells: aligned under a heading on a terminal, tab-separated without heading for scripts. */
#ifndef PAWL_CLI_TABLE_H
#define PAWL_CLI_TABLE_H

#include "common/arena.h"
#include "common/buf.h"

enum { CLI_TABLE_MAX_COLUMNS = 16 };

struct cli_table_row {
    const char *cells[CLI_TABLE_MAX_COLUMNS];
    struct cli_table_row *next;
};

struct cli_table {
    struct arena *arena;
    size_t columns;
    const char *titles[CLI_TABLE_MAX_COLUMNS];
    bool right[CLI_TABLE_MAX_COLUMNS]; /* numbers */
    struct cli_table_row *first, *last;
    size_t rows;
};

void cli_table_init(struct cli_table *table, struct arena *arena);
void cli_table_column(struct cli_table *table, const char *title, bool right);

/* Copies one row of table->columns cells; NULL and "" become "-". Control characters (they could drive a terminal) become "?", line breaks and tabs
 * spaces. */
bool cli_table_add(struct cli_table *table, const char *const *cells, struct err *err) MUST_USE;

void cli_table_print(const struct cli_table *table, bool aligned, struct buf *out);

/* The text without characters that drive a terminal; one line. NULL when the arena is full. */
const char *cli_table_clean(struct arena *arena, const char *text);

/* The same, cut to so many characters; 0: not cut. "" for NULL, and when the arena is full. */
const char *cli_table_line(struct arena *arena, const char *text, size_t columns);

#endif
