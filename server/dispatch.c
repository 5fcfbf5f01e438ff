#include "server/dispatch.h"

#include <stdio.h>
#include <string.h>

#include "api/reply.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/text.h"
#include "db/idempotency.h"
#include "server/server.h"

enum { IDEMPOTENCY_KEY_MAX = 64 };

static bool find_route(struct api_call *call, struct err *err) {
    const char *allow = NULL;
    call->route = api_route_find(call, &allow);
    if (call->route != NULL)
        return true;
    if (allow == NULL)
        return err_set(err, ERR_NOT_FOUND, "there is nothing at this path on this listener");
    return api_reply_header(call, "Allow", allow, err) && err_set(err, ERR_METHOD, "this path takes %s", allow);
}

/* What an administrator is told is nobody else's to keep. */
static bool forbid_keeping(struct api_call *call, struct err *err) {
    return call->listener != API_ADMIN || api_reply_header(call, "Cache-Control", "no-store", err);
}

static bool check_body(const struct api_call *call, struct err *err) {
    const struct api_route *route = call->route;
    if (route->body == API_STREAM && api_header(call, "Content-Length") == NULL)
        return err_set(err, ERR_LENGTH_REQUIRED, "Content-Length is required");
    if (call->content_length > route->body_limit)
        return err_set(err, ERR_TOO_LARGE, "the body has %llu bytes, and at most %llu are taken here", (unsigned long long)call->content_length,
                       (unsigned long long)route->body_limit);
    return true;
}

static bool check_policy(const struct api_call *call, struct err *err) {
    if ((call->route->policy & API_IF_MATCH) != 0 && api_header(call, "If-Match") == NULL)
        return err_set(err, ERR_PRECONDITION_REQUIRED, "If-Match with the resource's ETag is required");
    const char *key = api_header(call, "Idempotency-Key");
    bool used = key != NULL && (call->route->policy & API_IDEMPOTENT) != 0;
    if (used && (key[0] == '\0' || strlen(key) > IDEMPOTENCY_KEY_MAX || !text_is_printable(key)))
        return err_set(err, ERR_INVALID, "Idempotency-Key must be 1 to %d printable characters", IDEMPOTENCY_KEY_MAX);
    return true;
}

bool dispatch_begin(struct api_call *call, const char *raw_query, struct err *err) {
    if (!forbid_keeping(call, err) || !find_route(call, err) || !auth_check(call, err) || !check_body(call, err))
        return false;
    call->unchecked = call->defer_to_writer; /* a fault in the query must not keep a clone from being noted */
    if (call->unchecked)
        return true;
    if (!check_policy(call, err) || !api_query_parse(call, raw_query, call->route->query, err))
        return false;
    return call->route->stream == NULL || call->route->stream->begin(call, err);
}

bool dispatch_needs_writer(const struct api_call *call) {
    return call->route->run == API_WRITE || call->defer_to_writer || auth_needs_writer(call);
}

/* "name=value" of the query, in the order sent. */
static bool hash_query(const struct api_call *call, struct hash *hash, struct err *err) {
    for (size_t i = 0; i < call->query_count; i++)
        if (!hash_update(hash, call->query[i].name, strlen(call->query[i].name) + 1, err) ||
            !hash_update(hash, call->query[i].value, strlen(call->query[i].value) + 1, err))
            return false;
    return true;
}

/* What makes a repeat the same request: method, path, query and body. */
static bool request_hash(const struct api_call *call, uint8_t ret_hash[SHA256_SIZE], struct err *err) {
    struct hash hash CLEANUP(hash_free) = {0};
    return hash_sha256_begin(&hash, err) && hash_update(&hash, call->method, strlen(call->method) + 1, err) &&
           hash_update(&hash, call->path, strlen(call->path) + 1, err) && hash_query(call, &hash, err) &&
           (call->stream_sha256 != NULL ? hash_update(&hash, call->stream_sha256, SHA256_SIZE, err)
                                        : hash_update(&hash, call->body, call->body_len, err)) &&
           hash_sha256_end(&hash, ret_hash, err);
}

static bool replay(struct api_call *call, const struct db_idempotency *stored, const uint8_t hash[SHA256_SIZE], struct err *err) {
    if (!hash_equal(stored->request_sha256, hash, SHA256_SIZE))
        return err_set(err, ERR_IDEMPOTENCY, "this Idempotency-Key was used for another request");
    call->reply.status = (int)stored->status;
    call->reply.content_type = stored->content_type;
    call->reply.body = stored->body;
    call->reply.body_len = stored->body_len;
    call->reply.reason = "replayed";
    if ((stored->location[0] != '\0' && !api_reply_header(call, "Location", stored->location, err)) ||
        (stored->etag[0] != '\0' && !api_reply_header(call, "ETag", stored->etag, err)))
        return false;
    return api_reply_header(call, "Idempotency-Replayed", "true", err);
}

static bool remember(const struct api_call *call, const char *key, const uint8_t hash[SHA256_SIZE], struct err *err) {
    const struct api_reply *reply = &call->reply;
    struct db_idempotency row = {
        .actor = call->operator_.actor,
        .key = key,
        .status = reply->status != 0 ? reply->status : 200,
        .content_type = reply->content_type,
        .location = "",
        .etag = "",
        .body = reply->stored_body != NULL ? reply->stored_body : reply->body,
        .body_len = reply->stored_body != NULL ? reply->stored_body_len : reply->body_len,
        .created_at = call->now,
    };
    memcpy(row.request_sha256, hash, SHA256_SIZE);
    for (size_t i = 0; i < reply->header_count; i++)
        if (strcmp(reply->headers[i].name, "Location") == 0)
            row.location = reply->headers[i].value;
        else if (strcmp(reply->headers[i].name, "ETag") == 0)
            row.etag = reply->headers[i].value;
    return db_idempotency_insert(call->db, &row, err);
}

static void drop_stream(struct api_call *call) {
    if (call->route->stream != NULL && call->stream_state != NULL)
        call->route->stream->discard(call);
}

/* On the writer, so that a parallel duplicate finds the first one's reply. What only reads runs on its worker, and goes to the writer with its reply
 * to have it remembered. */
static bool run_once(struct api_call *call, const char *key, struct err *err) {
    struct db_idempotency stored;
    uint8_t hash[SHA256_SIZE];
    bool ok = request_hash(call, hash, err);
    bool known = ok && db_idempotency_get(call->db, call->operator_.actor, key, call->arena, &stored, err);
    if (!ok || known || err->code != ERR_NOT_FOUND) {
        drop_stream(call);
        return known && replay(call, &stored, hash, err);
    }
    if (call->reply.body == NULL && !call->route->handler(call, err))
        return false;
    call->defer_to_writer = !call->writing;
    return !call->writing || call->again || remember(call, key, hash, err);
}

bool dispatch_run(struct api_call *call, struct err *err) {
    bool refusal = false;
    call->again = false;
    /* Not at the head: a refusal there ends the connection, and the next handshake costs more than this. */
    if (!call->writing && !auth_check_rate(call, err)) {
        drop_stream(call);
        return false;
    }
    if (call->writing && !auth_register(call, &refusal, err)) {
        drop_stream(call);
        return false;
    }
    if (refusal) {
        drop_stream(call);
        dispatch_refuse(call, err);
        return true;
    }
    if (call->writing && call->unchecked)
        return err_set(err, ERR_BUSY, "what is known of this device has just changed: ask again");
    const char *key = (call->route->policy & API_IDEMPOTENT) != 0 ? api_header(call, "Idempotency-Key") : NULL;
    bool done = key != NULL ? run_once(call, key, err) : call->route->handler(call, err);
    if (done || !call->writing || !call->keep_writes)
        return done;
    dispatch_refuse(call, err);
    return true;
}

void dispatch_refuse(struct api_call *call, const struct err *err) {
    api_reply_problem(call, err);
    call->reply.cut = call->route != NULL && (call->route->policy & API_CUT) != 0 && (call->reply.status >= 500 || call->reply.status == 429);
    if (call->reply.status >= 500 && err->code != ERR_BUSY)
        log_event(LOG_ERROR, "request failed", "request", call->request_id, "path", call->path, "code", err_slug(err->code), "error", err->text,
                  (char *)NULL);
}

static const char *listener_name(enum api_listener listener) {
    return listener == API_DEVICE ? "device" : listener == API_ADMIN ? "admin" : listener == API_TOKEN ? "token" : "enrol";
}

void dispatch_finish(const struct api_call *call, uint64_t bytes_sent, int64_t duration_us) {
    struct server *server = call->env->server;
    metrics_count(&server->metrics, call, bytes_sent, duration_us);
    if (!atomic_load(&server->live)->log.requests || !log_enabled(LOG_INFO))
        return;
    char status[16], bytes[32], us[32];
    snprintf(status, sizeof(status), "%d", call->reply.status);
    snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)bytes_sent);
    snprintf(us, sizeof(us), "%lld", (long long)duration_us);
    log_event(LOG_INFO, "request", "id", call->request_id, "listener", listener_name(call->listener), "address", call->client_address, "device",
              call->identity.id[0] != '\0' ? call->identity.id : NULL, "actor", call->operator_.actor[0] != '\0' ? call->operator_.actor : NULL,
              "method", call->head ? "HEAD" : call->method, "path", call->path, "status", status, "bytes", bytes, "us", us, "reason",
              call->reply.reason, (char *)NULL);
}
