/* The audit: every change a row, chained by SHA-256; the database itself refuses to change or delete one. */
#ifndef PAWL_DB_AUDIT_H
#define PAWL_DB_AUDIT_H

#include "db/db.h"

struct db_audit {
    int64_t seq; /* from 1 up, without gaps */
    int64_t time;
    const char *actor;  /* "token:ab12cd", "device:kitchen-1", "system" */
    const char *action; /* "device.accept" */
    const char *object; /* "device:kitchen-1" */
    const char *detail; /* JSON object as text, or "" */
    const char *request_id;
    uint8_t prev_hash[32]; /* zero for seq 1 */
    uint8_t hash[32];
};

struct db_audits {
    size_t count;
    struct db_audit *items;
    bool more;
};

/* In the transaction of the effect. seq and hashes are set here. */
bool db_audit_append(struct db_conn *tx, const struct db_audit *row, struct err *err) MUST_USE;

/* By seq, ascending; after: the last one of the page before, or 0. */
bool db_audit_list(struct db_conn *conn, int64_t after, size_t limit, struct arena *arena, struct db_audits *ret_page, struct err *err) MUST_USE;

/* SHA-256 of prev_hash (32 bytes) and then of seq, time (decimal), actor, action, object, detail, request_id, each as a netstring
 * "<length>:<bytes>,". */
bool db_audit_hash(const struct db_audit *row, uint8_t ret_hash[32], struct err *err) MUST_USE;

/* Walks the whole chain. ERR_INVALID naming the first row that does not fit. */
bool db_audit_verify(struct db_conn *conn, int64_t *ret_rows, struct err *err) MUST_USE;

#endif
