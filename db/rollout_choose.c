#include "db/rollout_choose.h"

#include <stdlib.h>
#include <string.h>

#include "db/query.h"
#include "db/registry_table.h"
#include "db/rollout_cells.h"
#include "db/rollout_row.h"
#include "db/rollout_scan.h"
#include "db/store.h"

enum { SLICE_ROWS = 2000, CHOSEN_MAX_BYTES = 1 << 30 };

struct chosen {
    const char *id;
    uint64_t hash;
    unsigned windows;
    size_t phase;
    int64_t due_clock;
};

/* A list that grows; ids in an arena of its own. */
struct list {
    struct arena arena;
    struct chosen *items;
    size_t count;
    size_t capacity;
};

static void list_free(struct list *list) {
    arena_clear(&list->arena);
    free(list->items);
}

static bool list_add(struct list *list, const struct chosen *chosen, struct err *err) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 1024;
        struct chosen *items = reallocarray(list->items, capacity, sizeof *items);

        if (!items)
            return err_no_memory(err);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count] = *chosen;
    list->items[list->count].id = arena_strdup(&list->arena, chosen->id);
    return list->items[list->count++].id || err_no_memory(err);
}

/* What a scan collects for. */
struct search {
    struct db_rollout_round *round;
    const struct db_catalog_rollout *head;
    const struct db_catalog *catalog;
    const struct db_rollout *rollout;
    struct list joining;
    struct list windows; /* members whose windows are others now */
};

static bool take_fitting(void *context, const struct db_rollout_candidate *candidate, struct err *err) {
    struct search *search = context;
    const struct chosen chosen = {.id = candidate->id, .hash = fleet_phase_hash(candidate->id, search->rollout->salt), .windows = candidate->windows};

    return candidate->reason != FLEET_REASON_OFFERED || list_add(&search->joining, &chosen, err);
}

static int by_hash(const void *a, const void *b) {
    const struct chosen *left = a, *right = b;

    if (left->hash != right->hash)
        return left->hash < right->hash ? -1 : 1;
    return strcmp(left->id, right->id);
}

static int by_id(const void *a, const void *b) {
    return strcmp(((const struct chosen *)a)->id, ((const struct chosen *)b)->id);
}

static size_t sizes_of(const struct db_rollout *rollout, struct fleet_phase_size ret_sizes[FLEET_PHASE_MAX]) {
    for (size_t i = 0; i < rollout->plan.phase_count; i++)
        ret_sizes[i] = rollout->plan.phases[i].size;
    return rollout->plan.phase_count;
}

/* By rank; then in the order in which the table keeps them. */
static void share_out(struct list *list, const struct db_rollout *rollout) {
    struct fleet_phase_size sizes[FLEET_PHASE_MAX];
    size_t count = sizes_of(rollout, sizes);

    if (list->count == 0)
        return;
    qsort(list->items, list->count, sizeof *list->items, by_hash);
    for (size_t i = 0; i < list->count; i++)
        list->items[i].phase = fleet_phase_of(sizes, count, (int64_t)i, (int64_t)list->count) + 1;
    qsort(list->items, list->count, sizeof *list->items, by_id);
}

/* One slice of members on its way into the store. */
struct slice {
    int64_t rollout;
    int64_t revision; /* 0: whatever it is */
    int64_t now;
    const struct chosen *items;
    size_t count;
    bool windows; /* set their windows instead */
    bool moved;   /* an operator was faster: nothing was done */
};

static bool add_slice(struct db_conn *tx, const struct slice *slice, struct err *err) {
    struct db_rollout_newcomer *newcomers = calloc(slice->count, sizeof *newcomers);
    bool ok = newcomers || err_no_memory(err);

    for (size_t i = 0; ok && i < slice->count; i++)
        newcomers[i] = (struct db_rollout_newcomer){
            .device = slice->items[i].id, .phase = slice->items[i].phase, .windows = slice->items[i].windows, .due_clock = slice->items[i].due_clock};
    ok = ok && db_rollout_member_add(tx, slice->rollout, newcomers, slice->count, slice->now, err);
    free(newcomers);
    return ok;
}

static bool run_slice(struct db_conn *tx, void *arg, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct slice *slice = arg;
    struct db_rollout rollout;

    arena_init(&arena, DB_ROLLOUT_SCRATCH_BYTES);
    if (!db_rollout_get(tx, slice->rollout, &arena, &rollout, err))
        return false;
    slice->moved = slice->revision != 0 ? rollout.revision != slice->revision : !fleet_rollout_is_active(rollout.state);
    if (slice->moved)
        return true;
    if (!slice->windows)
        return add_slice(tx, slice, err);
    for (size_t i = 0; i < slice->count; i++)
        if (!db_rollout_member_set_windows(tx, slice->rollout, slice->items[i].id, slice->items[i].windows, err))
            return false;
    return true;
}

/* *ret_all: every slice is in. */
static bool write_slices(struct db_rollout_round *round, const struct list *list, struct slice *slice, bool *ret_all, struct err *err) {
    *ret_all = false;
    for (size_t at = 0; at < list->count; at += SLICE_ROWS) {
        slice->items = list->items + at;
        slice->count = list->count - at < SLICE_ROWS ? list->count - at : SLICE_ROWS;
        if (!db_rollout_round_take_slice(round))
            return true;
        if (!db_write(round->db, run_slice, slice, err))
            return false;
        if (slice->moved)
            return true;
    }
    *ret_all = true;
    return true;
}

/* The end of choosing: an approval is needed, or it begins. */
struct verdict {
    int64_t rollout;
    int64_t revision;
    int64_t matched;
    int64_t now;
};

static bool await_approval(struct db_conn *tx, void *arg, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    const struct verdict *verdict = arg;
    struct db_rollout rollout;
    struct db_stmt *stmt;
    int64_t changes;

    arena_init(&arena, DB_ROLLOUT_SCRATCH_BYTES);
    if (!db_rollout_get(tx, verdict->rollout, &arena, &rollout, err))
        return false;
    stmt = db_query_begin(tx, DB_QUERY_ROLLOUT_AWAIT);
    db_query_int(stmt, 1, verdict->rollout);
    db_query_int(stmt, 2, verdict->matched);
    if (!db_query_run(stmt, &changes, err))
        return false;
    return changes == 0 || (db_catalog_touch(tx, err) && db_rollout_event(tx, &rollout, "rollout-awaiting-approval", 0, NULL, verdict->now, err));
}

static bool begin(struct db_conn *tx, void *arg, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    const struct verdict *verdict = arg;
    struct db_rollout rollout;
    enum fleet_rollout_move move;

    arena_init(&arena, DB_ROLLOUT_SCRATCH_BYTES);
    if (!db_rollout_get(tx, verdict->rollout, &arena, &rollout, err))
        return false;
    if (rollout.revision != verdict->revision)
        return true; /* an operator was faster */
    rollout.matched = verdict->matched;
    return db_rollout_apply(tx, &rollout, FLEET_ROLLOUT_BEGIN, FLEET_HALT_NONE, verdict->now, &move, err);
}

static bool choose(struct search *search, struct err *err) {
    struct db_rollout_round *round = search->round;
    const struct db_rollout *rollout = search->rollout;
    const struct db_rollout_target target = {.catalog = search->catalog,
                                             .product = rollout->plan.product,
                                             .rule = search->head->rule,
                                             .filter = search->head->filter,
                                             .only = rollout->by_ids ? &rollout->plan.ids : NULL,
                                             .head = search->head};
    struct slice slice = {.rollout = rollout->id, .revision = rollout->revision, .now = round->now};
    struct verdict verdict = {.rollout = rollout->id, .revision = rollout->revision, .now = round->now};
    int64_t above = round->rules->approval_above;
    bool all;

    if (!db_rollout_scan(round->reader, &target, take_fitting, search, NULL, err))
        return false;
    verdict.matched = (int64_t)search->joining.count;
    if (above > 0 && verdict.matched > above && rollout->approved_by[0] == '\0')
        return db_write(round->db, await_approval, &verdict, err);
    share_out(&search->joining, rollout);
    if (!write_slices(round, &search->joining, &slice, &all, err))
        return false;
    return !all || !db_rollout_round_take_slice(round) || db_write(round->db, begin, &verdict, err);
}

static void search_init(struct search *search) {
    arena_init(&search->joining.arena, CHOSEN_MAX_BYTES);
    arena_init(&search->windows.arena, CHOSEN_MAX_BYTES);
}

bool db_rollout_choose(struct db_rollout_round *round, const struct db_catalog *catalog, const struct db_catalog_rollout *head, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_rollout rollout;
    struct search search = {.round = round, .catalog = catalog, .head = head, .rollout = &rollout};
    bool ok;

    arena_init(&arena, DB_ROLLOUT_SCRATCH_BYTES);
    search_init(&search);
    if (!db_rollout_get(round->reader, head->id, &arena, &rollout, err))
        return false;
    ok = rollout.state != FLEET_ROLLOUT_SCHEDULED || !head->rule || choose(&search, err);
    list_free(&search.joining);
    list_free(&search.windows);
    return ok;
}

static bool awaits_approval(const struct db_rollout *rollout) {
    return rollout->awaits_approval && rollout->approved_by[0] == '\0';
}

/* A device that came later takes the phase that its hash would have given it, and gets as long as that phase gives, from now. */
static void place_newcomer(const struct search *search, struct chosen *chosen) {
    const struct db_rollout *rollout = search->rollout;
    struct fleet_phase_size sizes[FLEET_PHASE_MAX];
    size_t count = sizes_of(rollout, sizes);
    int64_t total = rollout->matched > 0 ? rollout->matched : 1;

    chosen->phase = fleet_phase_of(sizes, count, fleet_phase_rank_of_hash(chosen->hash, total), total) + 1;
    if ((int64_t)chosen->phase <= rollout->phase)
        chosen->due_clock = db_rollout_clock(rollout, search->round->now) + rollout->plan.phases[chosen->phase - 1].deadline_s;
}

static bool take_newcomer(void *context, const struct db_rollout_candidate *candidate, struct err *err) {
    struct search *search = context;
    struct chosen chosen = {.id = candidate->id, .hash = fleet_phase_hash(candidate->id, search->rollout->salt), .windows = candidate->windows};
    struct db_rollout_cell cell;
    int64_t in_flight;

    db_rollout_cells_get(search->round->db, candidate->number, &search->rollout->id, 1, &cell, &in_flight);
    if (cell.phase > 0)
        return cell.windows == candidate->windows || list_add(&search->windows, &chosen, err);
    if (!search->head->continuous || awaits_approval(search->rollout) || candidate->reason != FLEET_REASON_OFFERED)
        return true;
    place_newcomer(search, &chosen);
    return list_add(&search->joining, &chosen, err);
}

/* An explicit list stays what it is: of those that changed, only these. */
static bool keep_listed(const struct db_texts *listed, const struct db_texts *changed, struct arena *arena, struct db_texts *ret_kept,
                        struct err *err) {
    struct db_texts kept = {.items = arena_array(arena, changed->count + 1, sizeof *kept.items)};

    if (!kept.items)
        return err_no_memory(err);
    for (size_t i = 0; i < changed->count; i++) {
        size_t low = 0, high = listed->count;

        while (low < high) {
            size_t middle = (low + high) / 2;

            if (strcmp(listed->items[middle], changed->items[i]) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < listed->count && strcmp(listed->items[low], changed->items[i]) == 0)
            kept.items[kept.count++] = changed->items[i];
    }
    *ret_kept = kept;
    return true;
}

/* With newcomers a rollout grows past what may begin without an approval just as little: then none of them joins. */
static bool limit_newcomers(struct search *search, struct err *err) {
    const struct db_rollout *rollout = search->rollout;
    struct verdict verdict = {.rollout = rollout->id, .matched = rollout->matched, .now = search->round->now};
    int64_t above = search->round->rules->approval_above, members = (int64_t)search->joining.count;

    for (size_t i = 0; i < rollout->plan.phase_count; i++)
        for (size_t state = 0; state < FLEET_MEMBER_STATE_COUNT; state++)
            members += rollout->plan.phases[i].members[state];
    if (search->joining.count == 0 || above == 0 || members <= above || rollout->approved_by[0] != '\0')
        return true;
    search->joining.count = 0;
    return db_write(search->round->db, await_approval, &verdict, err);
}

/* changed: NULL for all devices. */
static bool search_newcomers(struct search *search, const struct db_texts *changed, struct arena *arena, struct err *err) {
    const struct db_rollout *rollout = search->rollout;
    struct db_rollout_target target = {.catalog = search->catalog,
                                       .product = rollout->plan.product,
                                       .rule = search->head->rule,
                                       .filter = search->head->filter,
                                       .head = search->head};
    struct slice join = {.rollout = rollout->id, .now = search->round->now};
    struct slice windows = {.rollout = rollout->id, .now = search->round->now, .windows = true};
    struct db_texts kept;
    bool all;

    target.only = changed;
    if (rollout->by_ids) {
        if (changed && !keep_listed(&rollout->plan.ids, changed, arena, &kept, err))
            return false;
        target.only = changed ? &kept : &rollout->plan.ids;
    }
    return db_rollout_scan(search->round->reader, &target, take_newcomer, search, NULL, err) && limit_newcomers(search, err) &&
           write_slices(search->round, &search->joining, &join, &all, err) && write_slices(search->round, &search->windows, &windows, &all, err);
}

static bool look_for_newcomers(struct db_rollout_round *round, const struct db_catalog *catalog, const struct db_catalog_rollout *head,
                               const struct db_texts *changed, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_rollout rollout;
    struct search search = {.round = round, .catalog = catalog, .head = head, .rollout = &rollout};
    bool ok;

    arena_init(&arena, 8 * DB_ROLLOUT_SCRATCH_BYTES);
    search_init(&search);
    ok = db_rollout_get(round->reader, head->id, &arena, &rollout, err) &&
         (!fleet_rollout_is_active(rollout.state) || search_newcomers(&search, changed, &arena, err));
    list_free(&search.joining);
    list_free(&search.windows);
    return ok;
}

static bool takes_newcomers(const struct db_catalog_rollout *head) {
    return fleet_rollout_is_active(head->state) && head->rule && (head->continuous || head->has_tagged_windows);
}

/* The ids of entries never move. */
static bool name_them(struct db *db, const uint32_t *numbers, size_t count, struct arena *arena, struct db_texts *ret_ids, struct err *err) {
    struct db_texts ids = {.count = count, .items = arena_array(arena, count + 1, sizeof *ids.items)};

    if (!ids.items)
        return err_no_memory(err);
    pthread_rwlock_rdlock(&db->registry->lock);
    for (size_t i = 0; i < count; i++)
        ids.items[i] = db_registry_table_at(db->registry, numbers[i])->id;
    pthread_rwlock_unlock(&db->registry->lock);
    *ret_ids = ids;
    return true;
}

/* True the first time that this process sees the rollout, or sees it approved: then all devices are looked at, for what changed before anybody took
 * note, and for those that were not let in. */
static bool is_new_here(struct db *db, const struct db_catalog_rollout *head) {
    struct db_rollout_runner *runner = db->runner;
    struct db_rollout_swept *swept;

    for (size_t i = 0; i < runner->swept_count; i++) {
        bool was_approved = runner->swept[i].approved;

        if (runner->swept[i].rollout != head->id)
            continue;
        runner->swept[i].approved = head->approved;
        return head->approved && !was_approved;
    }
    swept = reallocarray(runner->swept, runner->swept_count + 1, sizeof *swept);
    if (!swept)
        return true;
    runner->swept = swept;
    runner->swept[runner->swept_count++] = (struct db_rollout_swept){.rollout = head->id, .approved = head->approved};
    return true;
}

/* What changed is told once only: after trouble all devices are looked at again. */
static void look_again(struct db *db, int64_t rollout) {
    struct db_rollout_runner *runner = db->runner;

    for (size_t i = 0; i < runner->swept_count; i++)
        if (runner->swept[i].rollout == rollout)
            runner->swept[i--] = runner->swept[--runner->swept_count];
}

static bool take_from(struct db_rollout_round *round, const struct db_catalog *catalog, const uint32_t *numbers, size_t count, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_texts changed;
    struct err trouble;
    bool all_ok = true;

    arena_init(&arena, CHOSEN_MAX_BYTES);
    if (!name_them(round->db, numbers, count, &arena, &changed, err))
        return false;
    for (size_t i = 0; i < catalog->rollout_count; i++) {
        const struct db_catalog_rollout *head = &catalog->rollouts[i];
        bool is_new;

        if (!takes_newcomers(head))
            continue;
        is_new = is_new_here(round->db, head);
        if ((!is_new && count == 0) || look_for_newcomers(round, catalog, head, is_new ? NULL : &changed, &trouble))
            continue;
        look_again(round->db, head->id);
        if (all_ok)
            *err = trouble;
        all_ok = false;
    }
    return all_ok;
}

bool db_rollout_take_newcomers(struct db_rollout_round *round, struct err *err) {
    const struct db_catalog *catalog = db_catalog_get(round->db);
    bool wanted = false, ok = true;
    uint32_t *numbers;
    size_t count;

    for (size_t i = 0; i < catalog->rollout_count; i++)
        wanted |= takes_newcomers(&catalog->rollouts[i]);
    if (wanted || round->db->runner) {
        db_rollout_cells_want_newcomers(round->db, wanted);
        db_rollout_cells_take_newcomers(round->db, &numbers, &count);
        if (!round->db->runner)
            round->db->runner = calloc(1, sizeof *round->db->runner);
        ok = round->db->runner || err_no_memory(err);
        ok = ok && (!wanted || take_from(round, catalog, numbers, count, err));
        free(numbers);
    }
    db_catalog_put(catalog);
    return ok;
}

void db_rollout_runner_free(struct db *db) {
    if (db->runner)
        free(db->runner->swept);
    free(db->runner);
}
