#include "server/pull.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

enum {
    ARENA_BYTES = 64 * 1024 * 1024, /* ceiling of one piece's making */
    FRAME_HEAD = 10,                /* eight hex digits and CR LF: leading zeros are legal */
    FRAME_BYTES = 32,               /* head, end and the last chunk */
};

static const char nothing_yet[FRAME_HEAD + 1] = "00000000\r\n";
static const char last_chunk[] = "0\r\n\r\n";

bool pull_is_open(const struct request *request) {
    return request->call.reply.pull.next && !request->call.head && !request->pull_ended;
}

static enum api_pull_step ask(struct request *request, struct err *err) {
    struct api_call *call = &request->call;
    struct api_pull *pull = &call->reply.pull;
    struct arena *kept = call->arena, arena;
    arena_init(&arena, ARENA_BYTES);
    call->arena = &arena;
    call->now = clock_now();
    enum api_pull_step step = pull->next(call, pull->state, &request->piece, err);
    call->arena = kept;
    arena_clear(&arena);
    return step != API_PULL_FAILED && !buf_ok(&request->piece, "a piece of the reply", err) ? API_PULL_FAILED : step;
}

/* The chunk around what was appended behind its empty head; no chunk around nothing, which would be the last one. */
static void frame(struct buf *piece) {
    char size[FRAME_HEAD + 1];
    if (piece->len == FRAME_HEAD) {
        piece->len = 0;
        return;
    }
    snprintf(size, sizeof(size), "%08zx\r\n", piece->len - FRAME_HEAD);
    memcpy(piece->data, size, FRAME_HEAD);
    buf_append(piece, "\r\n", 2);
}

static enum api_pull_step make_piece(struct request *request, bool over, struct err *err) {
    struct buf *piece = &request->piece;
    enum api_pull_step step = API_PULL_END;
    if (piece->max == 0)
        buf_init(piece, API_PULL_MAX + FRAME_BYTES);
    buf_reset(piece);
    buf_append(piece, nothing_yet, FRAME_HEAD);
    if (!over)
        step = ask(request, err);
    if (step == API_PULL_FAILED || !buf_ok(piece, "a piece of the reply", err))
        return API_PULL_FAILED;
    frame(piece);
    if (step == API_PULL_END)
        buf_text(piece, last_chunk);
    return buf_ok(piece, "a piece of the reply", err) ? step : API_PULL_FAILED;
}

/* A client that has ended its side, or a server that drains, ends a stream; a list comes to its own end. */
bool pull_next(struct front_conn *conn) {
    struct request *request = conn->direct;
    struct err err = {0};
    enum api_pull_step step = make_piece(request, conn->ending && request->pull_waited, &err);
    if (step == API_PULL_FAILED) {
        request->call.reply.reason = err_slug(err.code);
        log_event(LOG_ERROR, "reply cut", "request", request->call.request_id, "path", request->call.path, "code", err_slug(err.code), "error",
                  err.text, (char *)NULL);
        return false;
    }
    conn->body = request->piece.data;
    conn->body_left = request->piece.len;
    request->pull_ended = step == API_PULL_END;
    request->pull_waited |= step == API_PULL_WAIT;
    request->step = step == API_PULL_WAIT ? REQUEST_WAITING : REQUEST_SENDING;
    return true;
}

/* ---- waiting ---- */

bool pull_waits(const struct front_conn *conn) {
    return conn->direct && conn->direct->step == REQUEST_WAITING && conn->body_left == 0;
}

static void leave_list(struct front_conn *conn) {
    struct worker *worker = conn->worker;
    if (!conn->in_waiting)
        return;
    *(conn->prev_waiting ? &conn->prev_waiting->next_waiting : &worker->waiting) = conn->next_waiting;
    if (conn->next_waiting)
        conn->next_waiting->prev_waiting = conn->prev_waiting;
    conn->prev_waiting = conn->next_waiting = NULL;
    conn->in_waiting = false;
}

void pull_wait(struct front_conn *conn) {
    struct worker *worker = conn->worker;
    int64_t wait_ms = conn->direct->call.reply.pull.wait_ms;
    if (!conn->in_waiting) {
        conn->next_waiting = worker->waiting;
        if (conn->next_waiting)
            conn->next_waiting->prev_waiting = conn;
        worker->waiting = conn;
        conn->in_waiting = true;
    }
    front_set_deadline(conn, wait_ms > 0 && wait_ms < FRONT_REPLY_WINDOW_MS ? wait_ms : FRONT_REPLY_WINDOW_MS);
}

void pull_go_on(struct front_conn *conn) {
    leave_list(conn);
    conn->direct->step = REQUEST_SENDING;
    front_set_deadline(conn, FRONT_REPLY_WINDOW_MS);
    front_again(conn);
}

/* What was sent while waiting is little: any progress will do, but a peer that is gone makes none. */
bool pull_deadline(struct front_conn *conn) {
    uint64_t acknowledged = front_acknowledged(conn);
    if (acknowledged == conn->tls.sent_bytes || acknowledged > conn->mark || conn->mark_at_ms == 0) {
        conn->mark = acknowledged;
        conn->mark_at_ms = conn->worker->now_ms;
    } else if (conn->worker->now_ms - conn->mark_at_ms >= FRONT_REPLY_WINDOW_MS) {
        return false;
    }
    pull_go_on(conn);
    return true;
}

void pull_wake(struct worker *worker) {
    for (struct front_conn *conn = worker->waiting, *next; conn; conn = next) {
        next = conn->next_waiting;
        pull_go_on(conn);
    }
}

void pull_drop(struct front_conn *conn) {
    leave_list(conn);
}
