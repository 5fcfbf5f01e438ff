/* The process: what main.c makes at start and everything below the route table's handlers shares. */
#ifndef PAWL_SERVER_SERVER_H
#define PAWL_SERVER_SERVER_H

#include <stdatomic.h>

#include "api/env.h"
#include "db/scrub.h"
#include "db/token.h"
#include "server/auth.h"
#include "server/client_token.h"
#include "server/config.h"
#include "server/metrics.h"
#include "server/wire.h"
#include "trust/checkpoint.h"

enum { SERVER_NEXT_KEYS = 64, SERVER_ISSUERS = 16 };

/* What expiry.c read last. */
struct server_expiry {
    pthread_mutex_t lock;
    int64_t read_at_ms; /* 0: never */
    size_t count;
    struct api_expiry items[API_EXPIRIES_CERTIFICATES];
};

/* Of checkpoints.c. The writer fills `made` while busy. */
struct server_checkpoints {
    struct key *key;          /* the audit key */
    atomic_bool busy;         /* a job is with the writer */
    bool whole;               /* that job covers the audit's head, not only full hundreds */
    int64_t waiting_since_ms; /* there have been rows that no checkpoint covers; 0: none */
    int64_t waiting_covered;  /* the last row that one covered then */
    size_t made_count;
    struct checkpoint made[65];
};

/* Of backups.c. */
enum { BACKUP_NAME_SIZE = 48 };

struct server_backups {
    pthread_mutex_t lock; /* guards what follows, but the atomics */
    pthread_t thread;
    bool has_thread, running, failed;
    char name[BACKUP_NAME_SIZE]; /* of the newest since the start; "": none */
    int64_t created_at;
    char error[ERR_TEXT_SIZE];
    _Atomic int64_t done, total; /* bytes */
    atomic_bool stop;
};

/* What the last scrub said. */
struct server_scrub {
    _Atomic int64_t at; /* UTC seconds; 0: none since the start */
    _Atomic int64_t images;
    _Atomic int64_t faults[DB_SCRUB_FAULT_COUNT];
};

/* Of rollouts.c. */
struct server_rollouts {
    pthread_t thread;
    bool started;
    struct db_conn *reader; /* that thread's */
};

struct server {
    struct server_config config;              /* of the start: for what a reload does not change */
    const struct server_config *_Atomic live; /* the newest: for what it does */
    const char *config_file;                  /* NULL: the usual one, or none */
    struct reload *reloads;                   /* the newest first */
    struct api_env env;
    struct api_served served;
    struct db *db;
    struct wire *_Atomic wire; /* NULL until it is started, and when it is being stopped */
    pthread_mutex_t wire_lock; /* held by the writer's thread, which outlives the wire, while it uses it */
    struct api_images *images;
    struct api_streams streams;
    struct network_list webhook_networks;
    struct deliveries *_Atomic deliveries;             /* NULL: webhooks are off */
    struct auth_throttle throttle;                     /* failed attempts */
    struct auth_throttle enrolments;                   /* requests */
    const struct db_token *_Atomic certificate_grants; /* what an administrator's certificate may do */
    struct db_token first_grants;                      /* … at the start; in the arena */
    struct arena arena;                                /* as long as the process */
    struct metrics metrics;
    struct server_expiry expiry;
    struct db_conn *main_reader; /* the main thread's */
    struct server_checkpoints checkpoints;
    struct server_scrub scrub;
    struct server_backups backups;
    struct server_rollouts rollouts;
    struct key *timestamp_key; /* the online keys at start … */
    struct key *directive_key;
    struct api_online online;                /* … and those in use */
    struct key *next_keys[SERVER_NEXT_KEYS]; /* found since, for new roots; the writer's */
    size_t next_key_count;
    struct api_issuing issuing;
    struct certs_issuer *issuers[SERVER_ISSUERS]; /* loaded since the start, the newest last: a certificate may be on its way with any of them */
    size_t issuer_count;
    struct client_token_gateway gateway;
    int64_t started_at;
    atomic_bool draining;
    atomic_bool purge_again;  /* old rows are left */
    atomic_bool expiry_again; /* more devices' certificates are to be told of */
    atomic_bool store_failed; /* a commit failed: the process ends */
};

#endif
