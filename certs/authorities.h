/* The CAs that a listener believes, and what they have revoked: read and verified once, immutable after that. */
#ifndef PAWL_CERTS_AUTHORITIES_H
#define PAWL_CERTS_AUTHORITIES_H

#include <openssl/x509.h>

#include "certs/lineage.h"
#include "common/err.h"
#include "common/hash.h"

enum { CERTS_CRL_ISSUER_SIZE = 200, CERTS_MAX_CRLS = 64 };

/* A revocation list as it was loaded. */
struct certs_crl {
    char issuer[CERTS_CRL_ISSUER_SIZE]; /* "CN=Device CA,O=Example" (RFC 2253), cut when longer */
    int64_t next_update;                /* UTC seconds: no news by then is an alarm; INT64_MAX: it does not say */
    size_t revoked;                     /* certificates in it */
};

struct certs_authorities {
    STACK_OF(X509) * anchors;
    int factory_from;     /* the anchors from this one on are factories' */
    uint64_t *anchor_ids; /* as many */
    struct certs_crl crls[CERTS_MAX_CRLS];
    size_t crl_count;
    uint64_t *revoked;           /* open addressing; 0: a free place */
    size_t places;               /* a power of two, or 0 */
    size_t revoked_count;        /* places taken, at most half of them */
    uint8_t digest[SHA256_SIZE]; /* of every CA and every CRL, in the order of the files */
};

/* CAs and what they have revoked. */
struct certs_trust_files {
    const char *ca;  /* PEM, each certificate in it is an anchor; NULL: none of this kind */
    const char *crl; /* NULL: none; else any number of CRLs in PEM, or one in DER, each signed by a CA of this ca that may sign CRLs */
};

/* factory: a second kind of certificate, shown on the same listener. A list past its next update is taken: that is an alarm, no reason to let nobody
 * in. ERR_CONFIG names the file and what is wrong: unreadable, signed by nobody known, a delta or an indirect CRL, an unknown critical extension. */
bool certs_authorities_load(const struct certs_trust_files *own, const struct certs_trust_files *factory, struct certs_authorities **ret_authorities,
                            struct err *err) MUST_USE;
void certs_authorities_free(struct certs_authorities *authorities); /* NULL is fine */

/* Is this anchor of a verified chain one of the factories'? */
bool certs_authorities_is_factory(const struct certs_authorities *authorities, X509 *anchor) MUST_USE;

/* Of a verified chain, leaf first, the anchor last. ERR_IDENTITY: longer than CERTS_LINEAGE and the anchor. */
bool certs_lineage_of(const STACK_OF(X509) * chain, struct certs_lineage *ret_lineage, struct err *err) MUST_USE;

/* Still good? ERR_IDENTITY says that no CA of it is believed any more, or that it is revoked. A lineage of zeros is refused. */
bool certs_authorities_admit(const struct certs_authorities *authorities, const struct certs_lineage *lineage, struct err *err) MUST_USE;

/* The names behind the numbers, for whoever reads CRLs. */
bool certs_authority_id(X509 *authority, uint64_t *ret_id, struct err *err) MUST_USE;
bool certs_serial_id(uint64_t issuer, const ASN1_INTEGER *serial, uint64_t *ret_id, struct err *err) MUST_USE;

#endif
