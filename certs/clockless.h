/* TLS on a device that has no clock: chains are built and names compared as ever, but nothing is expired or not yet valid. */
#ifndef PAWL_CERTS_CLOCKLESS_H
#define PAWL_CERTS_CLOCKLESS_H

#include "common/err.h"

/* tls_context is an SSL_CTX (void, for callers that do not speak OpenSSL). */
bool certs_clockless(void *tls_context, struct err *err) MUST_USE;

#endif
