/* Operators' bearer tokens: the hash of a secret, and what it may do, pair by pair. */
#ifndef PAWL_DB_TOKEN_H
#define PAWL_DB_TOKEN_H

#include "db/db.h"

enum { DB_TOKEN_ID_SIZE = 33 };

struct db_grant {
    const char *scope;   /* "device:read" */
    const char *product; /* "": every product */
};

struct db_token {
    const char *id;
    uint8_t secret_sha256[32];
    uint8_t previous_sha256[32]; /* the secret before, while a rotation's grace lasts … */
    bool has_previous;
    int64_t previous_until; /* … which is until then; 0: never rotated */
    const char *name;       /* for people */
    size_t grant_count;
    struct db_grant *grants; /* sorted by scope, product */
    const char *created_by;  /* an actor, as in the audit */
    int64_t created_at;
    int64_t expires_at;
    int64_t last_used_at; /* 0: never; may be behind by a flush */
    int64_t revoked_at;   /* 0: not */
    int64_t revision;
};

struct db_tokens {
    size_t count;
    struct db_token *items;
    const char *next; /* where the next page begins; NULL: this is the last */
};

/* ERR_NOT_FOUND. Expired and revoked ones are returned too: the caller looks at the times. */
bool db_token_get(struct db_conn *conn, const char *id, struct arena *arena, struct db_token *ret_token, struct err *err) MUST_USE;

/* True when the token has this scope for this product, in one grant. product "": the grant must be for every product. */
bool db_token_allows(const struct db_token *token, const char *scope, const char *product) MUST_USE;

bool db_token_list(struct db_conn *conn, const struct db_list *list, struct arena *arena, struct db_tokens *ret_page, struct err *err) MUST_USE;

/* ERR_CONFLICT: the id exists. revision starts at 1; last_used_at and revoked_at are ignored. */
bool db_token_insert(struct db_conn *tx, const struct db_token *token, struct err *err) MUST_USE;

/* ERR_PRECONDITION when the revision is another (0: whatever it is); ERR_CONFLICT: revoked already. */
bool db_token_revoke(struct db_conn *tx, const char *id, int64_t revision, int64_t now, struct err *err) MUST_USE;

/* Another secret; the present one stays good until previous_until (not in the future: it ends at once). ERR_CONFLICT: revoked. */
bool db_token_rotate(struct db_conn *tx, const char *id, const uint8_t secret_sha256[32], int64_t previous_until, int64_t expires_at,
                     struct err *err) MUST_USE;

/* Notes the use in memory; db_registry_flush() writes it. Any thread. */
void db_token_used(struct db *db, const char *id, int64_t now);

#endif
