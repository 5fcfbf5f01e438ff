/* The rows of an import as they arrive: NDJSON or CSV, read line by line, each row checked at once. */
#ifndef PAWL_API_IMPORT_H
#define PAWL_API_IMPORT_H

#include "api/api.h"
#include "db/device_import.h"

enum {
    API_IMPORT_BODY_MAX = 64 * 1024 * 1024,
    API_IMPORT_ROWS_MAX = 500000,
    API_IMPORT_LINE_MAX = 64 * 1024,
    API_IMPORT_ERRORS_MAX = 100, /* told; all are counted */
};

struct api_import_row {
    int64_t line; /* of the file, from 1 */
    struct db_device_row row;
    enum db_import_effect effect; /* when it was judged; what is unchanged then is left alone */
};

struct api_import {
    struct arena arena; /* everything below */
    bool is_csv;
    struct buf line; /* what came of the current one */
    int64_t line_number;
    const char **columns; /* of CSV, when its first line was read */
    size_t column_count;
    struct api_import_row *rows;
    size_t row_count, row_cap;
    int64_t effects[DB_IMPORT_UPDATED + 1]; /* how many rows have each */
    struct api_problem_row errors[API_IMPORT_ERRORS_MAX];
    size_t error_kept;
    int64_t error_count;
    size_t applied; /* rows */
};

/* ERR_MEDIA_TYPE, ERR_NO_MEMORY. */
bool api_import_new(struct api_call *call, struct api_import **ret_import, struct err *err) MUST_USE;
void api_import_free(struct api_import *import);

/* A piece of the body. Bad rows are noted; false: the import as a whole cannot be (ERR_SCOPE, ERR_TOO_LARGE, ERR_NO_MEMORY …). */
bool api_import_feed(struct api_call *call, struct api_import *import, const char *data, size_t len, struct err *err) MUST_USE;

/* ERR_SCOPE unless the token reaches the row's device as it is, and as the row makes it. Asked again at each row that is applied: while the body was
 * on its way the device may have come, or gone elsewhere. */
bool api_import_check_reach(struct api_call *call, const struct db_device_row *row, struct err *err) MUST_USE;

/* The body is complete: the last line, and what can be said about all rows together. */
bool api_import_end(struct api_call *call, struct api_import *import, struct err *err) MUST_USE;

#endif
