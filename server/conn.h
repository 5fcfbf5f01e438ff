/* One client's connection, as front.c (its life) and pump.c (its bytes) share it. */
#ifndef PAWL_SERVER_CONN_H
#define PAWL_SERVER_CONN_H

#include "server/front.h"

/* Where a connection is; each phase has one deadline and one step function in pump.c. */
enum front_phase {
    FRONT_HANDSHAKE = 0,
    FRONT_HEAD,    /* between requests, or a head is coming */
    FRONT_REQUEST, /* head and body go to the library as they come */
    FRONT_REPLY,   /* the library has all of the request */
    FRONT_DIRECT,  /* the front answers it itself (direct.c) */
    FRONT_CLOSING, /* the last bytes wait for the socket */
    FRONT_LINGER,  /* we have ended; what still comes is thrown away for a while, so that the client can read why */
    FRONT_DEAD,    /* everything is released; freed at the end of the turn */
    FRONT_PHASE_COUNT
};

/* What a connection holds of the limits on downloads (download.c). */
struct download {
    bool waits;      /* for a place, or for its bytes' time; the deadline is that one's */
    bool placed;     /* counted among the downloads */
    int64_t rollout; /* where it is counted too; 0: nowhere */
    struct pace_device *device;
    size_t granted; /* bytes whose time is reserved */
    int64_t granted_at_ns;
};

struct front_conn {
    struct source client; /* of the TCP socket */
    struct source end;    /* of our end of the link's socket pair */
    struct worker *worker;
    struct front_conn *prev, *next; /* all of the worker */
    struct front_conn *next_fed, *next_dead;
    struct front_conn *next_again;
    struct front_conn *prev_waiting, *next_waiting;
    bool in_fed, in_again, in_waiting;
    struct admission_state admission;

    enum front_phase phase;
    enum api_listener role;
    size_t listener;     /* its index */
    uint_fast32_t trust; /* of the wire, under which its certificate was believed last */
    int fd;
    struct tls tls;
    struct gate gate;
    bool first;           /* no request yet */
    bool closing;         /* no further request */
    bool ending;          /* the client has ended its side, or the server drains: streams end */
    bool awaits_proxy;    /* a balancer's, whose header has not come yet */
    bool counted_address; /* in the wire's limits */
    bool counted_device;
    char *token_device; /* API_TOKEN: whose token came last, counted as a device's connection; NULL: none yet */
    bool known;         /* an administrator has shown who he is on it: it gives its place to nobody */
    char *kept;         /* WORKER_READ_SIZE: decrypted bytes that could not go on yet; NULL: none */
    size_t kept_len;
    size_t head_left; /* of the head, to be forwarded */

    struct http_link *link;
    int link_fd;
    bool link_readable, link_writable, link_ended;
    bool reply_done; /* the library has written all of the reply */

    struct request *direct; /* of FRONT_DIRECT */
    const char *body;       /* of its reply: what is left of it */
    uint64_t body_left;
    struct download download;

    struct deadline deadline;
    uint64_t received;  /* of this request's body */
    uint64_t mark;      /* bytes at the beginning of the rate window */
    int64_t mark_at_ms; /* of a stream that waits: when it last moved; 0: not yet looked at */
    size_t linger_left;

    uint8_t address_key[8];
    char address[REQUEST_ADDRESS_SIZE];
};

enum {
    FRONT_BODY_WINDOW_MS = 10 * 1000,
    FRONT_REPLY_WINDOW_MS = 30 * 1000,
    FRONT_LINGER_MS = 2 * 1000,
    FRONT_LINGER_BYTES = 4 * 1024 * 1024,
};

/* What one connection may do before the others' turn. */
enum { PUMP_MAX_REQUESTS = 16, PUMP_MAX_STEPS = 64, PUMP_MAX_BYTES = 1024 * 1024 };

/* Moves bytes until nothing moves any more, or the connection has had its turn: then it goes on in the next. It may be dead afterwards. */
void pump_run(struct front_conn *conn);

/* Sends what is gathered and pending. False: blocked, or dead. */
bool pump_flush(struct front_conn *conn);

/* Says goodbye, then lingers. */
void pump_close(struct front_conn *conn);

/* Says goodbye as far as the socket takes it, and releases everything. */
void pump_part(struct front_conn *conn);

/* Answers a request that the gate refuses, and closes. */
void pump_refuse(struct front_conn *conn, enum gate_refusal refusal);

/* Releases everything at once. */
void front_kill(struct front_conn *conn);

void front_set_deadline(struct front_conn *conn, int64_t in_ms);

/* Bytes that the client's machine has acknowledged, of all that were sent. */
uint64_t front_acknowledged(const struct front_conn *conn);

/* Is the certificate still good, by the CAs and CRLs of now? */
bool front_trusted(struct front_conn *conn) MUST_USE;

/* Who it is that a balancer speaks for; NULL: itself. False: over the ceiling of that address, the connection is dead. */
bool front_set_client(struct front_conn *conn, const struct sockaddr_storage *address) MUST_USE;

/* After the handshake: still trusted, and under the ceiling on a device's connections. False: it was not, the connection is dead. */
bool front_admit(struct front_conn *conn) MUST_USE;

/* Behind a token: the device of a request counts as the connection's, until another one's token comes. "": none. False: over the ceiling. */
bool front_count_token(struct front_conn *conn, const char *device_id) MUST_USE;

/* A link for the first request. False: no memory or descriptors. */
bool front_open_link(struct front_conn *conn) MUST_USE;

/* To be pumped again in the next turn. */
void front_again(struct front_conn *conn);

/* Its handshake gives way to another. */
void front_cut_handshake(struct front_conn *conn);

/* To be looked at after http_run(). */
void front_feed(struct front_conn *conn);

#endif
