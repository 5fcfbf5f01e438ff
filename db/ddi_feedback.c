/* A DDI client's feedback in one transaction: judged by fleet/ddi.h, logged, and turned into a report or an answer to a cancel. */
#include <string.h>

#include "common/json.h"
#include "common/text.h"
#include "db/ddi.h"
#include "db/deployment_row.h"
#include "db/query.h"
#include "db/store.h"

enum { SCRATCH_BYTES = 1 << 20, ERROR_TEXT_BYTES = 1024 };

struct action_row {
    int64_t deployment;
    int64_t fetched_at;
    const char *result;
    const char *cancel_result;
};

static const struct db_column action_columns[] = {
    DB_COLUMN(DB_INT, struct action_row, deployment),
    DB_COLUMN(DB_INT, struct action_row, fetched_at),
    DB_COLUMN(DB_TEXT, struct action_row, result),
    DB_COLUMN(DB_TEXT, struct action_row, cancel_result),
};
static const struct db_shape action_shape = DB_SHAPE(struct action_row, action_columns);

/* What the steps share. */
struct step {
    struct db_conn *tx;
    struct arena *arena;
    const struct db_ddi_feedback *feedback;
    const char *device;
    int64_t now;
    struct db_device_hot hot;
    struct db_deployment deployment;
    enum fleet_ddi_result result, cancel_result; /* on record */
    struct fleet_ddi_ruling ruling;
};

static bool parse_result(const char *name, enum fleet_ddi_result *ret_result) {
    *ret_result = FLEET_DDI_NO_RESULT;
    return name[0] == '\0' || fleet_ddi_result_parse(name, ret_result);
}

/* A deployment of another device, or one that was never told to this one, does not exist for it. */
static bool find_action(struct step *step, struct err *err) {
    int64_t id = step->feedback->deployment;
    struct db_stmt *stmt;
    struct action_row row;

    if (!db_registry_read(step->tx, step->device, &step->hot, err) || !db_deployment_get(step->tx, id, step->arena, &step->deployment, err))
        return false;
    stmt = db_query_begin(step->tx, DB_QUERY_DDI_ACTION_GET);
    db_query_int(stmt, 1, id);
    if (strcmp(step->deployment.device, step->device) != 0 || !db_query_one(stmt, &action_shape, step->arena, &row, "action", "", err))
        return err_set(err, ERR_NOT_FOUND, "action '%lld' does not exist", (long long)id);
    return (parse_result(row.result, &step->result) && parse_result(row.cancel_result, &step->cancel_result)) ||
           err_set(err, ERR_IO, "database: action %lld has an unknown result", (long long)id);
}

static enum fleet_ddi_situation situation_of(const struct step *step) {
    if (!fleet_deployment_is_open(step->deployment.state))
        return FLEET_DDI_OVER;
    if (step->deployment.state == FLEET_CANCELLING)
        return FLEET_DDI_CANCELLING;
    return step->result != FLEET_DDI_NO_RESULT ? FLEET_DDI_ANSWERED : FLEET_DDI_RUNNING;
}

static void judge(struct step *step) {
    const struct db_ddi_feedback *feedback = step->feedback;
    const char *detail = feedback->details.count > 0 ? feedback->details.items[feedback->details.count - 1] : NULL;

    step->ruling = feedback->cancel ? fleet_ddi_cancel(situation_of(step), step->cancel_result, feedback->execution, feedback->finished)
                                    : fleet_ddi_feedback(situation_of(step), step->result, feedback->execution, feedback->finished, detail);
}

/* ---- the log ---- */

static bool drop_oldest(struct step *step, int64_t *entries, int64_t *bytes, bool *ret_dropped, struct err *err) {
    struct db_stmt *stmt = db_query_begin(step->tx, DB_QUERY_DDI_LOG_OLDEST);
    int64_t seq, size;

    db_query_int(stmt, 1, step->deployment.id);
    if (!db_query_next(stmt, ret_dropped, err))
        return false;
    if (!*ret_dropped)
        return true;
    seq = db_query_column_int(stmt, "seq");
    size = db_query_column_int(stmt, "bytes");
    db_query_end(stmt);
    stmt = db_query_begin(step->tx, DB_QUERY_DDI_LOG_DROP);
    db_query_int(stmt, 1, step->deployment.id);
    db_query_int(stmt, 2, seq);
    if (!db_query_run(stmt, NULL, err))
        return false;
    stmt = db_query_begin(step->tx, DB_QUERY_DDI_ACTION_LOG_DROPPED);
    db_query_int(stmt, 1, step->deployment.id);
    db_query_int(stmt, 2, size);
    (*entries)--;
    *bytes -= size;
    return db_query_run(stmt, NULL, err);
}

static bool insert_entry(struct step *step, int64_t seq, const struct buf *details, struct err *err) {
    const struct db_ddi_feedback *feedback = step->feedback;
    struct db_stmt *stmt = db_query_begin(step->tx, DB_QUERY_DDI_LOG_INSERT);

    db_query_int(stmt, 1, step->deployment.id);
    db_query_int(stmt, 2, seq);
    db_query_int(stmt, 3, step->now);
    db_query_text(stmt, 4, fleet_ddi_execution_name(feedback->execution));
    db_query_text(stmt, 5, fleet_ddi_finished_name(feedback->finished));
    db_query_int(stmt, 6, feedback->cancel);
    db_query_int(stmt, 7, step->ruling.verdict == FLEET_DDI_TAKEN);
    db_query_opt_int(stmt, 8, feedback->progress_count >= 0, feedback->progress_count);
    db_query_opt_int(stmt, 9, feedback->progress_of >= 0, feedback->progress_of);
    db_query_opt_int(stmt, 10, feedback->code >= 0, feedback->code);
    db_query_text(stmt, 11, details->data);
    db_query_int(stmt, 12, (int64_t)details->len);
    return db_query_run(stmt, NULL, err);
}

static bool write_log(struct step *step, struct err *err) {
    CLEANUP(buf_free) struct buf details = BUF_INIT(DB_DDI_LOG_BYTES);
    struct db_stmt *stmt;
    int64_t seq, entries, bytes;
    bool more = true;

    buf_byte(&details, '[');
    for (size_t i = 0; i < step->feedback->details.count; i++) {
        if (i > 0)
            buf_byte(&details, ',');
        json_write_text(&details, step->feedback->details.items[i]);
    }
    buf_byte(&details, ']');
    if (!buf_ok(&details, "the details", err))
        return false;
    stmt = db_query_begin(step->tx, DB_QUERY_DDI_ACTION_LOG);
    db_query_int(stmt, 1, step->deployment.id);
    db_query_int(stmt, 2, (int64_t)details.len);
    if (!db_query_next(stmt, &more, err))
        return false;
    if (!more)
        return err_set(err, ERR_INTERNAL, "database: action %lld is gone", (long long)step->deployment.id);
    seq = db_query_column_int(stmt, "log_seq");
    entries = db_query_column_int(stmt, "log_entries");
    bytes = db_query_column_int(stmt, "log_bytes");
    if (!db_query_run(stmt, NULL, err))
        return false;
    while (more && (entries > DB_DDI_LOG_ENTRIES || bytes > DB_DDI_LOG_BYTES))
        if (!drop_oldest(step, &entries, &bytes, &more, err))
            return false;
    return insert_entry(step, seq, &details, err);
}

/* ---- what it does ---- */

/* For people: the last lines it gave. */
static const char *error_text(const struct step *step) {
    const struct db_texts *details = &step->feedback->details;
    size_t first = details->count, len = 0;
    char *text = arena_alloc(step->arena, ERROR_TEXT_BYTES);

    while (first > 0 && len + strlen(details->items[first - 1]) + 2 < ERROR_TEXT_BYTES)
        len += strlen(details->items[--first]) + 2;
    len = 0;
    for (size_t i = first; text && i < details->count; i++) {
        size_t size = strlen(details->items[i]);

        if (len > 0) {
            memcpy(text + len, "; ", 2);
            len += 2;
        }
        memcpy(text + len, details->items[i], size);
        len += size;
    }
    return text ? text : "";
}

static bool report(struct step *step, enum fleet_event event, struct err *err) {
    const struct db_ddi_feedback *feedback = step->feedback;
    bool counted = feedback->progress_of > 0 && feedback->progress_count >= 0 && feedback->progress_count <= feedback->progress_of;
    struct db_reported reported;
    struct db_report_new report = {
        .deployment = step->deployment.id,
        .report_seq = ++step->deployment.report_seq,
        .event = event,
        .progress = counted ? (int64_t)((double)feedback->progress_count * 100 / (double)feedback->progress_of) : -1,
    };

    if (event == FLEET_REPORT_FAILED) {
        report.error_code = "E_INSTALL";
        report.error_text = error_text(step);
    } else if (event == FLEET_REPORT_CONFIRMED) {
        report.installed_known = true;
        report.installed_sequence = step->deployment.sequence;
        report.installed_version = step->deployment.version;
    }
    if (!db_deployment_report(step->tx, step->device, &report, step->now, &reported, err))
        return false;
    step->deployment.state = reported.state;
    return true;
}

/* Progress moves the state where the table lets it; it never hinders. */
static bool note(struct step *step, struct err *err) {
    enum fleet_deployment_state to;

    if (step->ruling.event >= FLEET_REPORT_COUNT || fleet_deployment_move(step->deployment.state, step->ruling.event, &to) != FLEET_MOVE_TAKEN ||
        to == step->deployment.state)
        return true;
    return report(step, step->ruling.event, err);
}

static bool set_result(struct step *step, enum db_query query, struct err *err) {
    struct db_stmt *stmt = db_query_begin(step->tx, query);

    db_query_int(stmt, 1, step->deployment.id);
    db_query_text(stmt, 2, fleet_ddi_result_name(step->ruling.result));
    return db_query_run(stmt, NULL, err);
}

static bool is_confirmed(const struct step *step) {
    return step->feedback->confirms || (step->hot.installed_known && step->hot.installed_sequence == step->deployment.sequence);
}

/* Success: confirmed, or awaited under the deadline of the restart. It wins over a cancel. */
static bool succeed(struct step *step, struct err *err) {
    if (is_confirmed(step))
        return report(step, FLEET_REPORT_CONFIRMED, err);
    if (step->deployment.state == FLEET_CANCELLING) {
        if (!db_deployment_apply(step->tx, step->deployment.id, FLEET_CANCELLING, FLEET_CANCEL_REFUSED, NULL, step->now, err))
            return false;
        step->deployment.state = FLEET_INSTALLING;
    }
    return step->deployment.state == FLEET_REBOOTING || report(step, FLEET_REPORT_REBOOTING, err);
}

static bool take(struct step *step, struct err *err) {
    bool ok = false;

    switch (step->ruling.event) {
    case FLEET_REPORT_CONFIRMED:
        ok = succeed(step, err);
        break;
    case FLEET_CANCEL_ACCEPTED:
    case FLEET_CANCEL_REFUSED:
        return db_deployment_apply(step->tx, step->deployment.id, step->deployment.state, step->ruling.event, NULL, step->now, err) &&
               set_result(step, DB_QUERY_DDI_ACTION_CANCEL, err);
    default:
        ok = report(step, step->ruling.event, err);
        break;
    }
    return ok && set_result(step, DB_QUERY_DDI_ACTION_RESULT, err) && db_ddi_device_ask(step->tx, step->device, err);
}

/* Closed by others meanwhile: a success still counts for the floor, as a native one does. */
static bool late(struct step *step, struct err *err) {
    enum fleet_deployment_state to;
    struct err ignored;

    if (step->ruling.event == FLEET_REPORT_CONFIRMED && step->result == FLEET_DDI_NO_RESULT && is_confirmed(step) &&
        fleet_deployment_move(step->deployment.state, FLEET_REPORT_CONFIRMED, &to) == FLEET_MOVE_LATE) {
        if (report(step, FLEET_REPORT_CONFIRMED, &ignored)) {
            if (!set_result(step, DB_QUERY_DDI_ACTION_RESULT, err))
                return false;
        } else if (ignored.code != ERR_CONFLICT) {
            *err = ignored;
            return false;
        }
    }
    return err_set(err, ERR_GONE, "action %lld is %s", (long long)step->deployment.id, fleet_deployment_state_name(step->deployment.state));
}

bool db_ddi_feedback(struct db_conn *tx, const char *device, const struct db_ddi_feedback *feedback, int64_t now, enum fleet_ddi_verdict *ret_verdict,
                     struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct step step = {.tx = tx, .arena = &arena, .feedback = feedback, .device = device, .now = now};
    bool ok = true;

    arena_init(&arena, SCRATCH_BYTES);
    if (!find_action(&step, err))
        return false;
    judge(&step);
    switch (step.ruling.verdict) {
    case FLEET_DDI_GONE:
        return feedback->cancel ? err_set(err, ERR_NOT_FOUND, "action %lld is not being cancelled", (long long)feedback->deployment)
                                : late(&step, err);
    case FLEET_DDI_REPEATED:
        break;
    case FLEET_DDI_NOTED:
        ok = write_log(&step, err) && note(&step, err);
        break;
    case FLEET_DDI_TAKEN:
        ok = write_log(&step, err) && take(&step, err) && db_registry_touch(tx, device, false, err);
        break;
    }
    *ret_verdict = step.ruling.verdict;
    return ok;
}
