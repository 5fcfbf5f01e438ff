/* Files that hold several certificates: a server's chain, a set of CAs. */
#ifndef PAWL_CERTS_BUNDLE_H
#define PAWL_CERTS_BUNDLE_H

#include "common/err.h"

/* When the first of the file's certificates ends, UTC seconds. ERR_CONFIG names the file: unreadable, without a certificate, a broken one in it. */
bool certs_bundle_expiry(const char *file, int64_t *ret_not_after, struct err *err) MUST_USE;

/* ERR_CONFIG when a CA of one file is also one of the other, has the same key, or is signed by one of the other: a certificate of one side could then
 * be good on the other. */
bool certs_bundle_disjoint(const char *file, const char *other, struct err *err) MUST_USE;

#endif
