/* The CA that issues device certificates, when the server has its key. */
#ifndef PAWL_CERTS_ISSUE_H
#define PAWL_CERTS_ISSUE_H

#include "common/arena.h"
#include "common/buf.h"

enum { CERTS_SERIAL_SIZE = 33, CERTS_CLOCK_SKEW_S = 300 };

/* CA certificate and key. Immutable once loaded; any number of threads may issue with one. */
struct certs_issuer;

/* certificate_file: PEM; its first certificate is the CA. key_file: encrypted PKCS#8 PEM that group and others cannot read. ERR_CONFIG: no CA
 * certificate, or one that may not sign; ERR_KEY: not that CA's key, badly protected, or not encrypted; ERR_PASSPHRASE. */
bool certs_issue_load(const char *certificate_file, const char *key_file, const void *passphrase, size_t passphrase_len,
                      struct certs_issuer **ret_issuer, struct err *err) MUST_USE;
void certs_issue_free(struct certs_issuer *issuer); /* NULL is fine */

/* The same CA with the same certificate? NULL is nobody. */
bool certs_issue_same(const struct certs_issuer *issuer, const struct certs_issuer *other) MUST_USE;

/* SHA-256 of the CA's public key. */
const uint8_t *certs_issue_pin(const struct certs_issuer *issuer);

/* What a certificate is made of; everything else in it is ours. */
struct certs_order {
    const char *device_id;
    const uint8_t *spki; /* SubjectPublicKeyInfo, DER */
    size_t spki_len;
    int64_t now;
    int64_t lifetime_s;
};

struct certs_issued {
    char serial[CERTS_SERIAL_SIZE]; /* lower-case hex, random */
    const void *der;                /* in the arena */
    size_t len;
    int64_t not_before; /* CERTS_CLOCK_SKEW_S before now: devices' clocks differ */
    int64_t not_after;  /* never after the CA's own */
};

/* Subject CN and SAN URI urn:pawl:device:<id>, EKU clientAuth, not a CA. ERR_EXPIRED: the CA's certificate is not valid now. */
bool certs_issue_sign(const struct certs_issuer *issuer, const struct certs_order *order, struct arena *arena, struct certs_issued *ret_issued,
                      struct err *err) MUST_USE;

#endif
