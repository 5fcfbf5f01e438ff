/* What existing clients (DDI) need beside the registry and the deployments: attributes, fetched actions, closing answers, logs, tokens. */
#ifndef PAWL_DB_DDI_H
#define PAWL_DB_DDI_H

#include "db/deployment.h"
#include "fleet/ddi.h"

struct db_ddi_device {
    bool client;            /* its last poll was one of DDI */
    bool configured;        /* its attributes are not wanted now */
    int64_t configured_at;  /* 0: never */
    const char *attributes; /* a JSON object as text */
    bool has_token;
    uint8_t token_sha256[32];
};

/* A device that has never spoken DDI is one with nothing known. */
bool db_ddi_device_get(struct db_conn *conn, const char *device, struct arena *arena, struct db_ddi_device *ret_device, struct err *err) MUST_USE;

/* Notes by which protocol the device polls now. */
bool db_ddi_device_client(struct db_conn *tx, const char *device, bool ddi, struct err *err) MUST_USE;

/* Its attributes are asked for at its next poll. */
bool db_ddi_device_ask(struct db_conn *tx, const char *device, struct err *err) MUST_USE;

/* token_sha256 NULL: it has none any more. */
bool db_ddi_device_token(struct db_conn *tx, const char *device, const uint8_t token_sha256[32], struct err *err) MUST_USE;

/* What a device said of itself. NULL: not said, or no attribute is configured for it. */
struct db_ddi_attributes {
    const char *json; /* all of them, an object as text */
    const char *product;
    const char *hardware;
    const char *version;
};

/* Kept; what is empty in the registry is filled, the version looked up exactly among the product's releases (unknown: the installed sequence is
 * unknown), and a deployment whose success was told is confirmed when it is the one that runs. No longer wanted. */
bool db_ddi_device_configure(struct db_conn *tx, const char *device, const struct db_ddi_attributes *attributes, int64_t now,
                             struct err *err) MUST_USE;

/* The client has read the deployment: a cancel must ask it from now on. */
bool db_ddi_action_fetched(struct db_conn *tx, const char *device, int64_t deployment, int64_t now, struct err *err) MUST_USE;

/* A client that cannot be asked to stop works on the deployment: it may have a log. */
bool db_ddi_action_known(struct db_conn *tx, int64_t deployment, struct err *err) MUST_USE;

/* The device came back with the version of its open deployment: that is noted, and the deployment confirmed where the state table lets it. */
bool db_ddi_arrived(struct db_conn *tx, const char *device, const struct db_observation *seen, int64_t now, struct err *err) MUST_USE;

/* The deployment becomes `cancelling`: what the client answered to an earlier cancel does not count. For db/deployment*.c. */
bool db_ddi_cancelling(struct db_conn *tx, int64_t deployment, struct err *err) MUST_USE;

/* One feedback, read. */
struct db_ddi_feedback {
    int64_t deployment;
    bool cancel; /* it answers a cancel */
    enum fleet_ddi_execution execution;
    enum fleet_ddi_finished finished;
    int64_t progress_count; /* of progress_of; -1: not said */
    int64_t progress_of;
    int64_t code; /* -1: not said */
    struct db_texts details;
    bool confirms; /* closed/success confirms by itself ([ddi] confirm = report); else the version must agree */
};

/* In one transaction: log, state, floor, quarantine, events. ERR_NOT_FOUND: no such deployment of this device, or one it cannot know, or (answers to
 * a cancel) none that is being cancelled. ERR_GONE: it is closed otherwise; what a late success means for the floor is written all the same. */
bool db_ddi_feedback(struct db_conn *tx, const char *device, const struct db_ddi_feedback *feedback, int64_t now, enum fleet_ddi_verdict *ret_verdict,
                     struct err *err) MUST_USE;

/* An entry of an action's log: at most 1,000 and 1 MiB are kept; the oldest progress goes first, answers stay. */
enum { DB_DDI_LOG_ENTRIES = 1000, DB_DDI_LOG_BYTES = 1 << 20, DB_DDI_DETAILS = 64, DB_DDI_DETAIL_BYTES = 2048 };

struct db_ddi_entry {
    int64_t seq;
    int64_t time;
    const char *execution;
    const char *finished;
    bool cancel;
    int64_t progress_count; /* -1: not said */
    int64_t progress_of;
    int64_t code;        /* -1: not said */
    const char *details; /* a JSON array of texts */
};

struct db_ddi_entries {
    size_t count;
    struct db_ddi_entry *items;
    const char *next; /* where the next page begins; NULL: this is the last */
};

bool db_ddi_log_list(struct db_conn *conn, int64_t deployment, const struct db_list *list, struct arena *arena, struct db_ddi_entries *ret_page,
                     struct err *err) MUST_USE;

#endif
