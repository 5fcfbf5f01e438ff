/* HTTPS to the one server this device trusts: one connection that is kept, TLS 1.2 or newer, own CA file, host name and optional key pin checked.
 * There is no setting that verifies less. */
#ifndef PAWL_AGENT_TRANSPORT_H
#define PAWL_AGENT_TRANSPORT_H

#include <signal.h>

#include "agent/response.h"
#include "agent/settings.h"

enum { AGENT_PROBLEM_MAX = 16384 };

struct agent_transport;

/* Reads CA, certificate and key (both may be NULL: none is shown; ERR_KEY when others can read the key, or it is not the certificate's) and connects
 * to nothing yet. settings and stop are borrowed; when *stop becomes non-zero, the request that runs ends with ERR_BUSY. */
bool agent_transport_open(const struct agent_settings *settings, const volatile sig_atomic_t *stop, struct agent_transport **ret_transport,
                          struct err *err) MUST_USE;
void agent_transport_free(struct agent_transport *transport); /* NULL is fine */

/* GET; the body of any status goes to *body, and more than its ceiling is ERR_TOO_LARGE. `path` begins with '/'. True when there was a reply,
 * whatever its status. */
bool agent_transport_get(struct agent_transport *transport, const char *path, struct buf *body, struct agent_response *ret_response,
                         struct err *err) MUST_USE;

/* POST of any other body: header fields as "Name: value", authorization may be NULL. */
bool agent_transport_send(struct agent_transport *transport, const char *path, const char *content_type, const char *authorization,
                          const struct buf *text, struct buf *body, struct agent_response *ret_response, struct err *err) MUST_USE;

/* The same of JSON. */
bool agent_transport_post(struct agent_transport *transport, const char *path, const struct buf *json, struct buf *body,
                          struct agent_response *ret_response, struct err *err) MUST_USE;

/* Where a download goes. */
struct agent_sink {
    /* Once, when the head is complete: false with *err ends the request; *ret_take false: the body is an error's text and is not for write(). */
    bool (*begin)(void *context, const struct agent_response *response, bool *ret_take, struct err *err);
    bool (*write)(void *context, const void *data, size_t len, struct err *err);
    void *context;
};

/* GET with the download's own limits of speed. range ("100-") and if_range may be NULL. A body shorter than Content-Length says is ERR_NETWORK, too
 * slow ERR_SLOW. *problem (may be NULL) gets the text of a refused reply. */
bool agent_transport_download(struct agent_transport *transport, const char *path, const char *range, const char *if_range,
                              const struct agent_sink *sink, struct buf *problem, struct agent_response *ret_response, struct err *err) MUST_USE;

/* The head of the last reply, for its Poll-After and Retry-After. */
const struct agent_response *agent_transport_last(const struct agent_transport *transport);

/* Turns a reply that is no success into *err and returns false: the problem's type (RFC 9457) if it has one, else by its status. */
bool agent_transport_refused(const struct agent_response *response, const struct buf *body, const char *what, struct err *err);

/* Appends text with everything but unreserved characters as %XX: for query values. */
void agent_transport_escape(struct buf *out, const char *text);

#endif
