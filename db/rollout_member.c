/* Members of rollouts: their rows, the counts of their phases, their place in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "db/catalog.h"
#include "db/list.h"
#include "db/query.h"
#include "db/rollout_cells.h"
#include "db/rollout_row.h"

/* A row, with what only this room looks at. */
struct row {
    struct db_rollout_member member;
    int64_t windows;
    int64_t due_clock;
};

static const struct db_column columns[] = {
    DB_COLUMN_AS(DB_TEXT, struct row, member.device, "device"),
    DB_COLUMN_AS(DB_INT, struct row, member.phase, "phase"),
    {.name = "state", .type = DB_NAME, .offset = offsetof(struct row, member.state), .parse = db_query_parse_member_state},
    DB_COLUMN(DB_INT, struct row, windows),
    DB_COLUMN_AS(DB_INT, struct row, member.deployment, "deployment"),
    DB_COLUMN(DB_INT, struct row, due_clock),
    DB_COLUMN_AS(DB_INT, struct row, member.updated_at, "updated_at"),
};
static const struct db_shape shape = DB_SHAPE(struct row, columns);

static bool members_of(const struct row *rows, size_t count, int64_t held_s, struct arena *arena, struct db_rollout_member **ret_members,
                       struct err *err) {
    struct db_rollout_member *members = arena_array(arena, count + 1, sizeof *members);

    if (!members)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        members[i] = rows[i].member;
        members[i].due_at = rows[i].due_clock ? rows[i].due_clock + held_s : 0;
    }
    *ret_members = members;
    return true;
}

static bool read_page(struct db_stmt *stmt, size_t limit, struct arena *arena, struct db_rollout_members *ret_page, struct err *err) {
    struct db_rollout_members page = {.count = 0};
    struct row *rows;

    if (!db_query_page(stmt, &shape, limit, arena, &rows, &page.count, &page.more, err) || !members_of(rows, page.count, 0, arena, &page.items, err))
        return false;
    *ret_page = page;
    return true;
}

/* How far the rollout's clock is behind; nothing else of it, which may be a list of thousands of ids. */
static bool read_held(struct db_conn *conn, int64_t rollout, int64_t *ret_held_s, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_ROLLOUT_HELD);
    struct held {
        int64_t held_s;
    } held;
    static const struct db_column held_columns[] = {DB_COLUMN(DB_INT, struct held, held_s)};
    static const struct db_shape held_shape = DB_SHAPE(struct held, held_columns);
    char which[24];

    snprintf(which, sizeof which, "%lld", (long long)rollout);
    db_query_int(stmt, 1, rollout);
    if (!db_query_one(stmt, &held_shape, NULL, &held, "rollout", which, err))
        return false;
    *ret_held_s = held.held_s;
    return true;
}

bool db_rollout_member_list(struct db_conn *conn, int64_t rollout, const struct db_rollout_member_filter *filter, const struct db_list *list,
                            struct arena *arena, struct db_rollout_members *ret_page, struct err *err) {
    enum db_query query = !filter->by_state ? DB_QUERY_ROLLOUT_MEMBER_LIST
                          : filter->phase   ? DB_QUERY_ROLLOUT_MEMBER_LIST_PHASE_STATE
                                            : DB_QUERY_ROLLOUT_MEMBER_LIST_STATE;
    struct db_rollout_members page = {.count = 0};
    struct db_listing listing;
    struct row *rows;
    int64_t held_s;

    if (!read_held(conn, rollout, &held_s, err) || !db_list_begin(conn, query, list, &shape, arena, &listing, err))
        return false;
    db_query_int(listing.stmt, 4, rollout);
    if (query != DB_QUERY_ROLLOUT_MEMBER_LIST_STATE)
        db_query_int(listing.stmt, 5, filter->phase);
    if (filter->by_state)
        db_query_text(listing.stmt, 6, fleet_member_state_name(filter->state));
    if (!db_list_page(&listing, &rows, &page.count, &page.next, err) || !members_of(rows, page.count, held_s, arena, &page.items, err))
        return false;
    page.more = page.next;
    *ret_page = page;
    return true;
}

bool db_rollout_member_silent(struct db_conn *conn, int64_t rollout, enum fleet_member_state state, size_t phase, size_t limit, struct arena *arena,
                              struct db_rollout_members *ret_members, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_ROLLOUT_MEMBER_SILENT);

    db_query_int(stmt, 1, rollout);
    db_query_text(stmt, 2, fleet_member_state_name(state));
    db_query_int(stmt, 3, (int64_t)phase);
    db_query_int(stmt, 4, (int64_t)limit + 1);
    return read_page(stmt, limit, arena, ret_members, err);
}

bool db_rollout_member_due(struct db_conn *conn, int64_t rollout, int64_t clock, size_t limit, struct arena *arena,
                           struct db_rollout_members *ret_members, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_ROLLOUT_MEMBER_DUE);

    db_query_int(stmt, 1, rollout);
    db_query_int(stmt, 2, clock);
    db_query_int(stmt, 3, (int64_t)limit + 1);
    return read_page(stmt, limit, arena, ret_members, err);
}

static bool read_member(struct db_conn *conn, int64_t rollout, const char *device, struct arena *arena, struct row *ret_row, bool *ret_found,
                        struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_ROLLOUT_MEMBER_GET);

    db_query_int(stmt, 1, rollout);
    db_query_text(stmt, 2, device);
    return db_query_maybe(stmt, &shape, arena, ret_row, ret_found, err);
}

static bool count(struct db_conn *tx, int64_t rollout, int64_t phase, const int64_t deltas[FLEET_MEMBER_STATE_COUNT], struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_ROLLOUT_PHASE_COUNT);

    db_query_int(stmt, 1, rollout);
    db_query_int(stmt, 2, phase);
    for (int i = 0; i < FLEET_MEMBER_STATE_COUNT; i++)
        db_query_int(stmt, 3 + i, deltas[i]);
    return db_query_run(stmt, NULL, err);
}

/* A deadline of its own, for one that tries again: as long as its phase gave it in the first place. */
static bool own_deadline(struct db_conn *conn, int64_t rollout, int64_t phase, int64_t now, int64_t *ret_due_clock, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_ROLLOUT_MEMBER_CLOCK);
    int64_t paused_at;
    bool row;

    db_query_int(stmt, 1, rollout);
    db_query_int(stmt, 2, phase);
    if (!db_query_next(stmt, &row, err))
        return false;
    if (!row)
        return err_set(err, ERR_IO, "database: rollout %lld has no phase %lld", (long long)rollout, (long long)phase);
    paused_at = db_query_column_int(stmt, "paused_at");
    *ret_due_clock = (paused_at ? paused_at : now) - db_query_column_int(stmt, "held_s") + db_query_column_int(stmt, "deadline_s");
    db_query_end(stmt);
    return true;
}

static bool move_row(struct db_conn *tx, int64_t rollout, const struct row *row, enum fleet_member_state to, int64_t deployment, int64_t due_clock,
                     int64_t now, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_ROLLOUT_MEMBER_MOVE);

    db_query_int(stmt, 1, rollout);
    db_query_text(stmt, 2, row->member.device);
    db_query_text(stmt, 3, fleet_member_state_name(row->member.state));
    db_query_text(stmt, 4, fleet_member_state_name(to));
    db_query_opt_int(stmt, 5, deployment != 0, deployment);
    db_query_opt_int(stmt, 6, due_clock != 0, due_clock);
    db_query_int(stmt, 7, now);
    return db_query_run(stmt, NULL, err);
}

bool db_rollout_member_apply(struct db_conn *tx, int64_t rollout, const char *device, enum fleet_member_event event, int64_t deployment, int64_t now,
                             struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_rollout_cell_change change;
    int64_t deltas[FLEET_MEMBER_STATE_COUNT] = {0};
    enum fleet_member_state to;
    struct row row;
    int64_t due_clock;
    bool found;

    arena_init(&arena, 4096);
    if (!read_member(tx, rollout, device, &arena, &row, &found, err))
        return false;
    if (!found || !fleet_member_move(row.member.state, event, &to))
        return true;
    due_clock = fleet_member_is_unsettled(to) ? row.due_clock : 0;
    if ((to == FLEET_MEMBER_RETRYING || event == FLEET_MEMBER_RETRY) && !own_deadline(tx, rollout, row.member.phase, now, &due_clock, err))
        return false;
    deltas[row.member.state]--;
    deltas[to]++;
    if (!text_copy(change.device, sizeof change.device, device))
        return err_set(err, ERR_IO, "database: rollout %lld has a member without a proper id", (long long)rollout);
    change.cell = (struct db_rollout_cell){.phase = (size_t)row.member.phase, .state = to, .windows = (unsigned)row.windows};
    return move_row(tx, rollout, &row, to, deployment, due_clock, now, err) && count(tx, rollout, row.member.phase, deltas, err) &&
           db_rollout_cells_set(tx, rollout, false, &change, 1, err);
}

bool db_rollout_member_apply_all(struct db_conn *tx, const char *device, const char *product, int64_t release, enum fleet_member_event event,
                                 int64_t now, struct err *err) {
    const struct db_catalog *catalog = db_catalog_get(db_conn_db(tx));
    const struct db_catalog_line *line = db_catalog_find(catalog, product);
    bool ok = true;

    for (size_t i = 0; ok && line && i < line->rollout_count; i++)
        if (release == 0 || line->rollouts[i].release == release)
            ok = db_rollout_member_apply(tx, line->rollouts[i].id, device, event, 0, now, err);
    db_catalog_put(catalog);
    return ok;
}

static bool insert_member(struct db_conn *tx, int64_t rollout, const struct db_rollout_newcomer *newcomer, int64_t now, bool *ret_inserted,
                          struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_ROLLOUT_MEMBER_INSERT);
    int64_t changes;

    db_query_int(stmt, 1, rollout);
    db_query_text(stmt, 2, newcomer->device);
    db_query_int(stmt, 3, (int64_t)newcomer->phase);
    db_query_int(stmt, 4, newcomer->windows);
    db_query_opt_int(stmt, 5, newcomer->due_clock != 0, newcomer->due_clock);
    db_query_int(stmt, 6, now);
    if (!db_query_run(stmt, &changes, err))
        return false;
    *ret_inserted = changes == 1;
    return true;
}

static bool insert_all(struct db_conn *tx, int64_t rollout, const struct db_rollout_newcomer *newcomers, size_t newcomer_count, int64_t now,
                       struct db_rollout_cell_change *changes, size_t *ret_count, int64_t by_phase[FLEET_PHASE_MAX + 1], struct err *err) {
    bool inserted;

    *ret_count = 0;
    for (size_t i = 0; i < newcomer_count; i++) {
        struct db_rollout_cell_change *change = &changes[*ret_count];

        if (newcomers[i].phase < 1 || newcomers[i].phase > FLEET_PHASE_MAX || !text_copy(change->device, sizeof change->device, newcomers[i].device))
            return err_set(err, ERR_INTERNAL, "rollout %lld: a member without a phase or a proper id", (long long)rollout);
        if (!insert_member(tx, rollout, &newcomers[i], now, &inserted, err))
            return false;
        if (!inserted)
            continue;
        change->cell = (struct db_rollout_cell){.phase = newcomers[i].phase, .state = FLEET_MEMBER_WAITING, .windows = newcomers[i].windows};
        by_phase[newcomers[i].phase]++;
        ++*ret_count;
    }
    return true;
}

bool db_rollout_member_add(struct db_conn *tx, int64_t rollout, const struct db_rollout_newcomer *newcomers, size_t newcomer_count, int64_t now,
                           struct err *err) {
    struct db_rollout_cell_change *changes = calloc(newcomer_count + 1, sizeof *changes);
    int64_t by_phase[FLEET_PHASE_MAX + 1] = {0};
    size_t changed = 0;
    bool ok = changes ? insert_all(tx, rollout, newcomers, newcomer_count, now, changes, &changed, by_phase, err) : err_no_memory(err);

    for (int64_t phase = 1; ok && phase <= FLEET_PHASE_MAX; phase++) {
        const int64_t deltas[FLEET_MEMBER_STATE_COUNT] = {[FLEET_MEMBER_WAITING] = by_phase[phase]};

        ok = by_phase[phase] == 0 || count(tx, rollout, phase, deltas, err);
    }
    ok = ok && db_rollout_cells_set(tx, rollout, true, changes, changed, err);
    free(changes);
    return ok;
}

bool db_rollout_member_set_windows(struct db_conn *tx, int64_t rollout, const char *device, unsigned windows, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_rollout_cell_change change;
    struct db_stmt *stmt;
    struct row row;
    bool found;

    arena_init(&arena, 4096);
    if (!read_member(tx, rollout, device, &arena, &row, &found, err))
        return false;
    if (!found || row.windows == windows)
        return true;
    if (!text_copy(change.device, sizeof change.device, device))
        return err_set(err, ERR_IO, "database: rollout %lld has a member without a proper id", (long long)rollout);
    change.cell = (struct db_rollout_cell){.phase = (size_t)row.member.phase, .state = row.member.state, .windows = windows};
    stmt = db_query_begin(tx, DB_QUERY_ROLLOUT_MEMBER_WINDOWS);
    db_query_int(stmt, 1, rollout);
    db_query_text(stmt, 2, device);
    db_query_int(stmt, 3, windows);
    return db_query_run(stmt, NULL, err) && db_rollout_cells_set(tx, rollout, false, &change, 1, err);
}
