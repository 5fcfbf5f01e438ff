#include "db/rollout_cells.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "db/query.h"
#include "db/registry_table.h"
#include "db/rollout_row.h"

enum { STATE_BITS = 3, STATE_MASK = 7 };

static uint8_t pack(const struct db_rollout_cell *cell) {
    return (uint8_t)(cell->phase << STATE_BITS | cell->state);
}

static struct db_rollout_cell unpack(uint8_t byte, unsigned windows) {
    return (struct db_rollout_cell){.phase = byte >> STATE_BITS, .state = (enum fleet_member_state)(byte & STATE_MASK), .windows = windows};
}

static bool is_in_flight(uint8_t byte) {
    enum fleet_member_state state = (enum fleet_member_state)(byte & STATE_MASK);

    return state == FLEET_MEMBER_IN_FLIGHT || state == FLEET_MEMBER_RETRYING;
}

static struct registry_rollout *find(const struct db_registry *registry, int64_t id) {
    for (size_t i = 0; i < registry->rollout_count; i++)
        if (registry->rollouts[i].id == id)
            return &registry->rollouts[i];
    return NULL;
}

static struct registry_rollout *make(struct db_registry *registry, int64_t id) {
    struct registry_rollout *rollout = find(registry, id), *grown;

    if (rollout)
        return rollout;
    grown = reallocarray(registry->rollouts, registry->rollout_count + 1, sizeof *grown);
    if (!grown)
        return NULL;
    registry->rollouts = grown;
    grown[registry->rollout_count] = (struct registry_rollout){.id = id};
    return &grown[registry->rollout_count++];
}

/* Room for every device there is, and those of the next block. */
static bool reserve(const struct db_registry *registry, struct registry_rollout *rollout, bool windows) {
    size_t capacity = registry->block_count * REGISTRY_BLOCK;

    if (capacity > rollout->capacity) {
        uint8_t *cells = realloc(rollout->cells, capacity);

        if (!cells)
            return false;
        memset(cells + rollout->capacity, 0, capacity - rollout->capacity);
        rollout->cells = cells;
        rollout->capacity = capacity;
    }
    if ((windows || rollout->windows) && rollout->window_capacity < rollout->capacity) {
        uint16_t *masks = reallocarray(rollout->windows, rollout->capacity, sizeof *masks);

        if (!masks)
            return false;
        memset(masks + rollout->window_capacity, 0, (rollout->capacity - rollout->window_capacity) * sizeof *masks);
        rollout->windows = masks;
        rollout->window_capacity = rollout->capacity;
    }
    return true;
}

static bool put(struct db_registry *registry, struct registry_rollout *rollout, uint32_t number, const struct db_rollout_cell *cell) {
    struct registry_entry *entry = db_registry_table_at(registry, number);
    uint8_t byte = pack(cell);

    if (!reserve(registry, rollout, cell->windows != 0))
        return false;
    rollout->in_flight += is_in_flight(byte) - is_in_flight(rollout->cells[number]);
    rollout->cells[number] = byte;
    if (rollout->windows)
        rollout->windows[number] = (uint16_t)cell->windows;
    entry->told_reason = FLEET_REASON_REFUSED;
    entry->revision++;
    return true;
}

/* What a commit will do. */
struct batch {
    int64_t rollout;
    bool make; /* hold the rollout in memory from now on */
    size_t count;
    struct db_rollout_cell_change changes[];
};

static void apply(struct db *db, void *arg, bool committed) {
    struct db_registry *registry = db->registry;
    struct batch *batch = arg;
    struct registry_rollout *rollout;
    struct err err = {.code = ERR_NONE};
    bool ok = true;
    uint32_t number;

    if (committed) {
        pthread_rwlock_wrlock(&registry->lock);
        rollout = batch->make ? make(registry, batch->rollout) : find(registry, batch->rollout);
        ok = rollout || !batch->make;
        for (size_t i = 0; ok && rollout && i < batch->count; i++)
            if (db_registry_table_find(registry, batch->changes[i].device, &number))
                ok = put(registry, rollout, number, &batch->changes[i].cell);
        pthread_rwlock_unlock(&registry->lock);
    }
    free(batch);
    if (!ok) {
        err_no_memory(&err);
        db_writer_fail(db, &err); /* memory would disagree with the disk: a restart loads it anew */
    }
}

bool db_rollout_cells_set(struct db_conn *tx, int64_t rollout, bool make_it, const struct db_rollout_cell_change *changes, size_t count,
                          struct err *err) {
    struct batch *batch = malloc(sizeof *batch + count * sizeof *changes);

    if (!batch)
        return err_no_memory(err);
    batch->rollout = rollout;
    batch->make = make_it;
    batch->count = count;
    memcpy(batch->changes, changes, count * sizeof *changes);
    if (db_on_commit(tx, apply, batch, err))
        return true;
    free(batch);
    return false;
}

static void forget(struct db_registry *registry, int64_t id) {
    struct registry_rollout *rollout;

    pthread_rwlock_wrlock(&registry->lock);
    rollout = find(registry, id);
    if (rollout) {
        free(rollout->cells);
        free(rollout->windows);
        *rollout = registry->rollouts[--registry->rollout_count];
    }
    pthread_rwlock_unlock(&registry->lock);
}

struct watch {
    int64_t id;
    bool ended;
};

static void moved(struct db *db, void *arg, bool committed) {
    struct watch *watch = arg;

    if (committed && watch->ended)
        forget(db->registry, watch->id);
    if (committed)
        db_rollout_wake(db, false);
    free(watch);
}

bool db_rollout_cells_watch(struct db_conn *tx, const struct db_rollout *rollout, struct err *err) {
    struct watch *watch = malloc(sizeof *watch);

    if (!watch)
        return err_no_memory(err);
    *watch = (struct watch){.id = rollout->id, .ended = rollout->state == FLEET_ROLLOUT_COMPLETED || rollout->state == FLEET_ROLLOUT_STOPPED};
    if (db_on_commit(tx, moved, watch, err))
        return true;
    free(watch);
    return false;
}

void db_rollout_cells_get(struct db *db, uint32_t number, const int64_t *rollouts, size_t count, struct db_rollout_cell *ret_cells,
                          int64_t *ret_in_flight) {
    struct db_registry *registry = db->registry;

    pthread_rwlock_rdlock(&registry->lock);
    for (size_t i = 0; i < count; i++) {
        const struct registry_rollout *rollout = find(registry, rollouts[i]);

        ret_cells[i] = (struct db_rollout_cell){.phase = 0};
        ret_in_flight[i] = rollout ? rollout->in_flight : 0;
        if (rollout && number < rollout->capacity)
            ret_cells[i] = unpack(rollout->cells[number], number < rollout->window_capacity ? rollout->windows[number] : 0);
    }
    pthread_rwlock_unlock(&registry->lock);
}

struct member_row {
    char device[DB_DEVICE_ID_SIZE];
    int64_t phase, windows;
    enum fleet_member_state state;
};

/* All members of one rollout, sorted by device. */
static bool load(struct db *db, int64_t id, struct err *err) {
    static const struct db_column columns[] = {
        DB_COLUMN(DB_CHARS, struct member_row, device),
        DB_COLUMN(DB_INT, struct member_row, phase),
        DB_COLUMN_NAME(struct member_row, state, db_query_parse_member_state),
        DB_COLUMN(DB_INT, struct member_row, windows),
    };
    static const struct db_shape shape = DB_SHAPE(struct member_row, columns);
    struct db_stmt *stmt = db_query_begin(db->conn, DB_QUERY_ROLLOUT_MEMBER_ALL);
    struct registry_rollout *rollout = make(db->registry, id);
    struct member_row row;
    uint32_t number;
    bool more;

    if (!rollout)
        return err_no_memory(err);
    db_query_int(stmt, 1, id);
    for (;;) {
        if (!db_query_next(stmt, &more, err) || (more && !db_query_read(stmt, &shape, NULL, &row, err)))
            return false;
        if (!more)
            return true;
        const struct db_rollout_cell cell = {.phase = (size_t)row.phase, .state = row.state, .windows = (unsigned)row.windows};
        if (db_registry_table_find(db->registry, row.device, &number) && !put(db->registry, rollout, number, &cell)) {
            db_query_end(stmt);
            return err_no_memory(err);
        }
    }
}

bool db_rollout_cells_open(struct db *db, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_rollouts active;

    arena_init(&arena, 8 * DB_ROLLOUT_SCRATCH_BYTES);
    if (!db_rollout_active(db->conn, &arena, &active, err))
        return false;
    for (size_t i = 0; i < active.count; i++)
        if (active.items[i].ended_at == 0 && !load(db, active.items[i].id, err))
            return false;
    return true;
}

void db_rollout_cells_close(struct db *db) {
    while (db->registry && db->registry->rollout_count > 0)
        forget(db->registry, db->registry->rollouts[0].id);
    if (db->registry)
        free(db->registry->rollouts);
    if (db->registry)
        free(db->registry->newcomers);
}

void db_rollout_cells_want_newcomers(struct db *db, bool wanted) {
    pthread_rwlock_wrlock(&db->registry->lock);
    db->registry->want_newcomers = wanted;
    pthread_rwlock_unlock(&db->registry->lock);
}

void db_rollout_cells_take_newcomers(struct db *db, uint32_t **ret_numbers, size_t *ret_count) {
    struct db_registry *registry = db->registry;

    pthread_rwlock_wrlock(&registry->lock);
    *ret_numbers = registry->newcomers;
    *ret_count = registry->newcomer_count;
    for (size_t i = 0; i < registry->newcomer_count; i++)
        db_registry_table_at(registry, registry->newcomers[i])->newcomer = false;
    registry->newcomers = NULL;
    registry->newcomer_count = registry->newcomer_capacity = 0;
    pthread_rwlock_unlock(&registry->lock);
}

bool db_rollout_wait(struct db *db, int64_t timeout_ms) {
    int64_t until_us = clock_mono_us() + timeout_ms * 1000;
    const struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
    bool go_on;

    pthread_mutex_lock(&db->wake_mutex);
    while (!db->woken && !db->rollouts_end && pthread_cond_timedwait(&db->wake, &db->wake_mutex, &until) == 0)
        continue;
    db->woken = false;
    go_on = !db->rollouts_end;
    pthread_mutex_unlock(&db->wake_mutex);
    return go_on;
}

void db_rollout_wake(struct db *db, bool end) {
    pthread_mutex_lock(&db->wake_mutex);
    db->woken = true;
    db->rollouts_end |= end;
    pthread_cond_broadcast(&db->wake);
    pthread_mutex_unlock(&db->wake_mutex);
}
