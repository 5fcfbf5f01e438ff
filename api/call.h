/* What handlers ask of a call: is this object within the token's reach, is the precondition met, what does the body say. */
#ifndef PAWL_API_CALL_H
#define PAWL_API_CALL_H

#include "api/api.h"
#include "common/json.h"

/* ERR_SCOPE unless one grant of the token gives the row's scope for this product ("" or NULL: for all of them). */
/* Does the token have this scope for the product? */
bool api_holds(const struct api_call *call, const char *scope, const char *product);

bool api_allow(const struct api_call *call, const char *product, struct err *err) MUST_USE;

/* For lists with a product= filter: a token that is limited to products must name one of them. */
bool api_allow_list(const struct api_call *call, struct err *err) MUST_USE;

/* Again, of a reply that takes its time: the token, with the secret that was sent, or the certificate is still good at call->now. */
bool api_still_allowed(struct api_call *call) MUST_USE;

/* ERR_PRECONDITION unless If-Match names this revision (or is "*"). */
bool api_if_match(const struct api_call *call, int64_t revision, struct err *err) MUST_USE;

/* Reads the JSON body; ERR_MEDIA_TYPE when it says it is something else. An absent body is {} (required members still are). */
bool api_body(struct api_call *call, const struct json_shape *shape, void *ret_object, uint64_t *ret_present, struct err *err) MUST_USE;

/* The same for PATCH, where nothing is required but at least one member: ERR_INVALID that names them all. */
bool api_patch(struct api_call *call, const struct json_shape *shape, void *ret_object, uint64_t *ret_present, struct err *err) MUST_USE;

/* What a body names must be there: an ERR_NOT_FOUND gets the member's name. Returns false. */
bool api_missing(struct err *err, const char *member);

/* Reads the body of an action, {"reason": "…"} or nothing. *ret_reason NULL: none is given. */
bool api_reason(struct api_call *call, const char **ret_reason, struct err *err) MUST_USE;

/* One audit row in the call's transaction. object is "kind:id"; detail a JSON object as text, NULL: none. */
bool api_audit(struct api_call *call, const char *action, const char *kind, const char *id, const char *detail, struct err *err) MUST_USE;

/* {"name":"value"}, in the arena; NULL without memory. Pairs with a NULL value are left out; ends with (char *)NULL. */
const char *api_detail(struct api_call *call, ...) __attribute__((sentinel)) MUST_USE;

/* ERR_INVALID naming the field unless text is an identifier. */
bool api_check_id(const char *text, const char *field, struct err *err) MUST_USE;

/* The name and the value (NULL: taken away) of a device's attribute. ERR_INVALID. */
bool api_check_attribute(const char *name, const char *value, struct err *err) MUST_USE;

/* A parameter that is true or false; left out it is false. ERR_INVALID. */
bool api_query_bool(const struct api_call *call, const char *name, bool *ret_value, struct err *err) MUST_USE;

/* A parameter that is a time; left out it is 0. ERR_INVALID. */
bool api_query_time(const struct api_call *call, const char *name, int64_t *ret_time, struct err *err) MUST_USE;

/* A number that a path or a body gives as text, in its one spelling: ids of deployments. ERR_NOT_FOUND for anything else: no such thing exists. */
bool api_number(const char *text, const char *what, int64_t *ret_number, struct err *err) MUST_USE;

#endif
