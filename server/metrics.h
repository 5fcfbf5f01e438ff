/* What the process counts, and /metrics in Prometheus text. Counting is wait-free. */
#ifndef PAWL_SERVER_METRICS_H
#define PAWL_SERVER_METRICS_H

#include <stdatomic.h>

#include "api/api.h"
#include "fleet/offer.h"

enum { METRICS_ROUTES = 256, METRICS_STATUSES = 32, METRICS_LISTENERS = 3, METRICS_TIMES = 10 };

struct metrics {
    _Atomic uint64_t requests[METRICS_ROUTES][METRICS_STATUSES]; /* last status column: any other */
    _Atomic uint64_t duration_us[METRICS_ROUTES];
    _Atomic uint64_t bytes[METRICS_ROUTES];
    _Atomic uint64_t unrouted[METRICS_STATUSES];
    _Atomic uint64_t times[METRICS_LISTENERS][METRICS_TIMES + 1]; /* device, enrolment, admin */
    _Atomic uint64_t times_sum_us[METRICS_LISTENERS];
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
