#include "server/direct.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "server/download.h"
#include "server/guard.h"
#include "server/pull.h"
#include "server/status.h"

enum { MAX_REPLY_HEAD = 16 * 1024, RECORD_BYTES = 16 * 1024 };

bool direct_takes(const struct gate *gate, const char *head) {
    return gate->content_length == 0 && (memcmp(head, "GET ", 4) == 0 || memcmp(head, "HEAD ", 5) == 0);
}

/* ---- the request ---- */

/* Cuts the head's copy into texts; the gate has seen to its grammar. */
static size_t split_fields(char *line, struct api_param *ret_fields, size_t max) {
    size_t count = 0;
    while (*line != '\r' && count < max) {
        char *colon = strchr(line, ':');
        char *end = strstr(colon, "\r\n");
        char *value = colon + 1;
        char *last = end;
        *colon = '\0';
        while (*value == ' ' || *value == '\t')
            value++;
        while (last > value && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        *last = '\0';
        ret_fields[count++] = (struct api_param){.name = line, .value = value};
        line = end + 2;
    }
    return count;
}

static void on_resume(struct request *request) {
    struct front_conn *conn = request->owner;
    if (conn)
        front_feed(conn);
    else
        request_finish(request);
}

static bool start(struct front_conn *conn, struct request *request, const char *head) {
    struct request_peer peer = {.listener = conn->role, .identity = conn->tls.identity};
    memcpy(peer.address, conn->address, sizeof(peer.address));
    size_t lines = conn->gate.lines - 2; /* without the first and the empty one */
    struct api_param *fields = arena_array(&request->arena, lines, sizeof(*fields));
    char *copy = arena_strndup(&request->arena, head, conn->gate.head_len);
    if (!fields || !copy)
        return false;
    char *method_end = strchr(copy, ' ');
    char *target_end = strchr(method_end + 1, ' ');
    size_t count = split_fields(strstr(target_end, "\r\n") + 2, fields, lines);
    *method_end = *target_end = '\0';
    return request_begin(request, &peer, copy, method_end + 1, fields, count);
}

bool direct_begin(struct front_conn *conn, const char *head) {
    struct request *request = request_new(conn->worker->requests);
    if (!request)
        return false;
    if (!start(conn, request, head)) {
        request_finish(request);
        return false;
    }
    request->owner = conn;
    request->resume = on_resume;
    conn->direct = request;
    conn->phase = FRONT_DIRECT;
    conn->mark = conn->tls.sent_bytes;
    conn->mark_at_ms = 0;
    front_set_deadline(conn, FRONT_REPLY_WINDOW_MS);
    bool ready = request_run(request);
    (void)ready; /* no: the step waits until the writer is done */
    if (!front_count_token(conn, request->call.identity.id))
        front_kill(conn);
    return true;
}

/* ---- the reply ---- */

/* A handler's text must not begin a line of its own. */
static bool is_field_value(const char *value) {
    return strpbrk(value, "\r\n") == NULL;
}

static bool has_body(const struct request *request, int status) {
    return !request->call.head && status != 204 && status != 304;
}

static bool wants_close(const struct api_reply *reply) {
    for (size_t i = 0; i < reply->header_count; i++)
        if (strcasecmp(reply->headers[i].name, "Connection") == 0 && strcasecmp(reply->headers[i].value, "close") == 0)
            return true;
    return false;
}

static const char *date_of(struct worker *worker, int64_t now) {
    if (worker->date_at != now) {
        worker->date_at = now;
        clock_http(now, worker->date);
    }
    return worker->date;
}

static void append(struct buf *out, const char *name, const char *value) {
    if (is_field_value(value)) {
        buf_text(out, name);
        buf_append(out, ": ", 2);
        buf_text(out, value);
        buf_append(out, "\r\n", 2);
    }
}

static void make_head(struct front_conn *conn, struct buf *out) {
    struct request *request = conn->direct;
    struct api_call *call = &request->call;
    const struct api_reply *reply = &call->reply;
    int status = request_status(request);
    char line[96];
    int len = snprintf(line, sizeof(line), "HTTP/1.1 %d %s\r\n", status, status_phrase(status));
    buf_append(out, line, (size_t)len);
    append(out, "Date", date_of(conn->worker, call->now));
    append(out, "X-Request-Id", call->request_id);
    if (reply->content_type)
        append(out, "Content-Type", reply->content_type);
    for (size_t i = 0; i < reply->header_count; i++)
        append(out, reply->headers[i].name, reply->headers[i].value);
    if (reply->pull.next) {
        append(out, "Transfer-Encoding", "chunked");
    } else if (status != 204 && status != 304) {
        len = snprintf(line, sizeof(line), "Content-Length: %llu\r\n", (unsigned long long)request_reply_length(request));
        buf_append(out, line, (size_t)len);
    }
    bool told = wants_close(reply);
    conn->closing |= told || conn->gate.closes;
    if (conn->closing && !told)
        append(out, "Connection", "close");
    buf_append(out, "\r\n", 2);
}

/* How much of the body goes with the head: a small one whole; of a large one what fills the first record, because nobody knows yet what the client
 * takes. */
static size_t beginning(size_t head_len, uint64_t body_len) {
    if (head_len + body_len <= TLS_WRITE_MAX)
        return (size_t)body_len;
    return head_len < RECORD_BYTES ? RECORD_BYTES - head_len : 0;
}

/* Head and the beginning of the body in one write. */
static bool send_head(struct front_conn *conn) {
    struct request *request = conn->direct;
    struct buf head = BUF_INIT(MAX_REPLY_HEAD);
    struct err err;
    make_head(conn, &head);
    bool ok = buf_ok(&head, "reply head", &err) && !request->call.reply.cut;
    if (ok) {
        const struct api_reply *reply = &request->call.reply;
        bool body = has_body(request, reply->status);
        conn->body = reply->blob.release ? reply->blob.data : reply->body;
        conn->body_left = body ? request_reply_length(request) : 0;
        memcpy(conn->worker->write_buffer, head.data, head.len);
        size_t first = download_is_paced(conn) ? 0 : beginning(head.len, conn->body_left);
        ok = (first == 0 || guard_copy(conn->worker->write_buffer + head.len, conn->body, first)) &&
             tls_write(&conn->tls, conn->worker->write_buffer, head.len + first);
        conn->body += first;
        conn->body_left -= first;
        request->reply_bytes += first;
        request->step = REQUEST_SENDING;
    }
    buf_free(&head);
    return ok;
}

/* max: of this piece, which is whole records where more follows. */
static bool send_piece(struct front_conn *conn, size_t max) {
    size_t whole = max < RECORD_BYTES ? RECORD_BYTES : max - max % RECORD_BYTES;
    size_t len = whole < TLS_WRITE_MAX ? whole : TLS_WRITE_MAX;
    len = conn->body_left < len ? (size_t)conn->body_left : len;
    if (!guard_copy(conn->worker->write_buffer, conn->body, len) || !tls_write(&conn->tls, conn->worker->write_buffer, len))
        return false;
    conn->body += len;
    conn->body_left -= len;
    conn->direct->reply_bytes += len;
    return true;
}

static void finish(struct front_conn *conn) {
    struct request *request = conn->direct;
    download_leave(conn);
    conn->known |= request->call.operator_.token != NULL;
    conn->direct = NULL;
    request_finish(request);
    if (conn->closing) {
        pump_close(conn);
        return;
    }
    gate_reset(&conn->gate);
    conn->phase = FRONT_HEAD;
    front_set_deadline(conn, conn->worker->wire->settings.idle_deadline_ms);
}

bool direct_step(struct front_conn *conn) {
    struct request *request = conn->direct;
    struct tls_gather *gather = &conn->worker->gather;
    if (request->step == REQUEST_WRITER || (conn->tls.pending && !pump_flush(conn)) || conn->in_waiting)
        return false;
    if (request->step < REQUEST_SENDING && !download_begin(conn))
        return false;
    bool ok = request->step >= REQUEST_SENDING || send_head(conn);
    if (ok && conn->body_left == 0 && pull_is_open(request))
        ok = pull_next(conn);
    size_t room = ok && conn->body_left > 0 ? tls_room(&conn->tls) : 0;
    bool paced = download_is_paced(conn);
    while (ok && conn->body_left > 0 && gather->len < room && gather->len + TLS_WRITE_MAX + TLS_WRITE_EXTRA <= TLS_GATHER_SIZE) {
        size_t max = room - gather->len;
        if (paced && !download_grant(conn, &max))
            break;
        uint64_t before = conn->body_left;
        ok = send_piece(conn, max);
        download_sent(conn, (size_t)(before - conn->body_left));
    }
    if (!ok) {
        front_kill(conn); /* the head is out, the rest cannot follow */
        return false;
    }
    if (!pump_flush(conn))
        return false;
    if (conn->body_left > 0)
        return !conn->download.waits;
    if (pull_waits(conn)) {
        pull_wait(conn);
        return false;
    }
    if (!pull_is_open(request))
        finish(conn);
    return true;
}

void direct_drop(struct front_conn *conn) {
    struct request *request = conn->direct;
    conn->direct = NULL;
    if (request && request->step == REQUEST_WRITER)
        request->owner = NULL;
    else if (request)
        request_finish(request);
}
