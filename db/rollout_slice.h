/* What is done to members in slices, so that no job holds the writer for long; each call is one slice inside a job. For db/rollout_run.c. */
#ifndef PAWL_DB_ROLLOUT_SLICE_H
#define PAWL_DB_ROLLOUT_SLICE_H

#include "db/rollout_row.h"

/* *ret_more: there may be more to do. */

/* Of a stopped rollout: open deployments are cancelled. */
bool db_rollout_slice_cancel(struct db_conn *tx, const struct db_rollout *rollout, int64_t now, bool *ret_more, struct err *err) MUST_USE;

/* Failed, timed-out and cancelled members wait again, out of quarantine. */
bool db_rollout_slice_retry(struct db_conn *tx, const struct db_rollout *rollout, int64_t now, bool *ret_more, struct err *err) MUST_USE;

/* The phase's deadline is past: whoever is silent is timed out, or skipped when it needs or may have the release no more. */
bool db_rollout_slice_time_out(struct db_conn *tx, const struct db_rollout *rollout, size_t phase, int64_t now, bool *ret_more,
                               struct err *err) MUST_USE;

/* The same for those with a deadline of their own. */
bool db_rollout_slice_due(struct db_conn *tx, const struct db_rollout *rollout, int64_t now, bool *ret_more, struct err *err) MUST_USE;

#endif
