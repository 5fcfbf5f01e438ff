/* What devices reported, one row a report, never changed; so that a report sent again is known. Written by db_deployment_report(). */
#ifndef PAWL_DB_REPORT_H
#define PAWL_DB_REPORT_H

#include "db/db.h"
#include "fleet/deployment.h"

struct db_report {
    int64_t deployment;
    int64_t report_seq;
    enum fleet_event event;
    int64_t progress; /* -1: not said */
    const char *error_code;
    const char *error_text;
    bool installed_known;
    int64_t installed_sequence;
    const char *installed_version;
    enum fleet_deployment_state result; /* the deployment's state after it */
    int64_t received_at;
};

/* ERR_NOT_FOUND. */
bool db_report_get(struct db_conn *conn, int64_t deployment, int64_t report_seq, struct arena *arena, struct db_report *ret_report,
                   struct err *err) MUST_USE;
bool db_report_insert(struct db_conn *tx, const struct db_report *report, struct err *err) MUST_USE;

#endif
