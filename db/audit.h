/* The audit: every change a row, chained by SHA-256; the database itself refuses to change or delete one. */
#ifndef PAWL_DB_AUDIT_H
#define PAWL_DB_AUDIT_H

#include "common/chain.h"
#include "db/db.h"

struct db_audits {
    size_t count;
    struct chain_row *items;
    const char *next; /* where the next page begins; NULL: this is the last */
};

/* NULL or "": any; else the whole text. */
struct db_audit_filter {
    const char *action, *actor, *object;
    int64_t since; /* not older than this; 0: any */
};

/* In the transaction of the effect. seq and hashes are set here. actor: "token:ab12cd", "cert:alice", "device:kitchen-1", "system"; action:
 * "device.accept"; object: "device:kitchen-1"; detail: a JSON object as text, or "". */
bool db_audit_append(struct db_conn *tx, const struct chain_row *row, struct err *err) MUST_USE;

bool db_audit_list(struct db_conn *conn, const struct db_audit_filter *filter, const struct db_list *list, struct arena *arena,
                   struct db_audits *ret_page, struct err *err) MUST_USE;

/* Walks the whole chain. ERR_INVALID naming the first row that does not fit. */
bool db_audit_verify(struct db_conn *conn, int64_t *ret_rows, struct err *err) MUST_USE;

#endif
