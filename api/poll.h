/* A poll, whatever the protocol: noted, decided, and made durable when it must be. */
#ifndef PAWL_API_POLL_H
#define PAWL_API_POLL_H

#include "api/api.h"
#include "db/catalog.h"

/* What the poll says, and what it is answered. */
struct api_poll {
    struct db_observation seen; /* .place is filled in by api_poll_decide() */
    bool ddi;                   /* the client is one of DDI */
    enum fleet_reason reason;
    int64_t deployment;
    bool optional;                    /* the device's user may postpone it */
    const struct db_release *release; /* with FLEET_REASON_OFFERED; in the catalog or the arena */
};

/* In memory alone on a worker; when there is something to write it sets call->defer_to_writer and nothing else. Fills call->device and the reply's
 * reason. */
bool api_poll_decide(struct api_call *call, const struct db_catalog *catalog, struct api_poll *poll, struct err *err) MUST_USE;

#endif
