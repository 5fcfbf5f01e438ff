/* Every image hashed again: what is damaged, what is missing, what nobody needs. */
#ifndef PAWL_DB_SCRUB_H
#define PAWL_DB_SCRUB_H

#include "db/db.h"
#include "db/work.h"

enum db_scrub_fault { DB_SCRUB_CORRUPT, DB_SCRUB_MISSING, DB_SCRUB_ORPHAN, DB_SCRUB_FAULT_COUNT };

const char *db_scrub_fault_name(enum db_scrub_fault fault);
bool db_scrub_fault_parse(const char *name, enum db_scrub_fault *ret_fault) MUST_USE;

struct db_scrub_finding {
    enum db_scrub_fault fault;
    char sha256[65];
};

enum { DB_SCRUB_MAX_FINDINGS = 1000 };

struct db_scrub_report {
    int64_t images; /* rows looked at */
    int64_t bytes;
    int64_t faults[DB_SCRUB_FAULT_COUNT];
    size_t finding_count; /* at most DB_SCRUB_MAX_FINDINGS of them */
    struct db_scrub_finding *findings;
};

/* Reads the store in `folder`, whether or not a server has it open; changes nothing. Images that come or go meanwhile are no findings: a missing one
 * is looked up again, and a file without a row counts when it is older than a minute. ERR_BUSY: stopped. */
bool db_scrub(const char *folder, int64_t now, const struct db_work *work, struct arena *arena, struct db_scrub_report *ret_report,
              struct err *err) MUST_USE;

/* How a run tells the server, which makes events of it: a file in the store, put there whole and taken away by the server. */
bool db_scrub_leave(const char *folder, int64_t now, const struct db_scrub_report *report, struct err *err) MUST_USE;

/* *ret_found false: no run has left anything. The file is gone afterwards, even when it cannot be read (ERR_INVALID). */
bool db_scrub_collect(const char *folder, struct arena *arena, struct db_scrub_report *ret_report, int64_t *ret_at, bool *ret_found,
                      struct err *err) MUST_USE;

#endif
