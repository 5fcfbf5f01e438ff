/* What an installation can set: one table (server/config.c) is the parser, the sample in config/pawld.conf and the manual. */
#ifndef PAWL_SERVER_CONFIG_H
#define PAWL_SERVER_CONFIG_H

#include "common/config.h"

enum server_config_identity { SERVER_IDENTITY_SAN, SERVER_IDENTITY_CN };

/* Immutable after the start; SIGHUP reloads the files that [tls] names, not this. */
struct server_config {
    struct {
        char *device; /* "ADDRESS:PORT" ("0.0.0.0:8443", "[::]:8443"; port 0: any free one), or "off" */
        char *admin;
        int64_t workers; /* 0: one per core */
    } listen;
    struct {
        char *certificate; /* PEM chain of the server, leaf first */
        char *key;         /* PEM, mode 0400 or 0600 */
        char *device_ca;   /* PEM: who may sign device certificates */
        char *device_crl;  /* PEM; NULL: none */
        char *admin_ca;    /* PEM; NULL: administrators use tokens only */
        int identity;      /* enum server_config_identity */
        bool tls12;
    } tls;
    struct {
        char *data; /* folder, 0700: pawl.db, images/ */
    } store;
    struct {
        char *timestamp_key;
        char *directive_key;
        char *passphrase_file;
    } trust;
    struct {
        int64_t handshake_timeout_s;
        int64_t head_timeout_s;
        int64_t idle_timeout_s;
        int64_t body_min_rate; /* bytes a second, either way, averaged over idle_timeout_s */
        int64_t drain_timeout_s;
        int64_t connections;             /* all listeners together */
        int64_t connections_per_address; /* 0: no limit */
        int64_t connections_per_device;
        int64_t admin_connections; /* reserved beyond `connections` for the administration listener */
        int64_t handshakes;        /* at one time, all workers together */
        int64_t image_bytes;       /* greatest upload */
        int64_t request_memory;    /* bytes of one request's arena */
        int64_t writer_queue;      /* jobs waiting for the one writer; beyond it 503 */
        int64_t auth_failures;     /* failed token attempts a minute from one address */
    } limits;
    struct {
        bool auto_accept; /* an unknown device with a good certificate becomes active, not pending */
        int64_t pending_max;
    } enrolment;
    struct {
        int64_t poll_after_s;
        int64_t poll_jitter;  /* percent of poll_after, either way */
        int64_t flush_s;      /* coalesced last-seen and reported values reach the disk this often */
        int64_t image_keep_s; /* an image that no release names */
        int64_t event_keep_s;
        int64_t firmware_grace_s; /* a finished deployment still entitles to its image this long */
    } fleet;
    struct {
        int level;  /* enum log_level */
        int format; /* enum log_format */
        bool requests;
    } log;
};

extern const struct config_table server_config_table;

/* Loads and checks what no single row can say (one listener at least, certificate and keys given when it serves). */
bool server_config_load(const char *path, struct server_config *ret_config, struct err *err) MUST_USE;
void server_config_free(struct server_config *config); /* fits CLEANUP */

/* "ADDRESS:PORT" or "[ADDRESS]:PORT" taken apart. ERR_CONFIG naming `what`. */
bool server_config_address(const char *text, const char *what, char ret_host[64], uint16_t *ret_port, struct err *err) MUST_USE;

#endif
