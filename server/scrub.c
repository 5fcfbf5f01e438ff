#include "server/scrub.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "db/event.h"
#include "db/scrub.h"

/* Handed to the writer, with the arena that everything lives in. */
struct told {
    struct arena arena;
    struct db_scrub_report report;
    int64_t at;
};

static bool write_events(struct db_conn *tx, void *arg, struct err *err) {
    const struct told *told = arg;
    for (size_t i = 0; i < told->report.finding_count; i++) {
        const struct db_scrub_finding *finding = &told->report.findings[i];
        char kind[32], detail[128];
        snprintf(kind, sizeof(kind), "image-%s", db_scrub_fault_name(finding->fault));
        snprintf(detail, sizeof(detail), "{\"sha256\":\"%s\",\"by\":\"scrub\"}", finding->sha256);
        if (!db_event_insert(tx, told->at, kind, NULL, detail, err))
            return false;
    }
    return true;
}

static void release(void *arg, bool ok, const struct err *err) {
    struct told *told = arg;
    if (!ok)
        log_err(LOG_ERROR, "what the scrub found could not be written", err);
    arena_clear(&told->arena);
    free(told);
}

static void note(struct server_scrub *scrub, const struct told *told) {
    atomic_store(&scrub->at, told->at);
    atomic_store(&scrub->images, told->report.images);
    for (int i = 0; i < DB_SCRUB_FAULT_COUNT; i++)
        atomic_store(&scrub->faults[i], told->report.faults[i]);
}

void scrub_collect(struct server *server) {
    struct told *told = calloc(1, sizeof(*told));
    struct err err;
    bool found = false;
    if (told == NULL)
        return;
    arena_init(&told->arena, 4 << 20);
    if (!db_scrub_collect(server->config.store.data, &told->arena, &told->report, &told->at, &found, &err)) {
        log_err(LOG_WARN, "what a scrub left cannot be taken", &err);
        found = false;
    }
    const struct db_job job = {.run = write_events, .done = release, .arg = told};
    if (found)
        note(&server->scrub, told);
    if (found && db_submit(server->db, &job, &err))
        return;
    if (found)
        log_err(LOG_WARN, "the writer takes no work", &err);
    arena_clear(&told->arena);
    free(told);
}
