/* Devices by filter, over the registry in memory: tags and attributes are read from the store only where the answer hangs on them. */
#ifndef PAWL_DB_SELECT_H
#define PAWL_DB_SELECT_H

#include "db/device.h"
#include "fleet/filter.h"

enum { DB_SELECT_FILTERS = 2 };

struct db_select {
    const struct fleet_filter *filters[DB_SELECT_FILTERS]; /* all must match; NULL: any device does */
    struct db_list list; /* sort: id, product, hardware, state, version, sequence (unknown ones first) or last_seen (never seen ones first) */
};

/* The device as a filter sees it, without tags and attributes. Points into *hot. */
struct fleet_filter_subject db_select_subject(const struct db_device_hot *hot);

/* One page. Costs a walk through the whole registry, whichever page it is. */
bool db_select_page(struct db_conn *conn, const struct db_select *select, struct arena *arena, struct db_devices *ret_page, struct err *err) MUST_USE;

#endif
