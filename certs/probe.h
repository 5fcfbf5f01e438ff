/* One request over TLS to a server that is known by its certificate alone: for `pawld health`, which asks the server beside it. */
#ifndef PAWL_CERTS_PROBE_H
#define PAWL_CERTS_PROBE_H

#include "common/buf.h"

/* fd: a connected socket with its timeouts set. The server must show a certificate of the PEM file, or one signed by it, and prove its key.
 * Sends the request and appends at least min_bytes of the reply. ERR_CONFIG: the file; ERR_TLS; ERR_NETWORK: cut or timed out. */
bool certs_probe(int fd, const char *certificate_file, const char *request, size_t min_bytes, struct buf *reply, struct err *err) MUST_USE;

#endif
