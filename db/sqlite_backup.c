/* The engine's part of a backup: a copy of the database as it was at one moment, made while the writer goes on. */
#include "db/sqlite.h"

enum { STEP_PAGES = 256 };

/* Copies page by page. The open read transaction of `from` keeps its moment; in WAL mode no writer waits for it. */
static bool copy_pages(sqlite3 *from, sqlite3 *to, const struct db_work *work, struct err *err) {
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    bool going = true;
    int code = SQLITE_OK;

    if (!backup)
        return db_sqlite_error(to, "copy", err);
    while (going && code == SQLITE_OK) {
        code = sqlite3_backup_step(backup, STEP_PAGES);
        int total = sqlite3_backup_pagecount(backup);
        going = db_work_step(work, total - sqlite3_backup_remaining(backup), total);
    }
    sqlite3_backup_finish(backup);
    if (!going)
        return err_set(err, ERR_BUSY, "stopped");
    return code == SQLITE_DONE || db_sqlite_error(to, "copy", err);
}

bool db_engine_copy(const char *from, const char *to, int busy_timeout_ms, const struct db_work *work, struct err *err) {
    sqlite3 *source = NULL, *target = NULL;
    bool ok;

    if (!db_sqlite_open(from, SQLITE_OPEN_READWRITE, busy_timeout_ms, &source, err))
        return false;
    ok = db_sqlite_exec(source, "PRAGMA query_only = ON; BEGIN; PRAGMA user_version", from, err);
    if (ok &&
        sqlite3_open_v2(to, &target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL) != SQLITE_OK)
        ok = db_sqlite_error(target, to, err);
    ok = ok && db_sqlite_exec(target, "PRAGMA synchronous = OFF", to, err) && copy_pages(source, target, work, err);
    sqlite3_close(target);
    sqlite3_close(source);
    return ok;
}

/* One row of text that is "ok". */
static bool check(sqlite3 *handle, const char *path, struct err *err) {
    sqlite3_stmt *stmt = NULL;
    bool ok = sqlite3_prepare_v2(handle, "PRAGMA integrity_check(1)", -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW;
    const char *text = ok ? (const char *)sqlite3_column_text(stmt, 0) : NULL;

    if (!ok)
        db_sqlite_error(handle, path, err);
    else if (!text || sqlite3_stricmp(text, "ok") != 0)
        ok = err_set(err, ERR_IO, "database %s is damaged: %.200s", path, text ? text : "no memory");
    sqlite3_finalize(stmt);
    return ok;
}

bool db_engine_seal(const char *path, struct err *err) {
    sqlite3 *handle = NULL;
    bool ok = db_sqlite_open(path, SQLITE_OPEN_READWRITE, 0, &handle, err) && check(handle, path, err) &&
              db_sqlite_exec(handle, "PRAGMA journal_mode = DELETE", path, err);

    sqlite3_close(handle);
    return ok;
}
