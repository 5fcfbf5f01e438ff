/* Events that a request notices by the way: written by the writer later, at most one a minute for each kind and object. */
#ifndef PAWL_API_NOTICE_H
#define PAWL_API_NOTICE_H

#include "api/api.h"
#include "db/release.h"

/* The image's file is not there or not what it should be; err says how. */
void api_notice_image_missing(const struct api_call *call, const struct db_release *release, const struct err *err);

/* Another certificate came for this device than the ones it is known by. */
void api_notice_clone_suspected(const struct api_call *call);

#endif
