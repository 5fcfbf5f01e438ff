/* A device that may not go on, or not with the key it has. */
#ifndef PAWL_API_CUT_H
#define PAWL_API_CUT_H

#include "api/api.h"

/* After COMMIT of the call's transaction its open connections are closed and its TLS sessions dropped. */
bool api_cut_device(struct api_call *call, const char *id, struct err *err) MUST_USE;

#endif
