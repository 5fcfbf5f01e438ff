/* A progress bar on standard error, and the pure function that draws it. */
#ifndef PAWL_CLI_PROGRESS_H
#define PAWL_CLI_PROGRESS_H

#include <stdio.h>

#include "common/buf.h"

enum { CLI_PROGRESS_LINE_SIZE = 320 };

struct cli_progress {
    FILE *out; /* NULL: silent */
    const char *what;
    int64_t started_ms;
    int64_t drawn_ms;
};

/* "uploading   45 %  [#########...........]  12.3 MiB of 27.0 MiB  3.1 MiB/s  0:05 left", at most `columns` wide (the bar gives way first). */
void cli_progress_render(char ret_line[CLI_PROGRESS_LINE_SIZE], const char *what, int64_t done_bytes, int64_t total_bytes, int64_t elapsed_ms,
                         size_t columns);

/* "512 B", "12.3 MiB". */
void cli_progress_size(char *ret_text, size_t size, int64_t bytes);

/* The width of the terminal behind out; 80 when there is none. */
size_t cli_progress_columns(FILE *out);

void cli_progress_begin(struct cli_progress *progress, FILE *out, const char *what);
void cli_progress_update(struct cli_progress *progress, int64_t done_bytes, int64_t total_bytes); /* draws at most ten times a second */
void cli_progress_end(struct cli_progress *progress, int64_t done_bytes, int64_t total_bytes);

#endif
