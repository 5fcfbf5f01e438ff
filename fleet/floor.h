/* The ratchet: two independent maxima per device that only rise (trust.md §2). */
#ifndef PAWL_FLEET_FLOOR_H
#define PAWL_FLEET_FLOOR_H

#include "common/err.h"

enum { FLEET_SHA256_SIZE = 32 };

/* The highest values that the device ever confirmed. All zero: nothing confirmed yet. */
struct fleet_floor {
    int64_t sequence;
    int64_t security_version;
    uint8_t sha256[FLEET_SHA256_SIZE]; /* of the image that set the sequence: a repair may install the same bytes again; zero: unknown */
};

/* The floor after a confirmation of a release with these signed values. Each maximum rises by itself, neither falls; the hash follows the sequence.
 */
struct fleet_floor fleet_floor_raise(struct fleet_floor floor, int64_t sequence, int64_t security_version, const uint8_t sha256[FLEET_SHA256_SIZE]);

#endif
