/* Replies that are made while they are sent (struct api_pull): the front asks for one piece after the other, as the client takes them, in chunked
 * coding (RFC 9112 §7.1). Everything here belongs to the worker's thread. */
#ifndef PAWL_SERVER_PULL_H
#define PAWL_SERVER_PULL_H

#include "server/conn.h"

/* Is the reply of this kind, and not at its end? */
bool pull_is_open(const struct request *request);

/* The next piece becomes what is left of the connection's body. When there is none for now, the request's step is REQUEST_WAITING. False: it failed
 * and was logged; the rest of the reply cannot follow. */
bool pull_next(struct front_conn *conn) MUST_USE;

/* Waiting: until the deadline that pull_wait() sets, until news, or until the connection is to end. Then it goes on in the worker's next turn. */
bool pull_waits(const struct front_conn *conn);
void pull_wait(struct front_conn *conn);
void pull_go_on(struct front_conn *conn);

/* The deadline of a waiting one has come: asks again. False: the client has acknowledged nothing for too long. */
bool pull_deadline(struct front_conn *conn) MUST_USE;

/* There is news: those of this worker that wait are asked again, in its next turn. */
void pull_wake(struct worker *worker);

/* The connection is going. */
void pull_drop(struct front_conn *conn);

#endif
