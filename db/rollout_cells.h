/* The members of active rollouts in memory, beside the registry: per rollout one byte a registered device (five bits of phase, three of state), and
 * two more when it has windows for tags. Changed after COMMIT only. For db/. */
#ifndef PAWL_DB_ROLLOUT_CELLS_H
#define PAWL_DB_ROLLOUT_CELLS_H

#include "db/rollout_run.h"

/* Where a device stands; phase 0: it is no member. */
struct db_rollout_cell {
    size_t phase;
    enum fleet_member_state state;
    unsigned windows;
};

/* What a commit will set. */
struct db_rollout_cell_change {
    char device[DB_DEVICE_ID_SIZE];
    struct db_rollout_cell cell;
};

/* Copies the changes. make: the rollout is held in memory from now on; else nothing happens when it is not. */
bool db_rollout_cells_set(struct db_conn *tx, int64_t rollout, bool make, const struct db_rollout_cell_change *changes, size_t count,
                          struct err *err) MUST_USE;

/* After COMMIT: forgets the members of a rollout that has ended, and wakes who waits in db_rollout_wait(). */
bool db_rollout_cells_watch(struct db_conn *tx, const struct db_rollout *rollout, struct err *err) MUST_USE;

/* The device's places in these rollouts, and how many members each has in flight. number: of the device's entry. */
void db_rollout_cells_get(struct db *db, uint32_t number, const int64_t *rollouts, size_t count, struct db_rollout_cell *ret_cells,
                          int64_t *ret_in_flight);

/* At start, after registry and catalog. */
bool db_rollout_cells_open(struct db *db, struct err *err) MUST_USE;
void db_rollout_cells_close(struct db *db);

/* Whether to note the devices that change, for rollouts that take newcomers; and those noted since the last call, by entry number: the caller's to
 * free, NULL for none. */
void db_rollout_cells_want_newcomers(struct db *db, bool wanted);
void db_rollout_cells_take_newcomers(struct db *db, uint32_t **ret_numbers, size_t *ret_count);

#endif
