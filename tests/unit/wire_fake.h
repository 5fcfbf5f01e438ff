/* What stands behind the wire in its own tests: a dispatch with a handful of paths, and a writer thread without a database. They take the place of
 * server/dispatch.c and db/ when the test is linked. */
#ifndef PAWL_TESTS_UNIT_WIRE_FAKE_H
#define PAWL_TESTS_UNIT_WIRE_FAKE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/err.h>

#include "common/clock.h"
#include "server/dispatch.h"
#include "server/gate.h"
#include "server/wire.h"

enum {
    FAKE_BLOB_SIZE = 32 * 1024 * 1024,
    FAKE_JSON_LIMIT = 4096,
    FAKE_STREAM_LIMIT = 64 * 1024 * 1024,
    FAKE_TORN_SIZE = 16 * 1024 * 1024,
    FAKE_PIECES = 60,
    FAKE_PIECE_BYTES = 300000
};

static struct {
    atomic_int begun, finished, blobs_open, discarded, gone;
    atomic_int pulls_open, news, tick_ms;
    atomic_uint_fast64_t streamed;
    atomic_int writer_delay_ms;
    atomic_bool refuse_devices;
    char *blob;
} fake;

static bool fake_stream_begin(struct api_call *call, struct err *err) {
    (void)err;
    call->stream_state = call;
    return true;
}

static bool fake_stream_write(struct api_call *call, const void *data, size_t len, struct err *err) {
    (void)data;
    atomic_fetch_add(&fake.streamed, len);
    return strcmp(call->path, "/stream-full") != 0 || err_set(err, ERR_NO_SPACE, "disk is full");
}

static void fake_stream_discard(struct api_call *call) {
    (void)call;
    atomic_fetch_add(&fake.discarded, 1);
}

static const struct api_stream fake_stream = {fake_stream_begin, fake_stream_write, fake_stream_discard};

static const struct api_route fake_routes[] = {
    {.method = "GET", .pattern = "/check", .body = API_NO_BODY},
    {.method = "GET", .pattern = "/who", .body = API_NO_BODY},
    {.method = "GET", .pattern = "/slow", .body = API_NO_BODY},
    {.method = "GET", .pattern = "/error-left", .body = API_NO_BODY},
    {.method = "GET", .pattern = "/count", .body = API_NO_BODY},
    {.method = "GET", .pattern = "/blob", .body = API_NO_BODY},
    {.method = "GET", .pattern = "/torn", .body = API_NO_BODY},
    {.method = "GET", .pattern = "/defer", .body = API_NO_BODY},
    {.method = "GET", .pattern = "/lines", .body = API_NO_BODY},
    {.method = "GET", .pattern = "/broken", .body = API_NO_BODY},
    {.method = "GET", .pattern = "/ticks", .body = API_NO_BODY},
    {.method = "POST", .pattern = "/echo", .body = API_JSON, .body_limit = FAKE_JSON_LIMIT},
    {.method = "POST", .pattern = "/write", .body = API_JSON, .body_limit = FAKE_JSON_LIMIT, .run = API_WRITE},
    {.method = "POST", .pattern = "/write-fails", .body = API_JSON, .body_limit = FAKE_JSON_LIMIT, .run = API_WRITE},
    {.method = "PUT", .pattern = "/stream", .body = API_STREAM, .body_limit = FAKE_STREAM_LIMIT, .run = API_WRITE, .stream = &fake_stream},
    {.method = "PUT", .pattern = "/stream-full", .body = API_STREAM, .body_limit = FAKE_STREAM_LIMIT, .run = API_WRITE, .stream = &fake_stream},
};

const char *api_header(const struct api_call *call, const char *name) {
    for (size_t i = 0; i < call->header_count; i++)
        if (strcasecmp(call->headers[i].name, name) == 0)
            return call->headers[i].value;
    return NULL;
}

bool dispatch_begin(struct api_call *call, const char *raw_query, struct err *err) {
    (void)raw_query;
    atomic_fetch_add(&fake.begun, 1);
    for (size_t i = 0; i < ARRAY_LEN(fake_routes); i++) {
        const struct api_route *route = &fake_routes[i];
        if (strcmp(route->pattern, call->path) == 0 && strcmp(route->method, call->method) == 0) {
            call->route = route;
            if (call->content_length > route->body_limit)
                return err_set(err, ERR_TOO_LARGE, "body is larger than %zu bytes", route->body_limit);
            return route->body != API_STREAM || route->stream->begin(call, err);
        }
    }
    return err_set(err, ERR_NOT_FOUND, "nothing at '%s'", call->path);
}

bool dispatch_needs_writer(const struct api_call *call) {
    return call->route->run == API_WRITE || call->defer_to_writer;
}

static void fake_release(void *context) {
    (void)context;
    atomic_fetch_sub(&fake.blobs_open, 1);
}

/* A mapping of which only the first page stands. */
static void fake_unmap(void *data) {
    munmap(data, FAKE_TORN_SIZE);
    atomic_fetch_sub(&fake.blobs_open, 1);
}

static bool fake_torn(struct api_reply *reply, struct err *err) {
    int fd = memfd_create("torn", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, FAKE_TORN_SIZE) != 0)
        return err_errno(err, "memfd");
    void *data = mmap(NULL, FAKE_TORN_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    bool ok = data != MAP_FAILED && ftruncate(fd, 4096) == 0;
    close(fd);
    if (!ok)
        return err_errno(err, "mapping");
    atomic_fetch_add(&fake.blobs_open, 1);
    reply->blob = (struct api_blob){.data = data, .len = FAKE_TORN_SIZE, .release = fake_unmap, .context = data};
    return true;
}

/* ---- replies made piece by piece ---- */

struct fake_pull {
    const char *path;
    int pieces;
};

/* FAKE_PIECES pieces of FAKE_PIECE_BYTES digits, every third one empty. "/broken" fails at the fourth; "/ticks" says its count and waits. */
static enum api_pull_step fake_next(struct api_call *call, void *state, struct buf *out, struct err *err) {
    struct fake_pull *pull = state;
    int piece = pull->pieces++;
    if (strcmp(pull->path, "/ticks") == 0) {
        buf_printf(out, "tick %d news %d\n", piece, atomic_load(&fake.news));
        call->reply.pull.wait_ms = fake.tick_ms;
        return API_PULL_WAIT;
    }
    if (strcmp(pull->path, "/broken") == 0 && piece == 3) {
        err_set(err, ERR_IO, "the store is gone");
        return API_PULL_FAILED;
    }
    char *line = piece % 3 == 2 ? NULL : arena_alloc(call->arena, FAKE_PIECE_BYTES);
    if (line) {
        memset(line, '0' + piece % 10, FAKE_PIECE_BYTES);
        buf_append(out, line, FAKE_PIECE_BYTES);
    }
    return piece + 1 < FAKE_PIECES ? API_PULL_MORE : API_PULL_END;
}

static void fake_pull_release(void *state) {
    (void)state;
    atomic_fetch_sub(&fake.pulls_open, 1);
}

static bool fake_pull(struct api_call *call, struct err *err) {
    struct fake_pull *pull = arena_alloc(call->arena, sizeof(*pull));
    if (!pull)
        return err_no_memory(err);
    *pull = (struct fake_pull){.path = call->path};
    atomic_fetch_add(&fake.pulls_open, 1);
    call->reply.content_type = "text/plain";
    call->reply.pull = (struct api_pull){.next = fake_next, .release = fake_pull_release, .state = pull};
    return true;
}

bool dispatch_run(struct api_call *call, struct err *err) {
    struct api_reply *reply = &call->reply;
    if (strcmp(call->path, "/lines") == 0 || strcmp(call->path, "/broken") == 0 || strcmp(call->path, "/ticks") == 0)
        return fake_pull(call, err);
    if (strcmp(call->path, "/defer") == 0 && !call->writing) {
        call->defer_to_writer = true;
        return true;
    }
    if (strcmp(call->path, "/write-fails") == 0)
        return err_set(err, ERR_CONFLICT, "not now");
    if (strcmp(call->path, "/check") == 0) {
        reply->headers[reply->header_count++] = (struct api_param){"Poll-After", "300"};
        return true;
    }
    if (strcmp(call->path, "/torn") == 0)
        return fake_torn(reply, err);
    if (strcmp(call->path, "/blob") == 0) {
        const char *range = api_header(call, "Range");
        size_t from = 0, to = FAKE_BLOB_SIZE - 1;
        if (range && sscanf(range, "bytes=%zu-%zu", &from, &to) == 2)
            reply->status = 206;
        atomic_fetch_add(&fake.blobs_open, 1);
        reply->blob = (struct api_blob){.data = fake.blob + from, .len = to + 1 - from, .release = fake_release};
        reply->content_type = "application/octet-stream";
        return true;
    }
    if (strcmp(call->path, "/slow") == 0)
        clock_sleep_ms(300); /* the worker's thread is this one */
    if (strcmp(call->path, "/error-left") == 0)
        ERR_raise(ERR_LIB_USER, 1); /* in this thread's queue */
    if (strcmp(call->path, "/count") == 0) {
        reply->status = 200;
        reply->body = arena_printf(call->arena, "%d", fake.begun);
        reply->body_len = reply->body ? strlen(reply->body) : 0;
        return reply->body || err_no_memory(err);
    }
    char *body = call->body_len > 0 ? arena_memdup(call->arena, call->body, call->body_len)
                                    : arena_printf(call->arena, "id=%s address=%s writing=%d streamed=%llu\n", call->identity.id,
                                                   call->client_address, call->writing, (unsigned long long)fake.streamed);
    if (!body)
        return err_no_memory(err);
    reply->status = 200;
    reply->content_type = "text/plain";
    reply->body = body;
    reply->body_len = call->body_len > 0 ? call->body_len : strlen(body);
    return true;
}

void dispatch_refuse(struct api_call *call, const struct err *err) {
    static const struct {
        enum err_code code;
        int status;
    } statuses[] = {{ERR_NOT_FOUND, 404}, {ERR_TOO_LARGE, 413}, {ERR_CONFLICT, 409}, {ERR_BUSY, 503}, {ERR_NO_SPACE, 507}};
    if (call->reply.blob.release) {
        call->reply.blob.release(call->reply.blob.context);
        call->reply.blob = (struct api_blob){0};
    }
    call->reply.status = 500;
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        call->reply.status = statuses[i].code == err->code ? statuses[i].status : call->reply.status;
    char *body = arena_printf(call->arena, "%s\n", err->text);
    call->reply.content_type = "application/problem+json";
    call->reply.body = body;
    call->reply.body_len = body ? strlen(body) : 0;
}

void dispatch_finish(const struct api_call *call, uint64_t bytes_sent, int64_t duration_us) {
    (void)bytes_sent, (void)duration_us;
    atomic_fetch_add(&fake.finished, 1);
    atomic_fetch_add(&fake.gone, call->reply.status == 499);
}

/* ---- the writer ---- */

struct db_conn {
    int nothing;
};

struct fake_job {
    struct db_job job;
    struct fake_job *next;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t ready;
    struct fake_job *first, **last;
    bool stopping;
    atomic_bool refuse;
    pthread_t thread;
} fake_writer = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, NULL, false, false, 0};

bool db_submit(struct db *db, const struct db_job *job, struct err *err) {
    (void)db;
    struct fake_job *copy = fake_writer.refuse ? NULL : malloc(sizeof(*copy));
    if (!copy)
        return err_set(err, ERR_BUSY, "queue is full");
    *copy = (struct fake_job){.job = *job};
    pthread_mutex_lock(&fake_writer.lock);
    *fake_writer.last = copy;
    fake_writer.last = &copy->next;
    pthread_cond_signal(&fake_writer.ready);
    pthread_mutex_unlock(&fake_writer.lock);
    return true;
}

static void *fake_write_jobs(void *arg) {
    struct db_conn tx;
    (void)arg;
    pthread_mutex_lock(&fake_writer.lock);
    while (!fake_writer.stopping || fake_writer.first) {
        struct fake_job *job = fake_writer.first;
        if (!job) {
            pthread_cond_wait(&fake_writer.ready, &fake_writer.lock);
            continue;
        }
        fake_writer.first = job->next;
        fake_writer.last = fake_writer.first ? fake_writer.last : &fake_writer.first;
        pthread_mutex_unlock(&fake_writer.lock);
        struct err err = {0};
        bool ok = job->job.run(&tx, job->job.arg, &err);
        clock_sleep_ms(fake.writer_delay_ms);
        job->job.done(job->job.arg, ok, &err);
        free(job);
        pthread_mutex_lock(&fake_writer.lock);
    }
    pthread_mutex_unlock(&fake_writer.lock);
    return NULL;
}

bool db_reader_open(struct db *db, struct db_conn **ret_conn, struct err *err) {
    (void)db;
    *ret_conn = calloc(1, sizeof(struct db_conn));
    return *ret_conn || err_no_memory(err);
}

void db_reader_close(struct db_conn *conn) {
    free(conn);
}

static void fake_start(void) {
    fake.blob = malloc(FAKE_BLOB_SIZE);
    for (size_t i = 0; fake.blob && i < FAKE_BLOB_SIZE; i++)
        fake.blob[i] = (char)(i ^ i >> 8 ^ i >> 16);
    fake_writer.last = &fake_writer.first;
    fake_writer.stopping = false;
    pthread_create(&fake_writer.thread, NULL, fake_write_jobs, NULL);
}

static void fake_stop(void) {
    pthread_mutex_lock(&fake_writer.lock);
    fake_writer.stopping = true;
    pthread_cond_signal(&fake_writer.ready);
    pthread_mutex_unlock(&fake_writer.lock);
    pthread_join(fake_writer.thread, NULL);
    free(fake.blob);
}

static bool fake_admit(const struct api_env *env, const struct api_identity *identity) {
    (void)env;
    return !(fake.refuse_devices && strcmp(identity->id, "device-1") == 0);
}

#endif
