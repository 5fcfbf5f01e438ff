/* Webhooks: where events are sent to, and what signs them. */
#ifndef PAWL_DB_WEBHOOK_H
#define PAWL_DB_WEBHOOK_H

#include "db/db.h"

enum { DB_WEBHOOKS_MAX = 100, DB_WEBHOOK_SECRET_SIZE = 32, DB_WEBHOOK_URL_MAX = 2048 };

struct db_webhook {
    const char *id;
    const char *url;
    const char *description;
    const char *product;   /* "": all */
    struct db_texts kinds; /* none: all */
    const char *state;     /* "enabled", "disabled" */
    uint8_t secret[DB_WEBHOOK_SECRET_SIZE];
    const void *old_secret; /* DB_WEBHOOK_SECRET_SIZE bytes that sign as well … */
    int64_t old_until;      /* … until then; 0: there are none */
    int64_t told_at;
    const char *created_by;
    int64_t created_at;
    int64_t revision;
};

struct db_webhooks {
    size_t count;
    struct db_webhook *items;
    const char *next; /* where the next page begins; NULL: this is the last */
};

/* ERR_NOT_FOUND. */
bool db_webhook_get(struct db_conn *conn, const char *id, struct arena *arena, struct db_webhook *ret_webhook, struct err *err) MUST_USE;

bool db_webhook_list(struct db_conn *conn, const struct db_list *list, struct arena *arena, struct db_webhooks *ret_page, struct err *err) MUST_USE;

/* ERR_CONFLICT: there are DB_WEBHOOKS_MAX. */
bool db_webhook_insert(struct db_conn *tx, const struct db_webhook *webhook, struct err *err) MUST_USE;

/* url, description, product, state, kinds. */
bool db_webhook_update(struct db_conn *tx, const struct db_webhook *webhook, struct err *err) MUST_USE;

/* The secret so far signs as well until then. */
bool db_webhook_rotate(struct db_conn *tx, const char *id, const uint8_t secret[DB_WEBHOOK_SECRET_SIZE], int64_t old_until, struct err *err) MUST_USE;

/* With its deliveries. */
bool db_webhook_delete(struct db_conn *tx, const char *id, struct err *err) MUST_USE;

bool db_webhook_told(struct db_conn *tx, const char *id, int64_t now, struct err *err) MUST_USE;

#endif
