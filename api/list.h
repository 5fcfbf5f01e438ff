/* What every list shares: limit, cursor, the page with its "next" and Link; or, for `Accept: application/x-ndjson`, all its
 * items as lines: the handler is asked again for page after page while the client takes them, with its own order, filters and checks. */
#ifndef PAWL_API_LIST_H
#define PAWL_API_LIST_H

#include "api/reply.h"

enum { API_LIST_DEFAULT = 100 };

struct api_list {
    size_t limit;
    const char *after;    /* the position behind the page before; "" at the start */
    int64_t after_number; /* the same for lists by number; 0 at the start */
};

/* True when the client asked for lines instead of a page. */
bool api_list_wants_lines(const struct api_call *call);

/* by_number: the list's positions are numbers. ERR_INVALID naming limit or cursor. */
bool api_list_begin(struct api_call *call, bool by_number, struct api_list *ret_list, struct err *err) MUST_USE;

/* The page of items; last: the position of the last one, NULL when nothing follows. */
bool api_list_reply(struct api_call *call, const struct json_shape *item, void *items, size_t count, const char *last, struct err *err) MUST_USE;

#endif
