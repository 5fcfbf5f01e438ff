/* The one place where replies are made: JSON, header fields, and problems (RFC 9457) by one table. */
#ifndef PAWL_API_REPLY_H
#define PAWL_API_REPLY_H

#include "api/api.h"
#include "common/json.h"

enum { API_REPLY_MAX = 16 * 1024 * 1024 };

/* status 0: 200. The text is kept in the arena. */
bool api_reply_json(struct api_call *call, int status, const struct json_shape *shape, const void *object, struct err *err) MUST_USE;
bool api_reply_text(struct api_call *call, const char *content_type, const struct buf *text, struct err *err) MUST_USE;

/* {name: object, "secret": secret}: shown once. The same request again by its Idempotency-Key is answered with null. */
bool api_reply_secret(struct api_call *call, int status, const char *name, const struct json_shape *shape, const void *object, const char *secret,
                      struct err *err) MUST_USE;

/* Lets go of a blob or a pulled body. */
void api_reply_drop(struct api_reply *reply);

/* value is copied. ERR_INTERNAL past API_MAX_HEADERS. */
bool api_reply_header(struct api_call *call, const char *name, const char *value, struct err *err) MUST_USE;
bool api_reply_headerf(struct api_call *call, struct err *err, const char *name, const char *format, ...) PRINTF_LIKE(4, 5) MUST_USE;

/* ETag: "revision" */
bool api_reply_etag(struct api_call *call, int64_t revision, struct err *err) MUST_USE;

/* Seconds until the next poll, with jitter. */
int64_t api_poll_after(const struct api_call *call);

/* Poll-After with jitter, so that a fleet that was switched on together does not come back together. */
bool api_reply_poll_after(struct api_call *call, struct err *err) MUST_USE;

/* Turns the reply into the problem that err says; header fields that are set stay (below 500). Never fails: without memory the body is empty. */
void api_reply_problem(struct api_call *call, const struct err *err);

/* {line, field, detail}: a struct api_problem_row. */
extern const struct json_shape api_shape_problem_row;

/* From the one table. On the device listener a downgrade is 403, an operator's is 409. */
int api_problem_status(enum err_code code, enum api_listener listener);
const char *api_problem_title(enum err_code code);

#endif
