/* Who a certificate speaks for, and whether it is of the kind we accept at all. Chain building is OpenSSL's; this is what Pawl demands beyond it. */
#ifndef PAWL_CERTS_IDENTITY_H
#define PAWL_CERTS_IDENTITY_H

#include "certs/x509.h"

enum { CERTS_MAX_CHAIN = 3 };

/* Whose id is looked for, and where it stands. The zero value is the stricter. */
enum certs_id_source {
    CERTS_ID_SAN_URI = 0, /* exactly one SAN URI in all, urn:pawl:device:<id>, byte-exact */
    CERTS_ID_COMMON_NAME, /* exactly one CN in the subject: for certificates a factory has already made */
    CERTS_ID_ADMIN_URI,   /* an administrator: exactly one SAN URI in all, urn:pawl:admin:<name> */
};

struct certs_identity {
    char id[CERTS_ID_SIZE];
    uint8_t spki_sha256[32]; /* SHA-256 of the SubjectPublicKeyInfo, DER: the pin */
    int64_t not_before;      /* UTC seconds */
    int64_t not_after;
};

/* Runs certs_identity_check_leaf() first. ERR_IDENTITY names what is wrong. */
bool certs_identity_from_x509(X509 *certificate, enum certs_id_source source, struct certs_identity *ret_identity, struct err *err) MUST_USE;

/* A client's end certificate: X.509 v3, extended key usage with clientAuth (anyExtendedKeyUsage is not enough), basic constraints not CA, key usage
 * (if there) with digitalSignature, key and signature as certs_identity_check_strength(). */
bool certs_identity_check_leaf(X509 *certificate, struct err *err) MUST_USE;

/* P-256, P-384, Ed25519 or RSA of 2,048 to 8,192 bits; signed with SHA-256, SHA-384, SHA-512 or Ed25519. */
bool certs_identity_check_strength(X509 *certificate, struct err *err) MUST_USE;

/* The two halves of it. signature: an OpenSSL NID; RSA-PSS, whose digest is a parameter, is not among the good ones. */
bool certs_identity_check_key(EVP_PKEY *key, struct err *err) MUST_USE;
bool certs_identity_good_signature(int signature) MUST_USE;

/* A verified chain, leaf first: at most CERTS_MAX_CHAIN certificates, each but the anchor (the last, trusted by configuration) of good strength. */
bool certs_identity_check_chain(const STACK_OF(X509) * chain, struct err *err) MUST_USE;

/* The pin of a certificate's key. */
bool certs_identity_pin(X509 *certificate, uint8_t ret_spki_sha256[32], struct err *err) MUST_USE;

#endif
