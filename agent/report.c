#include "agent/report.h"

#include <string.h>

#include "common/log.h"
#include "common/text.h"

enum { BODY_MAX = 8192 };

struct wire_error {
    const char *code;
    const char *detail;
};
struct wire_installed {
    const char *version;
    int64_t sequence;
};
struct wire_report {
    const char *deployment;
    int64_t report_seq;
    const char *state;
    struct wire_error *error;
    struct wire_installed *installed;
};

static const struct json_field error_fields[] = {
    {.name = "code", .type = JSON_TEXT, .offset = offsetof(struct wire_error, code)},
    {.name = "detail", .type = JSON_TEXT, .offset = offsetof(struct wire_error, detail)},
};
static const struct json_shape error_shape = JSON_SHAPE(struct wire_error, error_fields);

static const struct json_field installed_fields[] = {
    {.name = "version", .type = JSON_TEXT, .offset = offsetof(struct wire_installed, version)},
    {.name = "sequence", .type = JSON_INT, .offset = offsetof(struct wire_installed, sequence)},
};
static const struct json_shape installed_shape = JSON_SHAPE(struct wire_installed, installed_fields);

/* Progress is last, so that a report without it is the same table one row shorter. */
struct wire_progress {
    struct wire_report report;
    int64_t progress;
};
static const struct json_field report_fields[] = {
    {.name = "deployment", .type = JSON_TEXT, .offset = offsetof(struct wire_report, deployment)},
    {.name = "report_seq", .type = JSON_INT, .offset = offsetof(struct wire_report, report_seq)},
    {.name = "state", .type = JSON_TEXT, .offset = offsetof(struct wire_report, state)},
    {.name = "error", .type = JSON_STRUCT, .offset = offsetof(struct wire_report, error), .shape = &error_shape},
    {.name = "installed", .type = JSON_STRUCT, .offset = offsetof(struct wire_report, installed), .shape = &installed_shape},
    {.name = "progress", .type = JSON_INT, .offset = offsetof(struct wire_progress, progress)},
};

void agent_report_write(const struct agent_queued *queued, struct buf *out) {
    const struct json_shape shape = {
        .fields = report_fields, .count = ARRAY_LEN(report_fields) - (queued->progress < 0 ? 1 : 0), .size = sizeof(struct wire_progress)};
    struct wire_error error = {.code = queued->error, .detail = queued->detail};
    struct wire_installed installed = {.version = queued->installed, .sequence = queued->sequence};
    struct wire_progress wire = {.report = {.deployment = queued->deployment,
                                            .report_seq = queued->report_seq,
                                            .state = queued->state,
                                            .error = queued->error != NULL ? &error : NULL,
                                            .installed = queued->installed != NULL ? &installed : NULL},
                                 .progress = queued->progress};
    json_write(out, &shape, &wire);
}

static bool ends_something(const struct agent_queued *queued) {
    return text_equal(queued->state, "confirmed") || text_equal(queued->state, "failed") || text_equal(queued->state, "rejected");
}

static void remove_at(struct json_list *reports, size_t index) {
    struct agent_queued *items = reports->items;
    memmove(items + index, items + index + 1, (reports->count - index - 1) * sizeof(*items));
    reports->count--;
}

static void make_room(struct json_list *reports) {
    const struct agent_queued *items = reports->items;
    if (reports->count < AGENT_REPORTS_MAX)
        return;
    for (size_t i = 0; i < reports->count; i++) {
        if (!ends_something(&items[i])) {
            remove_at(reports, i);
            return;
        }
    }
    remove_at(reports, 0);
}

/* NULL stays NULL; *ok becomes false without memory. */
static const char *keep(struct agent_state *state, const char *text, bool *ok) {
    const char *copy = text != NULL ? arena_strdup(state->arena, text) : NULL;
    *ok = *ok && (text == NULL || copy != NULL);
    return copy;
}

/* A server's words may be in it, and the state file takes no control characters. */
static const char *keep_plain(struct agent_state *state, const char *text, bool *ok) {
    char *copy = text != NULL ? arena_strdup(state->arena, text) : NULL;
    *ok = *ok && (text == NULL || copy != NULL);
    for (char *at = copy; at != NULL && *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    return copy;
}

bool agent_report_queue(struct agent_state *state, const char *deployment, const struct agent_report *report, struct err *err) {
    bool ok = true;
    struct agent_queued queued = {
        .deployment = keep(state, deployment, &ok),
        .report_seq = text_equal(deployment, state->deployment) ? state->report_seq + 1 : 1,
        .state = keep(state, report->state, &ok),
        .progress = report->progress,
        .error = keep(state, report->error != NULL ? err_tag(report->error->code) : NULL, &ok),
        .detail = keep_plain(state, report->error != NULL ? report->error->text : NULL, &ok),
        .installed = keep(state, report->installed, &ok),
        .sequence = report->sequence,
    };
    make_room(&state->reports);
    struct agent_queued *place = ok ? agent_state_grow(state, &state->reports, sizeof(queued)) : NULL;
    if (place == NULL)
        return err_no_memory(err);
    *place = queued;
    state->deployment = queued.deployment;
    state->report_seq = queued.report_seq;
    state->reported = queued.state;
    return true;
}

enum agent_reported agent_report_judge(long status, enum err_code code) {
    if (status >= 200 && status < 300)
        return AGENT_REPORT_TAKEN;
    if (status == 404 || status == 409 || status == 410 || status == 413 || status == 422)
        return AGENT_REPORT_DROPPED;
    /* Our own text was not understood; sending it again would not help. Anything about identity or load passes. */
    if (status == 400 && (code == ERR_INVALID || code == ERR_UNKNOWN_FIELD))
        return AGENT_REPORT_DROPPED;
    return AGENT_REPORT_KEEP;
}

/* One report; false with *err when it has to stay. */
static bool send_one(const struct agent_queued *queued, struct agent_transport *transport, struct err *err) {
    CLEANUP(buf_free) struct buf json = BUF_INIT(BODY_MAX);
    CLEANUP(buf_free) struct buf body = BUF_INIT(AGENT_PROBLEM_MAX);
    struct agent_response response;
    struct err refusal = {0};
    agent_report_write(queued, &json);
    if (!buf_ok(&json, "a report", err) || !agent_transport_post(transport, "/report", &json, &body, &response, err))
        return false;
    if (response.status < 200 || response.status >= 300)
        (void)agent_transport_refused(&response, &body, "report", &refusal);
    switch (agent_report_judge(response.status, refusal.code)) {
    case AGENT_REPORT_TAKEN:
        return true;
    case AGENT_REPORT_DROPPED:
        log_event(LOG_WARN, "report dropped", "state", queued->state, "deployment", queued->deployment, "why", refusal.text, (char *)NULL);
        return true;
    case AGENT_REPORT_KEEP:
        break;
    }
    *err = refusal;
    return false;
}

bool agent_report_send(struct agent_state *state, struct agent_transport *transport, struct err *err) {
    size_t before = state->reports.count;
    bool ok = true;
    while (ok && state->reports.count > 0) {
        ok = send_one(state->reports.items, transport, err);
        if (ok)
            remove_at(&state->reports, 0);
    }
    /* One that was acknowledged and is sent again after a crash here is answered as a repeat. */
    struct err save_error;
    if (state->reports.count != before && !agent_state_save(state, ok ? err : &save_error))
        return false;
    return ok;
}
