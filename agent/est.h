/* One request for a certificate (EST, RFC 7030): PKCS#10 there, PKCS#7 back. */
#ifndef PAWL_AGENT_EST_H
#define PAWL_AGENT_EST_H

#include "agent/transport.h"

/* What is asked for, and with what. */
struct agent_est {
    struct agent_transport *transport; /* to the listener that serves the path, with the certificate that is shown there */
    const char *path;                  /* AGENT_EST_ENROL or AGENT_EST_RENEW */
    const char *id;                    /* of this device */
    const char *claim;                 /* NULL: none is shown */
    const struct buf *key;             /* PEM, that the certificate is for */
    bool by_common_name;               /* as the server's tls.identity */
};

#define AGENT_EST_ENROL "/.well-known/est/simpleenroll"
#define AGENT_EST_RENEW "/.well-known/est/simplereenroll"

/* The certificate as PEM: for this id and this key. ERR_DEVICE_PENDING: not yet. The server's refusals as they are; ERR_KEY, ERR_IDENTITY: it sent
 * somebody else's. */
bool agent_est_ask(const struct agent_est *est, struct buf *ret_certificate, struct err *err) MUST_USE;

#endif
