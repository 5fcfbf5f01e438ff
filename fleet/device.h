/* What states a device has and who may move it: only forward, never back (a revoked device that is trusted again gets a new identity). */
#ifndef PAWL_FLEET_DEVICE_H
#define PAWL_FLEET_DEVICE_H

#include "common/err.h"

/* The zero value is the least trusted one. */
enum fleet_device_state {
    FLEET_DEVICE_PENDING = 0, /* known, waits for an administrator */
    FLEET_DEVICE_ACTIVE,
    FLEET_DEVICE_REVOKED, /* its certificate is not believed any more */
    FLEET_DEVICE_RETIRED, /* out of service, in good order */
    FLEET_DEVICE_STATE_COUNT
};

/* "pending" …; never NULL. */
const char *fleet_device_state_name(enum fleet_device_state state);
bool fleet_device_state_parse(const char *name, enum fleet_device_state *ret_state) MUST_USE;

/* True when the table allows the move. Moving to the state it has already is not a move: false. */
bool fleet_device_may_move(enum fleet_device_state from, enum fleet_device_state to) MUST_USE;

#endif
