/* PKCS#7 that holds certificates and nothing else: what an enrolment server answers (RFC 7030 §4.1.3, §4.2.3). */
#ifndef PAWL_CERTS_PKCS7_H
#define PAWL_CERTS_PKCS7_H

#include "common/buf.h"

/* One certificate (DER), as base64 in lines. */
bool certs_pkcs7_one(const void *der, size_t len, struct buf *out, struct err *err) MUST_USE;

/* All certificates of PEM text, in their order. ERR_CONFIG naming `what` when there is none, or a broken one. */
bool certs_pkcs7_all(const void *pem, size_t len, const char *what, struct buf *out, struct err *err) MUST_USE;

/* The other way: the first certificate of a reply, as PEM. ERR_FORMAT. */
bool certs_pkcs7_first(const char *text, size_t len, struct buf *ret_pem, struct err *err) MUST_USE;

#endif
