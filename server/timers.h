/* What happens by the clock: flushes, the timestamp's renewal, what has had its time. Called by the main thread between signals. */
#ifndef PAWL_SERVER_TIMERS_H
#define PAWL_SERVER_TIMERS_H

#include "server/server.h"

struct timers {
    int64_t flush_at_ms; /* monotonic */
    int64_t purge_at_ms;
    int64_t renew_at_ms;
};

enum { TIMERS_TICK_MS = 1000, TIMERS_PURGE_MS = 600 * 1000, TIMERS_RENEW_CHECK_MS = 60 * 1000 };

/* Does what is due; never waits for the writer. */
void timers_run(struct timers *timers, struct server *server, int64_t mono_ms);

/* At start, before anything is served: waits until a timestamp that is due has been renewed. */
bool timers_renew_now(struct server *server, struct err *err) MUST_USE;

#endif
