/* Existing clients: Eclipse hawkBit's Direct Device Integration API, version 1, as ddi.md wants it. What its handlers share. */
#ifndef PAWL_API_DDI_H
#define PAWL_API_DDI_H

#include "api/api.h"
#include "common/json.h"
#include "db/catalog.h"

/* The request's tenant and device, checked. */
struct api_ddi {
    const char *base; /* "https://HOST/TENANT/controller/v1/ID": what every link begins with */
};

/* ERR_NOT_FOUND: DDI is off, or no such tenant. ERR_IDENTITY: the path names another device than the certificate. ERR_INVALID: a Host that links are
 * not built for. */
bool api_ddi_enter(struct api_call *call, struct api_ddi *ret_ddi, struct err *err) MUST_USE;

/* "https://HOST" by configuration, or as the client asked it. In the arena. */
bool api_ddi_origin(struct api_call *call, const char **ret_origin, struct err *err) MUST_USE;

/* As the client wants JSON to be called. */
bool api_ddi_reply(struct api_call *call, const struct json_shape *shape, const void *object, struct err *err) MUST_USE;

/* The id in the path. ERR_NOT_FOUND for anything that is none. */
bool api_ddi_action(struct api_call *call, int64_t *ret_id, struct err *err) MUST_USE;

/* A link of _links. */
struct api_ddi_link {
    const char *href;
};
extern const struct json_shape api_ddi_link_shape;

/* base + format, in the arena; NULL without memory. */
const struct api_ddi_link *api_ddi_link(struct api_call *call, const char *base, const char *format, ...) PRINTF_LIKE(3, 4);

/* May the open deployment be read and answered by its client? */
bool api_ddi_is_open(const struct api_call *call, int64_t action);

#endif
