/* The fleet in figures: devices, deployments, images. */
#include <stdio.h>
#include <stdlib.h>

#include "db/delivery.h"
#include "db/deployment.h"
#include "db/rollout.h"
#include "server/exposition.h"
#include "server/metrics.h"
#include "server/server.h"

enum {
    GROUPS_MAX = 500, /* series of pawl_devices_running at most */
    ROLLOUTS_MAX = 20
};

static void write_groups(struct server *server, struct buf *out) {
    struct db_registry_group *groups = calloc(GROUPS_MAX, sizeof(*groups));
    struct err unused;
    size_t count;
    if (groups == NULL || !db_registry_group(server->db, groups, GROUPS_MAX, &count, &unused)) {
        free(groups);
        return;
    }
    exposition_head(out, "pawl_devices_running", "gauge",
                    "Devices by product, version and state; the smallest groups together as product and version \"*\".");
    for (size_t i = 0; i < count; i++)
        exposition_sample(out, "pawl_devices_running", (int64_t)groups[i].count, "product", groups[i].others ? "*" : groups[i].product, "version",
                          groups[i].others ? "*" : groups[i].version, "state", fleet_device_state_name(groups[i].state), (const char *)NULL);
    free(groups);
}

static void write_members(const struct db_rollout *rollout, struct buf *out) {
    char id[24], phase[24];
    snprintf(id, sizeof(id), "%lld", (long long)rollout->id);
    for (size_t i = 0; i < rollout->plan.phase_count; i++)
        for (int state = 0; state < FLEET_MEMBER_STATE_COUNT; state++) {
            int64_t count = rollout->plan.phases[i].members[state];
            snprintf(phase, sizeof(phase), "%zu", i + 1);
            if (count > 0)
                exposition_sample(out, "pawl_rollout_members", count, "rollout", id, "product", rollout->plan.product, "phase", phase, "state",
                                  fleet_member_state_name((enum fleet_member_state)state), (const char *)NULL);
        }
}

/* How many rollouts are in each state, and how far those that run or are paused have come: the newest of them. */
static void write_rollouts(struct db_conn *db, struct buf *out) {
    static const enum fleet_rollout_state active[] = {FLEET_ROLLOUT_RUNNING, FLEET_ROLLOUT_PAUSED};
    struct arena arena CLEANUP(arena_clear);
    struct db_rollouts pages[ARRAY_LEN(active)];
    arena_init(&arena, 16 << 20);
    for (size_t i = 0; i < ARRAY_LEN(active); i++) {
        const struct db_rollout_filter filter = {.by_state = true, .state = active[i]};
        struct err unused;
        if (!db_rollout_list(db, &filter, &(struct db_list){.limit = ROLLOUTS_MAX}, &arena, &pages[i], &unused))
            return;
    }
    exposition_head(out, "pawl_rollouts", "gauge", "Rollouts that run or are paused, by state; 20 of each at most.");
    for (size_t i = 0; i < ARRAY_LEN(active); i++)
        exposition_sample(out, "pawl_rollouts", (int64_t)pages[i].count, "state", fleet_rollout_state_name(active[i]), (const char *)NULL);
    exposition_head(out, "pawl_rollout_members", "gauge", "Their devices by phase and state.");
    for (size_t i = 0; i < ARRAY_LEN(active); i++)
        for (size_t k = 0; k < pages[i].count; k++)
            write_members(&pages[i].items[k], out);
}

static void write_scrub(struct server *server, struct buf *out) {
    int64_t at = atomic_load(&server->scrub.at);
    if (at == 0)
        return;
    exposition_gauge(out, "pawl_scrub_timestamp_seconds", "When the images were last hashed again (Unix time).", at);
    exposition_gauge(out, "pawl_scrub_images", "Images that it looked at.", atomic_load(&server->scrub.images));
    exposition_head(out, "pawl_scrub_faults", "gauge", "What it found, by kind.");
    for (int i = 0; i < DB_SCRUB_FAULT_COUNT; i++)
        exposition_sample(out, "pawl_scrub_faults", atomic_load(&server->scrub.faults[i]), "kind", db_scrub_fault_name((enum db_scrub_fault)i),
                          (const char *)NULL);
}

static void write_deliveries(struct server *server, struct db_conn *db, struct buf *out) {
    struct db_delivery_counts counts;
    struct err unused;
    exposition_gauge(out, "pawl_event_streams", "Event streams that are open.", atomic_load(&server->streams.open));
    if (!db_delivery_count(db, &counts, &unused))
        return;
    exposition_head(out, "pawl_webhook_deliveries", "gauge", "Deliveries to webhooks that are kept, by state.");
    exposition_sample(out, "pawl_webhook_deliveries", counts.waiting, "state", "waiting", (const char *)NULL);
    exposition_sample(out, "pawl_webhook_deliveries", counts.delivered, "state", "delivered", (const char *)NULL);
    exposition_sample(out, "pawl_webhook_deliveries", counts.dead, "state", "dead", (const char *)NULL);
}

void metrics_write_fleet(struct server *server, struct db_conn *db, struct buf *out) {
    struct db_registry_counts counts;
    int64_t by_state[FLEET_DEPLOYMENT_STATE_COUNT];
    struct err unused;
    db_registry_count(server->db, &counts);
    exposition_head(out, "pawl_devices", "gauge", "Devices by state.");
    for (int i = 0; i < FLEET_DEVICE_STATE_COUNT; i++)
        exposition_sample(out, "pawl_devices", (int64_t)counts.by_state[i], "state", fleet_device_state_name((enum fleet_device_state)i),
                          (const char *)NULL);
    write_groups(server, out);
    exposition_gauge(out, "pawl_registry_unflushed", "Devices whose last-seen has yet to reach the disk.", (int64_t)counts.unflushed);
    exposition_gauge(out, "pawl_registry_bytes", "Memory of the registry.", (int64_t)counts.memory_bytes);
    if (db_deployment_count(db, by_state, &unused)) {
        exposition_head(out, "pawl_deployments", "gauge", "Deployments by state.");
        for (int i = 0; i < FLEET_DEPLOYMENT_STATE_COUNT; i++)
            exposition_sample(out, "pawl_deployments", by_state[i], "state", fleet_deployment_state_name((enum fleet_deployment_state)i),
                              (const char *)NULL);
    }
    write_deliveries(server, db, out);
    write_rollouts(db, out);
    write_scrub(server, out);
}
