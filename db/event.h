/* Events: what happened to the fleet, for people and for webhooks. */
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
};

struct db_event_filter {
    const char *kind;   /* NULL or "": any */
    const char *device; /* NULL or "": any */
    const char *product;
};

/* The product is filled in from the device. */
bool db_event_insert(struct db_conn *tx, int64_t now, const char *kind, const char *device, const char *detail, struct err *err) MUST_USE;

/* About no device, but about a product. */
bool db_event_insert_product(struct db_conn *tx, int64_t now, const char *kind, const char *product, const char *detail, struct err *err) MUST_USE;

/* Newest first; after: id of the last one of the page before, or 0. */
bool db_event_list(struct db_conn *conn, const struct db_event_filter *filter, int64_t after, size_t limit, struct arena *arena,
                   struct db_events *ret_page, struct err *err) MUST_USE;

/* Removes up to 1,000 events older than this time; the newest one stays, so that ids never come back. */
bool db_event_purge(struct db_conn *tx, int64_t before, size_t *ret_removed, struct err *err) MUST_USE;

#endif
