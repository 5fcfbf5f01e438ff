#include "db/rollout.h"

#include <stdio.h>
#include <string.h>

#include "db/list.h"
#include "db/query.h"
#include "db/rollout_row.h"

static bool parse_state(const char *name, void *ret_state) {
    return fleet_rollout_state_parse(name, ret_state);
}

static bool parse_halt(const char *name, void *ret_halt) {
    return fleet_halt_parse(name, ret_halt);
}

static bool parse_mode(const char *name, void *ret_mode) {
    return fleet_mode_parse(name, ret_mode);
}

/* The row, and what of it takes another form. */
struct row {
    struct db_rollout rollout;
    const char *ids; /* one a line */
    bool working;
};

#define ROW(kind, member, column) DB_COLUMN_AS(kind, struct row, rollout.member, column)
#define ROW_NAME(member, column, parser)                                                                                                             \
    { .name = (column), .type = DB_NAME, .offset = offsetof(struct row, rollout.member), .parse = (parser) }

static const struct db_column columns[] = {
    ROW(DB_INT, id, "id"),
    ROW(DB_TEXT, plan.product, "product"),
    ROW(DB_INT, plan.release, "release"),
    ROW(DB_TEXT, version, "version"),
    ROW(DB_INT, sequence, "sequence"),
    ROW(DB_TEXT, plan.name, "name"),
    ROW(DB_TEXT, plan.filter, "filter"),
    DB_COLUMN(DB_TEXT, struct row, ids),
    ROW(DB_BOOL, by_ids, "by_ids"),
    ROW(DB_INT, salt, "salt"),
    ROW_NAME(plan.mode, "mode", parse_mode),
    ROW(DB_BOOL, plan.continuous, "continuous"),
    ROW(DB_INT, plan.start_at, "start_at"),
    ROW(DB_INT, plan.max_in_flight, "max_in_flight"),
    ROW_NAME(state, "state", parse_state),
    ROW_NAME(halt, "halt", parse_halt),
    ROW(DB_INT, phase, "phase"),
    ROW(DB_INT_OR_LESS, matched, "matched"),
    ROW(DB_BOOL, awaits_approval, "awaits_approval"),
    DB_COLUMN_AS(DB_KNOWN, struct row, working, "work"),
    ROW(DB_TEXT, created_by, "created_by"),
    ROW(DB_TEXT, changed_by, "changed_by"),
    ROW(DB_TEXT, approved_by, "approved_by"),
    ROW(DB_INT, created_at, "created_at"),
    ROW(DB_INT, approved_at, "approved_at"),
    ROW(DB_INT, started_at, "started_at"),
    ROW(DB_INT, paused_at, "paused_at"),
    ROW(DB_INT, held_s, "held_s"),
    ROW(DB_INT, ended_at, "ended_at"),
    ROW(DB_INT, revision, "revision"),
    ROW(DB_KNOWN, withdrawn, "withdrawn_at"),
    ROW(DB_INT, next_due_clock, "next_due_clock"),
};
static const struct db_shape shape = DB_SHAPE(struct row, columns);

/* A phase as it is stored: the enums are numbers. */
struct phase_row {
    struct fleet_rollout_phase phase;
    int64_t size_unit, error_unit;
};

#define PHASE(kind, member, column) DB_COLUMN_AS(kind, struct phase_row, phase.member, column)

static const struct db_column phase_columns[] = {
    DB_COLUMN(DB_INT, struct phase_row, size_unit),
    PHASE(DB_INT, size.amount, "size_amount"),
    PHASE(DB_INT, success_percent, "success_percent"),
    DB_COLUMN(DB_INT, struct phase_row, error_unit),
    PHASE(DB_INT, error.amount, "error_amount"),
    PHASE(DB_INT, soak_s, "soak_s"),
    PHASE(DB_INT, deadline_s, "deadline_s"),
    PHASE(DB_INT, opened_clock, "opened_clock"),
    PHASE(DB_INT, opened_at, "opened_at"),
    PHASE(DB_INT, reached_clock, "reached_clock"),
    PHASE(DB_INT, reached_at, "reached_at"),
    PHASE(DB_BOOL, expired, "expired"),
    PHASE(DB_INT, pardoned, "pardoned"),
    PHASE(DB_INT, members[FLEET_MEMBER_WAITING], "waiting"),
    PHASE(DB_INT, members[FLEET_MEMBER_IN_FLIGHT], "in_flight"),
    PHASE(DB_INT, members[FLEET_MEMBER_RETRYING], "retrying"),
    PHASE(DB_INT, members[FLEET_MEMBER_CONFIRMED], "confirmed"),
    PHASE(DB_INT, members[FLEET_MEMBER_FAILED], "failed"),
    PHASE(DB_INT, members[FLEET_MEMBER_TIMED_OUT], "timed_out"),
    PHASE(DB_INT, members[FLEET_MEMBER_CANCELLED], "cancelled"),
    PHASE(DB_INT, members[FLEET_MEMBER_SKIPPED], "skipped"),
};
static const struct db_shape phase_shape = DB_SHAPE(struct phase_row, phase_columns);

static const struct db_column window_columns[] = {
    DB_COLUMN(DB_INT, struct db_rollout_window, days),      DB_COLUMN(DB_INT, struct db_rollout_window, from_minute),
    DB_COLUMN(DB_INT, struct db_rollout_window, to_minute), DB_COLUMN(DB_TEXT, struct db_rollout_window, zone),
    DB_COLUMN(DB_TEXT, struct db_rollout_window, tag),
};
static const struct db_shape window_shape = DB_SHAPE(struct db_rollout_window, window_columns);

static bool read_phases(struct db_conn *conn, struct db_rollout *rollout, struct arena *arena, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_ROLLOUT_PHASES);
    struct phase_row *rows;

    db_query_int(stmt, 1, rollout->id);
    if (!db_query_page(stmt, &phase_shape, FLEET_PHASE_MAX, arena, &rows, &rollout->plan.phase_count, NULL, err))
        return false;
    rollout->plan.phases = arena_array(arena, rollout->plan.phase_count + 1, sizeof *rollout->plan.phases);
    if (!rollout->plan.phases)
        return err_no_memory(err);
    for (size_t i = 0; i < rollout->plan.phase_count; i++) {
        rollout->plan.phases[i] = rows[i].phase;
        rollout->plan.phases[i].size.unit = (enum fleet_phase_unit)rows[i].size_unit;
        rollout->plan.phases[i].error.unit = (enum fleet_phase_unit)rows[i].error_unit;
    }
    return true;
}

static bool read_windows(struct db_conn *conn, struct db_rollout *rollout, struct arena *arena, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_ROLLOUT_WINDOWS);

    db_query_int(stmt, 1, rollout->id);
    return db_query_page(stmt, &window_shape, DB_ROLLOUT_MAX_WINDOWS, arena, &rollout->plan.windows, &rollout->plan.window_count, NULL, err);
}

/* The text, one a line, into an array. */
static bool split_ids(const char *text, struct arena *arena, struct db_texts *ret_ids, struct err *err) {
    size_t count = text[0] != '\0';
    struct db_texts ids = {.count = 0};
    char *copy = arena_strdup(arena, text), *rest = copy;

    for (const char *at = text; *at; at++)
        count += *at == '\n';
    ids.items = arena_array(arena, count + 1, sizeof *ids.items);
    if (!copy || !ids.items)
        return err_no_memory(err);
    while (ids.count < count) {
        char *end = strchr(rest, '\n');

        if (end)
            *end = '\0';
        ids.items[ids.count++] = rest;
        rest = end ? end + 1 : rest;
    }
    *ret_ids = ids;
    return true;
}

static bool complete(struct db_conn *conn, struct row *row, struct arena *arena, struct err *err) {
    row->rollout.working = row->working;
    return read_phases(conn, &row->rollout, arena, err) && read_windows(conn, &row->rollout, arena, err) &&
           split_ids(row->ids, arena, &row->rollout.plan.ids, err);
}

bool db_rollout_get(struct db_conn *conn, int64_t id, struct arena *arena, struct db_rollout *ret_rollout, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_ROLLOUT_GET);
    char which[24];
    struct row row;

    snprintf(which, sizeof which, "%lld", (long long)id);
    db_query_int(stmt, 1, id);
    if (!db_query_one(stmt, &shape, arena, &row, "rollout", which, err) || !complete(conn, &row, arena, err))
        return false;
    *ret_rollout = row.rollout;
    return true;
}

static bool complete_all(struct db_conn *conn, struct row *rows, size_t count, struct arena *arena, struct db_rollout **ret_rollouts,
                         struct err *err) {
    struct db_rollout *rollouts = arena_array(arena, count + 1, sizeof *rollouts);

    if (!rollouts)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        if (!complete(conn, &rows[i], arena, err))
            return false;
        rollouts[i] = rows[i].rollout;
    }
    *ret_rollouts = rollouts;
    return true;
}

bool db_rollout_list(struct db_conn *conn, const struct db_rollout_filter *filter, const struct db_list *list, struct arena *arena,
                     struct db_rollouts *ret_page, struct err *err) {
    bool by_product = filter->product && filter->product[0];
    struct db_rollouts page = {.count = 0};
    struct db_listing listing;
    struct row *rows;

    if (!db_list_begin(conn, by_product ? DB_QUERY_ROLLOUT_LIST_PRODUCT : DB_QUERY_ROLLOUT_LIST, list, &shape, arena, &listing, err))
        return false;
    if (by_product)
        db_query_text(listing.stmt, 4, filter->product);
    db_query_text(listing.stmt, 5, filter->by_state ? fleet_rollout_state_name(filter->state) : NULL);
    if (!db_list_page(&listing, &rows, &page.count, &page.next, err) || !complete_all(conn, rows, page.count, arena, &page.items, err))
        return false;
    *ret_page = page;
    return true;
}

bool db_rollout_active(struct db_conn *conn, struct arena *arena, struct db_rollouts *ret_rollouts, struct err *err) {
    struct db_rollouts all = {.count = 0};
    struct row *rows;

    if (!db_query_page(db_query_begin(conn, DB_QUERY_ROLLOUT_ACTIVE), &shape, SIZE_MAX, arena, &rows, &all.count, NULL, err) ||
        !complete_all(conn, rows, all.count, arena, &all.items, err))
        return false;
    *ret_rollouts = all;
    return true;
}

int64_t db_rollout_clock(const struct db_rollout *rollout, int64_t now) {
    return (rollout->paused_at ? rollout->paused_at : now) - rollout->held_s;
}

int64_t db_rollout_time(const struct db_rollout *rollout, int64_t clock) {
    return clock ? clock + rollout->held_s : 0;
}

struct fleet_step db_rollout_step(const struct db_rollout *rollout, int64_t now) {
    const struct fleet_rollout rules = {
        .state = rollout->state,
        .continuous = rollout->plan.continuous,
        .release_withdrawn = rollout->withdrawn,
        .phase = (size_t)rollout->phase,
        .phase_count = rollout->plan.phase_count,
        .phases = rollout->plan.phases,
        .next_due_clock = rollout->next_due_clock,
    };

    return fleet_rollout_step(&rules, db_rollout_clock(rollout, now));
}
