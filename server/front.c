#include "server/front.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "server/direct.h"
#include "server/download.h"
#include "server/pull.h"

#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* ---- events ---- */

/* No further request, and a stream ends. */
static void end_stream(struct front_conn *conn) {
    conn->closing = conn->ending = true;
    if (pull_waits(conn))
        pull_go_on(conn);
}

static void on_client(struct source *source, uint32_t events) {
    struct front_conn *conn = CONTAINER_OF(source, struct front_conn, client);
    if (conn->phase == FRONT_DEAD)
        return;
    if (events & (EPOLLERR | EPOLLHUP)) {
        front_kill(conn);
        return;
    }
    conn->tls.readable |= (events & (EPOLLIN | EPOLLRDHUP)) != 0;
    conn->tls.writable |= (events & EPOLLOUT) != 0;
    if (events & EPOLLRDHUP)
        end_stream(conn);
    pump_run(conn);
}

static void on_end(struct source *source, uint32_t events) {
    struct front_conn *conn = CONTAINER_OF(source, struct front_conn, end);
    if (!conn->link)
        return;
    conn->link_readable |= (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    conn->link_writable |= (events & EPOLLOUT) != 0;
    pump_run(conn);
}

void front_feed(struct front_conn *conn) {
    struct worker *worker = conn->worker;
    worker->http_due = true;
    if (!conn->in_fed && conn->phase != FRONT_DEAD) {
        conn->in_fed = true;
        conn->next_fed = worker->fed;
        worker->fed = conn;
    }
}

void front_again(struct front_conn *conn) {
    struct worker *worker = conn->worker;
    if (!conn->in_again && conn->phase != FRONT_DEAD) {
        conn->in_again = true;
        conn->next_again = worker->again;
        worker->again = conn;
    }
}

void front_go_on(struct front_conn *list) {
    while (list) {
        struct front_conn *conn = list;
        list = conn->next_again;
        conn->in_again = false;
        pump_run(conn);
    }
}

void front_reply_done(void *context, const struct api_call *call) {
    struct front_conn *conn = context;
    conn->known |= call->operator_.token != NULL;
    conn->closing |= !front_count_token(conn, call->identity.id); /* too late to refuse this one: it was the last */
    conn->reply_done = true;
    front_feed(conn);
}

void front_after_http(struct worker *worker) {
    struct front_conn *list = worker->fed;
    worker->fed = NULL;
    while (list) {
        struct front_conn *conn = list;
        list = conn->next_fed;
        conn->in_fed = false;
        conn->link_readable = conn->link != NULL;
        pump_run(conn);
    }
}

/* ---- a connection's life ---- */

void front_set_deadline(struct front_conn *conn, int64_t in_ms) {
    deadlines_set(&conn->worker->deadlines, &conn->deadline, conn->worker->now_ms + in_ms);
}

/* Text for people, and the key by which an address is counted: IPv4 whole, IPv6 by its /64, which is what one customer has. */
static void take_address(struct front_conn *conn, const struct sockaddr_storage *address) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    const unsigned char *bytes = v6->sin6_addr.s6_addr;
    if (address->ss_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        memcpy(conn->address_key, bytes, 8);
        inet_ntop(AF_INET6, bytes, conn->address, sizeof(conn->address));
        return;
    }
    const void *four = address->ss_family == AF_INET6 ? (const void *)(bytes + 12) : (const void *)&v4->sin_addr;
    memcpy(conn->address_key, four, 4);
    inet_ntop(AF_INET, four, conn->address, sizeof(conn->address));
}

/* Under the ceiling of its address. Of a balancer's connection the address comes with the header. */
static bool count_address(struct front_conn *conn) {
    struct wire *wire = conn->worker->wire;
    conn->counted_address = limits_enter(wire->limits, conn->address_key, sizeof(conn->address_key), wire->settings.max_connections_per_address);
    return conn->counted_address;
}

/* A place under the ceilings on connections, or none. */
static bool take_place(struct front_conn *conn) {
    struct wire *wire = conn->worker->wire;
    int64_t reserved = conn->role == API_ADMIN ? 0 : wire->settings.reserved_admin_connections;
    if (atomic_fetch_add(&wire->connections, 1) < wire->settings.max_connections - reserved && (conn->awaits_proxy || count_address(conn)))
        return true;
    atomic_fetch_sub(&wire->connections, 1);
    return false;
}

static void give_place(struct front_conn *conn) {
    struct wire *wire = conn->worker->wire;
    if (conn->counted_address)
        limits_leave(wire->limits, conn->address_key, sizeof(conn->address_key));
    atomic_fetch_sub(&wire->connections, 1);
}

bool front_set_client(struct front_conn *conn, const struct sockaddr_storage *address) {
    if (address) {
        memset(conn->address_key, 0, sizeof(conn->address_key));
        take_address(conn, address);
    }
    if (!count_address(conn)) {
        worker_add(&conn->worker->counters.refused_at_capacity, 1);
        front_kill(conn);
        return false;
    }
    return true;
}

static struct tls_context *context_of(struct wire *wire, size_t listener) {
    pthread_mutex_lock(&wire->contexts_lock);
    struct tls_context *context = tls_context_ref(wire->contexts[listener]);
    pthread_mutex_unlock(&wire->contexts_lock);
    return context;
}

static uint64_t *open_counter(struct worker *worker, enum api_listener role) {
    return &worker->counters.open_connections[wire_column(role)];
}

bool front_trusted(struct front_conn *conn) {
    uint_fast32_t trust = atomic_load(&conn->worker->wire->trust);
    if (conn->trust == trust)
        return true;
    struct tls_context *context = context_of(conn->worker->wire, conn->listener);
    bool trusted = tls_trusted(&conn->tls, context);
    tls_context_unref(context);
    conn->trust = trust;
    return trusted;
}

/* TLS, a place among the deadlines, epoll. */
static bool set_up(struct front_conn *conn) {
    struct worker *worker = conn->worker;
    conn->trust = atomic_load(&worker->wire->trust); /* before the context: what changes in between is looked at again */
    struct tls_context *context = context_of(worker->wire, conn->listener);
    bool ok = deadlines_reserve(&worker->deadlines, worker->conn_count + 1) && tls_start(&conn->tls, context, conn->fd, &worker->gather);
    tls_context_unref(context);
    if (ok && !worker_watch(worker, conn->fd, &conn->client, EPOLLIN | EPOLLOUT | EPOLLRDHUP)) {
        tls_end(&conn->tls);
        ok = false;
    }
    return ok;
}

/* Administration has places kept for it; those who have not shown that they are administrators hold them only until another comes. False: of these
 * there is none here. */
static bool make_place(struct worker *worker) {
    struct front_conn *oldest = NULL;
    for (struct front_conn *conn = worker->conns; conn; conn = conn->next)
        oldest = conn->role == API_ADMIN && !conn->known ? conn : oldest; /* the newest stand first */
    if (oldest) {
        worker_add(&worker->counters.refused_at_capacity, 1);
        front_kill(oldest);
    }
    return oldest != NULL;
}

static bool is_full(const struct wire *wire) {
    return atomic_load(&wire->connections) >= wire->settings.max_connections;
}

static bool is_balancer(const struct wire *wire, size_t listener, const struct sockaddr_storage *address) {
    struct network_address peer;
    return wire->settings.listeners[listener].proxied && network_address_of(address, sizeof(*address), &peer) &&
           network_list_has(&wire->settings.proxies, &peer);
}

void front_accept_take(struct worker *worker, const struct worker_listener *listener, int fd, const struct sockaddr_storage *address) {
    struct front_conn *conn = calloc(1, sizeof(*conn));
    worker_add(&worker->counters.accepted, 1);
    if (conn) {
        *conn = (struct front_conn){.client = {on_client},
                                    .end = {on_end},
                                    .worker = worker,
                                    .role = listener->role,
                                    .listener = listener->index,
                                    .fd = fd,
                                    .link_fd = -1,
                                    .first = true};
        take_address(conn, address);
        conn->awaits_proxy = is_balancer(worker->wire, listener->index, address);
    }
    bool placed = conn && (take_place(conn) || (conn->role == API_ADMIN && is_full(worker->wire) && make_place(worker) && take_place(conn)));
    if (!placed) {
        worker_add(&worker->counters.refused_at_capacity, 1);
        free(conn);
        close(fd);
        return;
    }
    if (!set_up(conn)) {
        give_place(conn);
        free(conn);
        close(fd);
        return;
    }
    conn->next = worker->conns;
    if (conn->next)
        conn->next->prev = conn;
    worker->conns = conn;
    worker->conn_count++;
    admission_enter(conn);
    worker_add(open_counter(worker, conn->role), 1);
    front_set_deadline(conn, worker->wire->settings.handshake_deadline_ms);
    pump_run(conn);
}

/* "": no device is at the other end. Administrators have names of their own, which may be the same. */
static const char *device_of(const struct front_conn *conn) {
    return conn->role != API_ADMIN ? conn->tls.identity.id : "";
}

bool front_admit(struct front_conn *conn) {
    struct wire *wire = conn->worker->wire;
    const char *id = device_of(conn);
    if (!front_trusted(conn)) {
        front_kill(conn);
        return false;
    }
    conn->known |= conn->role == API_ADMIN && conn->tls.identity.id[0] != '\0';
    if (id[0] == '\0')
        return true;
    conn->counted_device = limits_enter(wire->limits, id, strlen(id) + 1, wire->settings.max_connections_per_device);
    if (!conn->counted_device) {
        worker_add(&conn->worker->counters.refused_at_capacity, 1);
        front_kill(conn);
    }
    return conn->counted_device;
}

static void forget_token(struct front_conn *conn) {
    if (conn->token_device)
        limits_leave(conn->worker->wire->limits, conn->token_device, strlen(conn->token_device) + 1);
    free(conn->token_device);
    conn->token_device = NULL;
}

bool front_count_token(struct front_conn *conn, const char *device_id) {
    struct wire *wire = conn->worker->wire;
    if (conn->role != API_TOKEN || device_id[0] == '\0' || (conn->token_device && strcmp(conn->token_device, device_id) == 0))
        return true;
    forget_token(conn);
    char *id = strdup(device_id);
    if (id && limits_enter(wire->limits, id, strlen(id) + 1, wire->settings.max_connections_per_device)) {
        conn->token_device = id;
        return true;
    }
    free(id);
    worker_add(&conn->worker->counters.refused_at_capacity, 1);
    return false;
}

bool front_open_link(struct front_conn *conn) {
    struct request_peer peer = {.listener = conn->role, .identity = conn->tls.identity};
    memcpy(peer.address, conn->address, sizeof(peer.address));
    if (!http_open(conn->worker->http, &peer, conn, &conn->link, &conn->link_fd))
        return false;
    conn->link_readable = conn->link_writable = true;
    if (!worker_watch(conn->worker, conn->link_fd, &conn->end, EPOLLIN | EPOLLOUT | EPOLLRDHUP)) {
        http_detach(conn->link);
        close(conn->link_fd);
        conn->link = NULL;
        conn->link_fd = -1;
        return false;
    }
    return true;
}

void front_kill(struct front_conn *conn) {
    struct worker *worker = conn->worker;
    const char *id = conn->tls.identity.id;
    if (conn->phase == FRONT_DEAD)
        return;
    if (conn->phase == FRONT_HANDSHAKE) {
        admission_leave(conn);
        worker_add(&worker->counters.handshakes_failed, 1);
    }
    conn->phase = FRONT_DEAD;
    worker->gather.len = 0;
    pull_drop(conn);
    direct_drop(conn);
    download_leave(conn);
    if (conn->link) {
        http_detach(conn->link);
        close(conn->link_fd);
        conn->link = NULL;
    }
    if (conn->counted_device)
        limits_leave(worker->wire->limits, id, strlen(id) + 1);
    forget_token(conn);
    give_place(conn);
    deadlines_cancel(&worker->deadlines, &conn->deadline);
    tls_end(&conn->tls);
    close(conn->fd);
    free(conn->kept);
    *(conn->prev ? &conn->prev->next : &worker->conns) = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    worker->conn_count--;
    worker_add(open_counter(worker, conn->role), (uint64_t)-1);
    conn->next_dead = worker->dead;
    worker->dead = conn;
}

/* Ends it with a reset: what the kernel still holds for the client, up to some MiB, is not sent any more. */
static void abort_conn(struct front_conn *conn) {
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    front_kill(conn);
}

void front_reap(struct worker *worker) {
    struct front_conn **at = &worker->fed;
    while (worker->dead && *at) { /* the fed ones were fed in this turn, and those of `again` worked in it: short lists */
        struct front_conn *conn = *at;
        if (conn->phase == FRONT_DEAD)
            *at = conn->next_fed;
        else
            at = &conn->next_fed;
    }
    at = &worker->again;
    while (worker->dead && *at) {
        struct front_conn *conn = *at;
        if (conn->phase == FRONT_DEAD)
            *at = conn->next_again;
        else
            at = &conn->next_again;
    }
    while (worker->dead) {
        struct front_conn *conn = worker->dead;
        worker->dead = conn->next_dead;
        free(conn);
    }
}

/* ---- deadlines ---- */

static void cut(struct front_conn *conn, uint64_t *counter) {
    worker_add(counter, 1);
    abort_conn(conn);
}

void front_cut_handshake(struct front_conn *conn) {
    cut(conn, &conn->worker->counters.cut_handshake);
}

/* Between requests, or a head that does not come to its end. */
static void head_deadline(struct front_conn *conn) {
    struct wire_counters *counters = &conn->worker->counters;
    if (conn->gate.scanned > 0) {
        worker_add(&counters->cut_head, 1);
        pump_refuse(conn, GATE_HEAD_TIMEOUT);
        pump_run(conn);
        return;
    }
    worker_add(conn->first ? &counters->cut_head : &counters->cut_idle, 1);
    pump_part(conn);
}

/* A request's body must keep up its minimum rate, unless it is the server that does not take it. */
static void request_deadline(struct front_conn *conn) {
    int64_t least = conn->worker->wire->settings.body_min_bytes_per_s * FRONT_BODY_WINDOW_MS / 1000;
    if (conn->link_writable && conn->received - conn->mark < (uint64_t)least) {
        cut(conn, &conn->worker->counters.cut_body);
        return;
    }
    conn->mark = conn->received;
    front_set_deadline(conn, FRONT_BODY_WINDOW_MS);
}

uint64_t front_acknowledged(const struct front_conn *conn) {
    int queued = 0;
    (void)ioctl(conn->fd, SIOCOUTQ, &queued);
    return queued > 0 && (uint64_t)queued < conn->tls.sent_bytes ? conn->tls.sent_bytes - (uint64_t)queued : queued > 0 ? 0 : conn->tls.sent_bytes;
}

/* A client must go on acknowledging what is on its way to it. While the handler works there is nothing on its way. */
static void reply_deadline(struct front_conn *conn) {
    int64_t least = conn->worker->wire->settings.reply_min_bytes_per_s * FRONT_REPLY_WINDOW_MS / 1000;
    uint64_t acknowledged = front_acknowledged(conn);
    bool owed = conn->tls.pending || acknowledged < conn->tls.sent_bytes;
    if (owed && (int64_t)acknowledged - (int64_t)conn->mark < least) {
        cut(conn, &conn->worker->counters.cut_reply);
        return;
    }
    conn->mark = acknowledged;
    front_set_deadline(conn, FRONT_REPLY_WINDOW_MS);
}

static void direct_deadline(struct front_conn *conn) {
    if (download_deadline(conn))
        return;
    if (!pull_waits(conn))
        reply_deadline(conn);
    else if (!pull_deadline(conn))
        cut(conn, &conn->worker->counters.cut_reply);
}

void front_deadline(struct worker *worker, struct deadline *deadline) {
    struct front_conn *conn = CONTAINER_OF(deadline, struct front_conn, deadline);
    switch (conn->phase) {
    case FRONT_HANDSHAKE:
        cut(conn, &worker->counters.cut_handshake);
        break;
    case FRONT_HEAD:
        head_deadline(conn);
        break;
    case FRONT_REQUEST:
        request_deadline(conn);
        break;
    case FRONT_DIRECT:
        direct_deadline(conn);
        break;
    case FRONT_REPLY:
    case FRONT_CLOSING:
        reply_deadline(conn);
        break;
    default:
        front_kill(conn);
        break;
    }
}

/* ---- for the whole worker ---- */

void front_drain(struct worker *worker) {
    for (struct front_conn *conn = worker->conns, *next; conn; conn = next) {
        next = conn->next;
        end_stream(conn);
        if (conn->phase == FRONT_HANDSHAKE)
            front_kill(conn);
        else if (conn->phase == FRONT_HEAD && conn->gate.scanned == 0)
            pump_part(conn);
    }
}

/* Those in the handshake are looked at when it is over. */
void front_recheck(struct worker *worker) {
    for (struct front_conn *conn = worker->conns, *next; conn; conn = next) {
        next = conn->next;
        if (conn->phase != FRONT_HANDSHAKE && !front_trusted(conn))
            abort_conn(conn);
    }
}

static bool serves(const struct front_conn *conn, const char *device_id) {
    return strcmp(conn->token_device ? conn->token_device : device_of(conn), device_id) == 0;
}

void front_cut(struct worker *worker, const char *device_id) {
    for (struct front_conn *conn = worker->conns, *next; conn; conn = next) {
        next = conn->next;
        if (!device_id || serves(conn, device_id))
            abort_conn(conn);
    }
}
