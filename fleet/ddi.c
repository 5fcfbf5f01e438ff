#include "fleet/ddi.h"

#include <string.h>

static const char *const executions[FLEET_DDI_EXECUTION_COUNT] = {
    [FLEET_DDI_CLOSED] = "closed",       [FLEET_DDI_PROCEEDING] = "proceeding", [FLEET_DDI_CANCELED] = "canceled",
    [FLEET_DDI_SCHEDULED] = "scheduled", [FLEET_DDI_REJECTED] = "rejected",     [FLEET_DDI_RESUMED] = "resumed",
    [FLEET_DDI_DOWNLOAD] = "download",   [FLEET_DDI_DOWNLOADED] = "downloaded",
};
static const char *const finisheds[FLEET_DDI_FINISHED_COUNT] = {"none", "success", "failure"};
static const char *const results[FLEET_DDI_RESULT_COUNT] = {NULL, "success", "failure", "cancelled", "cancel-refused"};

#define SAYS(name)   (1u << FLEET_DDI_##name)
#define ANY_FINISHED (SAYS(NONE) | SAYS(SUCCESS) | SAYS(FAILURE))

/* One row a meaning; the first that fits counts. Without a result it is progress. */
struct row {
    unsigned executions;
    unsigned finisheds;
    const char *detail; /* NULL: whatever it says */
    enum fleet_event event;
    enum fleet_ddi_result result;
};

static const struct row feedback_rows[] = {
    {SAYS(CLOSED), SAYS(SUCCESS) | SAYS(NONE), NULL, FLEET_REPORT_CONFIRMED, FLEET_DDI_SUCCEEDED},
    {SAYS(CLOSED), SAYS(FAILURE), NULL, FLEET_REPORT_FAILED, FLEET_DDI_FAILED},
    {SAYS(CANCELED), ANY_FINISHED, NULL, FLEET_REPORT_REJECTED, FLEET_DDI_CANCELLED},
    {SAYS(PROCEEDING), ANY_FINISHED, "All Chunks Installed.", FLEET_REPORT_REBOOTING, FLEET_DDI_NO_RESULT},
    {SAYS(PROCEEDING) | SAYS(RESUMED), ANY_FINISHED, NULL, FLEET_REPORT_INSTALLING, FLEET_DDI_NO_RESULT},
    {SAYS(DOWNLOAD), ANY_FINISHED, NULL, FLEET_REPORT_DOWNLOADING, FLEET_DDI_NO_RESULT},
    {SAYS(DOWNLOADED), ANY_FINISHED, NULL, FLEET_REPORT_DOWNLOADED, FLEET_DDI_NO_RESULT},
    {SAYS(SCHEDULED) | SAYS(REJECTED), ANY_FINISHED, NULL, FLEET_EVENT_COUNT, FLEET_DDI_NO_RESULT},
};

static const struct row cancel_rows[] = {
    {SAYS(CLOSED), SAYS(SUCCESS) | SAYS(NONE), NULL, FLEET_CANCEL_ACCEPTED, FLEET_DDI_CANCELLED},
    {SAYS(CLOSED), SAYS(FAILURE), NULL, FLEET_CANCEL_REFUSED, FLEET_DDI_CANCEL_REFUSED},
    {SAYS(REJECTED), ANY_FINISHED, NULL, FLEET_CANCEL_REFUSED, FLEET_DDI_CANCEL_REFUSED},
    {~0u, ANY_FINISHED, NULL, FLEET_EVENT_COUNT, FLEET_DDI_NO_RESULT},
};

/* What each situation makes of a closing answer that is not the one on record, and of progress. */
static const struct {
    enum fleet_ddi_verdict answer, progress;
} feedback_verdicts[FLEET_DDI_SITUATION_COUNT] =
    {
        [FLEET_DDI_RUNNING] = {FLEET_DDI_TAKEN, FLEET_DDI_NOTED},
        [FLEET_DDI_ANSWERED] = {FLEET_DDI_TAKEN, FLEET_DDI_NOTED}, /* it failed after all */
        [FLEET_DDI_CANCELLING] = {FLEET_DDI_TAKEN, FLEET_DDI_NOTED},
        [FLEET_DDI_OVER] = {FLEET_DDI_GONE, FLEET_DDI_GONE},
},
  cancel_verdicts[FLEET_DDI_SITUATION_COUNT] = {
      [FLEET_DDI_RUNNING] = {FLEET_DDI_GONE, FLEET_DDI_GONE},
      [FLEET_DDI_ANSWERED] = {FLEET_DDI_GONE, FLEET_DDI_GONE},
      [FLEET_DDI_CANCELLING] = {FLEET_DDI_TAKEN, FLEET_DDI_NOTED},
      [FLEET_DDI_OVER] = {FLEET_DDI_GONE, FLEET_DDI_GONE},
};

static bool find(const char *const *names, size_t count, const char *name, int *ret_index) {
    for (size_t i = 0; name && i < count; i++) {
        if (names[i] && strcmp(names[i], name) == 0) {
            *ret_index = (int)i;
            return true;
        }
    }
    return false;
}

bool fleet_ddi_execution_parse(const char *name, enum fleet_ddi_execution *ret_execution) {
    int index;

    if (!find(executions, ARRAY_LEN(executions), name, &index))
        return false;
    *ret_execution = (enum fleet_ddi_execution)index;
    return true;
}

bool fleet_ddi_finished_parse(const char *name, enum fleet_ddi_finished *ret_finished) {
    int index;

    if (!find(finisheds, ARRAY_LEN(finisheds), name, &index))
        return false;
    *ret_finished = (enum fleet_ddi_finished)index;
    return true;
}

bool fleet_ddi_result_parse(const char *name, enum fleet_ddi_result *ret_result) {
    int index;

    if (!find(results, ARRAY_LEN(results), name, &index))
        return false;
    *ret_result = (enum fleet_ddi_result)index;
    return true;
}

const char *fleet_ddi_execution_name(enum fleet_ddi_execution execution) {
    return (unsigned)execution < FLEET_DDI_EXECUTION_COUNT ? executions[execution] : "unknown";
}

const char *fleet_ddi_finished_name(enum fleet_ddi_finished finished) {
    return (unsigned)finished < FLEET_DDI_FINISHED_COUNT ? finisheds[finished] : "unknown";
}

const char *fleet_ddi_result_name(enum fleet_ddi_result result) {
    return (unsigned)result < FLEET_DDI_RESULT_COUNT ? results[result] : NULL;
}

static const struct row *meaning(const struct row *rows, size_t count, enum fleet_ddi_execution execution, enum fleet_ddi_finished finished,
                                 const char *detail) {
    for (size_t i = 0; i < count; i++)
        if ((rows[i].executions & 1u << execution) != 0 && (rows[i].finisheds & 1u << finished) != 0 &&
            (!rows[i].detail || (detail && strcmp(detail, rows[i].detail) == 0)))
            return &rows[i];
    return NULL;
}

struct fleet_ddi_ruling fleet_ddi_feedback(enum fleet_ddi_situation situation, enum fleet_ddi_result recorded, enum fleet_ddi_execution execution,
                                           enum fleet_ddi_finished finished, const char *detail) {
    const struct row *row = meaning(feedback_rows, ARRAY_LEN(feedback_rows), execution, finished, detail);

    if (!row || (unsigned)situation >= FLEET_DDI_SITUATION_COUNT)
        return (struct fleet_ddi_ruling){.event = FLEET_EVENT_COUNT};
    struct fleet_ddi_ruling ruling = {.event = row->event, .result = row->result};
    if (row->result == FLEET_DDI_NO_RESULT)
        ruling.verdict = feedback_verdicts[situation].progress;
    else
        ruling.verdict = row->result == recorded ? FLEET_DDI_REPEATED : feedback_verdicts[situation].answer;
    return ruling;
}

struct fleet_ddi_ruling fleet_ddi_cancel(enum fleet_ddi_situation situation, enum fleet_ddi_result recorded, enum fleet_ddi_execution execution,
                                         enum fleet_ddi_finished finished) {
    const struct row *row = meaning(cancel_rows, ARRAY_LEN(cancel_rows), execution, finished, NULL);

    if (!row || (unsigned)situation >= FLEET_DDI_SITUATION_COUNT)
        return (struct fleet_ddi_ruling){.event = FLEET_EVENT_COUNT};
    struct fleet_ddi_ruling ruling = {.event = row->event, .result = row->result};
    if (row->result == FLEET_DDI_NO_RESULT)
        ruling.verdict = cancel_verdicts[situation].progress;
    else
        ruling.verdict = row->result == recorded ? FLEET_DDI_REPEATED : cancel_verdicts[situation].answer;
    return ruling;
}
