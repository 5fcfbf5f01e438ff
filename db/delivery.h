/* Deliveries: the persistent queue of what webhooks have yet to get, and the log of what they got. */
#ifndef PAWL_DB_DELIVERY_H
#define PAWL_DB_DELIVERY_H

#include "db/db.h"

enum { DB_DELIVERY_WAITING_MAX = 100000, DB_DELIVERY_ERROR_MAX = 200 };

struct db_delivery {
    const char *webhook;
    int64_t event;
    const char *state; /* "waiting", "delivered", "dead" */
    int64_t attempts;
    int64_t next_at; /* not tried before then */
    int64_t created_at;
    int64_t last_at;   /* 0: never tried */
    int64_t status;    /* HTTP, of the last attempt; 0: no answer */
    const char *error; /* of the last attempt; "": none */
};

struct db_deliveries {
    size_t count;
    struct db_delivery *items;
    const char *next; /* where the next page begins; NULL: this is the last */
};

/* The newest event, for every webhook that wants it. Called by db_event_add(). */
bool db_delivery_fan_out(struct db_conn *tx, const char *kind, const char *product, int64_t now, struct err *err) MUST_USE;

/* The newest event, for this webhook. */
bool db_delivery_add(struct db_conn *tx, const char *webhook, int64_t now, struct err *err) MUST_USE;

/* ERR_NOT_FOUND. */
bool db_delivery_get(struct db_conn *conn, const char *webhook, int64_t event, struct arena *arena, struct db_delivery *ret_delivery,
                     struct err *err) MUST_USE;

/* state NULL or "": any. */
bool db_delivery_list(struct db_conn *conn, const char *webhook, const char *state, const struct db_list *list, struct arena *arena,
                      struct db_deliveries *ret_page, struct err *err) MUST_USE;

/* The one of this webhook whose turn it is. *ret_due false: none. */
bool db_delivery_due(struct db_conn *conn, const char *webhook, int64_t now, struct arena *arena, bool *ret_due, struct db_delivery *ret_delivery,
                     struct err *err) MUST_USE;

/* What became of an attempt. One that is not waiting any more (the webhook was deleted) stays as it is. */
struct db_delivery_outcome {
    const char *webhook;
    int64_t event;
    const char *state;
    int64_t next_at, at;
    int64_t status; /* 0: no answer */
    const char *error;
};
bool db_delivery_outcome(struct db_conn *tx, const struct db_delivery_outcome *outcome, struct err *err) MUST_USE;

/* From the beginning. ERR_CONFLICT: it waits already. */
bool db_delivery_retry(struct db_conn *tx, const char *webhook, int64_t event, int64_t now, struct err *err) MUST_USE;

/* Up to 1,000 rows each: those that are over and older than this go, and the oldest that wait beyond DB_DELIVERY_WAITING_MAX of a webhook are dead.
 * *ret_changed: rows; call again when it is not 0. */
bool db_delivery_purge(struct db_conn *tx, int64_t before, size_t *ret_changed, struct err *err) MUST_USE;

struct db_delivery_counts {
    int64_t waiting, delivered, dead;
};
bool db_delivery_count(struct db_conn *conn, struct db_delivery_counts *ret_counts, struct err *err) MUST_USE;

#endif
