/* Devices by filter, over the registry in memory: tags and attributes are read from the store only where the answer hangs on them. */
#ifndef PAWL_DB_SELECT_H
#define PAWL_DB_SELECT_H

#include "db/device.h"
#include "fleet/filter.h"

/* What a list of devices can be sorted by; the id decides between equals. */
enum db_device_sort {
    DB_DEVICE_BY_ID = 0,
    DB_DEVICE_BY_PRODUCT,
    DB_DEVICE_BY_HARDWARE,
    DB_DEVICE_BY_STATE,
    DB_DEVICE_BY_VERSION,
    DB_DEVICE_BY_SEQUENCE,  /* unknown ones first */
    DB_DEVICE_BY_LAST_SEEN, /* never seen ones first */
    DB_DEVICE_SORT_COUNT
};

/* "id" … "last_seen". */
bool db_device_sort_parse(const char *name, enum db_device_sort *ret_sort) MUST_USE;

enum { DB_SELECT_FILTERS = 2 };

struct db_select {
    const struct fleet_filter *filters[DB_SELECT_FILTERS]; /* all must match; NULL: any device does */
    enum db_device_sort sort;
    bool descending;
    const char *after; /* the ret_last of the page before, or "" */
    size_t limit;      /* ≤ DB_MAX_PAGE */
};

/* One page. ret_last (arena): where it ends, for the next one; NULL when nothing follows. ERR_INVALID with field "cursor": after is none of this
 * order. Costs a walk through the whole registry, whichever page it is. */
bool db_select_page(struct db_conn *conn, const struct db_select *select, struct arena *arena, struct db_devices *ret_page, const char **ret_last,
                    struct err *err) MUST_USE;

#endif
