/* The bytes of a connection: one step function a phase. A step returns true when another step should follow at once; it returns false only when it
 * waits for an edge, and then the flag of that edge is down. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/random.h"
#include "server/direct.h"
#include "server/download.h"
#include "server/proxied.h"

/* ---- small moves ---- */

/* Keeps what could not go on; data may lie inside what is kept already. */
static bool keep(struct front_conn *conn, const char *data, size_t len) {
    if (len == 0) {
        free(conn->kept);
        conn->kept = NULL;
        conn->kept_len = 0;
        return true;
    }
    if (!conn->kept)
        conn->kept = malloc(WORKER_READ_SIZE);
    if (!conn->kept || len > WORKER_READ_SIZE)
        return false;
    memmove(conn->kept, data, len);
    conn->kept_len = len;
    return true;
}

bool pump_flush(struct front_conn *conn) {
    uint64_t before = conn->tls.sent_bytes;
    enum tls_status status = tls_flush(&conn->tls);
    worker_add(&conn->worker->counters.bytes_sent, conn->tls.sent_bytes - before);
    if (status == TLS_FAILED)
        front_kill(conn);
    return status == TLS_OK;
}

/* Decrypted bytes behind those that are kept, or into the worker's buffer when none are. False: nothing to be had; the connection may be dead. */
static bool fill(struct front_conn *conn, const char **ret_data, size_t *ret_len) {
    char *buffer = conn->kept ? conn->kept : (char *)conn->worker->read_buffer;
    size_t got = 0;
    if (!conn->tls.readable)
        return false;
    enum tls_status status = tls_read(&conn->tls, buffer + conn->kept_len, WORKER_READ_SIZE - conn->kept_len, &got);
    if (conn->worker->gather.len > 0)
        (void)pump_flush(conn); /* an alert or a key update of ours; rare. What is blocked of it does not void what was read */
    if (conn->phase == FRONT_DEAD)
        return false;
    if (status == TLS_OK) {
        worker_add(&conn->worker->counters.bytes_received, got);
        *ret_data = buffer;
        *ret_len = conn->kept_len + got;
        conn->kept_len = conn->kept ? *ret_len : 0;
        return true;
    }
    if (status != TLS_BLOCKED)
        front_kill(conn);
    return false;
}

/* Head and body bytes into the link, as many as it takes; the rest is kept. */
static void forward(struct front_conn *conn, const char *data, size_t len) {
    while (conn->head_left + conn->gate.body_left > 0 && len > 0) {
        uint64_t all = (uint64_t)conn->head_left + conn->gate.body_left;
        size_t want = all < len ? (size_t)all : len;
        ssize_t sent = send(conn->link_fd, data, want, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            conn->link_writable = false;
            conn->closing |= errno != EAGAIN; /* the library has closed its end: its reply, if any, is the last */
            break;
        }
        size_t of_head = (size_t)sent < conn->head_left ? (size_t)sent : conn->head_left;
        conn->head_left -= of_head;
        conn->received += gate_body(&conn->gate, (size_t)sent - of_head);
        data += sent;
        len -= (size_t)sent;
    }
    if (!keep(conn, data, len)) {
        front_kill(conn);
        return;
    }
    front_feed(conn);
}

/* ---- the steps ---- */

/* Is there a first byte? It is left for OpenSSL. */
static bool has_spoken(struct front_conn *conn) {
    char byte;
    ssize_t got = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        conn->tls.readable = false;
    else if (got == 0 || (got < 0 && errno != EINTR))
        front_kill(conn);
    return got > 0;
}

/* The one step that may return false while its edge is up: admission_turn() comes back to a connection that waits for a place. */
static bool step_handshake(struct front_conn *conn) {
    struct worker *worker = conn->worker;
    if (!conn->tls.readable) {
        if (conn->tls.pending)
            (void)pump_flush(conn);
        return false;
    }
    if (conn->awaits_proxy && !proxied_begin(conn))
        return false;
    if ((!conn->admission.ready && !has_spoken(conn)) || !admission_begin(conn))
        return false;
    enum tls_status status = tls_handshake(&conn->tls);
    (void)pump_flush(conn);
    if (conn->phase == FRONT_DEAD || status == TLS_BLOCKED)
        return false;
    admission_leave(conn);
    worker_add(&worker->counters.sessions_stored, conn->tls.stored);
    if (conn->tls.offered && !conn->tls.resumed)
        worker_add(&worker->counters.sessions_refused, 1);
    if (status != TLS_OK) {
        worker_add(&worker->counters.handshakes_failed, 1);
        conn->phase = FRONT_CLOSING;
        pump_close(conn);
        return true;
    }
    worker_add(conn->tls.resumed ? &worker->counters.handshakes_resumed : &worker->counters.handshakes_full, 1);
    conn->phase = FRONT_HEAD;
    front_set_deadline(conn, worker->wire->settings.head_deadline_ms);
    return front_admit(conn);
}

static bool begin_direct(struct front_conn *conn, const char *data, size_t len) {
    if (!direct_begin(conn, data))
        pump_refuse(conn, GATE_OVERLOADED);
    else if (conn->phase != FRONT_DEAD && !keep(conn, data + conn->gate.head_len, len - conn->gate.head_len))
        front_kill(conn);
    return true;
}

static bool begin_link(struct front_conn *conn, const char *data, size_t len) {
    if (!conn->link && !front_open_link(conn)) {
        pump_refuse(conn, GATE_OVERLOADED);
        return true;
    }
    conn->phase = FRONT_REQUEST;
    conn->head_left = conn->gate.head_len;
    conn->received = conn->mark = 0;
    conn->reply_done = false;
    if (conn->gate.content_length > 0)
        front_set_deadline(conn, FRONT_BODY_WINDOW_MS);
    forward(conn, data, len);
    return true;
}

/* A connection may outlive the certificate that it began with. Where certificates are renewed that is for the handler to judge. */
static bool is_expired(const struct front_conn *conn) {
    const struct api_identity *identity = &conn->tls.identity;
    return conn->role != API_ENROL && identity->id[0] != '\0' && identity->not_after < clock_now();
}

static bool step_head(struct front_conn *conn) {
    const char *data = conn->kept;
    size_t len = conn->kept_len;
    if (conn->tls.pending && !pump_flush(conn))
        return false;
    if (len <= conn->gate.scanned && !fill(conn, &data, &len))
        return false;
    bool begins = conn->gate.scanned == 0;
    switch (gate_scan(&conn->gate, data, len)) {
    case GATE_MORE:
        if (begins && !conn->first)
            front_set_deadline(conn, conn->worker->wire->settings.head_deadline_ms);
        if (!keep(conn, data, len))
            front_kill(conn);
        return true;
    case GATE_COMPLETE:
        break;
    default:
        pump_refuse(conn, conn->gate.refusal);
        return true;
    }
    conn->first = false;
    worker_add(&conn->worker->counters.requests, 1);
    if (is_expired(conn) || !front_trusted(conn)) {
        pump_close(conn); /* as the next handshake will say */
        return true;
    }
    return direct_takes(&conn->gate, data) ? begin_direct(conn, data, len) : begin_link(conn, data, len);
}

/* The reply's bytes from the link to the client; in two phases, because a reply may begin before the request has ended. */
static bool step_reply(struct front_conn *conn) {
    struct worker *worker = conn->worker;
    if (conn->tls.pending && !pump_flush(conn))
        return false;
    while (conn->link_readable && worker->gather.len + TLS_WRITE_MAX + TLS_WRITE_EXTRA <= TLS_GATHER_SIZE) {
        ssize_t got = recv(conn->link_fd, worker->write_buffer, TLS_WRITE_MAX, MSG_DONTWAIT);
        if (got > 0) {
            if (!tls_write(&conn->tls, worker->write_buffer, (size_t)got)) {
                front_kill(conn);
                return false;
            }
        } else if (got == 0 || errno != EINTR) {
            conn->link_ended = got == 0 || errno != EAGAIN;
            conn->link_readable = false;
        }
    }
    if (!pump_flush(conn))
        return false;
    if (conn->link_readable)
        return true;
    if (conn->link_ended || (conn->reply_done && (conn->closing || conn->phase == FRONT_REQUEST))) {
        pump_close(conn);
        return true;
    }
    if (conn->reply_done) {
        gate_reset(&conn->gate);
        conn->reply_done = false;
        conn->phase = FRONT_HEAD;
        front_set_deadline(conn, worker->wire->settings.idle_deadline_ms);
        return true;
    }
    return false;
}

static bool step_request(struct front_conn *conn) {
    const char *data = conn->kept;
    size_t len = conn->kept_len;
    if (conn->head_left + conn->gate.body_left == 0) {
        conn->phase = FRONT_REPLY;
        conn->mark = conn->tls.sent_bytes;
        front_set_deadline(conn, FRONT_REPLY_WINDOW_MS);
        return true;
    }
    if (conn->link_writable && (len > 0 || fill(conn, &data, &len))) {
        forward(conn, data, len);
        return conn->phase == FRONT_REQUEST;
    }
    return conn->phase == FRONT_REQUEST && step_reply(conn);
}

static bool step_closing(struct front_conn *conn) {
    if (!pump_flush(conn))
        return false;
    shutdown(conn->fd, SHUT_WR);
    conn->phase = FRONT_LINGER;
    conn->linger_left = FRONT_LINGER_BYTES;
    front_set_deadline(conn, FRONT_LINGER_MS);
    return true;
}

static bool step_linger(struct front_conn *conn) {
    while (conn->tls.readable) {
        ssize_t got = recv(conn->fd, conn->worker->read_buffer, WORKER_READ_SIZE, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) {
            conn->tls.readable = false;
        } else if (got > 0 && (size_t)got <= conn->linger_left) {
            conn->linger_left -= (size_t)got;
        } else if (got >= 0 || errno != EINTR) {
            front_kill(conn);
            break;
        }
    }
    return false;
}

static bool step_dead(struct front_conn *conn) {
    (void)conn;
    return false;
}

static bool (*const steps[FRONT_PHASE_COUNT])(struct front_conn *conn) = {
    [FRONT_HANDSHAKE] = step_handshake, [FRONT_HEAD] = step_head,       [FRONT_REQUEST] = step_request, [FRONT_REPLY] = step_reply,
    [FRONT_DIRECT] = direct_step,       [FRONT_CLOSING] = step_closing, [FRONT_LINGER] = step_linger,   [FRONT_DEAD] = step_dead,
};

void pump_run(struct front_conn *conn) {
    const struct wire_counters *counters = &conn->worker->counters; /* in here it is this connection that moves them */
    uint64_t requests = counters->requests;
    uint64_t bytes = counters->bytes_sent + counters->bytes_received;
    for (int step = 0; steps[conn->phase](conn); step++) {
        bool spent = step >= PUMP_MAX_STEPS || counters->requests - requests >= PUMP_MAX_REQUESTS ||
                     counters->bytes_sent + counters->bytes_received - bytes >= PUMP_MAX_BYTES;
        if (spent) {
            front_again(conn);
            return;
        }
    }
}

/* ---- ends ---- */

void pump_close(struct front_conn *conn) {
    if (conn->link) {
        http_detach(conn->link);
        close(conn->link_fd);
        conn->link = NULL;
        conn->link_fd = -1;
    }
    (void)keep(conn, NULL, 0);
    tls_say_goodbye(&conn->tls);
    conn->phase = FRONT_CLOSING;
    conn->mark = conn->tls.sent_bytes;
    front_set_deadline(conn, FRONT_REPLY_WINDOW_MS);
}

void pump_part(struct front_conn *conn) {
    tls_say_goodbye(&conn->tls);
    if (pump_flush(conn) || conn->phase != FRONT_DEAD)
        front_kill(conn);
}

void pump_refuse(struct front_conn *conn, enum gate_refusal refusal) {
    char reply[GATE_REPLY_SIZE];
    char request_id[API_REQUEST_ID_SIZE];
    random_hex(request_id, (API_REQUEST_ID_SIZE - 1) / 2);
    worker_add(&conn->worker->counters.refused_at_gate, 1);
    if (tls_write(&conn->tls, reply, gate_reply(refusal, request_id, clock_now(), reply)))
        pump_close(conn);
    else
        front_kill(conn);
}
