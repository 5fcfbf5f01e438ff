/* Releases that are to be installed no more. */
#ifndef PAWL_API_WITHDRAW_H
#define PAWL_API_WITHDRAW_H

#include "api/api.h"
#include "trust/trusted.h"

/* What the signed metadata says is withdrawn is so here as well. */
bool api_withdraw_follow(struct api_call *call, const struct trusted_releases *releases, struct err *err) MUST_USE;

#endif
