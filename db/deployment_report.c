/* A device's report on its deployment, in one transaction: number, state table, floor, installed, quarantine, events. */
#include <stdio.h>
#include <string.h>

#include "common/hex.h"
#include "common/text.h"
#include "db/deployment_row.h"
#include "db/event.h"
#include "db/query.h"
#include "db/report.h"
#include "db/rollout_row.h"
#include "db/store.h"

enum { SCRATCH_BYTES = 1 << 20 };

/* What the steps share. */
struct step {
    struct db_conn *tx;
    const struct db_report_new *report;
    int64_t now;
    struct db_device_hot hot;
    struct db_deployment deployment;
    struct db_release release;
    enum fleet_deployment_state to;
    enum fleet_move move;
};

static bool is_last_word(enum fleet_event event) {
    return event == FLEET_REPORT_CONFIRMED || event == FLEET_REPORT_FAILED || event == FLEET_REPORT_REJECTED;
}

/* A number that is known: the recorded result, if it is the same report. *ret_known false: it is new. */
static bool find_repeat(struct step *step, struct arena *arena, bool *ret_known, struct db_reported *ret_reported, struct err *err) {
    const struct db_report_new *report = step->report;
    struct db_report known;

    *ret_known = db_report_get(step->tx, report->deployment, report->report_seq, arena, &known, err);
    if (!*ret_known)
        return err->code == ERR_NOT_FOUND;
    if (known.event != report->event || known.progress != report->progress ||
        !text_equal(known.error_code, report->error_code ? report->error_code : "") || known.installed_known != report->installed_known ||
        (known.installed_known && known.installed_sequence != report->installed_sequence))
        return err_set_field(err, ERR_CONFLICT, "report_seq", "deployment %lld: report %lld was another one", (long long)report->deployment,
                             (long long)report->report_seq);
    *ret_reported = (struct db_reported){.state = known.result, .repeated = true, .floor_sequence = step->hot.floor.sequence};
    return true;
}

static bool check_number(struct step *step, struct err *err) {
    const struct db_report_new *report = step->report;
    struct db_stmt *stmt = db_query_begin(step->tx, DB_QUERY_DEPLOYMENT_REPORT_COUNT);
    int64_t count = 0;

    if (report->report_seq <= step->deployment.report_seq)
        return err_set_field(err, ERR_CONFLICT, "report_seq", "deployment %lld: report %lld after report %lld goes backwards",
                             (long long)report->deployment, (long long)report->report_seq, (long long)step->deployment.report_seq);
    db_query_int(stmt, 1, report->deployment);
    if (!db_query_number(stmt, "report_count", &count, err))
        return false;
    if (count >= DB_MAX_REPORTS && !is_last_word(report->event))
        return err_set(err, ERR_RATE, "deployment %lld: %d reports at most", (long long)report->deployment, DB_MAX_REPORTS);
    return true;
}

static bool check_move(struct step *step, struct err *err) {
    const struct db_report_new *report = step->report;

    step->move = FLEET_MOVE_REFUSED;
    if (report->event < FLEET_REPORT_COUNT)
        step->move = fleet_deployment_move(step->deployment.state, report->event, &step->to);
    if (step->move == FLEET_MOVE_REFUSED)
        return err_set_field(err, ERR_CONFLICT, "state", "deployment %lld is %s: '%s' does not follow", (long long)report->deployment,
                             fleet_deployment_state_name(step->deployment.state), fleet_event_name(report->event));
    if (step->move == FLEET_MOVE_LATE && step->hot.floor.sequence >= step->release.sequence)
        return err_set_field(err, ERR_CONFLICT, "state", "deployment %lld is closed, and what it brings was confirmed before",
                             (long long)report->deployment);
    if (report->event != FLEET_REPORT_CONFIRMED)
        return true;
    if (!report->installed_known)
        return err_set_field(err, ERR_INVALID, "installed", "deployment %lld: 'confirmed' must say what runs now", (long long)report->deployment);
    if (report->installed_sequence != step->release.sequence)
        return err_set_field(err, ERR_CONFLICT, "installed.sequence", "deployment %lld brings sequence %lld, the device runs %lld",
                             (long long)report->deployment, (long long)step->release.sequence, (long long)report->installed_sequence);
    return true;
}

static bool write_move(struct step *step, struct err *err) {
    const struct db_report_new *report = step->report;
    struct db_stmt *stmt = db_query_begin(step->tx, DB_QUERY_DEPLOYMENT_REPORT);
    bool was_open = fleet_deployment_is_open(step->deployment.state);
    int64_t changes;

    db_query_int(stmt, 1, report->deployment);
    db_query_text(stmt, 2, fleet_deployment_state_name(step->deployment.state));
    db_query_text(stmt, 3, fleet_deployment_state_name(step->to));
    db_query_int(stmt, 4, report->report_seq);
    db_query_opt_int(stmt, 5, report->progress >= 0, report->progress);
    db_query_opt_text(stmt, 6, report->error_code);
    db_query_opt_text(stmt, 7, report->error_text);
    db_query_text(stmt, 8, report->event == FLEET_REPORT_REJECTED ? "rejected by the device" : NULL);
    db_query_int(stmt, 9, step->now);
    db_query_opt_int(stmt, 10, !fleet_deployment_is_open(step->to), was_open ? step->now : step->deployment.closed_at);
    if (!db_query_run(stmt, &changes, err))
        return false;
    return changes == 1 || err_set(err, ERR_CONFLICT, "deployment %lld was moved meanwhile", (long long)report->deployment);
}

static bool write_report(struct step *step, struct err *err) {
    const struct db_report_new *report = step->report;
    const struct db_report row = {
        .deployment = report->deployment,
        .report_seq = report->report_seq,
        .event = report->event,
        .progress = report->progress,
        .error_code = report->error_code,
        .error_text = report->error_text,
        .installed_known = report->installed_known,
        .installed_sequence = report->installed_sequence,
        .installed_version = report->installed_version,
        .result = step->to,
        .received_at = step->now,
    };

    return db_report_insert(step->tx, &row, err);
}

/* By the signed values of the release, never by what the device says. Floors belong to (device, product). */
static bool raise_floor(struct step *step, struct err *err) {
    struct fleet_floor *floor = &step->hot.floor;
    struct db_stmt *stmt;
    uint8_t sha256[FLEET_SHA256_SIZE];
    char hex[DB_SHA256_SIZE];

    if (!text_equal(step->release.product, step->hot.product))
        return true;
    if (!hex_decode(step->release.sha256, strlen(step->release.sha256), sha256))
        return err_set(err, ERR_IO, "database: release %s has no SHA-256", step->release.path);
    *floor = fleet_floor_raise(*floor, step->release.sequence, step->release.security_version, sha256);
    hex_encode(floor->sha256, sizeof floor->sha256, hex);
    stmt = db_query_begin(step->tx, DB_QUERY_DEVICE_FLOOR);
    db_query_text(stmt, 1, step->hot.id);
    db_query_int(stmt, 2, floor->sequence);
    db_query_int(stmt, 3, floor->security_version);
    db_query_text(stmt, 4, hex);
    return db_query_run(stmt, NULL, err);
}

static bool write_quarantine(struct step *step, struct err *err) {
    bool failure = fleet_deployment_counts_as_failure(step->report->event);
    struct db_stmt *stmt;

    if (!failure && step->report->event != FLEET_REPORT_CONFIRMED)
        return true;
    stmt = db_query_begin(step->tx, failure ? DB_QUERY_QUARANTINE_COUNT : DB_QUERY_QUARANTINE_LIFT);
    db_query_text(stmt, 1, step->hot.id);
    db_query_int(stmt, 2, step->release.id);
    if (failure)
        db_query_int(stmt, 3, step->hot.ddi_client ? FLEET_MAX_FAILURES_DDI : FLEET_MAX_FAILURES);
    return db_query_run(stmt, NULL, err);
}

/* A rejection that led into quarantine is not asked again. */
static bool is_held(struct step *step, bool *ret_held, struct err *err) {
    struct db_stmt *stmt = db_query_begin(step->tx, DB_QUERY_QUARANTINE_HELD);
    int64_t held = 0;

    db_query_text(stmt, 1, step->hot.id);
    db_query_int(stmt, 2, step->release.id);
    if (!db_query_number(stmt, "held", &held, err))
        return false;
    *ret_held = held != 0;
    return true;
}

/* What it means for the rollout that made the deployment; and a confirmed release is confirmed in every rollout of it. */
static bool move_member(struct step *step, struct err *err) {
    enum fleet_member_event means;
    bool held = false;

    if (!fleet_member_event_of(step->report->event, &means))
        return true;
    if (means == FLEET_MEMBER_REJECT && !is_held(step, &held, err))
        return false;
    if (step->deployment.rollout != 0 &&
        !db_rollout_member_apply(step->tx, step->deployment.rollout, step->hot.id, held ? FLEET_MEMBER_CANCEL : means, 0, step->now, err))
        return false;
    return means != FLEET_MEMBER_CONFIRM ||
           db_rollout_member_apply_all(step->tx, step->hot.id, step->hot.product, step->release.id, means, step->now, err);
}

/* The last words are events, with what people ask next. */
static bool write_event(struct step *step, struct err *err) {
    const char *code = step->report->error_code;
    char kind[48], detail[192];

    if (!is_last_word(step->report->event))
        return true;
    snprintf(kind, sizeof kind, "deployment-%s", fleet_event_name(step->report->event));
    /* An error code is [A-Z0-9_] by the API's contract; whatever else would need escapes stays out. */
    if (code && code[0] && strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(code))
        snprintf(detail, sizeof detail, "{\"deployment\":\"%lld\",\"sequence\":%lld,\"error\":\"%.64s\"}", (long long)step->deployment.id,
                 (long long)step->release.sequence, code);
    else
        snprintf(detail, sizeof detail, "{\"deployment\":\"%lld\",\"sequence\":%lld}", (long long)step->deployment.id,
                 (long long)step->release.sequence);
    return db_event_insert(step->tx, step->now, kind, step->hot.id, detail, err);
}

static bool take(struct step *step, struct db_reported *ret_reported, struct err *err) {
    const struct db_report_new *report = step->report;
    bool installed = false;

    if (!write_move(step, err) || !write_report(step, err) || !write_quarantine(step, err) || !move_member(step, err) || !write_event(step, err))
        return false;
    if (report->event == FLEET_REPORT_CONFIRMED && !raise_floor(step, err))
        return false;
    if (report->installed_known &&
        !db_device_installed(step->tx, &step->hot, report->installed_sequence, report->installed_version ? report->installed_version : "", false,
                             step->now, &installed, err))
        return false;
    if (!db_registry_touch(step->tx, step->hot.id, installed, err))
        return false;
    if (fleet_deployment_is_open(step->deployment.state) && !fleet_deployment_is_open(step->to) &&
        !db_deployment_follow(step->tx, step->hot.id, step->now, err))
        return false;
    *ret_reported = (struct db_reported){.state = step->to, .floor_sequence = step->hot.floor.sequence};
    return true;
}

bool db_deployment_report(struct db_conn *tx, const char *device, const struct db_report_new *report, int64_t now, struct db_reported *ret_reported,
                          struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct step step = {.tx = tx, .report = report, .now = now};
    bool known;

    arena_init(&arena, SCRATCH_BYTES);
    if (!db_registry_read(tx, device, &step.hot, err) || !db_deployment_get(tx, report->deployment, &arena, &step.deployment, err))
        return false;
    if (strcmp(step.deployment.device, device) != 0)
        return err_set(err, ERR_NOT_FOUND, "deployment '%lld' does not exist", (long long)report->deployment);
    if (!find_repeat(&step, &arena, &known, ret_reported, err))
        return false;
    if (known)
        return true;
    err->code = ERR_NONE;
    return db_release_get(tx, step.deployment.release, &arena, &step.release, err) && check_number(&step, err) && check_move(&step, err) &&
           take(&step, ret_reported, err);
}
