/* What every list shares: limit, sort, cursor, the page with its "next" and Link; or, for `Accept: application/x-ndjson`, all its
 * items as lines: the handler is asked again for page after page while the client takes them, with its own order, filters and checks. */
#ifndef PAWL_API_LIST_H
#define PAWL_API_LIST_H

#include "api/reply.h"
#include "db/db.h"

enum { API_LIST_DEFAULT = 100 };

/* True when the client asked for lines instead of a page. */
bool api_list_wants_lines(const struct api_call *call);

/* ERR_INVALID naming limit or cursor; the list itself judges the order. */
bool api_list_begin(struct api_call *call, struct db_list *ret_list, struct err *err) MUST_USE;

/* The page of items; next: of the page that was read. */
bool api_list_reply(struct api_call *call, const struct json_shape *item, void *items, size_t count, const char *next, struct err *err) MUST_USE;

#endif
