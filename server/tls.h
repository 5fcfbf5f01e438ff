/* TLS of the front: one context a listener, one small object a connection. The only users of OpenSSL's SSL are tls.c and session.c.
 *
 * Everything is non-blocking. What is to be sent is gathered in the worker's buffer and leaves by one send() at tls_flush(); what the socket does not
 * take waits with the connection. */
#ifndef PAWL_SERVER_TLS_H
#define PAWL_SERVER_TLS_H

#include "server/session.h"
#include "server/wire.h"

enum { TLS_GATHER_SIZE = 160 * 1024, TLS_WRITE_MAX = 64 * 1024, TLS_WRITE_EXTRA = 2048, TLS_PENDING_MAX = 256 * 1024 };

/* The zero value is the worst. */
enum tls_status {
    TLS_FAILED = 0, /* broken, by the peer or the network: close without a word */
    TLS_OK,
    TLS_BLOCKED, /* try again at the next edge */
    TLS_CLOSED,  /* the peer ended it properly */
};

/* One per worker, empty between two connections' turns. */
struct tls_gather {
    uint8_t *data; /* TLS_GATHER_SIZE bytes */
    size_t len;
};

/* What showed who the peer is. */
enum tls_proof {
    TLS_PROOF_NONE = 0,
    TLS_PROOF_CERTIFICATE, /* a chain that was verified in this handshake */
    TLS_PROOF_RECORD,      /* a session record, so far only offered */
};

struct certs_authorities;
struct tls_context;

struct tls {
    struct ssl_st *ssl;
    struct tls_context *context; /* a reference */
    int fd;                      /* borrowed */
    struct tls_gather *gather;
    uint8_t *pending; /* encrypted bytes that the socket did not take; NULL: none */
    size_t pending_len, pending_sent;
    uint64_t sent_bytes; /* that the kernel took */
    bool readable;       /* set by the owner at an edge, cleared when the socket is drained */
    bool writable;
    bool dead;            /* the socket failed */
    bool resumed;         /* after the handshake */
    bool refused;         /* admit() said no */
    bool expired;         /* something in the chain has expired, and this listener does not mind */
    enum tls_proof proof; /* of identity */
    bool offered;         /* the client named a session */
    unsigned stored;      /* sessions that went into the store */
    int64_t verified_at;
    struct api_identity identity; /* of the listener's kind: a device or an administrator; id empty: no certificate */
};

/* What a context needs beside its listener. All outlive it. */
struct tls_environment {
    struct session_store *sessions;
    uint32_t generation; /* of the store, that the context's sessions belong to */
    const struct api_env *env;
    bool (*admit)(const struct api_env *env, const struct api_identity *identity);
};

/* Loads key and certificates; authorities (NULL: nobody is asked for a certificate) are the context's from here on, also when it fails. ERR_CONFIG or
 * ERR_KEY names the file. One reference. */
struct tls_context *tls_context_new(const struct wire_listener *listener, struct certs_authorities *authorities_take,
                                    const struct tls_environment *environment, struct err *err) MUST_USE;
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context); /* NULL is fine */

/* NULL: nobody is asked for a certificate. */
const struct certs_authorities *tls_context_authorities(const struct tls_context *context);

/* Would this context still believe what the peer has shown, under another one perhaps? True for a peer that has shown nothing. */
bool tls_trusted(const struct tls *tls, const struct tls_context *context) MUST_USE;

/* Server side of a fresh connection; gather is the worker's. False: no memory. */
bool tls_start(struct tls *tls, struct tls_context *context, int fd, struct tls_gather *gather) MUST_USE;

/* Frees; sends nothing, closes nothing. */
void tls_end(struct tls *tls);

/* TLS_OK: done; identity, resumed are set. After TLS_FAILED flush once: an alert may wait. */
enum tls_status tls_handshake(struct tls *tls) MUST_USE;

/* Up to size bytes; TLS_OK with *ret_len > 0. */
enum tls_status tls_read(struct tls *tls, void *data, size_t size, size_t *ret_len) MUST_USE;

/* Encrypts all of at most TLS_WRITE_MAX bytes into the gather buffer. Only while nothing is pending. */
bool tls_write(struct tls *tls, const void *data, size_t len) MUST_USE;

/* How many bytes the kernel would take now, about; at least 1. What is encrypted beyond it must be kept with the connection. */
size_t tls_room(const struct tls *tls) MUST_USE;

/* TLS_OK: everything is with the kernel. TLS_BLOCKED: some is pending. The gather buffer is empty afterwards, always. */
enum tls_status tls_flush(struct tls *tls) MUST_USE;

/* Writes our close_notify. */
void tls_say_goodbye(struct tls *tls);

#endif
