#include "server/http.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "server/gate.h"

enum {
    LIBRARY_MEMORY = 16 * 1024, /* per connection; less cannot hold a legal head of 8 KiB and its reply */
    MAX_ROUNDS = 8,             /* of the library in one http_run() */
};

struct http_link {
    struct http_daemon *http;
    struct request_peer peer;
    void *context; /* the front's; NULL after http_detach() */
    bool closed;   /* by the library; freed when both have let go */
    int fd;        /* the library's end of the pair: until it is started, to know it by */
    struct http_link *next_opening;
};

/* What the library keeps for a request: ours, and its own connection. */
struct exchange {
    struct request *request;
    struct http_link *link;
    struct MHD_Connection *connection;
    char *target; /* raw, in the request's arena */
    uint64_t reply_length;
};

struct http_daemon {
    struct http_options options;
    struct MHD_Daemon *library;
    struct http_link *opening; /* given to the library, not yet announced by it */
    bool draining;
};

/* ---- from the library's request to ours ---- */

struct header_list {
    struct api_param *items;
    size_t count;
};

static enum MHD_Result on_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value) {
    struct header_list *list = context;
    (void)kind;
    if (list->count == GATE_MAX_FIELDS)
        return MHD_NO;
    list->items[list->count++] = (struct api_param){.name = name, .value = value ? value : ""};
    return MHD_YES;
}

/* The writer is done: the connection goes on, and the library asks for the reply. */
static void on_resume(struct request *request) {
    struct exchange *exchange = request->owner;
    MHD_resume_connection(exchange->connection);
}

/* Called with the raw target, before anything else of a request. What it returns is the request's context from then on. */
static void *on_target(void *context, const char *uri, struct MHD_Connection *connection) {
    struct http_daemon *http = context;
    struct request *request = request_new(http->options.requests);
    if (!request)
        return NULL;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct exchange *exchange = arena_alloc(&request->arena, sizeof(*exchange));
    char *target = arena_strdup(&request->arena, uri);
    if (!info || !info->socket_context || !exchange || !target) {
        request_finish(request);
        return NULL;
    }
    *exchange = (struct exchange){.request = request, .link = info->socket_context, .connection = connection, .target = target};
    request->owner = exchange;
    request->resume = on_resume;
    return exchange;
}

/* ---- replies ---- */

/* The body of a reply to HEAD whose length alone counts: the library never asks for it. */
static ssize_t no_bytes(void *context, uint64_t position, char *out, size_t max) {
    (void)context, (void)position, (void)out, (void)max;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct MHD_Response *make_response(struct api_call *call) {
    struct api_reply *reply = &call->reply;
    if (reply->head_length_set && call->head)
        return MHD_create_response_from_callback(reply->head_length, 1024, no_bytes, NULL, NULL);
    if (reply->blob.release) {
        struct api_blob blob = reply->blob;
        struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(blob.len, (void *)(uintptr_t)blob.data, blob.release,
                                                                                               blob.context);
        if (response)
            reply->blob.release = NULL; /* the library calls it now */
        return response;
    }
    return MHD_create_response_from_buffer(reply->body_len, (void *)(uintptr_t)(reply->body_len ? reply->body : ""), MHD_RESPMEM_PERSISTENT);
}

static bool add_headers(struct MHD_Response *response, const struct exchange *exchange) {
    const struct api_call *call = &exchange->request->call;
    const struct api_reply *reply = &call->reply;
    bool ok = MHD_add_response_header(response, "X-Request-Id", call->request_id) == MHD_YES;
    if (reply->content_type)
        ok &= MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type) == MHD_YES;
    for (size_t i = 0; i < reply->header_count; i++)
        ok &= MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value) == MHD_YES;
    if (exchange->link->http->draining)
        ok &= MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES;
    return ok;
}

static enum MHD_Result queue_reply(struct exchange *exchange) {
    struct request *request = exchange->request;
    unsigned status = (unsigned)request_status(request);
    enum MHD_Result result = MHD_NO;
    exchange->reply_length = request_reply_length(request);
    struct MHD_Response *response = make_response(&request->call);
    if (response && add_headers(response, exchange))
        result = MHD_queue_response(exchange->connection, status, response);
    if (response)
        MHD_destroy_response(response);
    request->step = REQUEST_SENDING;
    return result;
}

static enum MHD_Result begin(struct exchange *exchange, const char *method) {
    struct request *request = exchange->request;
    int count = MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, NULL, NULL);
    struct header_list list = {.items = arena_array(&request->arena, count > 0 ? (size_t)count : 1, sizeof(struct api_param))};
    if (!list.items || count > GATE_MAX_FIELDS)
        return MHD_NO;
    MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, on_header, &list);
    if (!request_begin(request, &exchange->link->peer, method, exchange->target, list.items, list.count))
        return MHD_NO;
    if (request->failed && request->call.content_length > 0)
        return queue_reply(exchange); /* now or after the whole body */
    return MHD_YES;
}

/* The library's access handler: at the head, for each piece of the body, at its end, and after every resumption. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                  const char *upload_data, size_t *upload_data_size, void **request_context) {
    struct exchange *exchange = *request_context;
    (void)context, (void)url, (void)version;
    if (!exchange)
        return MHD_NO;
    struct request *request = exchange->request;
    if (request->step == REQUEST_HEAD)
        return begin(exchange, method);
    if (*upload_data_size > 0) {
        request_take(request, upload_data, *upload_data_size);
        *upload_data_size = 0;
        return MHD_YES;
    }
    if (request->step == REQUEST_BODY && !request_run(request)) {
        MHD_suspend_connection(connection);
        return MHD_YES;
    }
    return request->step == REQUEST_REPLY ? queue_reply(exchange) : MHD_YES;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_context, enum MHD_RequestTerminationCode code) {
    struct http_daemon *http = context;
    struct exchange *exchange = *request_context;
    (void)connection;
    *request_context = NULL;
    if (!exchange)
        return;
    struct http_link *link = exchange->link;
    struct request *request = exchange->request;
    if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK && !request->call.head)
        request->reply_bytes = exchange->reply_length;
    if (link->context)
        http->options.reply_done(link->context, &request->call);
    request_finish(request);
}

/* ---- links ---- */

/* The connection-start notification: binds who was verified to the library's connection, found by its descriptor. */
static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context, enum MHD_ConnectionNotificationCode code) {
    struct http_daemon *http = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct http_link *link = *socket_context;
        *socket_context = NULL;
        if (link && link->context)
            link->closed = true;
        else
            free(link);
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

bool http_open(struct http_daemon *http, const struct request_peer *peer, void *context, struct http_link **ret_link, int *ret_fd) {
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
    if (link->closed)
        free(link);
}

/* ---- the daemon ---- */

/* Paths stay as they were sent; routes match the raw path. */
static size_t no_unescape(void *context, struct MHD_Connection *connection, char *text) {
    (void)context, (void)connection;
    return strlen(text);
}

bool http_start(const struct http_options *options, struct http_daemon **ret_http, struct err *err) {
    struct http_daemon *http = calloc(1, sizeof(*http));
    if (!http)
        return err_no_memory(err);
    http->options = *options;
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
        free(http);
        return err_set(err, ERR_INTERNAL, "the HTTP library does not start");
    }
    *ret_http = http;
    return true;
}

int http_fd(const struct http_daemon *http) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->library, MHD_DAEMON_INFO_EPOLL_FD);
    return info ? info->epoll_fd : -1;
}

bool http_run(struct http_daemon *http) {
    MHD_UNSIGNED_LONG_LONG timeout = 1;
    for (int round = 0; round < MAX_ROUNDS; round++) {
        MHD_run(http->library);
        if (MHD_get_timeout(http->library, &timeout) != MHD_YES || timeout > 0)
            return false;
    }
    return true;
}

void http_drain(struct http_daemon *http) {
    http->draining = true;
}

void http_stop(struct http_daemon *http) {
    if (!http)
        return;
    while (http_run(http)) {
    }
    MHD_stop_daemon(http->library);
    while (http->opening)
        forget_opening(http, http->opening);
    free(http);
}
