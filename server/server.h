/* The process: what main.c makes at start and everything below the route table's handlers shares. */
#ifndef PAWL_SERVER_SERVER_H
#define PAWL_SERVER_SERVER_H

#include <stdatomic.h>

#include "api/env.h"
#include "server/auth.h"
#include "server/config.h"
#include "server/metrics.h"
#include "server/wire.h"

struct server {
    struct server_config config;
    struct api_env env;
    struct api_served served;
    struct db *db;
    struct wire *_Atomic wire; /* NULL until it is started */
    struct api_images *images;
    struct auth_throttle throttle;
    struct metrics metrics;
    struct key *timestamp_key;
    struct key *directive_key;
    int64_t started_at;
    atomic_bool draining;
    atomic_bool store_failed; /* a commit failed: the process ends */
};

#endif
