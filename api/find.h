/* The things that requests name, as far as the token reaches: what it may not even read does not exist for it. */
#ifndef PAWL_API_FIND_H
#define PAWL_API_FIND_H

#include "api/call.h"
#include "db/certificate.h"
#include "db/claim.h"
#include "db/deployment.h"
#include "db/device.h"
#include "db/rollout.h"

/* All of them: ERR_NOT_FOUND in the same words whether there is none or the token may not read it; ERR_SCOPE when it may be read, but not this. */
bool api_find_device(struct api_call *call, const char *id, struct db_device *ret_device, struct err *err) MUST_USE;

/* Of the path: {deployment}, {rollout}, {serial}, {claim}. */
bool api_find_deployment(struct api_call *call, struct db_deployment *ret_deployment, struct err *err) MUST_USE;
bool api_find_rollout(struct api_call *call, struct db_rollout *ret_rollout, struct err *err) MUST_USE;
bool api_find_certificate(struct api_call *call, struct db_certificate *ret_certificate, struct err *err) MUST_USE;
bool api_find_claim(struct api_call *call, struct db_claim *ret_claim, struct err *err) MUST_USE;

/* The product whose tokens reach a claim: its own, or that of the device it is for; "" when that is not there (yet). */
bool api_find_claim_product(struct api_call *call, const char *device, const char *product, const char **ret_product, struct err *err) MUST_USE;

#endif
