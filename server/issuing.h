/* The CA that issues device certificates: loaded at start, and again when the configuration's files are. */
#ifndef PAWL_SERVER_ISSUING_H
#define PAWL_SERVER_ISSUING_H

#include "server/server.h"

/* What [enrolment] ca_certificate and ca_key name, checked against [tls] device_ca; *ret_issuer NULL when they are not set. ERR_CONFIG, ERR_KEY,
 * ERR_PASSPHRASE. The caller's. */
bool issuing_open(const struct server_config *config, struct certs_issuer **ret_issuer, struct err *err) MUST_USE;

/* May it be taken? ERR_CONFIG: too many were since the start. */
bool issuing_has_room(const struct server *server, const struct certs_issuer *issuer, struct err *err) MUST_USE;

/* Every certificate from here on comes from this one (NULL: none is issued), for which there is room; the ones before are kept to the end, because a
 * certificate may be on its way with any of them. One thread at a time. */
void issuing_take(struct server *server, struct certs_issuer **issuer_take);

void issuing_drop(struct certs_issuer **issuer); /* fits CLEANUP */

/* All CAs of [tls] device_ca, for clients: PKCS#7, base64 in lines. Any thread. */
bool issuing_authorities(struct server *server, struct buf *out, struct err *err) MUST_USE;

#endif
