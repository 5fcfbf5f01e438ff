/* The rollouts under way as a poll needs them: filters parsed, zones loaded, each at its product's line. */
#include <string.h>

#include "db/catalog.h"
#include "db/rollout_row.h"

static bool read_windows(struct db_catalog_rollout *head, const struct db_rollout_plan *plan, struct arena *arena, struct err *err) {
    struct fleet_window *windows = arena_array(arena, plan->window_count + 1, sizeof *windows);
    const char **tags = arena_array(arena, plan->window_count + 1, sizeof *tags);
    struct err unknown;

    if (!windows || !tags)
        return err_no_memory(err);
    for (size_t i = 0; i < plan->window_count; i++) {
        const struct db_rollout_window *window = &plan->windows[i];

        windows[i] = (struct fleet_window){
            .days = (unsigned)window->days, .from_minute = (int)window->from_minute, .to_minute = (int)window->to_minute};
        if (!zone_load(arena, NULL, window->zone, &windows[i].zone, &unknown))
            windows[i].zone = NULL; /* it was there when the rollout was made: nothing is offered until it is there again */
        tags[i] = window->tag;
        head->has_tagged_windows |= window->tag[0] != '\0';
    }
    head->window_count = plan->window_count;
    head->windows = windows;
    head->window_tags = tags;
    return true;
}

static bool read_head(const struct db_rollout *rollout, const struct db_catalog *catalog, struct arena *arena, struct db_catalog_rollout *head,
                      struct err *err) {
    *head = (struct db_catalog_rollout){
        .id = rollout->id,
        .name = rollout->plan.name,
        .product = rollout->plan.product,
        .release = rollout->plan.release,
        .rule = db_catalog_rule(catalog, rollout->plan.release),
        .state = rollout->state,
        .mode = rollout->plan.mode,
        .continuous = rollout->plan.continuous,
        .awaits_approval = rollout->awaits_approval,
        .approved = rollout->approved_by[0] != '\0',
        .working = rollout->working,
        .start_at = rollout->plan.start_at,
        .max_in_flight = rollout->plan.max_in_flight,
        .phase = (size_t)rollout->phase,
        .by_ids = rollout->by_ids,
    };
    return fleet_filter_parse(arena, rollout->plan.filter, &head->filter, err) && read_windows(head, &rollout->plan, arena, err);
}

bool db_catalog_read_rollouts(struct db_conn *conn, struct db_catalog *catalog, struct arena *arena, struct err *err) {
    struct db_rollouts rows;

    if (!db_rollout_active(conn, arena, &rows, err))
        return false;
    catalog->rollouts = arena_array(arena, rows.count + 1, sizeof *catalog->rollouts);
    if (!catalog->rollouts)
        return err_no_memory(err);
    catalog->rollout_count = rows.count;
    for (size_t i = 0; i < rows.count; i++) {
        struct db_catalog_line *line = (struct db_catalog_line *)(uintptr_t)db_catalog_find(catalog, rows.items[i].plan.product);

        if (!read_head(&rows.items[i], catalog, arena, &catalog->rollouts[i], err))
            return false;
        if (!line)
            return err_set(err, ERR_IO, "database: rollout %lld has no product", (long long)rows.items[i].id);
        if (line->rollout_count++ == 0)
            line->rollouts = &catalog->rollouts[i];
    }
    return true;
}

static bool has_tag(const char *const *tags, size_t count, const char *tag) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(tags[i], tag) == 0)
            return true;
    return false;
}

unsigned db_catalog_windows_for(const struct db_catalog_rollout *rollout, const char *const *tags, size_t tag_count) {
    unsigned tagged = 0, plain = 0;

    for (size_t i = 0; rollout->has_tagged_windows && i < rollout->window_count; i++)
        if (rollout->window_tags[i][0] == '\0')
            plain |= 1u << i;
        else if (has_tag(tags, tag_count, rollout->window_tags[i]))
            tagged |= 1u << i;
    return tagged ? tagged : plain;
}

struct fleet_window_answer db_catalog_window(const struct db_catalog_rollout *rollout, unsigned mask, int64_t now) {
    struct fleet_window windows[FLEET_WINDOW_MAX];
    size_t count = 0, unreadable = 0;

    if (!rollout->has_tagged_windows)
        mask = ~0u;
    for (size_t i = 0; i < rollout->window_count && i < FLEET_WINDOW_MAX; i++) {
        if ((mask & 1u << i) == 0)
            continue;
        if (rollout->windows[i].zone)
            windows[count++] = rollout->windows[i];
        else
            unreadable++;
    }
    if (count == 0 && unreadable > 0)
        return (struct fleet_window_answer){.open = false, .until = INT64_MAX};
    return fleet_window_at(windows, count, now);
}
