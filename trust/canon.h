/* The two byte forms of signed JSON (trust.md §1): file bytes (jansson, compact and sorted) and signed bytes (OLPC canonical JSON), and the one
 * strict reader that all signed documents go through. */
#ifndef PAWL_TRUST_CANON_H
#define PAWL_TRUST_CANON_H

#include "common/buf.h"

struct json_t; /* jansson's; jansson.h is included in trust/ only */

enum { CANON_DEPTH_MAX = 16 };

/* Reads one document. ERR_LENGTH: longer than max (asked before parsing). ERR_FORMAT: not JSON, a member twice, deeper than CANON_DEPTH_MAX, a
 * real number, an integer outside ±(2^53−1), a character that is neither printable ASCII nor LF (in a member's name: not printable ASCII), or not
 * equal to its own file bytes. `what` names the document in messages. *ret_value is the caller's reference (json_decref). */
bool canon_parse(const void *data, size_t len, size_t max, const char *what, struct json_t **ret_value, struct err *err) MUST_USE;

/* Appends the canonical form that signatures cover. ERR_FORMAT when the value cannot be said in it (real, control character, too deep). */
bool canon_signed_bytes(struct buf *out, const struct json_t *value, struct err *err) MUST_USE;

/* Appends what a file of this value holds; canon_parse() takes it back. */
bool canon_file_bytes(struct buf *out, const struct json_t *value, struct err *err) MUST_USE;

#endif
