/* Certificate revocation lists in files. */
#ifndef PAWL_CERTS_CRL_H
#define PAWL_CERTS_CRL_H

#include "certs/authorities.h"

/* Reads every CRL of the file, verifies it against the anchors from this one on, and adds to crls and revoked. *hash takes in what was read.
 * ERR_CONFIG. */
bool certs_crl_load(const char *file, int first_anchor, struct certs_authorities *authorities, struct hash *hash, struct err *err) MUST_USE;

/* Is this certificate in the set? */
bool certs_crl_revoked(const struct certs_authorities *authorities, uint64_t certificate) MUST_USE;

#endif
