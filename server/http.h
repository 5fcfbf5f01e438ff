/* The HTTP library behind the gate: one daemon a worker, fed through socket pairs. http.c is the only file that knows libmicrohttpd.
 * Everything here belongs to the worker's thread. */
#ifndef PAWL_SERVER_HTTP_H
#define PAWL_SERVER_HTTP_H

#include "server/request.h"

struct http_daemon;
struct http_link;

struct http_options {
    struct requests *requests; /* the worker's */

    /* The reply of a link's request is complete in its socket pair. context: of http_open(). call: of the request, until it returns. Never
     * after http_detach(). */
    void (*reply_done)(void *context, const struct api_call *call);
};

/* False: *err. The caller's thread is the one that will run it. */
bool http_start(const struct http_options *options, struct http_daemon **ret_http, struct err *err) MUST_USE;

/* Ends every link. The writer must have none of its requests (it could not be resumed any more). */
void http_stop(struct http_daemon *http);

/* The descriptor whose readability asks for http_run(). */
int http_fd(const struct http_daemon *http);

/* Does what can be done without waiting; true: not all of it, call again soon. */
bool http_run(struct http_daemon *http) MUST_USE;

/* From now on replies carry "Connection: close". */
void http_drain(struct http_daemon *http);

/* A new link for a client (copied); the caller owns *ret_fd, its end of the pair (non-blocking). False: no memory or descriptors. */
bool http_open(struct http_daemon *http, const struct request_peer *peer, void *context, struct http_link **ret_link, int *ret_fd) MUST_USE;

/* The caller is going, and closes its end of the pair. The link is freed when the library has noticed too; a request
 * that the writer has is finished first. */
void http_detach(struct http_link *link);

#endif
