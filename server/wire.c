#include "server/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/guard.h"
#include "server/worker.h"

enum { BACKLOG = 4096, MAX_ROLLOUTS = 1024 };

const char *const wire_columns[WIRE_COLUMNS] = {"device", "enrolment", "admin"};

size_t wire_column(enum api_listener role) {
    return role == API_ADMIN ? 2 : role == API_ENROL ? 1 : 0;
}

/* The numbers of the settings and what 0 stands for. */
static const struct fallback {
    size_t offset;
    int64_t value;
} fallbacks[] = {
    {offsetof(struct wire_settings, handshake_deadline_ms), 8000},    {offsetof(struct wire_settings, head_deadline_ms), 8000},
    {offsetof(struct wire_settings, idle_deadline_ms), 30000},        {offsetof(struct wire_settings, body_min_bytes_per_s), 1024},
    {offsetof(struct wire_settings, reply_min_bytes_per_s), 256},     {offsetof(struct wire_settings, max_connections), 20000},
    {offsetof(struct wire_settings, reserved_admin_connections), 32}, {offsetof(struct wire_settings, max_connections_per_address), 4000},
    {offsetof(struct wire_settings, max_connections_per_device), 8},  {offsetof(struct wire_settings, max_handshakes), 256},
    {offsetof(struct wire_settings, session_store_records), 65536},
};

static void fill_defaults(struct wire_settings *settings) {
    for (size_t i = 0; i < ARRAY_LEN(fallbacks); i++) {
        int64_t *number = (int64_t *)(void *)((char *)settings + fallbacks[i].offset);
        *number = *number > 0 ? *number : fallbacks[i].value;
    }
    if (settings->workers <= 0) {
        cpu_set_t cpus;
        settings->workers = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    }
    settings->workers = settings->workers < WIRE_MAX_WORKERS ? settings->workers : WIRE_MAX_WORKERS;
}

/* ---- listening sockets ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse_address(const struct wire_listener *listener, int port, union address *ret_address, socklen_t *ret_len, struct err *err) {
    union address address = {0};
    if (port < 0 || port > 65535)
        return err_set(err, ERR_CONFIG, "port %d is not between 0 and 65535", port);
    if (inet_pton(AF_INET, listener->address, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons((uint16_t)port);
        *ret_len = sizeof(address.v4);
    } else if (inet_pton(AF_INET6, listener->address, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons((uint16_t)port);
        *ret_len = sizeof(address.v6);
    } else {
        return err_set(err, ERR_CONFIG, "'%s' is not an IPv4 or IPv6 address", listener->address);
    }
    *ret_address = address;
    return true;
}

/* shared: one of several sockets on the port, which the kernel spreads connections over. */
static bool open_socket(const struct wire_listener *listener, int port, bool shared, int *ret_fd, struct err *err) {
    const int on = 1;
    union address address;
    socklen_t len = 0;
    if (!parse_address(listener, port, &address, &len, err))
        return false;
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, "socket for %s port %d", listener->address, port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* inherited by what is accepted */
    if ((shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) || bind(fd, &address.any, len) != 0) {
        err_errno(err, "listening on %s port %d", listener->address, port);
        close(fd);
        return false;
    }
    *ret_fd = fd;
    return true;
}

static int port_of(int fd) {
    union address address = {0};
    socklen_t len = sizeof(address);
    getsockname(fd, &address.any, &len);
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

/* One socket a worker. A socket of our own that shares the port with nobody comes first: SO_REUSEPORT alone would let two servers of one user take
 * turns on one port without a word. */
static bool open_listener(struct wire *wire, size_t index, struct err *err) {
    const struct wire_listener *listener = &wire->settings.listeners[index];
    int probe;
    if (!open_socket(listener, listener->port, false, &probe, err))
        return false;
    if (listen(probe, 1) != 0) {
        err_errno(err, "listening on %s port %d", listener->address, listener->port);
        close(probe);
        return false;
    }
    wire->ports[index] = port_of(probe);
    close(probe);
    for (size_t i = 0; i < wire->worker_count; i++) {
        int fd;
        if (!open_socket(listener, wire->ports[index], true, &fd, err))
            return false;
        if (listen(fd, BACKLOG) != 0) {
            err_errno(err, "listening on %s port %d", listener->address, wire->ports[index]);
            close(fd);
            return false;
        }
        if (!worker_listen(&wire->workers[i], index, fd, err))
            return false;
    }
    return true;
}

/* ---- contexts ---- */

/* What each listener believes, once more from the files. */
struct trust {
    struct certs_authorities *of[WIRE_MAX_LISTENERS];
};

static void free_trust(struct trust *trust) {
    for (size_t i = 0; i < WIRE_MAX_LISTENERS; i++)
        certs_authorities_free(trust->of[i]);
}

static bool load_trust(const struct wire_settings *settings, struct trust *trust, struct err *err) {
    for (size_t i = 0; i < settings->listener_count; i++) {
        const struct wire_listener *listener = &settings->listeners[i];
        if (listener->client_certificate != WIRE_CERTIFICATE_NONE &&
            !certs_authorities_load(&listener->clients, &listener->factories, &trust->of[i], err))
            return false;
    }
    return true;
}

static bool same_trust(const struct certs_authorities *one, const struct certs_authorities *other) {
    return one && other ? memcmp(one->digest, other->digest, sizeof(one->digest)) == 0 : one == other;
}

/* The contexts take what trust holds. */
static bool make_contexts(struct wire *wire, const struct wire_settings *settings, struct trust *trust, uint32_t generation,
                          struct tls_context *ret_contexts[WIRE_MAX_LISTENERS], struct err *err) {
    struct tls_environment environment = {.sessions = wire->sessions, .generation = generation, .env = wire->env, .admit = wire->settings.admit};
    for (size_t i = 0; i < settings->listener_count; i++) {
        ret_contexts[i] = tls_context_new(&settings->listeners[i], trust->of[i], &environment, err);
        trust->of[i] = NULL;
        if (!ret_contexts[i]) {
            while (i-- > 0) {
                tls_context_unref(ret_contexts[i]);
                ret_contexts[i] = NULL;
            }
            return false;
        }
    }
    return true;
}

/* What the old contexts made and believed is looked at again. */
static void renew_trust(struct wire *wire) {
    atomic_fetch_add(&wire->trust, 1);
    for (size_t i = 0; i < wire->worker_count; i++)
        worker_wake(&wire->workers[i]);
}

bool wire_reload(struct wire *wire, const struct wire_settings *settings, struct err *err) {
    struct tls_context *fresh[WIRE_MAX_LISTENERS] = {0};
    struct trust trust CLEANUP(free_trust) = {0};
    bool changed = false;
    if (settings->listener_count != wire->settings.listener_count)
        return err_set(err, ERR_CONFIG, "listeners cannot be added or removed without a restart");
    if (!load_trust(settings, &trust, err))
        return false;
    for (size_t i = 0; i < settings->listener_count; i++)
        changed |= !same_trust(trust.of[i], tls_context_authorities(wire->contexts[i]));
    if (!make_contexts(wire, settings, &trust, session_store_generation(wire->sessions) + changed, fresh, err))
        return false;
    if (changed)
        session_store_flush(wire->sessions); /* what the old contexts still make is void */
    pthread_mutex_lock(&wire->contexts_lock);
    for (size_t i = 0; i < settings->listener_count; i++) {
        struct tls_context *old = wire->contexts[i];
        wire->contexts[i] = fresh[i];
        fresh[i] = old;
    }
    pthread_mutex_unlock(&wire->contexts_lock);
    for (size_t i = 0; i < settings->listener_count; i++)
        tls_context_unref(fresh[i]);
    if (changed)
        renew_trust(wire);
    return true;
}

size_t wire_crls(struct wire *wire, struct wire_crl *ret_crls, size_t max) {
    size_t count = 0;
    pthread_mutex_lock(&wire->contexts_lock);
    for (size_t i = 0; i < wire->settings.listener_count; i++) {
        const struct certs_authorities *authorities = tls_context_authorities(wire->contexts[i]);
        for (size_t n = 0; authorities && n < authorities->crl_count && count < max; n++)
            ret_crls[count++] = (struct wire_crl){.role = wire->settings.listeners[i].role, .crl = authorities->crls[n]};
    }
    pthread_mutex_unlock(&wire->contexts_lock);
    return count;
}

/* ---- life ---- */

static bool start(struct wire *wire, struct err *err) {
    struct wire_settings *settings = &wire->settings;
    if (settings->listener_count == 0 || settings->listener_count > WIRE_MAX_LISTENERS)
        return err_set(err, ERR_CONFIG, "%zu listeners, expected 1 to %d", settings->listener_count, WIRE_MAX_LISTENERS);
    if (!guard_start(err))
        return false;
    wire->sessions = session_store_new((size_t)settings->session_store_records);
    wire->limits = limits_new((size_t)settings->max_connections * 3 + MAX_ROLLOUTS);
    wire->workers = calloc((size_t)settings->workers, sizeof(struct worker));
    if (!wire->sessions || !wire->limits || !wire->workers)
        return err_no_memory(err);
    if (settings->download_rate > 0 || settings->device_download_rate > 0) {
        wire->pace = pace_new(settings->download_rate, settings->device_download_rate);
        if (!wire->pace)
            return err_no_memory(err);
    }
    struct trust trust CLEANUP(free_trust) = {0};
    if (!load_trust(settings, &trust, err) || !make_contexts(wire, settings, &trust, session_store_generation(wire->sessions), wire->contexts, err))
        return false;
    size_t wanted = (size_t)settings->workers;
    for (wire->worker_count = wanted; wire->workers_ready < wanted; wire->workers_ready++) {
        if (!worker_init(&wire->workers[wire->workers_ready], wire, err)) {
            wire->workers_ready++;
            return false;
        }
    }
    for (size_t i = 0; i < settings->listener_count; i++)
        if (!open_listener(wire, i, err))
            return false;
    for (size_t i = 0; i < wanted; i++)
        if (!worker_start(&wire->workers[i], err))
            return false;
    return true;
}

struct wire *wire_start(const struct wire_settings *settings, const struct api_env *env, struct db *db, struct err *err) {
    struct wire *wire = calloc(1, sizeof(*wire));
    if (!wire) {
        err_no_memory(err);
        return NULL;
    }
    wire->settings = *settings;
    wire->env = env;
    wire->db = db;
    fill_defaults(&wire->settings);
    pthread_mutex_init(&wire->contexts_lock, NULL);
    if (!start(wire, err)) {
        wire_stop(wire);
        return NULL;
    }
    return wire;
}

int wire_port(const struct wire *wire, size_t listener) {
    return listener < wire->settings.listener_count ? wire->ports[listener] : 0;
}

void wire_disconnect_device(struct wire *wire, const char *device_id) {
    session_store_drop_device(wire->sessions, device_id);
    for (size_t i = 0; i < wire->worker_count; i++)
        while (!worker_post_disconnect(&wire->workers[i], device_id))
            clock_sleep_ms(10); /* no memory for forty bytes: a revocation must not be forgotten */
}

void wire_tell_news(struct wire *wire) {
    for (size_t i = 0; i < wire->worker_count; i++)
        worker_post_news(&wire->workers[i]);
}

bool wire_drain(struct wire *wire, int64_t timeout_ms) {
    int64_t end = clock_mono_ms() + timeout_ms;
    atomic_store(&wire->draining, true);
    for (size_t i = 0; i < wire->worker_count; i++)
        worker_wake(&wire->workers[i]);
    while (atomic_load(&wire->connections) > 0) {
        if (clock_mono_ms() >= end)
            return false;
        clock_sleep_ms(10);
    }
    return true;
}

void wire_stop(struct wire *wire) {
    if (!wire)
        return;
    atomic_store(&wire->stopping, true);
    for (size_t i = 0; i < wire->workers_ready; i++) {
        if (wire->workers[i].started) {
            worker_wake(&wire->workers[i]);
            pthread_join(wire->workers[i].thread, NULL);
        }
    }
    for (size_t i = 0; i < wire->workers_ready; i++)
        worker_free(&wire->workers[i]);
    for (size_t i = 0; i < WIRE_MAX_LISTENERS; i++)
        tls_context_unref(wire->contexts[i]);
    session_store_free(wire->sessions);
    limits_free(wire->limits);
    pace_free(wire->pace);
    free(wire->workers);
    pthread_mutex_destroy(&wire->contexts_lock);
    free(wire);
}

void wire_count(struct wire *wire, struct wire_counters *ret_counters) {
    struct wire_counters sum = {0};
    const size_t count = sizeof(sum) / sizeof(uint64_t);
    for (size_t i = 0; i < wire->worker_count; i++)
        for (size_t n = 0; n < count; n++)
            ((uint64_t *)&sum)[n] += __atomic_load_n((const uint64_t *)&wire->workers[i].counters + n, __ATOMIC_RELAXED);
    *ret_counters = sum;
}
