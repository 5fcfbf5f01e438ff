#include "fleet/deployment.h"

#include <string.h>

static const char *const state_names[FLEET_DEPLOYMENT_STATE_COUNT] = {
    [FLEET_ASSIGNED] = "assigned",     [FLEET_OFFERED] = "offered",     [FLEET_DOWNLOADING] = "downloading", [FLEET_DOWNLOADED] = "downloaded",
    [FLEET_INSTALLING] = "installing", [FLEET_REBOOTING] = "rebooting", [FLEET_CANCELLING] = "cancelling",   [FLEET_CONFIRMED] = "confirmed",
    [FLEET_FAILED] = "failed",         [FLEET_CANCELLED] = "cancelled", [FLEET_SUPERSEDED] = "superseded",   [FLEET_TIMED_OUT] = "timed-out",
};

#define IN(state) (1u << (state))
#define WORKING   (IN(FLEET_DOWNLOADING) | IN(FLEET_DOWNLOADED) | IN(FLEET_INSTALLING))
#define TOLD      (IN(FLEET_OFFERED) | WORKING | IN(FLEET_REBOOTING))
#define OPEN      (IN(FLEET_ASSIGNED) | TOLD | IN(FLEET_CANCELLING))
/* Closed by others than the device: its confirmation can still arrive. */
#define CLOSED_FOR_IT (IN(FLEET_CANCELLED) | IN(FLEET_SUPERSEDED) | IN(FLEET_TIMED_OUT))

/* One row an event: who, from which states, to which; and from which closed states it still counts for the floor.
 * A device may start over (power was lost) until it reboots, and a repeated state is progress, not a move back. */
static const struct {
    const char *name;
    enum fleet_actor actor;
    unsigned from;
    enum fleet_deployment_state to;
    unsigned late;
} events[FLEET_EVENT_COUNT] = {
    [FLEET_REPORT_DOWNLOADING] = {"downloading", FLEET_ACTOR_DEVICE, IN(FLEET_OFFERED) | WORKING, FLEET_DOWNLOADING, 0},
    [FLEET_REPORT_DOWNLOADED] = {"downloaded", FLEET_ACTOR_DEVICE, IN(FLEET_OFFERED) | WORKING, FLEET_DOWNLOADED, 0},
    [FLEET_REPORT_INSTALLING] = {"installing", FLEET_ACTOR_DEVICE, IN(FLEET_OFFERED) | WORKING, FLEET_INSTALLING, 0},
    [FLEET_REPORT_REBOOTING] = {"rebooting", FLEET_ACTOR_DEVICE, TOLD, FLEET_REBOOTING, 0},
    [FLEET_REPORT_CONFIRMED] = {"confirmed", FLEET_ACTOR_DEVICE, TOLD | IN(FLEET_CANCELLING), FLEET_CONFIRMED, CLOSED_FOR_IT},
    [FLEET_REPORT_FAILED] = {"failed", FLEET_ACTOR_DEVICE, TOLD | IN(FLEET_CANCELLING), FLEET_FAILED, 0},
    [FLEET_REPORT_REJECTED] = {"rejected", FLEET_ACTOR_DEVICE, TOLD | IN(FLEET_CANCELLING), FLEET_CANCELLED, 0},
    [FLEET_OFFER] = {"offer", FLEET_ACTOR_SYSTEM, IN(FLEET_ASSIGNED), FLEET_OFFERED, 0},
    [FLEET_SUPERSEDE] = {"supersede", FLEET_ACTOR_SYSTEM, OPEN, FLEET_SUPERSEDED, 0},
    [FLEET_TIME_OUT] = {"time-out", FLEET_ACTOR_SYSTEM, TOLD, FLEET_TIMED_OUT, 0},
    [FLEET_CANCEL] = {"cancel", FLEET_ACTOR_OPERATOR, IN(FLEET_ASSIGNED) | TOLD, FLEET_CANCELLED, 0},
    [FLEET_CANCEL_FETCHED] = {"cancel-fetched", FLEET_ACTOR_OPERATOR, TOLD, FLEET_CANCELLING, 0},
    [FLEET_CANCEL_ACCEPTED] = {"cancel-accepted", FLEET_ACTOR_DEVICE, IN(FLEET_CANCELLING), FLEET_CANCELLED, 0},
    [FLEET_CANCEL_REFUSED] = {"cancel-refused", FLEET_ACTOR_DEVICE, IN(FLEET_CANCELLING), FLEET_INSTALLING, 0},
    [FLEET_FORCE_CLOSE] = {"force-close", FLEET_ACTOR_OPERATOR, OPEN, FLEET_CANCELLED, 0},
};

const char *fleet_deployment_state_name(enum fleet_deployment_state state) {
    return (unsigned)state < FLEET_DEPLOYMENT_STATE_COUNT ? state_names[state] : "unknown";
}

bool fleet_deployment_state_parse(const char *name, enum fleet_deployment_state *ret_state) {
    for (unsigned i = 0; i < FLEET_DEPLOYMENT_STATE_COUNT; i++) {
        if (strcmp(name, state_names[i]) == 0) {
            *ret_state = (enum fleet_deployment_state)i;
            return true;
        }
    }
    return false;
}

bool fleet_deployment_is_open(enum fleet_deployment_state state) {
    return (unsigned)state < FLEET_DEPLOYMENT_STATE_COUNT && (OPEN & IN(state)) != 0;
}

const char *fleet_event_name(enum fleet_event event) {
    return (unsigned)event < FLEET_EVENT_COUNT ? events[event].name : "unknown";
}

bool fleet_event_parse_report(const char *name, enum fleet_event *ret_event) {
    for (unsigned i = 0; i < FLEET_REPORT_COUNT; i++) {
        if (strcmp(name, events[i].name) == 0) {
            *ret_event = (enum fleet_event)i;
            return true;
        }
    }
    return false;
}

enum fleet_actor fleet_event_actor(enum fleet_event event) {
    return (unsigned)event < FLEET_EVENT_COUNT ? events[event].actor : FLEET_ACTOR_DEVICE;
}

enum fleet_move fleet_deployment_move(enum fleet_deployment_state from, enum fleet_event event, enum fleet_deployment_state *ret_to) {
    if ((unsigned)from >= FLEET_DEPLOYMENT_STATE_COUNT || (unsigned)event >= FLEET_EVENT_COUNT)
        return FLEET_MOVE_REFUSED;
    if (events[event].from & IN(from)) {
        *ret_to = events[event].to;
        return FLEET_MOVE_TAKEN;
    }
    if (events[event].late & IN(from)) {
        *ret_to = from;
        return FLEET_MOVE_LATE;
    }
    return FLEET_MOVE_REFUSED;
}

bool fleet_deployment_counts_as_failure(enum fleet_event event) {
    return event == FLEET_REPORT_FAILED || event == FLEET_REPORT_REJECTED || event == FLEET_TIME_OUT;
}
