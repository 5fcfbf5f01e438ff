/* From a request's head to its reply, between the HTTP library (server/http.c) and the handlers (api/): the same way for every route. */
#ifndef PAWL_SERVER_DISPATCH_H
#define PAWL_SERVER_DISPATCH_H

#include "api/api.h"

/* At the headers, before a body byte is read; on the worker thread. Finds the row, decides method, role, scope, policy columns, declared length, and
 * calls the stream's begin. Unknown devices with a good certificate are registered by dispatch_run(), so they pass here with an empty registry entry.
 * False: *err says why; reply with dispatch_refuse() without reading the body. */
bool dispatch_begin(struct api_call *call, const char *raw_query, struct err *err) MUST_USE;

/* True when dispatch_run() must be called on the writer thread (API_WRITE row, or a handler deferred, or the device is new). */
bool dispatch_needs_writer(const struct api_call *call);

/* Body complete. Runs the handler on the calling thread with call->db set. Returns false when the transaction must be rolled back (*err is set; the
 * caller then calls dispatch_refuse()), true with the reply filled, or true with call->defer_to_writer newly set: run again on the writer thread. */
bool dispatch_run(struct api_call *call, struct err *err) MUST_USE;

/* Makes the problem reply (RFC 9457) for err; never fails. */
void dispatch_refuse(struct api_call *call, const struct err *err);

/* The request is over: one log line, the metrics. */
void dispatch_finish(const struct api_call *call, uint64_t bytes_sent, int64_t duration_us);

#endif
