/* What the handlers work with: made once by server/main.c, the same for every call. */
#ifndef PAWL_API_ENV_H
#define PAWL_API_ENV_H

#include <stdatomic.h>

#include "api/backup.h"
#include "api/images.h"
#include "api/served.h"
#include "certs/issue.h"
#include "common/network.h"
#include "trust/key.h"

/* Of existing clients; NULL: not set. */
struct api_ddi_settings {
    bool enabled;
    bool confirm_by_report;        /* closed/success is enough; else the version must agree */
    const char *tenants;           /* names, separated by spaces */
    const char *part;              /* of every chunk */
    const char *public_url;        /* what links begin with; NULL: as the client's Host says */
    const char *hosts;             /* which it may say, separated by spaces; NULL: any */
    const char *version_attribute; /* of configData */
    const char *product_attribute;
    const char *hardware_attribute;
};

/* Where events may be sent to. */
struct api_webhook_settings {
    bool enabled;
    bool plain_http;                    /* http:// as well */
    const struct network_list *allowed; /* beside public addresses */
};

struct api_settings {
    _Atomic int64_t poll_after_s;
    _Atomic int64_t poll_jitter;      /* percent, either way */
    _Atomic int64_t image_bytes;      /* greatest upload */
    _Atomic int64_t firmware_grace_s; /* a finished deployment still entitles to its image this long */
    _Atomic bool auto_accept;         /* unknown devices with a good certificate become active, not pending */
    _Atomic int64_t pending_max;
    _Atomic int64_t approval_above;         /* a rollout to more devices needs a second actor's approval; 0: none does */
    _Atomic int64_t expiry_warning_s;       /* a certificate that ends sooner is told of */
    _Atomic int64_t certificate_lifetime_s; /* of those issued here */
    _Atomic int64_t renew_expired_s;        /* how long after its expiry a certificate may still be renewed */
    struct api_ddi_settings ddi;            /* as at the start */
    struct api_webhook_settings webhooks;   /* as at the start */
};

/* The online keys in use: the ones that the newest root names. A new root changes them while every thread goes on; no key ends before the process. */
struct api_online {
    _Atomic(const struct key *) timestamp;
    _Atomic(const struct key *) directive;
};

/* The CA that issues, in use: SIGHUP may bring another. NULL: this server only verifies. */
struct api_issuing {
    _Atomic(const struct certs_issuer *) issuer;
};

/* Something that stops working at a known time. */
struct api_expiry {
    const char *what; /* "root", "certificate:server" */
    int64_t expires_at;
};

/* Event streams that are open, over all workers. */
struct api_streams {
    atomic_int open;
    int max;
};

enum { API_EXPIRIES_CERTIFICATES = 6 };

struct api_env {
    struct db *db;
    struct api_online *online;
    struct api_issuing *issuing;
    struct api_served *served;
    struct api_images *images;
    struct api_streams *streams;
    struct api_settings settings;

    /* The process around it (server/). */
    struct server *server;
    bool (*find_key)(struct server *server, const struct signers *signers, const struct key **ret_key, struct err *err); /* on the writer: ERR_KEY */
    /* Those of the configured files that can be read; how many. */
    size_t (*certificates)(struct server *server, struct api_expiry ret_expiries[API_EXPIRIES_CERTIFICATES]);
    bool (*ready)(struct server *server, int64_t *ret_free_bytes, struct err *err); /* false: what is missing; else what is free for the store */
    bool (*backup_start)(struct server *server, struct arena *arena, int64_t now, struct api_backup *ret_backup, struct err *err);
    bool (*backups)(struct server *server, struct arena *arena, struct api_backups *ret_backups, struct err *err);
    void (*metrics)(struct server *server, struct db_conn *db, struct buf *out);
    bool (*device_authorities)(struct server *server, struct buf *out, struct err *err); /* PKCS#7, base64 in lines */
    bool (*failed_attempt)(struct server *server, const char *address, int64_t now);     /* counted; true: there were too many */
    void (*disconnect)(struct server *server, const char *device_id);                    /* cuts the device's open connections */
    bool (*still_allowed)(struct api_call *call);                                        /* see api_still_allowed() */
    void (*wake_streams)(struct server *server);                                         /* each is asked for its next piece */
};

#endif
