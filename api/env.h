/* What the handlers work with: made once by server/main.c, the same for every call. */
#ifndef PAWL_API_ENV_H
#define PAWL_API_ENV_H

#include "api/images.h"
#include "api/served.h"
#include "trust/key.h"

struct api_settings {
    int64_t poll_after_s;
    int64_t poll_jitter;      /* percent, either way */
    int64_t image_bytes;      /* greatest upload */
    int64_t firmware_grace_s; /* a finished deployment still entitles to its image this long */
    bool auto_accept;         /* unknown devices with a good certificate become active, not pending */
    int64_t pending_max;
};

struct api_env {
    struct db *db;
    const struct key *timestamp_key;
    const struct key *directive_key;
    struct api_served *served;
    struct api_images *images;
    struct api_settings settings;

    /* The process around it (server/). */
    struct server *server;
    bool (*ready)(struct server *server, struct err *err); /* false: what is missing */
    void (*metrics)(struct server *server, struct db_conn *db, struct buf *out);
    void (*disconnect)(struct server *server, const char *device_id); /* cuts the device's open connections */
};

#endif
