/* Which CAs stand behind a certificate, small enough to be kept with each connection and each session: what a CA file or a CRL is held against
 * later, when the certificate itself is gone. */
#ifndef PAWL_CERTS_LINEAGE_H
#define PAWL_CERTS_LINEAGE_H

#include "common/defs.h"

enum { CERTS_LINEAGE = 2 }; /* certificates below the anchor */

/* Numbers are the first eight bytes of SHA-256; 0: none. All zero: there was no certificate. */
struct certs_lineage {
    uint64_t issuers[CERTS_LINEAGE];      /* CAs, by name and key: of the leaf, of the intermediate */
    uint64_t certificates[CERTS_LINEAGE]; /* by issuer and serial number, as a CRL names them: the leaf, the intermediate */
};

#endif
