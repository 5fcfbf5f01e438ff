/* What must outlive the restore of an older backup: floors, who is out of service, keys and secrets, claims that were spent, what was withdrawn,
 * revoked or halted. */
#ifndef PAWL_DB_CARRY_H
#define PAWL_DB_CARRY_H

#include "db/backup.h"

struct db_carry {
    struct db_conn *from; /* the store that is replaced; NULL: there is none to read */
    const struct db_backup_manifest *manifest;
    int64_t now;
    int64_t devices, tokens, releases; /* set: changed in the restored store */
};

/* A db_write() job on the restored store, before anybody uses it; arg is a struct db_carry. Also writes the audit row and the event "restored". */
bool db_carry_run(struct db_conn *tx, void *arg, struct err *err) MUST_USE;

#endif
