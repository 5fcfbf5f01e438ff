/* A worker: one thread with its own listening sockets, epoll, HTTP daemon and deadlines. Shares with the others only what struct wire holds. */
#ifndef PAWL_SERVER_WORKER_H
#define PAWL_SERVER_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/clock.h"
#include "server/admission.h"
#include "server/deadline.h"
#include "server/http.h"
#include "server/limits.h"
#include "server/pace.h"
#include "server/tls.h"

enum { WORKER_READ_SIZE = 16 * 1024 };

/* Whatever epoll reports on: first member of what it belongs to, or found from it. */
struct source {
    void (*ready)(struct source *source, uint32_t events);
};

/* What all workers share. */
struct wire {
    struct wire_settings settings; /* numbers with their defaults filled in; the texts in it are not kept */
    const struct api_env *env;
    struct db *db;
    struct session_store *sessions;
    struct limits *limits;
    struct pace *pace; /* NULL: images leave as fast as they can */
    pthread_mutex_t contexts_lock;
    struct tls_context *contexts[WIRE_MAX_LISTENERS];
    atomic_uint_fast32_t trust; /* rises when a CA or a CRL changes: what was believed before is to be looked at again */
    int ports[WIRE_MAX_LISTENERS];
    atomic_int_fast64_t connections; /* open, over all workers and listeners */
    atomic_bool draining;
    atomic_bool stopping;
    struct worker *workers;
    size_t worker_count;
    size_t workers_ready; /* initialised; all of them once started */
};

struct worker_listener {
    struct source source;
    struct worker *worker;
    int fd;
    bool watched; /* false: not now, because too many wait to begin, or the process has no descriptor left */
    size_t index;
    enum api_listener role;
};

struct front_conn;

struct worker {
    struct wire *wire;
    pthread_t thread;
    bool started;
    int epoll_fd;
    int wake_fd;
    struct source wake;
    struct source library; /* the HTTP daemon's descriptor */
    struct worker_listener listeners[WIRE_MAX_LISTENERS];
    bool drained;        /* has acted upon wire->draining */
    uint_fast32_t trust; /* of the wire, that it has acted upon */
    int64_t accept_after_ms;
    struct requests *requests;
    struct http_daemon *http;
    bool http_due; /* something was fed to it in this turn */
    struct deadlines deadlines;
    int64_t now_ms; /* of this turn */

    struct front_conn *conns;   /* all of this worker */
    struct front_conn *fed;     /* those to look at after http_run() */
    struct front_conn *again;   /* those that go on in the next turn, so that others come first */
    struct front_conn *dead;    /* freed at the end of the turn */
    struct front_conn *waiting; /* streams that have nothing to send now (pull.c) */
    size_t conn_count;
    struct admission admissions[ADMISSION_CLASSES];

    struct tls_gather gather;
    uint8_t *read_buffer;  /* WORKER_READ_SIZE: decrypted, on its way to the gate */
    uint8_t *write_buffer; /* TLS_WRITE_MAX: a reply on its way to the client */

    int64_t date_at; /* what date says, for replies */
    char date[CLOCK_HTTP_SIZE];

    pthread_mutex_t mail_lock;
    struct worker_mail *mail; /* devices to disconnect */
    atomic_bool news;         /* for the streams that wait */

    struct wire_counters counters; /* written by this thread alone, read by others: worker_count() */
};

/* Opens descriptors and buffers; the listening sockets are given (owned then). */
bool worker_init(struct worker *worker, struct wire *wire, struct err *err) MUST_USE;
bool worker_listen(struct worker *worker, size_t index, int fd, struct err *err) MUST_USE;
bool worker_start(struct worker *worker, struct err *err) MUST_USE;

/* The thread must have ended. */
void worker_free(struct worker *worker);

/* Any thread. */
void worker_wake(struct worker *worker);
bool worker_post_disconnect(struct worker *worker, const char *device_id);
void worker_post_news(struct worker *worker);

/* Its own thread: adds a descriptor, edge-triggered. */
bool worker_watch(struct worker *worker, int fd, struct source *source, uint32_t events) MUST_USE;

/* Looks at the listening sockets, or no more, by the number of connections that wait to begin. */
void worker_balance(struct worker *worker);

static inline void worker_add(uint64_t *counter, uint64_t n) {
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

#endif
