/* One line of a CSV table (RFC 4180), without line feeds inside quotes. */
#ifndef PAWL_COMMON_CSV_H
#define PAWL_COMMON_CSV_H

#include "common/err.h"

/* Splits the line in place into at most max cells; ret_cells point into it. ERR_INVALID: a stray quote, one that is not closed, too many cells. */
bool csv_split(char *line, const char **ret_cells, size_t max, size_t *ret_count, struct err *err) MUST_USE;

#endif
