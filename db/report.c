#include "db/report.h"

#include <stdio.h>

#include "db/query.h"

static const struct db_column columns[] = {
    DB_COLUMN(DB_INT, struct db_report, deployment),
    DB_COLUMN(DB_INT, struct db_report, report_seq),
    DB_COLUMN_NAME(struct db_report, event, db_query_parse_report),
    DB_COLUMN(DB_INT_OR_LESS, struct db_report, progress),
    DB_COLUMN(DB_TEXT, struct db_report, error_code),
    DB_COLUMN(DB_TEXT, struct db_report, error_text),
    DB_COLUMN(DB_TEXT, struct db_report, installed_version),
    DB_COLUMN_AS(DB_KNOWN, struct db_report, installed_known, "installed_sequence"),
    DB_COLUMN(DB_INT, struct db_report, installed_sequence),
    DB_COLUMN_NAME(struct db_report, result, db_query_parse_deployment_state),
    DB_COLUMN(DB_INT, struct db_report, received_at),
};
static const struct db_shape shape = DB_SHAPE(struct db_report, columns);

bool db_report_get(struct db_conn *conn, int64_t deployment, int64_t report_seq, struct arena *arena, struct db_report *ret_report, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_REPORT_GET);
    char which[48];

    snprintf(which, sizeof which, "%lld/%lld", (long long)deployment, (long long)report_seq);
    db_query_int(stmt, 1, deployment);
    db_query_int(stmt, 2, report_seq);
    return db_query_one(stmt, &shape, arena, ret_report, "report", which, err);
}

bool db_report_insert(struct db_conn *tx, const struct db_report *report, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_REPORT_INSERT);

    db_query_int(stmt, 1, report->deployment);
    db_query_int(stmt, 2, report->report_seq);
    db_query_text(stmt, 3, fleet_event_name(report->event));
    db_query_opt_int(stmt, 4, report->progress >= 0, report->progress);
    db_query_opt_text(stmt, 5, report->error_code);
    db_query_opt_text(stmt, 6, report->error_text);
    db_query_opt_text(stmt, 7, report->installed_version);
    db_query_opt_int(stmt, 8, report->installed_known, report->installed_sequence);
    db_query_text(stmt, 9, fleet_deployment_state_name(report->result));
    db_query_int(stmt, 10, report->received_at);
    return db_query_run(stmt, NULL, err);
}
