/* What rollouts do by themselves: choose their members, begin, advance, pause, time out, complete, take newcomers, and finish what was interrupted.
 */
#ifndef PAWL_DB_ROLLOUT_RUN_H
#define PAWL_DB_ROLLOUT_RUN_H

#include "db/rollout.h"

struct db_rollout_rules {
    int64_t approval_above; /* more members than this need an approval; 0: none ever does */
    size_t max_slices;      /* writer jobs in one call, for tests; 0: no limit */
};

/* One round over all rollouts, in the caller's thread (never the writer's; one at a time). Trouble with one rollout holds up no other; the first is
 * told, with its number. Reads on its own connection, writes by jobs of at most some thousand rows, each waited for. A round that is cut off anywhere
 * is taken up by the next one, in this process or another. Cheap when there is nothing to do: without a rollout that is scheduled, running or paused
 * no SQL at all. */
bool db_rollout_run(struct db *db, struct db_conn *reader, const struct db_rollout_rules *rules, int64_t now, struct err *err) MUST_USE;

/* Waits until an operator moved a rollout or at most timeout_ms. False: db_rollout_wake() asked for the end. */
bool db_rollout_wait(struct db *db, int64_t timeout_ms);
void db_rollout_wake(struct db *db, bool end);

#endif
