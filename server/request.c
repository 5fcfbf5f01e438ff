#include "server/request.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/reply.h"
#include "common/clock.h"
#include "common/hex.h"
#include "common/random.h"
#include "common/text.h"
#include "db/db.h"
#include "server/dispatch.h"
#include "server/status.h"

enum {
    ARENA_BYTES = 64 * 1024 * 1024, /* ceiling of a request's memory: the largest list page, the largest JSON body decoded */
    MAX_SPARE = 64,
    ID_BYTES = (API_REQUEST_ID_SIZE - 1) / 2,
    POOL_BYTES = 64 * (ID_BYTES + sizeof(uint32_t)),
};

struct requests {
    struct requests_options options;
    struct db_conn *reader;
    struct request *spare;
    size_t spare_count;
    size_t open;
    size_t at_writer;
    uint8_t pool[POOL_BYTES]; /* randomness: one call of the kernel for many requests */
    size_t pool_used;

    pthread_mutex_t lock; /* for finished */
    struct request *finished;
};

bool requests_start(const struct requests_options *options, struct requests **ret_requests, struct err *err) {
    struct requests *requests = calloc(1, sizeof(*requests));
    if (!requests)
        return err_no_memory(err);
    requests->options = *options;
    requests->pool_used = POOL_BYTES;
    if (options->db && !db_reader_open(options->db, &requests->reader, err)) {
        free(requests);
        return false;
    }
    pthread_mutex_init(&requests->lock, NULL);
    *ret_requests = requests;
    return true;
}

void requests_stop(struct requests *requests) {
    if (!requests)
        return;
    while (requests->spare) {
        struct request *request = requests->spare;
        requests->spare = request->next;
        free(request);
    }
    db_reader_close(requests->reader);
    pthread_mutex_destroy(&requests->lock);
    free(requests);
}

size_t requests_open(const struct requests *requests) {
    return requests->open;
}

size_t requests_at_writer(const struct requests *requests) {
    return requests->at_writer;
}

struct request *request_new(struct requests *requests) {
    struct request *request = requests->spare;
    if (request) {
        requests->spare = request->next;
        requests->spare_count--;
    } else {
        request = malloc(sizeof(*request));
    }
    if (request) {
        memset(request, 0, sizeof(*request));
        request->requests = requests;
        request->started_us = clock_mono_us();
        arena_init(&request->arena, ARENA_BYTES);
        requests->open++;
    }
    return request;
}

static void discard_stream(struct request *request) {
    if (request->stream_open) {
        request->stream_open = false;
        request->call.route->stream->discard(&request->call);
    }
}

/* Headers that were set on the way belong to the refusal too (Allow, WWW-Authenticate, Content-Range). */
void request_refuse(struct request *request, const struct err *err) {
    discard_stream(request);
    dispatch_refuse(&request->call, err);
    request->failed = true;
    request->step = REQUEST_REPLY;
}

/* The id of a call, and its chance. */
static void draw(struct requests *requests, struct api_call *call) {
    if (requests->pool_used == POOL_BYTES) {
        random_bytes(requests->pool, POOL_BYTES);
        requests->pool_used = 0;
    }
    const uint8_t *drawn = requests->pool + requests->pool_used;
    hex_encode(drawn, ID_BYTES, call->request_id);
    memcpy(&call->chance, drawn + ID_BYTES, sizeof(call->chance));
    requests->pool_used += ID_BYTES + sizeof(call->chance);
}

static bool keep_certificate(struct api_call *call, const struct api_identity *identity) {
    struct api_identity *copy = arena_alloc(call->arena, sizeof(*copy));
    if (!copy)
        return false;
    *copy = *identity;
    call->operator_.certificate = copy;
    return true;
}

static bool fill_call(struct request *request, const struct request_peer *peer, const char *method, char *target) {
    struct api_call *call = &request->call;
    int64_t length = 0;
    call->env = request->requests->options.env;
    call->arena = &request->arena;
    call->listener = peer->listener;
    call->now = clock_now();
    draw(request->requests, call);
    call->client_address = arena_strdup(&request->arena, peer->address);
    call->head = strcmp(method, "HEAD") == 0;
    call->method = call->head ? "GET" : method;
    call->path = target;
    if (peer->listener != API_ADMIN)
        call->identity = peer->identity;
    else if (peer->identity.id[0] != '\0' && !keep_certificate(call, &peer->identity))
        return false;
    call->db = request->requests->reader;
    const char *text = api_header(call, "Content-Length");
    if (!call->client_address || (text && !text_to_int(text, 0, INT64_MAX, &length)))
        return false;
    call->content_length = (uint64_t)length;
    return true;
}

bool request_begin(struct request *request, const struct request_peer *peer, const char *method, char *target, const struct api_param *headers,
                   size_t header_count) {
    struct api_call *call = &request->call;
    struct err err = {0};
    char *question = strchr(target, '?');
    if (question)
        *question = '\0';
    call->headers = headers;
    call->header_count = header_count;
    if (!fill_call(request, peer, method, target))
        return false;
    request->begun = true;
    request->step = REQUEST_BODY;
    if (!dispatch_begin(call, question ? question + 1 : "", &err)) {
        request_refuse(request, &err);
        return true;
    }
    request->stream_open = call->route->body == API_STREAM;
    buf_init(&request->body, call->route->body == API_JSON || call->route->body == API_BYTES ? (size_t)call->content_length : 0);
    return true;
}

void request_take(struct request *request, const void *data, size_t len) {
    struct err err = {0};
    const struct api_route *route = request->call.route;
    request->body_bytes += len;
    if (request->failed || route->body == API_NO_BODY)
        return;
    if (route->body == API_STREAM) {
        if (!route->stream->write(&request->call, data, len, &err))
            request_refuse(request, &err);
        return;
    }
    buf_append(&request->body, data, len);
    if (!buf_ok(&request->body, "request body", &err))
        request_refuse(request, &err);
}

/* ---- the writer ---- */

static bool run_on_writer(struct db_conn *tx, void *arg, struct err *err) {
    struct request *request = arg;
    request->call.db = tx;
    request->call.writing = true;
    request->call.defer_to_writer = false;
    return dispatch_run(&request->call, err);
}

/* Writer thread: hands the request back to its worker. */
static void writer_done(void *arg, bool ok, const struct err *err) {
    const uint64_t one = 1;
    struct request *request = arg;
    struct requests *requests = request->requests;
    request->writer_failed = !ok;
    if (!ok)
        request->err = *err;
    pthread_mutex_lock(&requests->lock);
    request->next = requests->finished;
    requests->finished = request;
    ssize_t written = write(requests->options.wake_fd, &one, sizeof(one)); /* under the lock: the worker may be about to close it */
    pthread_mutex_unlock(&requests->lock);
    (void)written; /* full only when the worker has been told already */
}

static bool give_to_writer(struct request *request, struct err *err) {
    struct db_job job = {.run = run_on_writer, .done = writer_done, .arg = request};
    request->step = REQUEST_WRITER;
    if (!db_submit(request->requests->options.db, &job, err))
        return false;
    request->stream_open = false; /* dispatch_run() sees to it, if it is run at all */
    request->requests->at_writer++;
    return true;
}

void requests_collect(struct requests *requests) {
    pthread_mutex_lock(&requests->lock);
    struct request *list = requests->finished;
    requests->finished = NULL;
    pthread_mutex_unlock(&requests->lock);
    while (list) {
        struct request *request = list;
        list = request->next;
        struct err err = {0};
        bool again = request->call.again && !request->writer_failed;
        requests->at_writer--;
        if (again && give_to_writer(request, &err))
            continue;
        request->call.db = requests->reader;
        request->step = REQUEST_REPLY;
        if (request->writer_failed || again) {
            /* The job never ran: nobody took the stream. */
            request->stream_open = (!request->call.writing || request->call.again) && request->call.stream_state;
            request_refuse(request, again ? &err : &request->err);
        }
        request->resume(request);
    }
}

bool request_run(struct request *request) {
    struct err err = {0};
    struct api_call *call = &request->call;
    if (request->failed)
        return true;
    call->body = request->body.data;
    call->body_len = request->body.len;
    bool to_writer = dispatch_needs_writer(call);
    bool ok = true;
    if (!to_writer) {
        request->stream_open = false;
        ok = dispatch_run(call, &err);
        to_writer = ok && call->defer_to_writer;
    }
    if (to_writer) {
        request->stream_open = call->stream_state != NULL;
        ok = give_to_writer(request, &err);
        if (ok)
            return false;
    }
    request->step = REQUEST_REPLY;
    if (!ok)
        request_refuse(request, &err);
    return true;
}

/* ---- the end ---- */

int request_status(struct request *request) {
    struct api_reply *reply = &request->call.reply;
    if (reply->status == 0)
        reply->status = reply->body_len > 0 || reply->blob.release || reply->pull.next ? 200 : 204;
    return reply->status;
}

uint64_t request_reply_length(const struct request *request) {
    const struct api_reply *reply = &request->call.reply;
    if (reply->head_length_set && request->call.head)
        return reply->head_length;
    return reply->blob.release ? reply->blob.len : reply->body_len;
}

void request_finish(struct request *request) {
    struct requests *requests = request->requests;
    discard_stream(request);
    if (request->begun) {
        if (request->step == REQUEST_BODY) {
            request->call.reply.status = STATUS_GONE;
            request->call.reply.reason = "client-gone";
        }
        dispatch_finish(&request->call, request->reply_bytes, clock_mono_us() - request->started_us);
    }
    api_reply_drop(&request->call.reply);
    buf_free(&request->body);
    buf_free(&request->piece);
    arena_clear(&request->arena);
    requests->open--;
    if (requests->spare_count < MAX_SPARE) {
        request->next = requests->spare;
        requests->spare = request;
        requests->spare_count++;
    } else {
        free(request);
    }
}
