/* A rollout's plan: whether it holds together, and writing it while the rollout is a draft. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/random.h"
#include "common/text.h"
#include "common/zone.h"
#include "db/product.h"
#include "db/query.h"
#include "db/release.h"
#include "db/rollout_row.h"
#include "fleet/filter.h"

enum { IN_FLIGHT_MAX = 1000000000, IDS_MAX_BYTES = DB_ROLLOUT_MAX_IDS * DB_ID_SIZE + 1, DAY_MINUTES = 1440, ALL_DAYS = 127 };

static bool check_release(struct db_conn *conn, const struct db_rollout_plan *plan, struct arena *arena, struct err *err) {
    struct db_product product;
    struct db_release release;

    if (!db_product_get(conn, plan->product, arena, &product, err) || !db_release_get(conn, plan->release, arena, &release, err))
        return false;
    if (strcmp(release.product, plan->product) != 0)
        return err_set_field(err, ERR_CONFLICT, "release", "release %s belongs to product '%s', not to '%s'", release.path, release.product,
                             plan->product);
    return release.withdrawn_at == 0 || err_set_field(err, ERR_GONE, "release", "release %s was withdrawn", release.path);
}

static bool check_target(const struct db_rollout_plan *plan, struct arena *arena, struct err *err) {
    const struct fleet_filter *filter;
    char field[ERR_FIELD_SIZE];

    if (plan->ids.count > 0 && plan->filter && plan->filter[0])
        return err_set_field(err, ERR_INVALID, "ids", "a rollout has either a filter or a list of ids");
    if (plan->ids.count > DB_ROLLOUT_MAX_IDS)
        return err_set_field(err, ERR_INVALID, "ids", "%zu ids: %d at most", plan->ids.count, DB_ROLLOUT_MAX_IDS);
    for (size_t i = 0; i < plan->ids.count; i++) {
        snprintf(field, sizeof field, "ids[%zu]", i);
        if (!text_is_id(plan->ids.items[i]))
            return err_set_field(err, ERR_INVALID, field, "%s is no device id: 1 to 64 of A-Z a-z 0-9 . _ : -", field);
    }
    return fleet_filter_parse(arena, plan->filter ? plan->filter : "", &filter, err);
}

static bool check_window(const struct db_rollout_window *window, size_t index, struct arena *arena, struct err *err) {
    const struct zone *zone;
    char field[ERR_FIELD_SIZE];

    snprintf(field, sizeof field, "windows[%zu]", index);
    if (window->days < 1 || window->days > ALL_DAYS)
        return err_set_field(err, ERR_INVALID, field, "%s is on no day", field);
    if (window->from_minute < 0 || window->from_minute >= DAY_MINUTES || window->to_minute < 0 || window->to_minute > DAY_MINUTES)
        return err_set_field(err, ERR_INVALID, field, "%s: times are 00:00 to 24:00", field);
    if (window->tag && window->tag[0] && !text_is_id(window->tag))
        return err_set_field(err, ERR_INVALID, field, "%s: a tag is 1 to 64 of A-Z a-z 0-9 . _ : -", field);
    if (zone_load(arena, NULL, window->zone ? window->zone : "", &zone, err))
        return true;
    snprintf(err->field, sizeof err->field, "windows[%zu].zone", index);
    return false;
}

static bool check_limits(const struct db_rollout_plan *plan, struct err *err) {
    size_t len = plan->name ? strlen(plan->name) : 0;

    if (len < 1 || len > DB_ROLLOUT_NAME_MAX || !text_is_printable(plan->name))
        return err_set_field(err, ERR_INVALID, "name", "a rollout's name has 1 to %d bytes of text", DB_ROLLOUT_NAME_MAX);
    if (plan->max_in_flight < 0 || plan->max_in_flight > IN_FLIGHT_MAX)
        return err_set_field(err, ERR_INVALID, "max_in_flight", "max_in_flight must be 1 to %d, or absent", IN_FLIGHT_MAX);
    if (plan->start_at < 0)
        return err_set_field(err, ERR_INVALID, "start_at", "start_at lies before 1970");
    return plan->window_count <= DB_ROLLOUT_MAX_WINDOWS ||
           err_set_field(err, ERR_INVALID, "windows", "%zu windows: %d at most", plan->window_count, DB_ROLLOUT_MAX_WINDOWS);
}

bool db_rollout_check(struct db_conn *conn, const struct db_rollout_plan *plan, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;

    arena_init(&arena, DB_ROLLOUT_SCRATCH_BYTES);
    if (!check_limits(plan, err) || !check_release(conn, plan, &arena, err) || !check_target(plan, &arena, err) ||
        !fleet_rollout_check(plan->phases, plan->phase_count, err))
        return false;
    for (size_t i = 0; i < plan->window_count; i++)
        if (!check_window(&plan->windows[i], i, &arena, err))
            return false;
    return true;
}

static int compare_ids(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, each once, one a line; NULL data for none. */
static bool join_ids(const struct db_texts *ids, struct buf *out, struct err *err) {
    const char **sorted = ids->count ? calloc(ids->count, sizeof *sorted) : NULL;

    if (ids->count == 0)
        return true;
    if (!sorted)
        return err_no_memory(err);
    memcpy(sorted, ids->items, ids->count * sizeof *sorted);
    qsort(sorted, ids->count, sizeof *sorted, compare_ids);
    for (size_t i = 0; i < ids->count; i++) {
        if (i > 0 && strcmp(sorted[i], sorted[i - 1]) == 0)
            continue;
        if (i > 0)
            buf_text(out, "\n");
        buf_text(out, sorted[i]);
    }
    free(sorted);
    return buf_ok(out, "ids", err);
}

static bool insert_phases(struct db_conn *tx, int64_t id, const struct db_rollout_plan *plan, struct err *err) {
    for (size_t i = 0; i < plan->phase_count; i++) {
        const struct fleet_rollout_phase *phase = &plan->phases[i];
        struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_ROLLOUT_PHASE_INSERT);

        db_query_int(stmt, 1, id);
        db_query_int(stmt, 2, (int64_t)i + 1);
        db_query_int(stmt, 3, phase->size.unit);
        db_query_int(stmt, 4, phase->size.amount);
        db_query_int(stmt, 5, phase->success_percent);
        db_query_int(stmt, 6, phase->error.unit);
        db_query_int(stmt, 7, phase->error.amount);
        db_query_int(stmt, 8, phase->soak_s);
        db_query_int(stmt, 9, phase->deadline_s);
        if (!db_query_run(stmt, NULL, err))
            return false;
    }
    return true;
}

static bool insert_windows(struct db_conn *tx, int64_t id, const struct db_rollout_plan *plan, struct err *err) {
    for (size_t i = 0; i < plan->window_count; i++) {
        const struct db_rollout_window *window = &plan->windows[i];
        struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_ROLLOUT_WINDOW_INSERT);

        db_query_int(stmt, 1, id);
        db_query_int(stmt, 2, (int64_t)i);
        db_query_int(stmt, 3, window->days);
        db_query_int(stmt, 4, window->from_minute);
        db_query_int(stmt, 5, window->to_minute);
        db_query_text(stmt, 6, window->zone);
        db_query_opt_text(stmt, 7, window->tag);
        if (!db_query_run(stmt, NULL, err))
            return false;
    }
    return true;
}

static bool clear(struct db_conn *tx, enum db_query query, int64_t id, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, query);

    db_query_int(stmt, 1, id);
    return db_query_run(stmt, NULL, err);
}

static bool clear_parts(struct db_conn *tx, int64_t id, struct err *err) {
    return clear(tx, DB_QUERY_ROLLOUT_PHASE_CLEAR, id, err) && clear(tx, DB_QUERY_ROLLOUT_WINDOW_CLEAR, id, err);
}

static bool insert_row(struct db_conn *tx, const struct db_rollout_plan *plan, const char *ids, const char *actor, int64_t now, int64_t *ret_id,
                       struct err *err) {
    struct db_stmt *stmt;
    int64_t salt;

    if (!db_query_run(db_query_begin(tx, DB_QUERY_ROLLOUT_NUMBER), NULL, err))
        return false;
    stmt = db_query_begin(tx, DB_QUERY_ROLLOUT_INSERT);
    random_bytes(&salt, sizeof salt);
    db_query_text(stmt, 1, plan->product);
    db_query_int(stmt, 2, plan->release);
    db_query_text(stmt, 3, plan->name);
    db_query_text(stmt, 4, plan->filter ? plan->filter : "");
    db_query_opt_text(stmt, 5, ids);
    db_query_int(stmt, 6, salt);
    db_query_text(stmt, 7, fleet_mode_name(plan->mode));
    db_query_int(stmt, 8, plan->continuous);
    db_query_opt_int(stmt, 9, plan->start_at != 0, plan->start_at);
    db_query_opt_int(stmt, 10, plan->max_in_flight != 0, plan->max_in_flight);
    db_query_text(stmt, 11, actor);
    db_query_int(stmt, 12, now);
    return db_query_number(stmt, "id", ret_id, err);
}

bool db_rollout_create(struct db_conn *tx, const struct db_rollout_plan *plan, const char *actor, int64_t now, int64_t *ret_id, struct err *err) {
    CLEANUP(buf_free) struct buf ids = BUF_INIT(IDS_MAX_BYTES);
    int64_t id = 0;

    if (!db_rollout_check(tx, plan, err) || !join_ids(&plan->ids, &ids, err) || !insert_row(tx, plan, ids.data, actor, now, &id, err) ||
        !insert_phases(tx, id, plan, err) || !insert_windows(tx, id, plan, err))
        return false;
    *ret_id = id;
    return true;
}

/* Why an update or a removal touched no row. */
static bool explain(struct db_conn *tx, int64_t id, const char *what, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_rollout rollout;

    arena_init(&arena, DB_ROLLOUT_SCRATCH_BYTES);
    if (!db_rollout_get(tx, id, &arena, &rollout, err))
        return false;
    if (rollout.state != FLEET_ROLLOUT_DRAFT)
        return err_set(err, ERR_CONFLICT, "rollout %lld is %s: only a draft can be %s", (long long)id, fleet_rollout_state_name(rollout.state), what);
    return err_set(err, ERR_PRECONDITION, "rollout %lld was changed meanwhile", (long long)id);
}

static bool update_row(struct db_conn *tx, int64_t id, int64_t revision, const struct db_rollout_plan *plan, const char *ids, const char *actor,
                       struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_ROLLOUT_UPDATE);
    int64_t changes;

    db_query_int(stmt, 1, id);
    db_query_int(stmt, 2, revision);
    db_query_int(stmt, 3, plan->release);
    db_query_text(stmt, 4, plan->name);
    db_query_text(stmt, 5, plan->filter ? plan->filter : "");
    db_query_opt_text(stmt, 6, ids);
    db_query_text(stmt, 7, fleet_mode_name(plan->mode));
    db_query_int(stmt, 8, plan->continuous);
    db_query_opt_int(stmt, 9, plan->start_at != 0, plan->start_at);
    db_query_opt_int(stmt, 10, plan->max_in_flight != 0, plan->max_in_flight);
    db_query_text(stmt, 11, actor);
    if (!db_query_run(stmt, &changes, err))
        return false;
    return changes == 1 || explain(tx, id, "changed", err);
}

static bool check_same_product(struct db_conn *tx, int64_t id, const char *product, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_rollout rollout;

    arena_init(&arena, DB_ROLLOUT_SCRATCH_BYTES);
    if (!db_rollout_get(tx, id, &arena, &rollout, err))
        return false;
    return strcmp(rollout.plan.product, product) == 0 ||
           err_set_field(err, ERR_CONFLICT, "product", "rollout %lld is for product '%s'", (long long)id, rollout.plan.product);
}

bool db_rollout_update(struct db_conn *tx, int64_t id, int64_t revision, const struct db_rollout_plan *plan, const char *actor, struct err *err) {
    CLEANUP(buf_free) struct buf ids = BUF_INIT(IDS_MAX_BYTES);

    return check_same_product(tx, id, plan->product, err) && db_rollout_check(tx, plan, err) && join_ids(&plan->ids, &ids, err) &&
           update_row(tx, id, revision, plan, ids.data, actor, err) && clear_parts(tx, id, err) && insert_phases(tx, id, plan, err) &&
           insert_windows(tx, id, plan, err);
}

bool db_rollout_delete(struct db_conn *tx, int64_t id, int64_t revision, struct err *err) {
    struct db_stmt *stmt;
    int64_t changes;

    /* The parts first: they refer to the row. When it stays, the transaction is undone. */
    if (!clear_parts(tx, id, err))
        return false;
    stmt = db_query_begin(tx, DB_QUERY_ROLLOUT_DELETE);
    db_query_int(stmt, 1, id);
    db_query_int(stmt, 2, revision);
    if (!db_query_run(stmt, &changes, err))
        return false;
    return changes == 1 || explain(tx, id, "deleted", err);
}
