/* The filter over devices: a small grammar of its own, read into a tree and asked of one device at a time (docs/filter.md). Pure. */
#ifndef PAWL_FLEET_FILTER_H
#define PAWL_FLEET_FILTER_H

#include "common/arena.h"
#include "common/buf.h"
#include "fleet/device.h"

enum {
    FLEET_FILTER_MAX_BYTES = 4096, /* of the text */
    FLEET_FILTER_MAX_DEPTH = 16,   /* parentheses and "not" within each other */
    FLEET_FILTER_MAX_TERMS = 256,  /* comparisons, and values in the lists of "in" */
    FLEET_FILTER_MAX_VALUE = 256,  /* bytes of one value */
};

struct fleet_filter;

struct fleet_filter_attribute {
    const char *name;
    const char *value;
};

/* A device as the filter sees it; everything borrowed. What is unknown is "" or known = false. */
struct fleet_filter_subject {
    const char *id;
    const char *product;
    const char *hardware;
    const char *version; /* installed */
    bool sequence_known;
    int64_t sequence; /* installed */
    enum fleet_device_state state;
    int64_t last_seen; /* 0: never */
    const char *const *tags;
    size_t tag_count;
    const struct fleet_filter_attribute *attributes;
    size_t attribute_count;
};

/* What a filter looks at beyond the registry in memory: to be read from the store before fleet_filter_match(). A mask. */
enum fleet_filter_need { FLEET_FILTER_TAGS = 1, FLEET_FILTER_ATTRIBUTES = 2 };

/* The tree lies in the arena; text is not kept. Empty or blank text is a filter that matches every device.
 * ERR_INVALID with field "filter": "column 14: expected a value, found ')'" (columns count characters, from 1). */
bool fleet_filter_parse(struct arena *arena, const char *text, const struct fleet_filter **ret_filter, struct err *err) MUST_USE;

/* A comparison with something unknown (no version, never seen, no such attribute) is false, but "!=" is true. */
bool fleet_filter_match(const struct fleet_filter *filter, const struct fleet_filter_subject *subject) MUST_USE;

/* The same before tags or attributes are read: unread is a mask of enum fleet_filter_need, and the answer hangs on them when it is "maybe". */
enum fleet_filter_answer { FLEET_FILTER_NO = 0, FLEET_FILTER_YES, FLEET_FILTER_MAYBE };
enum fleet_filter_answer fleet_filter_ask(const struct fleet_filter *filter, const struct fleet_filter_subject *subject, unsigned unread) MUST_USE;

unsigned fleet_filter_needs(const struct fleet_filter *filter);

/* True when the filter names every device it can match: `id == a`, `id in (a, b)`, alone or joined by "and" with anything else.
 * *ret_ids (arena of the filter) are those ids, so that nothing else has to be looked at. */
bool fleet_filter_ids(const struct fleet_filter *filter, const char *const **ret_ids, size_t *ret_count) MUST_USE;

/* The product that every match must have (`product == x` alone or in an "and"); NULL: none. */
const char *fleet_filter_product(const struct fleet_filter *filter);

/* Appends the canonical text: one space, parentheses only where needed, values quoted only where needed. Parsing it gives the same tree. */
void fleet_filter_print(const struct fleet_filter *filter, struct buf *out);

/* Appends one value as a filter must have it: quoted when needed. */
void fleet_filter_quote(const char *value, struct buf *out);

#endif
