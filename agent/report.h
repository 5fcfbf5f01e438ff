/* What the server is told about a deployment. A report is part of the state file until the server has acknowledged it: a lost one is sent again. */
#ifndef PAWL_AGENT_REPORT_H
#define PAWL_AGENT_REPORT_H

#include "agent/state.h"
#include "agent/transport.h"

/* What a report says besides deployment and number. */
struct agent_report {
    const char *state;       /* "downloading", "downloaded", "installing", "rebooting", "confirmed", "failed", "rejected" */
    int64_t progress;        /* percent; −1: none */
    const struct err *error; /* NULL: none */
    const char *installed;   /* with "confirmed": the version that runs … */
    int64_t sequence;        /* … and its sequence */
};

/* Puts it into the queue with the next number of its deployment. Memory only; save the state afterwards. When the queue is full the oldest report
 * that ends nothing makes room. */
bool agent_report_queue(struct agent_state *state, const char *deployment, const struct agent_report *report, struct err *err) MUST_USE;

/* Sends what is queued, oldest first, and saves the state. A report that the server refuses for good (a number that goes backwards, a deployment that
 * is gone) is dropped with a line in the log; anything else keeps it: ERR_NETWORK, ERR_TLS, ERR_BUSY, ERR_DEVICE_PENDING, … */
bool agent_report_send(struct agent_state *state, struct agent_transport *transport, struct err *err) MUST_USE;

/* The request body. */
void agent_report_write(const struct agent_queued *queued, struct buf *out);

/* What a reply means for the report at the head of the queue. */
enum agent_reported { AGENT_REPORT_KEEP = 0, AGENT_REPORT_TAKEN, AGENT_REPORT_DROPPED };
enum agent_reported agent_report_judge(long status, enum err_code code);

#endif
