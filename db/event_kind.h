/* The kinds of events: the one table that says what there is and what it is about. */
#ifndef PAWL_DB_EVENT_KIND_H
#define PAWL_DB_EVENT_KIND_H

#include "common/defs.h"

enum { DB_EVENT_KIND_SIZE = 48 };

struct db_event_kind {
    const char *name;
    const char *help; /* with the members of its detail */
};

extern const struct db_event_kind db_event_kinds[];
extern const size_t db_event_kind_count;

bool db_event_kind_known(const char *name);

#endif
