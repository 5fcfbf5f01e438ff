/* The Range header of one file (RFC 9110 §14): which bytes are asked for. */
#ifndef PAWL_API_RANGE_H
#define PAWL_API_RANGE_H

#include "common/defs.h"

enum api_range {
    API_RANGE_WHOLE = 0, /* absent, malformed, another unit, or several ranges: 200 with the whole file */
    API_RANGE_PART,      /* 206 */
    API_RANGE_NONE,      /* 416: not one byte of it exists */
};

/* text NULL: no header. first and last (inclusive, clamped to the file) are written for API_RANGE_PART only. */
enum api_range api_range_parse(const char *text, uint64_t size, uint64_t *ret_first, uint64_t *ret_last);

#endif
