/* How the handlers of rollouts answer. */
#ifndef PAWL_API_ROLLOUT_H
#define PAWL_API_ROLLOUT_H

#include "api/api.h"

/* The rollout as it stands, with its ETag. */
bool api_rollout_reply(struct api_call *call, int status, int64_t id, struct err *err) MUST_USE;

#endif
