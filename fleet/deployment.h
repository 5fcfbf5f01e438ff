/* One device × one release: its states and every allowed move, as one table (fleet.md §2). */
#ifndef PAWL_FLEET_DEPLOYMENT_H
#define PAWL_FLEET_DEPLOYMENT_H

#include "common/err.h"

enum fleet_deployment_state {
    FLEET_ASSIGNED = 0, /* decided, the device does not know yet */
    FLEET_OFFERED,      /* told to the device */
    FLEET_DOWNLOADING,
    FLEET_DOWNLOADED,
    FLEET_INSTALLING,
    FLEET_REBOOTING,
    FLEET_CANCELLING, /* a client that fetched it was asked to stop and has not answered */
    FLEET_CONFIRMED,  /* the device came back running the new sequence: the only success */
    FLEET_FAILED,
    FLEET_CANCELLED,
    FLEET_SUPERSEDED,
    FLEET_TIMED_OUT,
    FLEET_DEPLOYMENT_STATE_COUNT
};

enum fleet_actor { FLEET_ACTOR_DEVICE, FLEET_ACTOR_OPERATOR, FLEET_ACTOR_SYSTEM };

/* What happens to a deployment. The reports come first, in the order of the names a device sends. */
enum fleet_event {
    FLEET_REPORT_DOWNLOADING = 0,
    FLEET_REPORT_DOWNLOADED,
    FLEET_REPORT_INSTALLING,
    FLEET_REPORT_REBOOTING,
    FLEET_REPORT_CONFIRMED,
    FLEET_REPORT_FAILED,
    FLEET_REPORT_REJECTED, /* the device's user or policy said no */
    FLEET_REPORT_COUNT,

    FLEET_OFFER = FLEET_REPORT_COUNT, /* the first answer that names it */
    FLEET_SUPERSEDE,                  /* another deployment takes its place */
    FLEET_TIME_OUT,                   /* silent past its deadline */
    FLEET_CANCEL,                     /* an operator's word; nothing hangs on the device's answer */
    FLEET_CANCEL_FETCHED,             /* the same for a client that must be asked first */
    FLEET_CANCEL_ACCEPTED,            /* … which agreed */
    FLEET_CANCEL_REFUSED,             /* … which went on */
    FLEET_FORCE_CLOSE,
    FLEET_EVENT_COUNT
};

/* The verdict on an event. The zero value refuses. */
enum fleet_move {
    FLEET_MOVE_REFUSED = 0,
    FLEET_MOVE_TAKEN,
    FLEET_MOVE_LATE, /* a device confirms what was closed meanwhile: the state stays, the floor rises all the same */
};

/* "assigned" … "timed-out"; never NULL. */
const char *fleet_deployment_state_name(enum fleet_deployment_state state);
bool fleet_deployment_state_parse(const char *name, enum fleet_deployment_state *ret_state) MUST_USE;

/* Open: it is the device's one current deployment. */
bool fleet_deployment_is_open(enum fleet_deployment_state state) MUST_USE;

/* "downloading" … "rejected" for reports, "offer" … for the rest. Only reports can be parsed. */
const char *fleet_event_name(enum fleet_event event);
bool fleet_event_parse_report(const char *name, enum fleet_event *ret_event) MUST_USE;
enum fleet_actor fleet_event_actor(enum fleet_event event);

/* *ret_to is written when the verdict is not FLEET_MOVE_REFUSED. */
enum fleet_move fleet_deployment_move(enum fleet_deployment_state from, enum fleet_event event, enum fleet_deployment_state *ret_to) MUST_USE;

/* True when this end counts against the device for this release (failed, timed-out, rejected); after so many of them it is quarantined. DDI clients
 * would try again at every poll. */
enum { FLEET_MAX_FAILURES = 3, FLEET_MAX_FAILURES_DDI = 1 };
bool fleet_deployment_counts_as_failure(enum fleet_event event) MUST_USE;

#endif
