/* What the handlers of rollouts share: the rollout of the path, and the reply that shows it. */
#ifndef PAWL_API_ROLLOUT_CALL_H
#define PAWL_API_ROLLOUT_CALL_H

#include "api/call.h"
#include "db/rollout.h"

/* The rollout that {rollout} names, when the token reaches its product. */
bool api_rollout_call_find(struct api_call *call, struct db_rollout *ret_rollout, struct err *err) MUST_USE;

/* The rollout as it stands, with its ETag. */
bool api_rollout_call_reply(struct api_call *call, int status, int64_t id, struct err *err) MUST_USE;

#endif
