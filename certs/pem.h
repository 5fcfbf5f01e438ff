/* Whom a certificate file speaks for: for programs that hold one and do not speak OpenSSL themselves. */
#ifndef PAWL_CERTS_PEM_H
#define PAWL_CERTS_PEM_H

#include "common/err.h"

enum { CERTS_PEM_ID_SIZE = 65, CERTS_PEM_PIN_SIZE = 65 };

struct certs_pem_identity {
    char id[CERTS_PEM_ID_SIZE];
    char spki_sha256[CERTS_PEM_PIN_SIZE]; /* lower-case hex */
    int64_t not_before;                   /* UTC seconds */
    int64_t not_after;
};

/* The first certificate in PEM text, held to the same rules as a server holds it to. by_common_name: the id is the subject's CN instead of the SAN
 * URI urn:pawl:device:<id>. `what` names the text in messages. ERR_IDENTITY; ERR_FORMAT when there is no certificate in it. */
bool certs_pem_device(const void *pem, size_t len, const char *what, bool by_common_name, struct certs_pem_identity *ret_identity,
                      struct err *err) MUST_USE;

/* The earliest expiry of all certificates in PEM text, in UTC seconds. ERR_FORMAT when there is none in it. */
bool certs_pem_expiry(const void *pem, size_t len, const char *what, int64_t *ret_not_after, struct err *err) MUST_USE;

#endif
