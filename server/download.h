/* Downloads of images and what limits them: places for so many at once, and rates. Replies that the front sends itself (direct.c); an image leaves no
 * other way, because only a request without a body has one for an answer. */
#ifndef PAWL_SERVER_DOWNLOAD_H
#define PAWL_SERVER_DOWNLOAD_H

#include "server/conn.h"

/* Before the head of a reply that is made. True: go on; the reply may have become a 503 with Retry-After. False: it waits for a place and is asked
 * again after a deadline, or the connection is dead. */
bool download_begin(struct front_conn *conn) MUST_USE;

/* Are the body's bytes counted? */
bool download_is_paced(const struct front_conn *conn);

/* Cuts *max to what may leave now. False: nothing; a deadline is set. */
bool download_grant(struct front_conn *conn, size_t *max) MUST_USE;
void download_sent(struct front_conn *conn, size_t len);

/* True: the deadline was download_begin()'s or download_grant()'s: it goes on. */
bool download_deadline(struct front_conn *conn) MUST_USE;

/* The reply is sent, or the connection goes: its place is free, and so is the time of what was not sent. */
void download_leave(struct front_conn *conn);

#endif
