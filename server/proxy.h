/* The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): what a TCP balancer says of its client before the client's first byte. Pure:
 * it reads bytes, and lists of the balancers that are believed. */
#ifndef PAWL_SERVER_PROXY_H
#define PAWL_SERVER_PROXY_H

#include <sys/socket.h>

#include "common/defs.h"

enum { PROXY_MAX = 2048, PROXY_V1_MAX = 107 };

/* The zero value is the worst. */
enum proxy_verdict {
    PROXY_REFUSED = 0, /* no header, a broken one, one that is longer than PROXY_MAX, or of a client that did not come by TCP */
    PROXY_MORE,        /* good so far, not complete */
    PROXY_DONE,
};

struct proxy_header {
    size_t len;      /* bytes of the header: what follows is the client's */
    bool has_source; /* false: the balancer speaks for itself (LOCAL), or does not know (UNKNOWN, UNSPEC) */
    struct sockaddr_storage source;
};

/* What stands at the beginning of a connection. ret_header is written at PROXY_DONE. */
enum proxy_verdict proxy_parse(const void *data, size_t len, struct proxy_header *ret_header) MUST_USE;

#endif
