#include "api/poll.h"

#include <stdlib.h>
#include <string.h>

#include "api/env.h"
#include "api/notice.h"
#include "db/ddi.h"
#include "db/device.h"
#include "db/offer.h"

struct newcomer {
    char id[DB_DEVICE_ID_SIZE];
    int64_t now;
    struct db_observation seen;
};

static void note_newcomer(struct db *db, void *arg, bool committed) {
    const struct newcomer *newcomer = arg;
    bool must_write;
    if (committed && !db_registry_seen(db, newcomer->id, newcomer->now, &newcomer->seen, &must_write))
        must_write = false; /* it is gone again */
    free(arg);
}

/* A device that this very call registers is in the registry only after COMMIT: it is seen then. */
static bool see_newcomer(struct api_call *call, struct err *err) {
    struct db_device_hot hot;
    if (db_registry_get(call->env->db, call->identity.id, &hot))
        return true;
    struct newcomer *newcomer = calloc(1, sizeof(*newcomer));
    if (newcomer == NULL)
        return err_no_memory(err);
    memcpy(newcomer->id, call->identity.id, sizeof(newcomer->id));
    newcomer->now = call->now;
    newcomer->seen.certificate_expires_at = call->identity.not_after;
    if (db_on_commit(call->db, note_newcomer, newcomer, err))
        return true;
    free(newcomer);
    return false;
}

/* On the writer: what was seen becomes durable, and so does the offer. */
static bool decide_writing(struct api_call *call, const struct db_catalog *catalog, struct api_poll *poll, struct err *err) {
    struct db_offered offered;
    if (!see_newcomer(call, err) || !api_notice_alternation(call, err) ||
        (call->device.ddi_client != poll->ddi && !db_ddi_device_client(call->db, call->identity.id, poll->ddi, err)) ||
        !db_device_observe(call->db, call->identity.id, &poll->seen, call->now, err) ||
        !db_deployment_offer(call->db, call->identity.id, call->now, &offered, err))
        return false;
    poll->reason = offered.reason;
    poll->deployment = offered.deployment;
    poll->optional = db_offer_is_optional(catalog, offered.rollout);
    if (offered.reason != FLEET_REASON_OFFERED)
        return true;
    struct db_release *release = arena_alloc(call->arena, sizeof(*release));
    if (release == NULL)
        return err_no_memory(err);
    poll->release = release;
    return db_release_get(call->db, offered.release, call->arena, release, err);
}

/* On the worker: memory alone. Defers when there is something to write. */
static void decide_reading(struct api_call *call, const struct db_catalog *catalog, struct api_poll *poll) {
    struct db *db = call->env->db;
    bool must_write = false;
    if (!db_registry_seen(db, call->identity.id, call->now, &poll->seen, &must_write) || must_write ||
        !db_registry_get(db, call->identity.id, &call->device) || call->device.ddi_client != poll->ddi) {
        call->defer_to_writer = true;
        return;
    }
    struct fleet_offer offer = db_offer_decide(db, catalog, &call->device, call->now);
    if (db_offer_needs_write(&offer, &call->device)) {
        call->defer_to_writer = true;
        return;
    }
    poll->reason = offer.reason;
    if (offer.reason == FLEET_REASON_OFFERED) {
        poll->deployment = call->device.open_deployment;
        poll->optional = db_offer_is_optional(catalog, call->device.open_rollout);
        poll->release = db_catalog_release(catalog, offer.release->id);
    }
}

bool api_poll_decide(struct api_call *call, const struct db_catalog *catalog, struct api_poll *poll, struct err *err) {
    poll->seen.place = call->client_address;
    poll->seen.certificate_expires_at = call->identity.not_after;
    if (call->writing) {
        if (!decide_writing(call, catalog, poll, err))
            return false;
    } else {
        decide_reading(call, catalog, poll);
        if (call->defer_to_writer)
            return true;
    }
    call->reply.reason = fleet_reason_name(poll->reason);
    return poll->reason != FLEET_REASON_OFFERED || poll->release != NULL || err_set(err, ERR_INTERNAL, "the offered release left the catalog");
}
