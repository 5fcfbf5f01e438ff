/* Requests without a body are answered by the front itself, from the head that the gate has read; all others go through the HTTP library.
 * The same request.c stands behind both: a client cannot tell them apart. */
#ifndef PAWL_SERVER_DIRECT_H
#define PAWL_SERVER_DIRECT_H

#include "server/conn.h"

/* GET or HEAD, nothing behind the head. head: what the gate has just found complete. */
bool direct_takes(const struct gate *gate, const char *head);

/* Takes the head over (a copy) and runs the request; the phase is FRONT_DIRECT afterwards. False: no memory. */
bool direct_begin(struct front_conn *conn, const char *head) MUST_USE;

/* The step of FRONT_DIRECT (pump.c): sends the reply; at its end the phase is another. */
bool direct_step(struct front_conn *conn);

/* The connection goes; the reply, if any, does not go out whole. */
void direct_drop(struct front_conn *conn);

#endif
