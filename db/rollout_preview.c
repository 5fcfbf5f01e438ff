/* What a plan would choose now: counted, and nothing written. */
#include <stdlib.h>
#include <string.h>

#include "db/rollout_row.h"
#include "db/rollout_scan.h"

struct counts {
    int64_t matched;
    int64_t by_reason[FLEET_REASON_COUNT];
};

static bool count(void *context, const struct db_rollout_candidate *candidate, struct err *err) {
    struct counts *counts = context;

    (void)err;
    counts->matched++;
    counts->by_reason[candidate->reason]++;
    return true;
}

static int most_first(const void *a, const void *b) {
    const struct db_rollout_excluded *left = a, *right = b;

    if (left->count != right->count)
        return left->count < right->count ? 1 : -1;
    return (left->reason > right->reason) - (left->reason < right->reason);
}

static void sum_up(const struct db_rollout_plan *plan, const struct counts *counts, struct db_rollout_preview *preview) {
    struct fleet_phase_size sizes[FLEET_PHASE_MAX];
    int64_t before = 0;

    preview->matched = counts->matched;
    preview->included = counts->by_reason[FLEET_REASON_OFFERED];
    preview->phase_count = plan->phase_count;
    for (size_t i = 0; i < plan->phase_count; i++)
        sizes[i] = plan->phases[i].size;
    for (size_t i = 0; i < plan->phase_count; i++) {
        int64_t end = fleet_phase_end(sizes, plan->phase_count, i, preview->included);

        preview->phases[i] = end - before;
        before = end;
    }
    for (int reason = 0; reason < FLEET_REASON_COUNT; reason++) {
        if (reason != FLEET_REASON_OFFERED && counts->by_reason[reason] > 0)
            preview->excluded[preview->excluded_count++] = (struct db_rollout_excluded){.reason = (enum fleet_reason)reason,
                                                                                        .count = counts->by_reason[reason]};
    }
    qsort(preview->excluded, preview->excluded_count, sizeof preview->excluded[0], most_first);
}

bool db_rollout_preview(struct db_conn *conn, const struct db_rollout_plan *plan, struct db_rollout_preview *ret_preview, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_rollout_target target = {.product = plan->product, .only = plan->ids.count > 0 ? &plan->ids : NULL};
    struct db_rollout_preview preview = {.matched = 0};
    struct counts counts = {.matched = 0};
    const struct db_catalog *catalog;
    bool ok;

    arena_init(&arena, DB_ROLLOUT_SCRATCH_BYTES);
    if (!fleet_rollout_check(plan->phases, plan->phase_count, err) ||
        !fleet_filter_parse(&arena, plan->filter ? plan->filter : "", &target.filter, err))
        return false;
    catalog = db_catalog_get(db_conn_db(conn));
    target.catalog = catalog;
    target.rule = db_catalog_rule(catalog, plan->release);
    ok = target.rule || err_set_field(err, ERR_NOT_FOUND, "release", "release '%lld' does not exist", (long long)plan->release);
    ok = ok && db_rollout_scan(conn, &target, count, &counts, &preview.unknown, err);
    db_catalog_put(catalog);
    if (!ok)
        return false;
    sum_up(plan, &counts, &preview);
    *ret_preview = preview;
    return true;
}
