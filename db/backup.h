/* A backup is one tar file: pawl.db, images/<sha256> …, manifest.json at the end. It holds every image that a release names; an upload that no
 * release names yet is left out. Keys, certificates and the configuration are not in the store and not in it. */
#ifndef PAWL_DB_BACKUP_H
#define PAWL_DB_BACKUP_H

#include "db/db.h"
#include "db/work.h"

#define DB_BACKUP_DATABASE "pawl.db"
#define DB_BACKUP_IMAGES   "images/"
#define DB_BACKUP_MANIFEST "manifest.json"

enum { DB_BACKUP_FORMAT = 1, DB_BACKUP_MANIFEST_MAX = 1 << 20, DB_BACKUP_MAX_DAMAGED = 1000 };

/* The last file: what must be there. */
struct db_backup_manifest {
    int64_t format;
    const char *program; /* the version that made it */
    int64_t created_at;
    int64_t schema;
    int64_t database_length;
    const char *database_sha256;
    int64_t images;
    int64_t image_bytes;
    size_t damaged_count; /* images that were missing or damaged in the store: their rows are there, their files are not */
    const char **damaged;
};

bool db_backup_manifest_read(struct arena *arena, const void *data, size_t len, struct db_backup_manifest *ret_manifest, struct err *err) MUST_USE;

/* Makes the backup of the store in `folder`, whether or not a server has it open: of one moment, and without keeping its writer waiting. The file
 * appears under its name (mode 0600) when it is complete and on the disk; until then it is FILE.part beside it, which a killed run leaves and the
 * next one replaces. ERR_CONFLICT: the file exists, or the database has another schema than this program's. ERR_BUSY: another backup to the same
 * file is under way, or the work was stopped. Damaged images are left out and named in the manifest, which lives in the arena. */
bool db_backup(const char *folder, const char *file, const char *program, int64_t now, const struct db_work *work, struct arena *arena,
               struct db_backup_manifest *ret_manifest, struct err *err) MUST_USE;

#endif
