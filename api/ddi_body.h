/* The bodies of DDI clients, read as they come: dirty JSON is cleaned, what is too long is cut, what is of no use is passed over. Pure. */
#ifndef PAWL_API_DDI_BODY_H
#define PAWL_API_DDI_BODY_H

#include "common/json.h"
#include "db/ddi.h"

enum { API_DDI_ATTRIBUTES = 100, API_DDI_ATTRIBUTE_BYTES = 128 };

/* What a device's attributes are after its configData. known: before, a JSON object as text. ERR_INVALID: no JSON, however it is read. */
bool api_ddi_body_attributes(struct arena *arena, const char *known, const void *body, size_t len, struct json_map *ret_all,
                             struct err *err) MUST_USE;

/* A feedback or the answer to a cancel; .deployment, .cancel and .confirms are left as they are. ERR_INVALID naming the field. */
bool api_ddi_body_feedback(struct arena *arena, const void *body, size_t len, struct db_ddi_feedback *feedback, struct err *err) MUST_USE;

#endif
