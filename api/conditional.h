/* Conditional requests (RFC 9110 §13): entity tags, dates, and the order in which they decide. */
#ifndef PAWL_API_CONDITIONAL_H
#define PAWL_API_CONDITIONAL_H

#include "common/defs.h"

/* What stands on the server. */
struct api_validators {
    const char *etag;    /* strong, with its quotes */
    int64_t modified_at; /* UTC seconds; 0: none, dates are then ignored */
};

/* What the client sent; NULL: absent. */
struct api_conditions {
    const char *if_match;
    const char *if_none_match;
    const char *if_modified_since;
    const char *if_unmodified_since;
    const char *if_range;
};

enum api_condition {
    API_CONDITION_PASS = 0,
    API_CONDITION_NOT_MODIFIED, /* 304 */
    API_CONDITION_FAILED,       /* 412 */
};

/* RFC 9110 §13.2.2 for GET and HEAD. A malformed list matches nothing, a malformed date is ignored. */
enum api_condition api_conditional_decide(const struct api_conditions *conditions, const struct api_validators *validators);

/* True when a Range may be honoured: no If-Range, a matching strong tag, or exactly the Last-Modified date. Weak tags never match. */
bool api_conditional_range(const char *if_range, const struct api_validators *validators);

/* True when the tag list (or "*") holds the strong tag; weak: W/ is looked through. */
bool api_conditional_list_has(const char *list, const char *etag, bool weak);

#endif
