/* When the configured certificates expire. */
#ifndef PAWL_SERVER_EXPIRY_H
#define PAWL_SERVER_EXPIRY_H

#include "server/server.h"

/* What the files say, read anew when that is a minute old: they may have been replaced. A file that cannot be read or holds no certificate is left
 * out. How many. Any thread. */
size_t expiry_certificates(struct server *server, struct api_expiry ret_expiries[API_EXPIRIES_CERTIFICATES]);

/* The files changed: the next question reads them. */
void expiry_forget(struct server *server);

#endif
