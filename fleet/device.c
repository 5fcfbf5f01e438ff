#include "fleet/device.h"

#include <string.h>

static const char *const names[FLEET_DEVICE_STATE_COUNT] = {
    [FLEET_DEVICE_PENDING] = "pending",
    [FLEET_DEVICE_ACTIVE] = "active",
    [FLEET_DEVICE_REVOKED] = "revoked",
    [FLEET_DEVICE_RETIRED] = "retired",
};

/* Row: from; column: to. */
static const bool moves[FLEET_DEVICE_STATE_COUNT][FLEET_DEVICE_STATE_COUNT] = {
    [FLEET_DEVICE_PENDING] = {[FLEET_DEVICE_ACTIVE] = true, [FLEET_DEVICE_REVOKED] = true, [FLEET_DEVICE_RETIRED] = true},
    [FLEET_DEVICE_ACTIVE] = {[FLEET_DEVICE_REVOKED] = true, [FLEET_DEVICE_RETIRED] = true},
    [FLEET_DEVICE_REVOKED] = {[FLEET_DEVICE_RETIRED] = true},
    [FLEET_DEVICE_RETIRED] = {false},
};

const char *fleet_device_state_name(enum fleet_device_state state) {
    return (unsigned)state < FLEET_DEVICE_STATE_COUNT ? names[state] : "unknown";
}

bool fleet_device_state_parse(const char *name, enum fleet_device_state *ret_state) {
    for (unsigned i = 0; i < FLEET_DEVICE_STATE_COUNT; i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret_state = (enum fleet_device_state)i;
            return true;
        }
    }
    return false;
}

bool fleet_device_may_move(enum fleet_device_state from, enum fleet_device_state to) {
    return (unsigned)from < FLEET_DEVICE_STATE_COUNT && (unsigned)to < FLEET_DEVICE_STATE_COUNT && moves[from][to];
}
