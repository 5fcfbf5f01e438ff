/* What an installation can set: one table (server/config.c) is the parser, the sample in config/pawld.conf and the manual. */
#ifndef PAWL_SERVER_CONFIG_H
#define PAWL_SERVER_CONFIG_H

#include "common/config.h"

enum server_config_confirm { SERVER_CONFIRM_VERSION, SERVER_CONFIRM_REPORT };
enum server_config_identity { SERVER_IDENTITY_SAN, SERVER_IDENTITY_CN };

/* One reading of file and environment, immutable; SIGHUP makes another (server/reload.h). Durations in seconds, sizes in bytes. Help and ranges are
 * in the table. */
struct server_config {
    struct {
        char *device; /* "ADDRESS:PORT" (port 0: any free one), or "off" */
        char *enrol;
        char *admin;
        char *proxies;   /* NULL: none; network_list_parse() */
        int64_t workers; /* 0: one for each core */
    } listen;
    struct {
        char *certificate;
        char *key;
        char *device_ca;
        char *device_crl; /* NULL: none */
        char *admin_ca;   /* NULL: administrators are not asked for a certificate */
        char *admin_crl;  /* NULL: none */
        int identity;     /* enum server_config_identity */
        int64_t expiry_warning;
    } tls;
    struct {
        char *certificate_scopes; /* NULL: none */
    } admin;
    struct {
        char *data;
        char *backups; /* NULL: none are made by request */
        int64_t free_min;
    } store;
    struct {
        char *timestamp_key;
        char *directive_key;
        char *next_keys; /* NULL: none */
        char *audit_key;
        int64_t audit_interval; /* seconds */
        char *passphrase_file;
    } trust;
    struct {
        int64_t handshake_timeout, head_timeout, idle_timeout, drain_timeout;
        int64_t body_min_rate, reply_min_rate; /* bytes a second */
        int64_t connections;                   /* over all listeners */
        int64_t connections_per_address, connections_per_device;
        int64_t admin_connections; /* of all, kept for administration */
        int64_t handshakes;
        int64_t downloads, rollout_downloads;        /* 0: any number */
        int64_t download_rate, device_download_rate; /* bytes a second; 0: none */
        int64_t image_bytes;
        int64_t writer_queue;
        int64_t event_streams;
        int64_t auth_failures; /* a minute, from one address */
    } limits;
    struct {
        bool auto_accept;
        int64_t pending_max;
        char *ca_certificate, *ca_key; /* NULL: nothing is issued */
        char *ca_passphrase_file;      /* NULL: that of [trust] */
        char *factory_ca;              /* NULL: none */
        char *factory_crl;             /* NULL: none */
        int factory_identity;          /* enum server_config_identity */
        int64_t lifetime, renew_expired;
        int64_t requests; /* a minute, from one address */
    } enrolment;
    struct {
        int64_t poll_after, poll_jitter; /* seconds, percent */
        int64_t flush;
        int64_t event_keep;
        int64_t firmware_grace;
        int64_t approval_above; /* devices; 0: never */
    } fleet;
    struct {
        bool enabled;
        char *tenants;
        char *part;
        char *public_url; /* NULL: links are built from the Host header */
        char *hosts;      /* NULL: any */
        int confirm;      /* enum server_config_confirm */
        char *version_attribute;
        char *product_attribute;  /* NULL: none */
        char *hardware_attribute; /* NULL: none */
        char *token_listen;
        char *gateway_token_file; /* NULL: none */
    } ddi;
    struct {
        bool enabled, plain_http;
        char *allow;   /* networks beside the public ones; NULL: none */
        char *ca_file; /* NULL: the system's */
        int64_t attempts;
        int64_t retry_first, retry_max, timeout; /* seconds */
    } webhooks;
    struct {
        int level;  /* enum log_level */
        int format; /* enum log_format */
        bool requests;
    } log;
};

extern const struct config_table server_config_table;

/* Loads the file (path NULL: none) and the environment, and checks what no single row can say. */
bool server_config_load(const char *path, struct server_config *ret_config, struct err *err) MUST_USE;

/* What no single row can say. */
bool server_config_check(const struct server_config *config, struct err *err) MUST_USE;
void server_config_free(struct server_config *config); /* fits CLEANUP */

/* "ADDRESS:PORT" or "[ADDRESS]:PORT" taken apart. ERR_CONFIG naming `what`. */
bool server_config_address(const char *text, const char *what, char ret_host[64], uint16_t *ret_port, struct err *err) MUST_USE;

#endif
