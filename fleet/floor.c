#include "fleet/floor.h"

#include <string.h>

struct fleet_floor fleet_floor_raise(struct fleet_floor floor, int64_t sequence, int64_t security_version, const uint8_t sha256[FLEET_SHA256_SIZE]) {
    if (sequence > floor.sequence) {
        floor.sequence = sequence;
        memcpy(floor.sha256, sha256, FLEET_SHA256_SIZE);
    }
    if (security_version > floor.security_version)
        floor.security_version = security_version;
    return floor;
}
