#include "server/worker.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/text.h"
#include "server/front.h"
#include "server/pull.h"

enum {
    MAX_EVENTS = 256,
    MAX_ACCEPTS = 32,      /* of one listener in one turn */
    MAX_HTTP_ROUNDS = 4,   /* in one turn */
    ACCEPT_PAUSE_MS = 100, /* when the process has no descriptor left */
};

struct worker_mail {
    struct worker_mail *next;
    char device_id[DB_DEVICE_ID_SIZE];
};

bool worker_watch(struct worker *worker, int fd, struct source *source, uint32_t events) {
    struct epoll_event event = {.events = events | EPOLLET, .data.ptr = source};
    return epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* ---- accepting ---- */

void worker_balance(struct worker *worker) {
    bool any = worker->now_ms >= worker->accept_after_ms && !atomic_load_explicit(&worker->wire->draining, memory_order_relaxed);
    for (size_t i = 0; i < WIRE_MAX_LISTENERS; i++) {
        struct worker_listener *listener = &worker->listeners[i];
        bool wanted = any && admission_open(worker, listener->role);
        struct epoll_event event = {.events = wanted ? EPOLLIN : 0, .data.ptr = &listener->source};
        if (listener->fd >= 0 && listener->watched != wanted) {
            listener->watched = wanted;
            epoll_ctl(worker->epoll_fd, EPOLL_CTL_MOD, listener->fd, &event);
        }
    }
}

static void on_listener(struct source *source, uint32_t events) {
    struct worker_listener *listener = (struct worker_listener *)source;
    struct worker *worker = listener->worker;
    (void)events;
    for (int i = 0; i < MAX_ACCEPTS && listener->fd >= 0 && admission_open(worker, listener->role); i++) {
        struct sockaddr_storage address = {0};
        socklen_t len = sizeof(address);
        int fd = accept4(listener->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            front_accept_take(worker, listener, fd, &address);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            worker->accept_after_ms = worker->now_ms + ACCEPT_PAUSE_MS;
            break;
        } else if (errno == EAGAIN) {
            break;
        }
    }
}

static void stop_listening(struct worker *worker) {
    for (size_t i = 0; i < WIRE_MAX_LISTENERS; i++) {
        if (worker->listeners[i].fd >= 0) {
            close(worker->listeners[i].fd);
            worker->listeners[i].fd = -1;
        }
    }
}

bool worker_listen(struct worker *worker, size_t index, int fd, struct err *err) {
    struct worker_listener *listener = &worker->listeners[index];
    const struct wire_listener *settings = &worker->wire->settings.listeners[index];
    *listener = (struct worker_listener){.source = {on_listener}, .worker = worker, .fd = fd, .index = index, .role = settings->role};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener->source};
    listener->watched = true;
    return epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 || err_errno(err, "epoll");
}

/* ---- waking and mail ---- */

void worker_wake(struct worker *worker) {
    const uint64_t one = 1;
    ssize_t written = write(worker->wake_fd, &one, sizeof(one));
    (void)written; /* fails only when the count is at its end: awake anyway */
}

bool worker_post_disconnect(struct worker *worker, const char *device_id) {
    struct worker_mail *mail = malloc(sizeof(*mail));
    if (!mail || !text_copy(mail->device_id, sizeof(mail->device_id), device_id)) {
        free(mail);
        return false;
    }
    pthread_mutex_lock(&worker->mail_lock);
    mail->next = worker->mail;
    worker->mail = mail;
    pthread_mutex_unlock(&worker->mail_lock);
    worker_wake(worker);
    return true;
}

void worker_post_news(struct worker *worker) {
    if (!atomic_exchange(&worker->news, true))
        worker_wake(worker);
}

static struct worker_mail *take_mail(struct worker *worker) {
    pthread_mutex_lock(&worker->mail_lock);
    struct worker_mail *list = worker->mail;
    worker->mail = NULL;
    pthread_mutex_unlock(&worker->mail_lock);
    return list;
}

static void on_wake(struct source *source, uint32_t events) {
    struct worker *worker = (struct worker *)(void *)((char *)source - offsetof(struct worker, wake));
    uint64_t count;
    ssize_t got = read(worker->wake_fd, &count, sizeof(count));
    (void)got, (void)events;
    requests_collect(worker->requests);
    worker->http_due = true;
    for (struct worker_mail *mail = take_mail(worker), *next; mail; mail = next) {
        next = mail->next;
        front_cut(worker, mail->device_id);
        free(mail);
    }
    if (atomic_exchange(&worker->news, false))
        pull_wake(worker);
    uint_fast32_t trust = atomic_load(&worker->wire->trust);
    if (worker->trust != trust) {
        worker->trust = trust;
        front_recheck(worker);
    }
    if (atomic_load(&worker->wire->draining) && !worker->drained) {
        worker->drained = true;
        stop_listening(worker);
        http_drain(worker->http);
        front_drain(worker);
    }
}

static void on_library(struct source *source, uint32_t events) {
    struct worker *worker = (struct worker *)(void *)((char *)source - offsetof(struct worker, library));
    (void)events;
    worker->http_due = true;
}

/* ---- the loop ---- */

static int wait_ms(const struct worker *worker) {
    int wait = deadlines_wait_ms(&worker->deadlines, worker->now_ms);
    int admission = admission_wait_ms(worker);
    if (worker->http_due || worker->again)
        return 0;
    if (worker->now_ms < worker->accept_after_ms && !worker->drained && (wait < 0 || wait > ACCEPT_PAUSE_MS))
        wait = ACCEPT_PAUSE_MS;
    return admission >= 0 && (wait < 0 || wait > admission) ? admission : wait;
}

static void turn(struct worker *worker) {
    struct epoll_event events[MAX_EVENTS];
    int count = epoll_wait(worker->epoll_fd, events, MAX_EVENTS, wait_ms(worker));
    worker->now_ms = clock_mono_ms();
    struct front_conn *again = worker->again;
    worker->again = NULL;
    for (int i = 0; i < count; i++) {
        struct source *source = events[i].data.ptr;
        source->ready(source, events[i].events);
    }
    front_go_on(again);
    for (int round = 0; worker->http_due && round < MAX_HTTP_ROUNDS; round++) {
        worker->http_due = http_run(worker->http);
        front_after_http(worker);
    }
    for (struct deadline *due; (due = deadlines_due(&worker->deadlines, worker->now_ms)) != NULL;)
        front_deadline(worker, due);
    admission_turn(worker);
    front_reap(worker);
    worker_balance(worker);
    __atomic_store_n(&worker->counters.open_handshakes, admission_count(worker), __ATOMIC_RELAXED);
    __atomic_store_n(&worker->counters.open_requests, requests_open(worker->requests), __ATOMIC_RELAXED);
}

static void *run(void *arg) {
    struct worker *worker = arg;
    worker->now_ms = clock_mono_ms();
    while (!atomic_load_explicit(&worker->wire->stopping, memory_order_relaxed))
        turn(worker);
    stop_listening(worker);
    front_cut(worker, NULL);
    front_reap(worker);
    while (requests_at_writer(worker->requests) > 0) {
        struct pollfd wake = {.fd = worker->wake_fd, .events = POLLIN};
        uint64_t count;
        (void)poll(&wake, 1, 1000);
        ssize_t got = read(worker->wake_fd, &count, sizeof(count));
        (void)got; /* non-blocking: nothing there is fine */
        requests_collect(worker->requests);
    }
    http_stop(worker->http);
    worker->http = NULL;
    return NULL;
}

/* ---- life ---- */

bool worker_init(struct worker *worker, struct wire *wire, struct err *err) {
    *worker = (struct worker){.wire = wire, .wake = {on_wake}, .library = {on_library}};
    for (size_t i = 0; i < WIRE_MAX_LISTENERS; i++)
        worker->listeners[i].fd = -1;
    pthread_mutex_init(&worker->mail_lock, NULL);
    admission_init(worker);
    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    worker->gather.data = malloc(TLS_GATHER_SIZE);
    worker->read_buffer = malloc(WORKER_READ_SIZE);
    worker->write_buffer = malloc(TLS_WRITE_MAX);
    if (worker->epoll_fd < 0 || worker->wake_fd < 0)
        return err_errno(err, "epoll or eventfd of a worker");
    if (!worker->gather.data || !worker->read_buffer || !worker->write_buffer)
        return err_no_memory(err);
    struct requests_options requests = {.env = wire->env, .db = wire->db, .wake_fd = worker->wake_fd};
    struct http_options http = {.reply_done = front_reply_done};
    if (!requests_start(&requests, &worker->requests, err))
        return false;
    http.requests = worker->requests;
    if (!http_start(&http, &worker->http, err))
        return false;
    struct epoll_event library = {.events = EPOLLIN, .data.ptr = &worker->library};
    if (!worker_watch(worker, worker->wake_fd, &worker->wake, EPOLLIN) ||
        epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, http_fd(worker->http), &library) != 0)
        return err_errno(err, "epoll of a worker");
    return true;
}

bool worker_start(struct worker *worker, struct err *err) {
    int failed = pthread_create(&worker->thread, NULL, run, worker);
    if (failed) {
        errno = failed;
        return err_errno(err, "thread of a worker");
    }
    worker->started = true;
    char name[16];
    snprintf(name, sizeof(name), "worker-%zu", (size_t)(worker - worker->wire->workers) % 100);
    pthread_setname_np(worker->thread, name);
    return true;
}

void worker_free(struct worker *worker) {
    stop_listening(worker);
    http_stop(worker->http);
    requests_stop(worker->requests);
    for (struct worker_mail *mail = take_mail(worker), *next; mail; mail = next) {
        next = mail->next;
        free(mail);
    }
    if (worker->epoll_fd >= 0)
        close(worker->epoll_fd);
    if (worker->wake_fd >= 0)
        close(worker->wake_fd);
    free(worker->gather.data);
    free(worker->read_buffer);
    free(worker->write_buffer);
    deadlines_free(&worker->deadlines);
    pthread_mutex_destroy(&worker->mail_lock);
}
