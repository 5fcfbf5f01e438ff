/* DDI feedback: what a client's words mean for an action in each of its situations, as one table (ddi.md §7, §8). Pure. */
#ifndef PAWL_FLEET_DDI_H
#define PAWL_FLEET_DDI_H

#include "fleet/deployment.h"

/* status.execution */
enum fleet_ddi_execution {
    FLEET_DDI_CLOSED = 0,
    FLEET_DDI_PROCEEDING,
    FLEET_DDI_CANCELED,
    FLEET_DDI_SCHEDULED,
    FLEET_DDI_REJECTED,
    FLEET_DDI_RESUMED,
    FLEET_DDI_DOWNLOAD,
    FLEET_DDI_DOWNLOADED,
    FLEET_DDI_EXECUTION_COUNT
};

/* status.result.finished */
enum fleet_ddi_finished { FLEET_DDI_NONE = 0, FLEET_DDI_SUCCESS, FLEET_DDI_FAILURE, FLEET_DDI_FINISHED_COUNT };

/* The closing answer on record. */
enum fleet_ddi_result {
    FLEET_DDI_NO_RESULT = 0,
    FLEET_DDI_SUCCEEDED,
    FLEET_DDI_FAILED,
    FLEET_DDI_CANCELLED,
    FLEET_DDI_CANCEL_REFUSED, /* of a cancelAction alone: the action runs on */
    FLEET_DDI_RESULT_COUNT
};

/* Where the action stands when the words arrive. */
enum fleet_ddi_situation {
    FLEET_DDI_RUNNING = 0,
    FLEET_DDI_ANSWERED, /* success was told, the version is awaited: open for us, closed for the client */
    FLEET_DDI_CANCELLING,
    FLEET_DDI_OVER,
    FLEET_DDI_SITUATION_COUNT
};

/* The zero value refuses. */
enum fleet_ddi_verdict {
    FLEET_DDI_GONE = 0, /* closed: 410 to a feedback, 404 to the answer to a cancel that is not under way */
    FLEET_DDI_REPEATED, /* the answer on record once more: 200, nothing changes */
    FLEET_DDI_NOTED,    /* progress: 200; the event, if the state table takes it */
    FLEET_DDI_TAKEN,    /* the closing answer: 200, event and result */
};

struct fleet_ddi_ruling {
    enum fleet_ddi_verdict verdict;
    enum fleet_event event; /* FLEET_EVENT_COUNT: none */
    enum fleet_ddi_result result;
};

bool fleet_ddi_execution_parse(const char *name, enum fleet_ddi_execution *ret_execution) MUST_USE;
bool fleet_ddi_finished_parse(const char *name, enum fleet_ddi_finished *ret_finished) MUST_USE;
bool fleet_ddi_result_parse(const char *name, enum fleet_ddi_result *ret_result) MUST_USE;
const char *fleet_ddi_execution_name(enum fleet_ddi_execution execution);
const char *fleet_ddi_finished_name(enum fleet_ddi_finished finished);
const char *fleet_ddi_result_name(enum fleet_ddi_result result); /* NULL for FLEET_DDI_NO_RESULT */

/* A feedback on the deployment. detail: its last line, NULL: none; "All Chunks Installed." is how SWUpdate says that it waits for its restart. */
struct fleet_ddi_ruling fleet_ddi_feedback(enum fleet_ddi_situation situation, enum fleet_ddi_result recorded, enum fleet_ddi_execution execution,
                                           enum fleet_ddi_finished finished, const char *detail);

/* The answer to a cancelAction. recorded: of the last one. */
struct fleet_ddi_ruling fleet_ddi_cancel(enum fleet_ddi_situation situation, enum fleet_ddi_result recorded, enum fleet_ddi_execution execution,
                                         enum fleet_ddi_finished finished);

#endif
