/* Steps that the files of rollouts share; for db/rollout*.c and db/deployment*.c. */
#ifndef PAWL_DB_ROLLOUT_ROW_H
#define PAWL_DB_ROLLOUT_ROW_H

#include "db/rollout.h"

enum { DB_ROLLOUT_SCRATCH_BYTES = 8 << 20 };

/* Rows as the catalog wants them: the active ones and those with work left, with phases and windows. */
bool db_rollout_active(struct db_conn *conn, struct arena *arena, struct db_rollouts *ret_rollouts, struct err *err) MUST_USE;

/* Where the row stands, written with the guard; the catalog follows. before: the state it was in. */
bool db_rollout_write_state(struct db_conn *tx, const struct db_rollout *rollout, enum fleet_rollout_state before, const char *work,
                            struct err *err) MUST_USE;
bool db_rollout_write_phase(struct db_conn *tx, const struct db_rollout *rollout, size_t phase, struct err *err) MUST_USE;

/* Moves it by the table and writes state, phases and event. reason: in the event; NULL: none. *ret_move as the table says; a refusal is ERR_CONFLICT.
 */
bool db_rollout_apply(struct db_conn *tx, struct db_rollout *rollout, enum fleet_rollout_event event, enum fleet_halt halt, int64_t now,
                      enum fleet_rollout_move *ret_move, struct err *err) MUST_USE;

/* An event about a rollout: {"rollout":"7","name":…,"phase":2,"reason":…}; phase 0 and reason NULL are left out. */
bool db_rollout_event(struct db_conn *tx, const struct db_rollout *rollout, const char *kind, int64_t phase, const char *reason, int64_t now,
                      struct err *err) MUST_USE;

/* The slices of cancelling or retrying are through. */
bool db_rollout_finish_work(struct db_conn *tx, const struct db_rollout *rollout, struct err *err) MUST_USE;

/* Moves a member, its counts, and its place in memory after COMMIT. Nothing happens, and true, when it is no member or the event does not move it.
 * deployment: 0: as it was. */
bool db_rollout_member_apply(struct db_conn *tx, int64_t rollout, const char *device, enum fleet_member_event event, int64_t deployment, int64_t now,
                             struct err *err) MUST_USE;

/* The device leaves, or has reached, every active rollout of its product: of this release (0: of any). */
bool db_rollout_member_apply_all(struct db_conn *tx, const char *device, const char *product, int64_t release, enum fleet_member_event event,
                                 int64_t now, struct err *err) MUST_USE;

/* New members, waiting; those that are there stay as they are. Counts and memory follow. due_clock 0: the phase's. */
struct db_rollout_newcomer {
    const char *device;
    size_t phase;
    unsigned windows;
    int64_t due_clock;
};
bool db_rollout_member_add(struct db_conn *tx, int64_t rollout, const struct db_rollout_newcomer *newcomers, size_t count, int64_t now,
                           struct err *err) MUST_USE;

/* Which windows are for this member, after its tags changed. Nothing when it is none. */
bool db_rollout_member_set_windows(struct db_conn *tx, int64_t rollout, const char *device, unsigned windows, struct err *err) MUST_USE;

/* Members whose deadline is past: by their phase's, in one state; or by their own. due_at is left out. */
bool db_rollout_member_silent(struct db_conn *conn, int64_t rollout, enum fleet_member_state state, size_t phase, size_t limit, struct arena *arena,
                              struct db_rollout_members *ret_members, struct err *err) MUST_USE;
bool db_rollout_member_due(struct db_conn *conn, int64_t rollout, int64_t clock, size_t limit, struct arena *arena,
                           struct db_rollout_members *ret_members, struct err *err) MUST_USE;

#endif
