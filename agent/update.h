/* One pass of the agent: the sequence of trust.md §5, as a list of steps that is read from top to bottom. */
#ifndef PAWL_AGENT_UPDATE_H
#define PAWL_AGENT_UPDATE_H

#include "agent/settings.h"
#include "agent/transport.h"
#include "certs/pem.h"

/* What lives as long as the process. */
struct agent {
    const struct agent_settings *settings;
    const volatile sig_atomic_t *stop; /* borrowed; NULL: nobody interrupts */
    struct agent_transport *transport;
    struct certs_pem_identity identity;
};

enum agent_result {
    AGENT_RESULT_FAILED = 0,
    AGENT_RESULT_NOTHING,   /* nothing to do */
    AGENT_RESULT_REBOOTING, /* a reboot was asked for */
    AGENT_RESULT_WAITING,   /* for `pawl-agent confirm` */
    AGENT_RESULT_CHANGED,   /* installed and confirmed without a reboot: ask again soon */
    AGENT_RESULT_FELL_BACK, /* a new release failed: not again before a while */
};

struct agent_outcome {
    enum agent_result result;
    int64_t poll_after_s;  /* as the server said; 0: it did not */
    int64_t retry_after_s; /* the same, of a refusal */
    int64_t attempts;      /* FELL_BACK: how often that release has failed */
};

/* The part that needs no certificate: the pinned root, and what opens sealed images. */
bool agent_update_examine_trust(const struct agent_settings *settings, struct err *err) MUST_USE;

/* Opens certificate, key, CA and pinned root, and refuses what is missing or not fit. Writes nothing: what `check-config` does. */
bool agent_update_examine(const struct agent_settings *settings, const volatile sig_atomic_t *stop, struct agent *ret_agent,
                          struct err *err) MUST_USE;

/* The same, and pins the root in the state folder when the device is new. The state folder's lock is the caller's. */
bool agent_update_open(const struct agent_settings *settings, const volatile sig_atomic_t *stop, struct agent *ret_agent, struct err *err) MUST_USE;
void agent_update_close(struct agent *agent);

/* Takes the certificate and key that are there now, when they are others than at the last look: replaced by another process of this agent, or by
 * whoever manages them. On false the old ones stay. */
bool agent_update_follow_certificate(struct agent *agent, struct err *err) MUST_USE;

/* Loads the state, goes through the steps, says in one line of the log what came of it. *ret_outcome is written in any case. */
bool agent_update_run(struct agent *agent, struct agent_outcome *ret_outcome, struct err *err) MUST_USE;

/* `pawl-agent confirm`: the verdict of an external self-test; reports it when the server can be reached. */
bool agent_update_confirm(struct agent *agent, bool passed, struct agent_outcome *ret_outcome, struct err *err) MUST_USE;

#endif
