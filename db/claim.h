/* Claims: the hash of a one-time secret that lets one device, or one new device of a product, enrol. */
#ifndef PAWL_DB_CLAIM_H
#define PAWL_DB_CLAIM_H

#include "db/db.h"

enum { DB_CLAIM_ID_SIZE = 33 };

struct db_claim {
    const char *id;
    uint8_t secret_sha256[32];
    const char *device;  /* the id that may enrol; "": see product */
    const char *product; /* whose new device may; "": see device */
    const char *note;
    const char *created_by; /* an actor, as in the audit */
    int64_t created_at;
    int64_t expires_at;
    int64_t revoked_at; /* 0: not */
    int64_t spent_at;   /* 0: not */
    uint8_t spent_key[DB_PIN_SIZE];
    const char *spent_device; /* "": not spent */
    int64_t revision;
};

struct db_claims {
    size_t count;
    struct db_claim *items;
    const char *next; /* where the next page begins; NULL: this is the last */
};

/* NULL or "" is "any". */
struct db_claim_filter {
    const char *device;
    const char *product;
};

/* ERR_NOT_FOUND. Spent, expired and revoked ones are returned too: the caller looks at the times. */
bool db_claim_get(struct db_conn *conn, const char *id, struct arena *arena, struct db_claim *ret_claim, struct err *err) MUST_USE;

bool db_claim_list(struct db_conn *conn, const struct db_claim_filter *filter, const struct db_list *list, struct arena *arena,
                   struct db_claims *ret_page, struct err *err) MUST_USE;

/* ERR_CONFLICT: the id exists. ERR_NOT_FOUND: the product does not. revision starts at 1; what says revoked or spent is ignored. */
bool db_claim_insert(struct db_conn *tx, const struct db_claim *claim, struct err *err) MUST_USE;

/* ERR_CONFLICT: revoked already. */
bool db_claim_revoke(struct db_conn *tx, const char *id, int64_t now, struct err *err) MUST_USE;

/* For this device and key alone, for ever. ERR_CONFLICT: spent already. */
bool db_claim_spend(struct db_conn *tx, const char *id, const char *device, const uint8_t spki_sha256[DB_PIN_SIZE], int64_t now,
                    struct err *err) MUST_USE;

/* Removes up to 1,000 that expired before this time. */
bool db_claim_purge(struct db_conn *tx, int64_t before, size_t *ret_removed, struct err *err) MUST_USE;

#endif
