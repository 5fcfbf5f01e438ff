/* What the process counts, and /metrics in Prometheus text. Counting is wait-free. */
#ifndef PAWL_SERVER_METRICS_H
#define PAWL_SERVER_METRICS_H

#include <stdatomic.h>

#include "api/api.h"
#include "fleet/offer.h"
#include "server/status.h"
#include "server/wire.h"

enum { METRICS_ROUTES = 256, METRICS_TIMES = 10 };

struct metrics {
    _Atomic uint64_t requests[METRICS_ROUTES][STATUS_COUNT + 1]; /* by status_index(), the last: any other */
    _Atomic uint64_t duration_us[METRICS_ROUTES];
    _Atomic uint64_t bytes[METRICS_ROUTES];
    _Atomic uint64_t unrouted[STATUS_COUNT + 1];
    _Atomic uint64_t times[WIRE_COLUMNS][METRICS_TIMES + 1];
    _Atomic uint64_t times_sum_us[WIRE_COLUMNS];
    _Atomic uint64_t polls[FLEET_REASON_COUNT];
    _Atomic uint64_t polls_refused[ERR_CODE_COUNT];
};

struct server;

void metrics_count(struct metrics *metrics, const struct api_call *call, uint64_t bytes_sent, int64_t duration_us);

/* db: a connection for counting deployments. */
void metrics_write(struct server *server, struct db_conn *db, struct buf *out);

/* Its parts: metrics_fleet.c, metrics_process.c. */
void metrics_write_fleet(struct server *server, struct db_conn *db, struct buf *out);
void metrics_write_process(struct server *server, struct buf *out);

#endif
