#include "server/rollouts.h"

#include "common/clock.h"
#include "common/log.h"
#include "db/rollout_run.h"

/* The same trouble every second is told once a minute. */
static void tell(const struct err *err, int64_t *quiet_until_ms) {
    int64_t mono_ms = clock_mono_ms();
    if (mono_ms < *quiet_until_ms)
        return;
    *quiet_until_ms = mono_ms + ROLLOUTS_QUIET_MS;
    log_err(LOG_ERROR, "rollouts wait for the store", err);
}

static void *run(void *arg) {
    struct server *server = arg;
    int64_t quiet_until_ms = 0;
    do {
        const struct db_rollout_rules rules = {.approval_above = atomic_load(&server->env.settings.approval_above)};
        struct err err;
        if (!db_rollout_run(server->db, server->rollouts.reader, &rules, clock_now(), &err))
            tell(&err, &quiet_until_ms);
    } while (db_rollout_wait(server->db, ROLLOUTS_TICK_MS));
    return NULL;
}

bool rollouts_start(struct server *server, struct err *err) {
    if (!db_reader_open(server->db, &server->rollouts.reader, err))
        return false;
    if (pthread_create(&server->rollouts.thread, NULL, run, server) != 0)
        return err_set(err, ERR_INTERNAL, "cannot start the thread of the rollouts");
    server->rollouts.started = true;
    return true;
}

void rollouts_stop(struct server *server) {
    if (server->rollouts.started) {
        db_rollout_wake(server->db, true);
        pthread_join(server->rollouts.thread, NULL);
        server->rollouts.started = false;
    }
    db_reader_close(server->rollouts.reader);
    server->rollouts.reader = NULL;
}
