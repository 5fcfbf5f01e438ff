/* What the files of certs/ share: OpenSSL's types with CLEANUP(), and what more than one of them asks of a certificate. */
#ifndef PAWL_CERTS_X509_H
#define PAWL_CERTS_X509_H

#include <openssl/x509.h>

#include "common/err.h"

enum { CERTS_ID_SIZE = 65 };

/* Fit CLEANUP(); NULL is fine. They empty OpenSSL's queue of errors, which TLS code on the same thread must not find. */
void certs_x509_free(X509 **certificate);
void certs_x509_free_key(EVP_PKEY **key);
void certs_x509_free_bio(BIO **bio);
void certs_x509_free_der(unsigned char **der);

/* UTC seconds; false for NULL and for what is no time. */
bool certs_x509_time(const ASN1_TIME *when, int64_t *ret_time) MUST_USE;

/* The id that exactly len bytes are; false: a NUL inside, or no identifier. */
bool certs_x509_id(const unsigned char *text, size_t len, char ret_id[CERTS_ID_SIZE]) MUST_USE;

/* The subject's common name; false: there is not exactly one, or it is no identifier. */
bool certs_x509_common_name(const X509_NAME *subject, char ret_id[CERTS_ID_SIZE]) MUST_USE;

#endif
