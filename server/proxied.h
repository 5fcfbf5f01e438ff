/* The beginning of a connection that a balancer has made: its PROXY header, before the handshake. */
#ifndef PAWL_SERVER_PROXIED_H
#define PAWL_SERVER_PROXIED_H

#include "server/conn.h"

/* True: the header is read, and the connection is its client's from here on. False: not complete, or refused (the connection is dead then). */
bool proxied_begin(struct front_conn *conn) MUST_USE;

#endif
