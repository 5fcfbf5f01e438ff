/* Where a device stands in a rollout that it is a member of, and what moves it (fleet.md §3). */
#ifndef PAWL_FLEET_MEMBER_H
#define PAWL_FLEET_MEMBER_H

#include "fleet/deployment.h"

/* Where a member stands. Three bits in memory. */
enum fleet_member_state {
    FLEET_MEMBER_WAITING = 0, /* nothing was offered to it yet */
    FLEET_MEMBER_IN_FLIGHT,   /* has an open deployment */
    FLEET_MEMBER_RETRYING,    /* failed or timed out once, and has another open deployment: still counts as a failure */
    FLEET_MEMBER_CONFIRMED,
    FLEET_MEMBER_FAILED,    /* offered again at its next poll while it is not quarantined */
    FLEET_MEMBER_TIMED_OUT, /* silent past the deadline; the same */
    FLEET_MEMBER_CANCELLED, /* by an operator, or by its user until it was quarantined */
    FLEET_MEMBER_SKIPPED,   /* needs or may have it no more: already there, another assignment, revoked … */
    FLEET_MEMBER_STATE_COUNT
};

enum fleet_member_event {
    FLEET_MEMBER_OFFER = 0, /* its deployment is made */
    FLEET_MEMBER_CONFIRM,   /* it runs the release, be it late or by another deployment */
    FLEET_MEMBER_FAIL,
    FLEET_MEMBER_REJECT, /* its user or policy said no; may be asked again */
    FLEET_MEMBER_TIME_OUT,
    FLEET_MEMBER_CANCEL,
    FLEET_MEMBER_SKIP,
    FLEET_MEMBER_RETRY, /* an operator's word: waiting again */
    FLEET_MEMBER_EVENT_COUNT
};

const char *fleet_member_state_name(enum fleet_member_state state); /* "waiting", "in-flight", "retrying", "confirmed", "failed", "timed-out" … */
bool fleet_member_state_parse(const char *name, enum fleet_member_state *ret_state) MUST_USE;

/* True and *ret_to when the event moves it; false: it stays as it is. */
bool fleet_member_move(enum fleet_member_state from, enum fleet_member_event event, enum fleet_member_state *ret_to) MUST_USE;

/* What the end of a deployment means for the member that it was made for. False: nothing. */
bool fleet_member_event_of(enum fleet_event event, enum fleet_member_event *ret_event) MUST_USE;

/* Waiting, in flight, or retrying: there is something to wait for. */
bool fleet_member_is_unsettled(enum fleet_member_state state) MUST_USE;

#endif
