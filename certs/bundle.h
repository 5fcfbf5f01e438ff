/* Files that hold several certificates: sets of CAs. */
#ifndef PAWL_CERTS_BUNDLE_H
#define PAWL_CERTS_BUNDLE_H

#include "common/err.h"

struct stack_st_X509;

/* Every certificate of a PEM file; the caller's to free. NULL, with ERR_CONFIG: it cannot be read, holds no certificate or a broken one. */
struct stack_st_X509 *certs_bundle_read(const char *file, struct err *err) MUST_USE;

/* The same from memory; `what` names the text in messages. */
struct stack_st_X509 *certs_bundle_parse(const void *pem, size_t len, const char *what, struct err *err) MUST_USE;
void certs_bundle_free(struct stack_st_X509 **bundle); /* fits CLEANUP */

/* ERR_CONFIG when a CA of one file is also one of the other, has the same key, or is signed by one of the other: a certificate of one side could then
 * be good on the other. ERR_CONFIG names a file that cannot be read, holds no certificate or a broken one. */
bool certs_bundle_disjoint(const char *file, const char *other, struct err *err) MUST_USE;

/* ERR_CONFIG unless the first certificate of the other file is one of this file. */
bool certs_bundle_holds(const char *file, const char *other, struct err *err) MUST_USE;

#endif
