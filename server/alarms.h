/* What stops working at a known time, told before or when it does: certificates of the server, of CAs and of devices, revocation lists. */
#ifndef PAWL_SERVER_ALARMS_H
#define PAWL_SERVER_ALARMS_H

#include "server/server.h"

enum { ALARMS_EVERY_MS = 60 * 1000, ALARMS_AGAIN_MS = 24 * 3600 * 1000, ALARMS_DEVICES_MS = 3600 * 1000, ALARMS_DEVICES_MAX = 500 };

/* The main thread's; zeros at start. */
struct alarms {
    int64_t look_at_ms, devices_at_ms; /* when the next look is due */
    int64_t told_at_ms;
    size_t told; /* so many the last time */
};

/* Looks at what is due. What is on is logged and becomes events (certificate-expiring, crl-expired): when there is more of it than before, and once a
 * day. Of devices each certificate becomes one event. */
void alarms_run(struct alarms *alarms, struct server *server, int64_t mono_ms);

/* The files were read again: everything is looked at, and told, anew. */
void alarms_reset(struct alarms *alarms);

/* Gauges of revocation lists and of devices' certificates. */
void alarms_metrics(struct server *server, struct db_conn *db, struct buf *out);

#endif
