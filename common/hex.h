/* Lower-case hex and base64. */
#ifndef PAWL_COMMON_HEX_H
#define PAWL_COMMON_HEX_H

#include "common/buf.h"

void hex_encode(const void *data, size_t len, char *ret_hex);     /* writes 2 × len digits and a NUL */
bool hex_decode(const char *hex, size_t hex_len, void *ret_data); /* false: odd length, or anything but 0-9a-f */
bool hex_is_digest(const char *text);                             /* exactly 64 lower-case hex digits */

/* RFC 4648 §4 with padding, and §5 (URL) without. */
void base64_encode(struct buf *out, const void *data, size_t len);
void base64url_encode(struct buf *out, const void *data, size_t len);
void base64_encode_lines(struct buf *out, const void *data, size_t len); /* of 64 digits, each with its line feed: PEM, RFC 8951 */
bool base64_decode(struct buf *out, const char *text, size_t len, struct err *err) MUST_USE; /* strict: no white space, exact padding */

#endif
