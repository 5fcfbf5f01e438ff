/* Products and releases as one immutable snapshot in memory, replaced whole after a commit that changes them. */
#ifndef PAWL_DB_CATALOG_H
#define PAWL_DB_CATALOG_H

#include "db/product.h"
#include "db/registry.h"
#include "db/release.h"
#include "db/rollout.h"
#include "fleet/filter.h"
#include "fleet/window.h"

/* A rollout that is scheduled, running or paused, or has work left; as far as a poll and its own steps need it. */
struct db_catalog_rollout {
    int64_t id;
    const char *name;
    const char *product;
    int64_t release;
    const struct fleet_release *rule;
    enum fleet_rollout_state state;
    enum fleet_mode mode;
    bool continuous;
    bool awaits_approval;
    bool approved;
    bool working; /* cancelling or retrying */
    int64_t start_at;
    int64_t max_in_flight; /* 0: no limit */
    size_t phase;          /* the newest open one */
    const struct fleet_filter *filter;
    bool by_ids;         /* the target is a list, which is not here */
    size_t window_count; /* a window whose zone cannot be read any more has no .zone and never opens */
    const struct fleet_window *windows;
    const char *const *window_tags; /* "": for every device */
    bool has_tagged_windows;
};

struct db_catalog_line {
    struct db_product product;
    size_t release_count;
    struct db_release *releases; /* sorted by sequence, ascending */
    struct fleet_release *rules; /* the same, as the rules want them: rules[i] is releases[i] */
    size_t rollout_count;
    struct db_catalog_rollout *rollouts; /* in the order in which they are asked: newest release first, then newest rollout */
};

struct db_catalog {
    uint64_t generation; /* rises with every replacement */
    size_t line_count;
    struct db_catalog_line *lines; /* sorted by product name */
    size_t rollout_count;
    struct db_catalog_rollout *rollouts; /* all of them; the lines have stretches of it */
};

/* Takes a reference; never NULL after db_open(). Give it back with db_catalog_put() in the same request. Any thread. */
const struct db_catalog *db_catalog_get(struct db *db);
void db_catalog_put(const struct db_catalog *catalog);

/* NULL: no such thing. */
const struct db_catalog_line *db_catalog_find(const struct db_catalog *catalog, const char *product);
const struct db_release *db_catalog_release(const struct db_catalog *catalog, int64_t id);
const struct fleet_release *db_catalog_rule(const struct db_catalog *catalog, int64_t id);
const struct db_catalog_rollout *db_catalog_rollout(const struct db_catalog *catalog, int64_t id);
const struct db_release *db_catalog_path(const struct db_catalog *catalog, const char *path); /* the TUF target path */

/* db/catalog_rollout.c: the rollouts of a catalog that is being made and has its releases already. For db/catalog.c. */
bool db_catalog_read_rollouts(struct db_conn *conn, struct db_catalog *catalog, struct arena *arena, struct err *err) MUST_USE;

/* The mask of windows that are for a device with these tags: those for its tags, or else those for every device. 0 where tags do not matter, so that
 * nothing has to be kept for each device. */
unsigned db_catalog_windows_for(const struct db_catalog_rollout *rollout, const char *const *tags, size_t tag_count);

/* Is one of these windows open? None is always open. */
struct fleet_window_answer db_catalog_window(const struct db_catalog_rollout *rollout, unsigned mask, int64_t now);

#endif
