/* A backup made into a store again: verified whole beside the store, then put in its place in one step. */
#ifndef PAWL_DB_RESTORE_H
#define PAWL_DB_RESTORE_H

#include "db/backup.h"

struct db_restore_options {
    const char *folder; /* of the store: missing or empty, unless force */
    const char *file;
    bool force;            /* a store that is there is moved aside to FOLDER.before-restore-<time> */
    bool without_carrying; /* nothing is kept of what it knows, be it readable or not */
    int64_t now;
    const struct db_work *work;
};

struct db_restore_report {
    struct db_backup_manifest manifest;
    const char *kept; /* where the store that was there is now; NULL: there was none */
    bool carried;     /* there was a database, and … */
    int64_t devices;  /* … so many devices kept their higher floor, their revocation or their retirement */
    int64_t tokens;   /* … so many tokens stayed revoked */
    int64_t releases; /* … so many releases stayed withdrawn */
};

/* Everything is checked first: every hash, the database page by page, its schema (ERR_CONFLICT: newer than this program), an image for each row. Only
 * then folders change places, atomically: a run that is killed leaves the old store or the new one, and FOLDER.restore, which the next one removes.
 * ERR_BUSY: a server uses the store. ERR_FORMAT, ERR_HASH, ERR_LENGTH: the file is no backup, or damaged. */
bool db_restore(const struct db_restore_options *options, struct arena *arena, struct db_restore_report *ret_report, struct err *err) MUST_USE;

#endif
