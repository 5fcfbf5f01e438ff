#include "server/timers.h"

#include "common/clock.h"
#include "common/log.h"
#include "db/certificate.h"
#include "db/claim.h"
#include "db/delivery.h"
#include "db/deployment.h"
#include "db/event.h"
#include "db/idempotency.h"
#include "db/image.h"
#include "server/checkpoints.h"
#include "server/scrub.h"

/* A timestamp lives 24 h and is renewed after 6. */
enum { TIMESTAMP_LIFE_S = 24 * 3600 };

enum { DELIVERY_KEEP_S = 30 * 24 * 3600, ENROLMENT_KEEP_S = 30 * 24 * 3600 /* behind the end of a claim, and of what may be renewed */ };

static bool renewal_due(const struct server *server, int64_t now) {
    if (atomic_load(&server->served.roles[API_SERVED_SNAPSHOT].version) == 0)
        return false;
    int64_t expires_at = atomic_load(&server->served.roles[API_SERVED_TIMESTAMP].expires_at);
    return now >= expires_at - TIMESTAMP_LIFE_S + API_SERVED_RENEW_S;
}

static bool renew(struct db_conn *tx, void *arg, struct err *err) {
    struct server *server = arg;
    int64_t now = clock_now();
    return !renewal_due(server, now) || api_served_renew(tx, &server->env, now, err);
}

static bool purge(struct db_conn *tx, void *arg, struct err *err) {
    struct server *server = arg;
    int64_t now = clock_now();
    size_t replies, events, images, deliveries, claims, certificates, deployments;
    const struct server_config *config = atomic_load(&server->live);
    if (!db_idempotency_purge(tx, now, &replies, err) || !db_event_purge(tx, now - config->fleet.event_keep, &events, err) ||
        !db_image_collect(tx, now, &images, err) || !db_delivery_purge(tx, now - DELIVERY_KEEP_S, &deliveries, err) ||
        !db_claim_purge(tx, now - ENROLMENT_KEEP_S, &claims, err) ||
        !db_certificate_purge(tx, now - config->enrolment.renew_expired - ENROLMENT_KEEP_S, &certificates, err) ||
        !db_deployment_prune(tx, now - config->fleet.event_keep, &deployments, err))
        return false;
    /* A slice of each at a time, so that nobody waits long for the writer. */
    atomic_store(&server->purge_again, replies + events + images + deliveries + claims + certificates + deployments > 0);
    return true;
}

static void renewed(void *arg, bool ok, const struct err *err) {
    (void)arg;
    if (!ok)
        log_err(LOG_ERROR, "the timestamp could not be renewed", err);
}

static void purged(void *arg, bool ok, const struct err *err) {
    (void)arg;
    if (!ok)
        log_err(LOG_ERROR, "old rows could not be removed", err);
}

static void submit(struct server *server, bool (*run)(struct db_conn *, void *, struct err *), void (*done)(void *, bool, const struct err *)) {
    struct err err;
    const struct db_job job = {.run = run, .done = done, .arg = server};
    if (!db_submit(server->db, &job, &err))
        log_err(LOG_WARN, "the writer takes no work", &err);
}

static bool due(int64_t *at_ms, int64_t every_ms, int64_t mono_ms) {
    if (mono_ms < *at_ms)
        return false;
    *at_ms = mono_ms + every_ms;
    return true;
}

void timers_run(struct timers *timers, struct server *server, int64_t mono_ms) {
    if (due(&timers->flush_at_ms, atomic_load(&server->live)->fleet.flush * 1000, mono_ms))
        db_registry_flush(server->db);
    if (due(&timers->renew_at_ms, TIMERS_RENEW_CHECK_MS, mono_ms) && renewal_due(server, clock_now()))
        submit(server, renew, renewed);
    if (atomic_exchange(&server->purge_again, false) || due(&timers->purge_at_ms, TIMERS_PURGE_MS, mono_ms))
        submit(server, purge, purged);
    checkpoints_run(server, mono_ms);
    scrub_collect(server);
}

bool timers_renew_now(struct server *server, struct err *err) {
    return !renewal_due(server, clock_now()) || db_write(server->db, renew, server, err);
}
