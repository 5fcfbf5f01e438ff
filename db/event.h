/* Events: what happened to the fleet, for people and for webhooks. Their kinds are in db/event_kind.h. */
#ifndef PAWL_DB_EVENT_H
#define PAWL_DB_EVENT_H

#include "db/db.h"

struct db_event {
    int64_t id;
    int64_t time;
    const char *kind;    /* kebab-case: "rolled-back", "identity-mismatch", "image-missing" … */
    const char *device;  /* "": about none */
    const char *product; /* the device's when it happened; "": none */
    const char *detail;  /* JSON object as text, or "" */
};

struct db_events {
    size_t count;
    struct db_event *items;
    bool more;
    const char *next; /* of a list: where the next page begins */
};

struct db_event_filter {
    const char *kind;   /* NULL or "": any */
    const char *device; /* NULL or "": any */
    const char *product;
    int64_t since; /* not older than this; 0: any */
};

struct db_event_new {
    int64_t time;
    const char *kind;
    const char *device;  /* NULL or "": none */
    const char *product; /* NULL or "": the device's */
    const char *detail;  /* NULL: "" */
};

/* With the deliveries to every webhook that wants it, in the same transaction. ret_id may be NULL. */
bool db_event_add(struct db_conn *tx, const struct db_event_new *event, int64_t *ret_id, struct err *err) MUST_USE;

/* The same for what is about one device, or about none and no product. */
bool db_event_insert(struct db_conn *tx, int64_t now, const char *kind, const char *device, const char *detail, struct err *err) MUST_USE;

/* About no device, but about a product. */
bool db_event_insert_product(struct db_conn *tx, int64_t now, const char *kind, const char *product, const char *detail, struct err *err) MUST_USE;

/* Called on the writer thread after the COMMIT of every transaction that added events. Set once, before anything is served. */
void db_event_listen(struct db *db, void (*told)(void *context), void *context);

bool db_event_get(struct db_conn *conn, int64_t id, struct arena *arena, struct db_event *ret_event, struct err *err) MUST_USE;

bool db_event_list(struct db_conn *conn, const struct db_event_filter *filter, const struct db_list *list, struct arena *arena,
                   struct db_events *ret_page, struct err *err) MUST_USE;

/* In the order of a stream, from behind this id on; unfiltered. */
bool db_event_after(struct db_conn *conn, int64_t after, size_t limit, struct arena *arena, struct db_events *ret_page, struct err *err) MUST_USE;

/* The newest one's id; 0: there is none. */
bool db_event_newest(struct db_conn *conn, int64_t *ret_id, struct err *err) MUST_USE;

/* Removes up to 1,000 events older than this time; the newest one stays, so that ids never come back, and what a webhook has yet to get. */
bool db_event_purge(struct db_conn *tx, int64_t before, size_t *ret_removed, struct err *err) MUST_USE;

#endif
