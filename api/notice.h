/* Events that a refused request leaves behind: at most one a minute for each kind and object, durable before the refusal is told; and one at a poll.
 */
#ifndef PAWL_API_NOTICE_H
#define PAWL_API_NOTICE_H

#include "api/api.h"
#include "db/release.h"

/* The first two are called where the refusal is found. On a worker, when an event is due: sets call->defer_to_writer and returns true; the caller
 * changes nothing and lets the call run again on the writer, where the same refusal is found. On the writer: inserts the event, sets
 * call->keep_writes and returns false. False as well when none is due: refuse. */

/* The image's file is not there or not what it should be; why says how. */
bool api_notice_image_missing(struct api_call *call, const struct db_release *release, const struct err *why) MUST_USE;

/* Another certificate came for this device than the ones it is known by. */
bool api_notice_clone_suspected(struct api_call *call) MUST_USE;

/* On the writer, at a poll: inserts the event when the device was found polling from two places in alternation. Refuses nothing. */
bool api_notice_alternation(struct api_call *call, struct err *err) MUST_USE;

#endif
