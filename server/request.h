/* One request from its head to its reply, whoever read it: the front itself (direct.c) or the HTTP library (http.c).
 * A worker has one `struct requests`; everything here belongs to its thread, except that the writer thread runs the handlers of writing requests. */
#ifndef PAWL_SERVER_REQUEST_H
#define PAWL_SERVER_REQUEST_H

#include <pthread.h>

#include "api/api.h"

enum { REQUEST_ADDRESS_SIZE = 46 };

struct db;
struct requests;

/* Who is at the other end of a connection: on the device listener a device, on the administration listener an administrator with a certificate (id
 * empty: without). No header ever carries it. */
struct request_peer {
    enum api_listener listener;
    struct api_identity identity;
    char address[REQUEST_ADDRESS_SIZE];
};

enum request_step {
    REQUEST_HEAD = 0, /* its head is being taken over */
    REQUEST_BODY,     /* begun; body bytes may come */
    REQUEST_WRITER,   /* with the writer thread */
    REQUEST_REPLY,    /* the reply is made */
    REQUEST_SENDING,  /* set by whoever sends it */
    REQUEST_WAITING,  /* a pulled body has nothing to send now */
};

struct request {
    struct api_call call;
    struct arena arena;
    struct requests *requests;
    void *owner;                             /* of whoever read it; it may set NULL and forget the request while the writer has it */
    void (*resume)(struct request *request); /* the writer is done and the reply is made; the worker's thread */
    enum request_step step;
    bool begun;           /* dispatch_begin() was called: dispatch_finish() is due */
    bool stream_open;     /* the stream's begin ran; neither the handler nor discard has */
    bool failed;          /* refused: what is left of the body is swallowed */
    struct buf body;      /* of API_JSON rows */
    struct buf piece;     /* of a pulled body, as it goes over the wire */
    bool pull_ended;      /* that was the last */
    bool pull_waited;     /* it is a stream: there is always more to come */
    uint64_t body_bytes;  /* received */
    uint64_t reply_bytes; /* of the body, sent by the owner */
    int64_t started_us;
    bool writer_failed; /* the next is valid */
    struct err err;
    struct request *next; /* in a list of the requests */
};

struct requests_options {
    const struct api_env *env;
    struct db *db; /* NULL: none, nothing can be read or written */
    int wake_fd;   /* an eventfd; written when the writer thread has finished a request: requests_collect() then */
};

bool requests_start(const struct requests_options *options, struct requests **ret_requests, struct err *err) MUST_USE;

/* None may be open. NULL is fine. */
void requests_stop(struct requests *requests);

/* Takes over what the writer has finished and calls resume() of each. */
void requests_collect(struct requests *requests);

size_t requests_open(const struct requests *requests);
size_t requests_at_writer(const struct requests *requests);

/* NULL: no memory. */
struct request *request_new(struct requests *requests) MUST_USE;

/* method, target, names and values of the headers: texts that live as long as the request; the target is written to ('?' becomes NUL).
 * Begins: refused (failed is set, the reply is made) or ready for the body. False: no memory, no reply either. */
bool request_begin(struct request *request, const struct request_peer *peer, const char *method, char *target, const struct api_param *headers,
                   size_t header_count) MUST_USE;

/* A piece of the body. */
void request_take(struct request *request, const void *data, size_t len);

/* The body is complete. True: the reply is made. False: the writer has it, resume() will be called. */
bool request_run(struct request *request) MUST_USE;

/* The reply that was made is another: this refusal. */
void request_refuse(struct request *request, const struct err *err);

/* The status the reply has, with what 0 stands for filled in; and the length of its body. */
int request_status(struct request *request);
uint64_t request_reply_length(const struct request *request);

/* Over: log and metrics, everything released. Not while the writer has it. */
void request_finish(struct request *request);

#endif
