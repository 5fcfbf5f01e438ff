/* An image to a device, whatever the path it was asked by: entitlement, preconditions, range. */
#ifndef PAWL_API_DOWNLOAD_H
#define PAWL_API_DOWNLOAD_H

#include "api/api.h"
#include "db/catalog.h"

/* May this device have this release now? The registry answers; SQL is asked only about a deployment that is closed already. ERR_NOT_ENTITLED,
 * ERR_DOWNGRADE. */
bool api_download_check(struct api_call *call, const struct db_catalog *catalog, const struct db_release *release, struct err *err) MUST_USE;

/* 200, 206, 304; ERR_PRECONDITION, ERR_RANGE (device-api.md §3). */
bool api_download_image(struct api_call *call, const struct db_release *release, struct err *err) MUST_USE;

#endif
