/* The wire: from accept() to the reply's last byte. Workers, TLS, the gate and the HTTP library behind one small set of calls for main.c. */
#ifndef PAWL_SERVER_WIRE_H
#define PAWL_SERVER_WIRE_H

#include "api/api.h"
#include "certs/authorities.h"
#include "common/network.h"

enum { WIRE_MAX_LISTENERS = 8, WIRE_MAX_WORKERS = 64, WIRE_COLUMNS = 3 };

/* Listeners as they are counted: "device" (with or without a certificate), "enrolment", "admin". */
extern const char *const wire_columns[WIRE_COLUMNS];
size_t wire_column(enum api_listener role);

/* What a listener asks of its clients. The zero value is the strictest. */
enum wire_client_certificate {
    WIRE_CERTIFICATE_REQUIRED = 0, /* no certificate, or one that does not verify: the handshake fails */
    WIRE_CERTIFICATE_REQUESTED,    /* none is fine; one that is sent must verify */
    WIRE_CERTIFICATE_NONE,         /* not asked for */
};

struct wire_listener {
    enum api_listener role;
    const char *address; /* numeric, "0.0.0.0", "::", "127.0.0.1" */
    int port;            /* 0: an ephemeral one, see wire_port() */
    enum wire_client_certificate client_certificate;
    struct certs_trust_files clients;   /* their CAs; must be set unless WIRE_CERTIFICATE_NONE */
    struct certs_trust_files factories; /* enrolment: the CAs of factories, believed there alone */
    bool identity_from_cn;              /* device listeners: the id is the subject's CN instead of the SAN URI urn:pawl:device:<id> */
    bool factory_from_cn;               /* the same for a factory's certificates */
    const char *certificate_file;       /* PEM, the server's own, then its intermediates */
    const char *key_file;               /* PEM, not encrypted; refused when group or others can read it */
    bool proxied;                       /* connections from settings.proxies begin with a PROXY header; those from elsewhere never */
};

/* Texts are borrowed for the duration of the call that takes the settings. A number that is 0 gets the default in the comment. */
struct wire_settings {
    struct wire_listener listeners[WIRE_MAX_LISTENERS];
    size_t listener_count;
    int workers; /* default: one for each core the process may use */

    struct network_list proxies; /* balancers, whose word on their clients' addresses is taken */

    int64_t handshake_deadline_ms; /* 8,000; absolute, from accept() */
    int64_t head_deadline_ms;      /* 8,000; absolute, from the request's first byte (the first request: from the handshake) */
    int64_t idle_deadline_ms;      /* 30,000; between requests */
    int64_t body_min_bytes_per_s;  /* 1,024; a request body slower than this over 10 s is cut */
    int64_t reply_min_bytes_per_s; /* 256; a client that acknowledges less over 30 s is cut */

    int64_t max_connections;             /* 20,000; over all listeners */
    int64_t reserved_admin_connections;  /* 32; of these, that only administration may use */
    int64_t max_connections_per_address; /* 4,000; devices share NAT addresses */
    int64_t max_connections_per_device;  /* 8; by the verified identity */
    int64_t max_handshakes;        /* 256; under way at once, over all workers, of devices and as many of administrators; others wait (admission.h) */
    int64_t max_downloads;         /* 0: any number; images on their way at once, over all workers */
    int64_t max_rollout_downloads; /* 0: any number; of these, of one rollout */
    int64_t download_rate;         /* 0: none; bytes a second of images, all together */
    int64_t device_download_rate;  /* 0: none; bytes a second of images to one device */
    int64_t session_store_records; /* 65,536; TLS sessions that can be resumed, 216 bytes each, two a connection */

    /* May this device connect? Asked at each full handshake (after the certificate verified) and at each resumption, on worker threads; false
     * (revoked, retired) ends the handshake. An unknown device may. NULL: every verified one may. */
    bool (*admit)(const struct api_env *env, const struct api_identity *identity);
};

/* Monotonic counts since start, except the open_ ones. */
struct wire_counters {
    uint64_t open_connections[WIRE_COLUMNS];
    uint64_t open_handshakes;
    uint64_t open_requests; /* handed to a handler and not finished */
    uint64_t accepted;
    uint64_t handshakes_full;
    uint64_t handshakes_resumed;
    uint64_t handshakes_failed;
    uint64_t bytes_received; /* of HTTP, decrypted */
    uint64_t bytes_sent;
    uint64_t requests;
    uint64_t refused_at_gate; /* answered 4xx/5xx by the gate itself */
    uint64_t open_downloads;
    uint64_t refused_downloads;   /* 503: too many at one time */
    uint64_t refused_proxy;       /* from a balancer, without a good PROXY header */
    uint64_t refused_at_capacity; /* closed at accept() or after the handshake: a ceiling on connections */
    uint64_t cut_handshake;       /* deadlines, by phase */
    uint64_t cut_head;
    uint64_t cut_idle;
    uint64_t cut_body;
    uint64_t cut_reply;
    uint64_t sessions_stored;
    uint64_t sessions_refused; /* offered, but spent, expired, unknown or of a device that may not connect */
};

struct wire;
struct db;

/* Loads keys and certificates, binds every listener, starts the workers. ERR_CONFIG, ERR_KEY, ERR_IO name the file or the address. env and db must
 * outlive the wire. The caller has blocked the signals that the workers shall not see, and ignores SIGPIPE. */
struct wire *wire_start(const struct wire_settings *settings, const struct api_env *env, struct db *db, struct err *err) MUST_USE;

/* The port that listener i of the settings is bound to. */
int wire_port(const struct wire *wire, size_t listener);

/* Reads certificates, keys and CA files anew (the listeners of settings must be the same in number, order and role; addresses are not looked at) and
 * uses them for new connections. When a CA or a CRL is another than before, the stored sessions are dropped, and open connections whose certificate
 * is revoked or has lost its CA are cut within one second. On failure everything stays as it was. Any one thread at a time. */
bool wire_reload(struct wire *wire, const struct wire_settings *settings, struct err *err) MUST_USE;

/* Closes the open connections of a device, also in mid-download, and drops its sessions; within one second. Any thread. */
void wire_disconnect_device(struct wire *wire, const char *device_id);

/* Something happened that streams tell of (api_pull): those that wait are asked again. Any thread. */
void wire_tell_news(struct wire *wire);

/* Stops accepting, closes idle connections, lets requests finish; returns when all are gone (true) or at the timeout (false). */
bool wire_drain(struct wire *wire, int64_t timeout_ms);

/* Cuts what is left, joins the workers, frees everything. The writer thread must still run: jobs that are with it are waited for. NULL is fine. */
void wire_stop(struct wire *wire);

/* A revocation list in force. */
struct wire_crl {
    enum api_listener role;
    struct certs_crl crl;
};

/* How many were filled in. Any thread. */
size_t wire_crls(struct wire *wire, struct wire_crl *ret_crls, size_t max);

void wire_count(struct wire *wire, struct wire_counters *ret_counters);

#endif
