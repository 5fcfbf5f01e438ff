/* Small questions about text. */
#ifndef PAWL_COMMON_TEXT_H
#define PAWL_COMMON_TEXT_H

#include "common/err.h"

bool text_equal(const char *a, const char *b); /* NULL equals only NULL */
bool text_starts(const char *text, const char *prefix);
bool text_ends(const char *text, const char *suffix);
bool text_copy(char *ret_out, size_t size, const char *text); /* false when it does not fit; ret_out is then empty */

/* Decimal digits only (an optional minus), no white space, no overflow, within [min, max]. */
bool text_to_int(const char *text, int64_t min, int64_t max, int64_t *ret_value);
bool text_to_int_n(const char *text, size_t len, int64_t min, int64_t max, int64_t *ret_value);

/* "16k", "4M", "1G" in powers of 1024, and "90s", "15m", "6h", "90d" in seconds. A bare
 * number is bytes; a bare duration is refused (but 0), because nobody knows its unit. */
bool text_to_size(const char *text, int64_t *ret_bytes);
bool text_to_duration(const char *text, int64_t *ret_seconds);

/* Identifiers of Pawl: [A-Za-z0-9._:-]{1,64} (device, product, hardware ids and tags); "." and ".." are none. */
bool text_is_id(const char *text);

/* Size of the well-formed UTF-8 sequence text begins with, and its code point; 0 when there is none. */
size_t text_utf8_next(const char *text, size_t len, uint32_t *ret_point);
bool text_is_utf8(const char *text, size_t len);
bool text_is_printable(const char *text); /* UTF-8 without control characters */

#endif
