/* One event as the list, the stream and the webhooks show it. */
#ifndef PAWL_API_EVENT_H
#define PAWL_API_EVENT_H

#include "api/api.h"
#include "db/event.h"

/* Appends {"id","time","kind","device","product","detail"}, one line. */
bool api_event_write(struct arena *arena, const struct db_event *event, struct buf *out, struct err *err) MUST_USE;

/* kind= of the query; NULL: any. ERR_INVALID for one that no event has. */
bool api_event_read_kind(const struct api_call *call, const char **ret_kind, struct err *err) MUST_USE;

/* After COMMIT of the call's transaction the streams look whether they are still allowed. */
bool api_stream_recheck(struct api_call *call, struct err *err) MUST_USE;

#endif
