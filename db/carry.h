/* What must outlive the restore of an older backup: floors, who is out of service, secrets, which claims were spent, which releases were withdrawn.
 */
#ifndef PAWL_DB_CARRY_H
#define PAWL_DB_CARRY_H

#include "db/backup.h"

struct db_carry {
    struct db_conn *from; /* the store that is replaced; NULL: there is none to read */
    const struct db_backup_manifest *manifest;
    int64_t now;
    int64_t devices, tokens, claims, releases; /* set: changed in the restored store */
};

/* A db_write() job on the restored store, before anybody uses it; arg is a struct db_carry. Also writes the audit row and the event "restored". */
bool db_carry_run(struct db_conn *tx, void *arg, struct err *err) MUST_USE;

#endif
