/* The statuses that Pawl sends (RFC 9110 §15, RFC 6585), and 499 for the log and the metrics: the client left before its request was complete. */
#ifndef PAWL_SERVER_STATUS_H
#define PAWL_SERVER_STATUS_H

#include <stddef.h>

enum { STATUS_COUNT = 31, STATUS_GONE = 499 };

/* "Not Found"; never NULL, "Status" for one that is not in the table. */
const char *status_phrase(int status);

/* Its place in the table; STATUS_COUNT: it has none. */
size_t status_index(int status);
int status_at(size_t index); /* 0 for STATUS_COUNT */

#endif
