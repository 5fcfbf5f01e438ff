/* How fast images leave: one bucket for the whole fleet, one for each device that downloads. Shared by all workers; thread-safe. */
#ifndef PAWL_SERVER_PACE_H
#define PAWL_SERVER_PACE_H

#include "common/defs.h"

struct pace;
struct pace_device;

/* Bytes a second; 0: no limit. NULL: no memory. */
struct pace *pace_new(int64_t fleet_rate, int64_t device_rate) MUST_USE;
void pace_free(struct pace *pace); /* NULL is fine */

/* The bucket of a device, shared by its connections; remembered a little longer than the last of them. NULL: no memory. */
struct pace_device *pace_enter(struct pace *pace, const char *device_id, int64_t now_ns) MUST_USE;

/* unsent: bytes that were reserved and do not leave; others get their time. */
void pace_leave(struct pace *pace, struct pace_device *device, size_t unsent);

/* Reserves these bytes in both buckets; when they may leave, monotonic ns. Those who ask in turn get in turn. */
int64_t pace_reserve(struct pace *pace, struct pace_device *device, size_t len, int64_t now_ns);

/* How many bytes to reserve at once: a fiftieth of a second's, in whole records of record bytes, at most max. */
size_t pace_piece(const struct pace *pace, size_t record, size_t max);

/* Devices that are remembered. */
size_t pace_count(struct pace *pace);

#endif
