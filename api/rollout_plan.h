/* From what an operator says of a rollout to the plan that the store keeps. */
#ifndef PAWL_API_ROLLOUT_PLAN_H
#define PAWL_API_ROLLOUT_PLAN_H

#include "api/call.h"
#include "api/rollout_shape.h"

/* A whole plan out of POST: what is left out gets its default. Checked: ERR_INVALID naming the field, ERR_NOT_FOUND for the product or the version,
 * ERR_GONE for a withdrawn release, ERR_SCOPE for a product out of the token's reach. */
bool api_rollout_plan_read(struct api_call *call, struct db_rollout_plan *ret_plan, struct err *err) MUST_USE;

/* The plan of a draft, changed by PATCH: what is left out stays. The same errors. */
bool api_rollout_plan_patch(struct api_call *call, const struct db_rollout_plan *before, struct db_rollout_plan *ret_plan, struct err *err) MUST_USE;

#endif
