/* Certificates that were issued to devices. A row is durable before its device sees the certificate. */
#ifndef PAWL_DB_CERTIFICATE_H
#define PAWL_DB_CERTIFICATE_H

#include "db/db.h"

struct db_certificate {
    int64_t id;         /* from 1 up */
    const char *serial; /* lower-case hex */
    const char *device;
    const char *product; /* the device's; "": unknown. Not written */
    uint8_t spki_sha256[DB_PIN_SIZE];
    uint8_t issuer_sha256[DB_PIN_SIZE]; /* of the issuing CA's public key */
    const char *way;                    /* what entitled the device to it: "claim", "factory", "accepted", "renewal" */
    const void *data;                   /* DER */
    size_t data_len;
    int64_t not_before;
    int64_t not_after;
    int64_t issued_at;
    int64_t revoked_at; /* 0: not */
};

struct db_certificates {
    size_t count;
    struct db_certificate *items;
    const char *next; /* where the next page begins; NULL: this is the last */
};

/* NULL, "" and 0 are "any". */
struct db_certificate_filter {
    const char *device;
    const char *product;
    int64_t expires_before; /* not_after is less */
    bool in_use;            /* only the newest one of each active device */
};

/* ERR_NOT_FOUND. */
bool db_certificate_get(struct db_conn *conn, const char *serial, struct arena *arena, struct db_certificate *ret_certificate,
                        struct err *err) MUST_USE;

/* The newest one of this device with this key. ERR_NOT_FOUND. */
bool db_certificate_newest(struct db_conn *conn, const char *device, const uint8_t spki_sha256[DB_PIN_SIZE], struct arena *arena,
                           struct db_certificate *ret_certificate, struct err *err) MUST_USE;

bool db_certificate_list(struct db_conn *conn, const struct db_certificate_filter *filter, const struct db_list *list, struct arena *arena,
                         struct db_certificates *ret_page, struct err *err) MUST_USE;

/* id, product and revoked_at are ignored. ERR_CONFLICT: the serial exists. */
bool db_certificate_insert(struct db_conn *tx, const struct db_certificate *certificate, struct err *err) MUST_USE;

/* ERR_CONFLICT: it is revoked already. */
bool db_certificate_revoke(struct db_conn *tx, const char *serial, int64_t now, struct err *err) MUST_USE;

/* How many a device was issued at this time or later. */
bool db_certificate_count(struct db_conn *conn, const char *device, int64_t since, int64_t *ret_count, struct err *err) MUST_USE;

/* Removes up to 1,000 that ended before this time, but never the newest one of a device. */
bool db_certificate_purge(struct db_conn *tx, int64_t before, size_t *ret_removed, struct err *err) MUST_USE;

#endif
