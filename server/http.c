#include "server/http.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "common/clock.h"
#include "common/random.h"
#include "common/text.h"
#include "db/db.h"
#include "server/dispatch.h"
#include "server/gate.h"

enum {
    LIBRARY_MEMORY = 16 * 1024,        /* per connection; less cannot hold a legal head of 8 KiB and its reply */
    REQUEST_MEMORY = 64 * 1024 * 1024, /* ceiling of a request's arena: the largest list page, the largest JSON body decoded */
    MAX_ROUNDS = 8,                    /* of the library in one http_run() */
    SPARE_REQUESTS = 64,               /* kept for reuse */
    STATUS_GONE = 499,                 /* for the log: the client left before its request was complete */
};

/* Where a request is. */
enum step {
    STEP_HEAD,   /* the library has read its head */
    STEP_BODY,   /* begun; body bytes are coming */
    STEP_WRITER, /* with the writer thread; the connection is suspended */
    STEP_REPLY,  /* the reply is made */
    STEP_QUEUED, /* the library has it */
};

struct request {
    struct api_call call;
    struct arena arena;
    struct http_link *link;
    struct MHD_Connection *connection;
    enum step step;
    bool begun;          /* dispatch_begin() said yes: dispatch_finish() and the stream's discard() are due */
    bool stream_open;    /* begin() ran; neither the handler nor discard() has */
    bool failed;         /* what is left of the body is swallowed */
    char *uri;           /* raw target, in the arena */
    struct buf body;     /* of API_JSON rows */
    uint64_t body_bytes; /* received */
    uint64_t reply_bytes;
    int64_t started_us;
    struct err err; /* of the writer, valid with writer_failed */
    bool writer_failed;
    struct request *next; /* in the list of finished or of spare ones */
};

struct http_link {
    struct http_daemon *http;
    struct http_peer peer;
    void *context; /* the front's; NULL after http_detach() */
    bool closed;   /* by the library; freed when both have let go */
    int fd;        /* the library's end of the pair: until it is started, to know it by */
    struct http_link *next_opening;
};

struct http_daemon {
    struct http_options options;
    struct MHD_Daemon *library;
    struct db_conn *reader;
    struct http_link *opening; /* given to the library, not yet announced by it */
    struct request *spare;
    size_t spare_count;
    size_t open_requests;
    size_t at_writer;
    bool draining;

    pthread_mutex_t lock; /* for finished */
    struct request *finished;
};

/* ---- requests ---- */

static struct request *request_new(struct http_daemon *http) {
    struct request *request = http->spare;
    if (request) {
        http->spare = request->next;
        http->spare_count--;
    } else {
        request = malloc(sizeof(*request));
    }
    if (request) {
        memset(request, 0, sizeof(*request));
        arena_init(&request->arena, REQUEST_MEMORY);
        buf_init(&request->body, 0);
        http->open_requests++;
    }
    return request;
}

static void drop_blob(struct api_call *call) {
    if (call->reply.blob.release) {
        call->reply.blob.release(call->reply.blob.context);
    }
    call->reply = (struct api_reply){0};
}

static void discard_stream(struct request *request) {
    if (request->stream_open) {
        request->stream_open = false;
        request->call.route->stream->discard(&request->call);
    }
}

static void request_free(struct http_daemon *http, struct request *request) {
    discard_stream(request);
    drop_blob(&request->call);
    buf_free(&request->body);
    arena_clear(&request->arena);
    http->open_requests--;
    if (http->spare_count < SPARE_REQUESTS) {
        request->next = http->spare;
        http->spare = request;
        http->spare_count++;
    } else {
        free(request);
    }
}

/* Headers that were set on the way belong to the refusal too (Allow, WWW-Authenticate, Content-Range). */
static void refuse(struct request *request, const struct err *err) {
    discard_stream(request);
    dispatch_refuse(&request->call, err);
    request->failed = true;
    request->step = STEP_REPLY;
}

/* ---- from the library's request to ours ---- */

static enum MHD_Result on_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value) {
    struct request *request = context;
    struct api_param *headers = (struct api_param *)request->call.headers;
    (void)kind;
    if (request->call.header_count == GATE_MAX_FIELDS) {
        return MHD_NO;
    }
    headers[request->call.header_count++] = (struct api_param){.name = name, .value = value ? value : ""};
    return MHD_YES;
}

/* Called with the raw target, before anything else of a request. What it returns is the request's context from then on. */
static void *on_target(void *context, const char *uri, struct MHD_Connection *connection) {
    struct http_daemon *http = context;
    struct request *request = request_new(http);
    if (!request) {
        return NULL;
    }
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    request->link = info ? info->socket_context : NULL;
    request->connection = connection;
    request->started_us = clock_mono_us();
    request->uri = arena_strdup(&request->arena, uri);
    return request;
}

static bool fill_call(struct request *request, const char *method, const char **ret_query) {
    struct api_call *call = &request->call;
    const struct http_peer *peer = &request->link->peer;
    char *question = strchr(request->uri, '?');
    if (question) {
        *question = '\0';
    }
    *ret_query = question ? question + 1 : "";
    call->env = request->link->http->options.env;
    call->arena = &request->arena;
    call->listener = peer->listener;
    call->now = clock_now();
    random_hex(call->request_id, (API_REQUEST_ID_SIZE - 1) / 2);
    call->client_address = peer->address;
    call->head = strcmp(method, "HEAD") == 0;
    call->method = call->head ? "GET" : method;
    call->path = request->uri;
    call->identity = peer->identity;
    call->db = request->link->http->reader;
    int count = MHD_get_connection_values(request->connection, MHD_HEADER_KIND, NULL, NULL);
    call->headers = arena_array(&request->arena, count > 0 ? (size_t)count : 1, sizeof(struct api_param));
    if (!call->headers || count > GATE_MAX_FIELDS) {
        return false;
    }
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, on_header, request);
    const char *length = api_header(call, "Content-Length");
    int64_t bytes = 0;
    if (length && !text_to_int(length, 0, INT64_MAX, &bytes)) {
        return false;
    }
    call->content_length = (uint64_t)bytes;
    return true;
}

/* ---- replies ---- */

/* The body of a reply to HEAD whose length alone counts: the library never asks for it. */
static ssize_t no_bytes(void *context, uint64_t position, char *out, size_t max) {
    (void)context, (void)position, (void)out, (void)max;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct MHD_Response *make_response(struct api_call *call) {
    struct api_reply *reply = &call->reply;
    if (reply->head_length_set && call->head) {
        return MHD_create_response_from_callback(reply->head_length, 1024, no_bytes, NULL, NULL);
    }
    if (reply->blob.release) {
        struct api_blob blob = reply->blob;
        struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(blob.len, (void *)(uintptr_t)blob.data, blob.release,
                                                                                               blob.context);
        if (response) {
            reply->blob.release = NULL; /* the library calls it now */
        }
        return response;
    }
    return MHD_create_response_from_buffer(reply->body_len, (void *)(uintptr_t)(reply->body_len ? reply->body : ""), MHD_RESPMEM_PERSISTENT);
}

static bool add_headers(struct MHD_Response *response, const struct request *request) {
    const struct api_reply *reply = &request->call.reply;
    bool ok = MHD_add_response_header(response, "X-Request-Id", request->call.request_id) == MHD_YES;
    if (reply->content_type) {
        ok &= MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type) == MHD_YES;
    }
    for (size_t i = 0; i < reply->header_count; i++) {
        ok &= MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value) == MHD_YES;
    }
    if (request->link->http->draining) {
        ok &= MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES;
    }
    return ok;
}

static enum MHD_Result queue_reply(struct request *request) {
    struct api_reply *reply = &request->call.reply;
    if (reply->status == 0) {
        reply->status = reply->body_len > 0 || reply->blob.release ? 200 : 204;
    }
    uint64_t bytes = request->call.head ? 0 : reply->blob.release ? reply->blob.len : reply->body_len;
    struct MHD_Response *response = make_response(&request->call);
    enum MHD_Result result = MHD_NO;
    if (response && add_headers(response, request)) {
        result = MHD_queue_response(request->connection, (unsigned)reply->status, response);
    }
    if (response) {
        MHD_destroy_response(response);
    }
    request->step = STEP_QUEUED;
    request->reply_bytes = bytes;
    return result;
}

/* ---- running the handler ---- */

static bool run_on_writer(struct db_conn *tx, void *arg, struct err *err) {
    struct request *request = arg;
    request->call.db = tx;
    request->call.writing = true;
    request->call.defer_to_writer = false;
    return dispatch_run(&request->call, err);
}

/* Writer thread: hands the request back to its worker. */
static void writer_done(void *arg, bool ok, const struct err *err) {
    struct request *request = arg;
    struct http_daemon *http = request->link->http;
    request->writer_failed = !ok;
    if (!ok) {
        request->err = *err;
    }
    const uint64_t one = 1;
    pthread_mutex_lock(&http->lock);
    request->next = http->finished;
    http->finished = request;
    ssize_t written = write(http->options.wake_fd, &one, sizeof(one)); /* under the lock: the worker may be about to close it */
    pthread_mutex_unlock(&http->lock);
    (void)written; /* full only when the worker has been told already */
}

/* True: the connection sleeps until writer_done(), which only http_run() acts upon. */
static bool give_to_writer(struct request *request, struct err *err) {
    struct http_daemon *http = request->link->http;
    struct db_job job = {.run = run_on_writer, .done = writer_done, .arg = request};
    if (!db_submit(http->options.db, &job, err)) {
        return false;
    }
    request->stream_open = false;
    request->step = STEP_WRITER;
    http->at_writer++;
    MHD_suspend_connection(request->connection);
    return true;
}

static enum MHD_Result run(struct request *request) {
    struct err err = {0};
    struct api_call *call = &request->call;
    if (request->failed) {
        return queue_reply(request);
    }
    call->body = request->body.data;
    call->body_len = request->body.len;
    if (call->route->body != API_NO_BODY && request->body_bytes != call->content_length) {
        return MHD_NO; /* cannot be: the gate counts */
    }
    bool to_writer = dispatch_needs_writer(call);
    bool ok = true;
    if (!to_writer) {
        request->stream_open = false;
        ok = dispatch_run(call, &err);
        to_writer = ok && call->defer_to_writer;
    }
    if (to_writer) {
        if (give_to_writer(request, &err)) {
            return MHD_YES;
        }
        ok = false;
    }
    if (!ok) {
        refuse(request, &err);
    }
    return queue_reply(request);
}

static enum MHD_Result begin(struct request *request, const char *method) {
    struct err err = {0};
    const char *query;
    if (!request->uri || !fill_call(request, method, &query)) {
        return MHD_NO;
    }
    struct api_call *call = &request->call;
    request->begun = true;
    request->step = STEP_BODY;
    if (!dispatch_begin(call, query, &err)) {
        refuse(request, &err);
    } else {
        request->stream_open = call->route->body == API_STREAM;
        buf_init(&request->body, call->route->body == API_JSON ? (size_t)call->content_length : 0);
    }
    if (request->failed && call->content_length > 0) {
        return queue_reply(request); /* now or after the whole body */
    }
    return MHD_YES;
}

static void take_body(struct request *request, const char *data, size_t len) {
    struct err err = {0};
    const struct api_route *route = request->call.route;
    request->body_bytes += len;
    if (request->failed || route->body == API_NO_BODY) {
        return;
    }
    if (route->body == API_STREAM) {
        if (!route->stream->write(&request->call, data, len, &err)) {
            refuse(request, &err);
        }
        return;
    }
    buf_append(&request->body, data, len);
    if (!buf_ok(&request->body, "request body", &err)) {
        refuse(request, &err);
    }
}

/* The library's access handler: at the head, for each piece of the body, at its end, and after every resumption. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                  const char *upload_data, size_t *upload_data_size, void **request_context) {
    struct request *request = *request_context;
    (void)context, (void)connection, (void)url, (void)version;
    if (!request || !request->link) {
        return MHD_NO;
    }
    if (request->step == STEP_HEAD) {
        return begin(request, method);
    }
    if (*upload_data_size > 0) {
        take_body(request, upload_data, *upload_data_size);
        *upload_data_size = 0;
        return MHD_YES;
    }
    switch (request->step) {
    case STEP_BODY:
        return run(request);
    case STEP_REPLY:
        return queue_reply(request);
    default:
        return MHD_YES;
    }
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_context, enum MHD_RequestTerminationCode code) {
    struct http_daemon *http = context;
    struct request *request = *request_context;
    (void)connection;
    *request_context = NULL;
    if (!request) {
        return;
    }
    bool ok = code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    if (request->begun) {
        if (request->step == STEP_BODY) {
            discard_stream(request);
            request->call.reply.status = STATUS_GONE;
            request->call.reply.reason = "client-gone";
        }
        dispatch_finish(&request->call, ok ? request->reply_bytes : 0, clock_mono_us() - request->started_us);
    }
    struct http_link *link = request->link;
    request_free(http, request);
    if (link && link->context) {
        http->options.reply_done(link->context);
    }
}

/* ---- links ---- */

/* The connection-start notification: binds who was verified to the library's connection, found by its descriptor. */
static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context, enum MHD_ConnectionNotificationCode code) {
    struct http_daemon *http = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct http_link *link = *socket_context;
        *socket_context = NULL;
        if (link && link->context) {
            link->closed = true;
        } else {
            free(link);
        }
        return;
    }
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (struct http_link **at = &http->opening; info && *at; at = &(*at)->next_opening) {
        if ((*at)->fd == info->connect_fd) {
            *socket_context = *at;
            *at = (*at)->next_opening;
            return;
        }
    }
}

static void forget_opening(struct http_daemon *http, struct http_link *link) {
    for (struct http_link **at = &http->opening; *at; at = &(*at)->next_opening) {
        if (*at == link) {
            *at = link->next_opening;
            break;
        }
    }
    free(link);
}

bool http_open(struct http_daemon *http, const struct http_peer *peer, void *context, struct http_link **ret_link, int *ret_fd) {
    int pair[2];
    struct http_link *link = malloc(sizeof(*link));
    if (!link || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        free(link);
        return false;
    }
    *link = (struct http_link){.http = http, .peer = *peer, .context = context, .fd = pair[1], .next_opening = http->opening};
    http->opening = link;
    struct sockaddr nobody = {.sa_family = AF_UNIX};
    if (MHD_add_connection(http->library, pair[1], &nobody, sizeof(nobody)) != MHD_YES) {
        forget_opening(http, link);
        close(pair[0]); /* the library has closed the other */
        return false;
    }
    *ret_link = link;
    *ret_fd = pair[0];
    return true;
}

void http_detach(struct http_link *link) {
    link->context = NULL;
    if (link->closed) {
        free(link);
    }
}

/* ---- the daemon ---- */

/* Paths stay as they were sent; routes match the raw path. */
static size_t no_unescape(void *context, struct MHD_Connection *connection, char *text) {
    (void)context, (void)connection;
    return strlen(text);
}

bool http_start(const struct http_options *options, struct http_daemon **ret_http, struct err *err) {
    struct http_daemon *http = calloc(1, sizeof(*http));
    if (!http) {
        return err_no_memory(err);
    }
    http->options = *options;
    pthread_mutex_init(&http->lock, NULL);
    unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME;
    http->library = MHD_start_daemon(flags, 0, NULL, NULL, on_request, http,                     /* */
                                     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LIBRARY_MEMORY, /* */
                                     MHD_OPTION_CONNECTION_LIMIT, 1000000U,                      /* the front counts */
                                     MHD_OPTION_CONNECTION_TIMEOUT, 0U,                          /* the front's deadlines */
                                     MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,          /* */
                                     MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,            /* */
                                     MHD_OPTION_URI_LOG_CALLBACK, on_target, http,               /* */
                                     MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, NULL,            /* */
                                     MHD_OPTION_END);
    if (!http->library) {
        err_set(err, ERR_INTERNAL, "the HTTP library does not start");
    }
    if (!http->library || (options->db && !db_reader_open(options->db, &http->reader, err))) {
        http_stop(http);
        return false;
    }
    *ret_http = http;
    return true;
}

int http_fd(const struct http_daemon *http) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->library, MHD_DAEMON_INFO_EPOLL_FD);
    return info ? info->epoll_fd : -1;
}

/* Requests that came back from the writer: their connections go on, and the library asks for the reply. */
static void resume_finished(struct http_daemon *http) {
    pthread_mutex_lock(&http->lock);
    struct request *list = http->finished;
    http->finished = NULL;
    pthread_mutex_unlock(&http->lock);
    while (list) {
        struct request *request = list;
        list = request->next;
        http->at_writer--;
        request->call.db = http->reader;
        if (request->writer_failed) {
            refuse(request, &request->err);
        }
        request->step = STEP_REPLY;
        MHD_resume_connection(request->connection);
    }
}

bool http_run(struct http_daemon *http) {
    MHD_UNSIGNED_LONG_LONG timeout = 1;
    resume_finished(http);
    for (int round = 0; round < MAX_ROUNDS; round++) {
        MHD_run(http->library);
        if (MHD_get_timeout(http->library, &timeout) != MHD_YES || timeout > 0) {
            return false;
        }
    }
    return true;
}

void http_drain(struct http_daemon *http) {
    http->draining = true;
}

size_t http_open_requests(const struct http_daemon *http) {
    return http->open_requests;
}

void http_stop(struct http_daemon *http) {
    if (!http) {
        return;
    }
    while (http->library && (http->at_writer > 0 || http_run(http))) {
        struct pollfd wake = {.fd = http->options.wake_fd, .events = POLLIN};
        uint64_t count;
        (void)poll(&wake, 1, 1000);
        ssize_t got = read(http->options.wake_fd, &count, sizeof(count));
        (void)got; /* non-blocking: nothing there is fine */
        resume_finished(http);
    }
    if (http->library) {
        MHD_stop_daemon(http->library);
    }
    while (http->opening) {
        forget_opening(http, http->opening);
    }
    while (http->spare) {
        struct request *request = http->spare;
        http->spare = request->next;
        free(request);
    }
    db_reader_close(http->reader);
    pthread_mutex_destroy(&http->lock);
    free(http);
}
