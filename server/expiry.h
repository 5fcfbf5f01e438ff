/* When the configured certificates expire. */
#ifndef PAWL_SERVER_EXPIRY_H
#define PAWL_SERVER_EXPIRY_H

#include "server/server.h"

/* Reads the files again: they may have been replaced. A file that cannot be read or holds no certificate is left out. How many. */
size_t expiry_certificates(struct server *server, struct api_expiry ret_expiries[API_EXPIRIES_CERTIFICATES]);

#endif
