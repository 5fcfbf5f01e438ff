/* The thread that empties the queue of deliveries: signs, sends, writes down what became of it. It never holds up a request. */
#ifndef PAWL_SERVER_DELIVERIES_H
#define PAWL_SERVER_DELIVERIES_H

#include "server/server.h"

struct deliveries;

/* Starts the thread; nothing when webhooks are switched off. webhook_global_start() has been called. */
bool deliveries_start(struct server *server, struct err *err) MUST_USE;

/* Lets go of what is under way: it stays in the queue. Before db_close() … */
void deliveries_stop(struct server *server);

/* … and after it, when nobody wakes it any more. */
void deliveries_free(struct server *server);

/* There may be something in the queue. Any thread. */
void deliveries_wake(struct server *server);

/* How long a delivery waits after its nth failure: first × 2^(n−1), at most `most`, a quarter more or less by chance (0 ≤ chance < 1000). Seconds. */
int64_t deliveries_backoff(int64_t attempts, int64_t first, int64_t most, int64_t chance);

/* webhook-signature: "v1,<base64>" for each secret, separated by a space; over "<id>.<timestamp>.<body>" (Standard Webhooks). */
bool deliveries_sign(const void *secret, size_t secret_len, const char *id, int64_t timestamp, const struct buf *body, struct buf *out,
                     struct err *err) MUST_USE;

#endif
