/* The front: a client's connection from accept() to close(), with TLS on one side and a link to the HTTP library on the other, and the gate between.
 * Everything here belongs to the worker's thread. */
#ifndef PAWL_SERVER_FRONT_H
#define PAWL_SERVER_FRONT_H

#include <sys/socket.h>

#include "server/gate.h"
#include "server/worker.h"

/* Takes the descriptor. Refuses (closes) what is over a ceiling. */
void front_accept_take(struct worker *worker, const struct worker_listener *listener, int fd, const struct sockaddr_storage *address);

/* The deadline of one of the worker's connections has come. */
void front_deadline(struct worker *worker, struct deadline *deadline);

/* After http_run(): what the library has put into the links that were fed. */
void front_after_http(struct worker *worker);

/* Those that had had their turn: the list from worker->again. */
void front_go_on(struct front_conn *list);

/* A link's reply is complete (http_options.reply_done). */
void front_reply_done(void *conn, const struct api_call *call);

/* Closes idle connections, the others after their reply. */
void front_drain(struct worker *worker);

/* Cuts every connection of a device; NULL: all of the worker. */
void front_cut(struct worker *worker, const char *device_id);

/* CAs or CRLs have changed: cuts every connection whose certificate is good no more. */
void front_recheck(struct worker *worker);

/* Frees those that were closed in this turn. */
void front_reap(struct worker *worker);

#endif
