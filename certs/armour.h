/* Base64 as enrolment carries it (RFC 7030, RFC 8951), with whatever line breaks and PEM armour a client puts around. */
#ifndef PAWL_CERTS_ARMOUR_H
#define PAWL_CERTS_ARMOUR_H

#include "common/buf.h"

/* Appends the DER. ERR_INVALID naming `what` for anything that is not base64, or nothing. */
bool certs_armour_read(const char *text, size_t len, const char *what, struct buf *out, struct err *err) MUST_USE;

#endif
