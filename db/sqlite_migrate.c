#include "db/sqlite.h"

static bool user_version(sqlite3 *handle, int *ret_version, struct err *err) {
    sqlite3_stmt *stmt = NULL;
    bool ok = sqlite3_prepare_v2(handle, "PRAGMA user_version", -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW;

    if (ok)
        *ret_version = sqlite3_column_int(stmt, 0);
    else
        db_sqlite_error(handle, "version", err);
    sqlite3_finalize(stmt);
    return ok;
}

static bool apply(sqlite3 *handle, const struct db_migration *migration, struct err *err) {
    char version[48];

    sqlite3_snprintf(sizeof version, version, "PRAGMA user_version = %d", migration->number);
    if (!db_sqlite_exec(handle, "BEGIN IMMEDIATE", migration->name, err))
        return false;
    if (db_sqlite_exec(handle, migration->sql, migration->name, err) && db_sqlite_exec(handle, version, migration->name, err) &&
        db_sqlite_exec(handle, "COMMIT", migration->name, err))
        return true;
    if (!sqlite3_get_autocommit(handle))
        sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
    return err_prefix(err, "migration %d", migration->number);
}

static bool migrate(sqlite3 *handle, const char *path, bool only_check, int *ret_from, struct err *err) {
    int from;

    if (!user_version(handle, &from, err))
        return false;
    if (from > db_schema_version())
        return err_set(err, ERR_CONFLICT, "database %s has schema %d, this program knows up to %d: it was made by a newer version", path, from,
                       db_schema_version());
    if (only_check && from != 0 && from < db_schema_version())
        return err_set(err, ERR_CONFLICT, "database %s has schema %d, this program needs %d: run pawld migrate", path, from, db_schema_version());
    for (size_t i = 0; i < db_migration_count; i++)
        if (db_migrations[i].number > from && !apply(handle, &db_migrations[i], err))
            return false;
    *ret_from = from;
    return true;
}

bool db_engine_migrate(const char *path, int busy_timeout_ms, bool only_check, int *ret_from, struct err *err) {
    sqlite3 *handle;
    bool ok;

    if (!db_sqlite_open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, busy_timeout_ms, &handle, err))
        return false;
    ok = migrate(handle, path, only_check, ret_from, err);
    sqlite3_close(handle);
    return ok;
}

int db_schema_version(void) {
    return db_migration_count ? db_migrations[db_migration_count - 1].number : 0;
}
