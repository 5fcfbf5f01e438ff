/* Which phase of a rollout a device belongs to: by its rank in an order that depends on the rollout's salt alone, so that no device is always the
 * canary and the same question has the same answer for ever. Pure. */
#ifndef PAWL_FLEET_PHASE_H
#define PAWL_FLEET_PHASE_H

#include "common/err.h"

enum { FLEET_PHASE_MAX = 20 };

/* How large a phase is. The zero value is invalid. */
enum fleet_phase_unit {
    FLEET_PHASE_NOTHING = 0,
    FLEET_PHASE_PERCENT, /* of all devices of the rollout */
    FLEET_PHASE_DEVICES,
    FLEET_PHASE_REST, /* whoever is left; only the last phase */
};

struct fleet_phase_size {
    enum fleet_phase_unit unit;
    int64_t amount; /* percent 1 … 100, or devices ≥ 1; nothing for the rest */
};

/* Do the phases add up? 1 … FLEET_PHASE_MAX; percents give 100 exactly, or less before a rest; counts need a rest behind them.
 * ERR_INVALID with field "phases" or "phases[2]". */
bool fleet_phase_check(const struct fleet_phase_size *phases, size_t count, struct err *err) MUST_USE;

/* Where the device stands in the order of this rollout: rank the devices by (hash, id). Well mixed over 64 bits. */
uint64_t fleet_phase_hash(const char *device_id, uint64_t salt);

/* The number of devices of `total` in phases 0 … phase together. A percentage is rounded up, so that a canary of 1 % is never empty. */
int64_t fleet_phase_end(const struct fleet_phase_size *phases, size_t count, size_t phase, int64_t total);

/* The phase of the device of rank 0 … total − 1. */
size_t fleet_phase_of(const struct fleet_phase_size *phases, size_t count, int64_t rank, int64_t total);

/* The rank that a device which joins later would have had among `total`, about: its hash scaled to 0 … total − 1. */
int64_t fleet_phase_rank_of_hash(uint64_t hash, int64_t total);

#endif
