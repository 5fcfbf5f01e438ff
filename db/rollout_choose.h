/* Who becomes a member: when a rollout begins, and while it takes newcomers. For db/rollout_run.c. */
#ifndef PAWL_DB_ROLLOUT_CHOOSE_H
#define PAWL_DB_ROLLOUT_CHOOSE_H

#include "db/catalog.h"
#include "db/rollout_run.h"

/* One call of db_rollout_run(). */
struct db_rollout_round {
    struct db *db;
    struct db_conn *reader;
    const struct db_rollout_rules *rules;
    int64_t now;
    size_t slices; /* writer jobs so far */
};

/* False: there shall be no more of them in this round. */
bool db_rollout_round_take_slice(struct db_rollout_round *round);

/* Chooses the members of a scheduled rollout whose time has come, writes them in slices, and begins; or notes that an approval is needed. */
bool db_rollout_choose(struct db_rollout_round *round, const struct db_catalog *catalog, const struct db_catalog_rollout *head,
                       struct err *err) MUST_USE;

/* Devices that changed join the continuous rollouts that they match, and follow the windows of their tags. */
bool db_rollout_take_newcomers(struct db_rollout_round *round, struct err *err) MUST_USE;

/* What lives from round to round: the rollouts whose newcomers were looked for among all devices once. */
struct db_rollout_swept {
    int64_t rollout;
    bool approved; /* when all devices were looked at */
};

struct db_rollout_runner {
    struct db_rollout_swept *swept;
    size_t swept_count;
};

void db_rollout_runner_free(struct db *db);

#endif
