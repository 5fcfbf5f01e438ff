/* The administrator's API over HTTPS: one pinned authority, one bearer token, problem documents turned into one line. */
#ifndef PAWL_CLI_CLIENT_H
#define PAWL_CLI_CLIENT_H

#include "cli/cli.h"
#include "common/buf.h"

enum { CLI_REPLY_MAX_BYTES = 64 << 20, CLI_ETAG_SIZE = 128 };

/* How a request is told to the server. Zero members mean "none". */
struct cli_request {
    const char *method;
    const char *path; /* "/api/v1/…", already encoded, with its query; NULL (an arena that is full) is ERR_NO_MEMORY */
    const char *body; /* JSON */
    size_t body_len;
    const char *if_match;    /* an ETag, or "*" */
    const char *upload_path; /* the body is this file; shown with a progress bar on a terminal */
    const char *upload_type; /* its media type; NULL: application/octet-stream */
    long patience_s;         /* how long the connection may stand still; 0: a minute */
    size_t max_reply_bytes;  /* 0: CLI_REPLY_MAX_BYTES */
    bool missing_ok;         /* 404 is an answer: ret->status says so */
    const char *accept;      /* NULL: application/json */
    const char *last_event;  /* Last-Event-ID */

    /* Takes a 2xx body piece by piece instead of keeping it; false ends the request as ERR_IO. What it has seen is not asked for again. */
    bool (*sink)(void *context, const void *data, size_t len);
    void *sink_context;
};

struct cli_reply {
    long status;
    const char *body; /* in the run's arena, NUL behind it */
    size_t len;
    char etag[CLI_ETAG_SIZE];
};

/* Sends the request and returns any 2xx. GET, HEAD and POST (which carries an Idempotency-Key) are tried again on network trouble, 429, 502, 503,
 * 504, unless the server asks for more than half a minute. Refusals: the problem's own detail; ERR_NETWORK, ERR_TLS, ERR_TIMEOUT when the server was
 * not reached. */
bool cli_client_call(struct cli *cli, const struct cli_request *request, struct cli_reply *ret_reply, struct err *err) MUST_USE;

/* Shorthands. */
bool cli_client_get(struct cli *cli, const char *path, struct cli_reply *ret_reply, struct err *err) MUST_USE;
bool cli_client_post(struct cli *cli, const char *path, const struct buf *body, struct cli_reply *ret_reply, struct err *err) MUST_USE;

/* Sends body by method under If-Match with the ETag of `before`, an earlier reply. */
bool cli_client_replace(struct cli *cli, const char *method, const char *path, const struct cli_reply *before, const struct buf *body,
                        struct cli_reply *ret_reply, struct err *err) MUST_USE;

/* GETs path for its ETag, then the same. */
bool cli_client_update(struct cli *cli, const char *method, const char *path, const struct buf *body, struct cli_reply *ret_reply,
                       struct err *err) MUST_USE;

/* Append text percent-encoded (RFC 3986), as a path segment or as a value of a query; what ids and versions are made of stays as it is where it may.
 */
void cli_client_encode_segment(struct buf *out, const char *text);
void cli_client_encode_value(struct buf *out, const char *text);

void cli_client_close(struct cli *cli);

#endif
