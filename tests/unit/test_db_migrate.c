/* The schema: made fresh, left alone, refused when newer, never half. */
#include <sqlite3.h>
#include <sys/stat.h>

#include "db/engine.h"
#include "db/sql.h"
#include "tests/unit/db_fixture.h"

static void database_path(const struct store *store, char path[128]) {
    snprintf(path, 128, "%s/pawl.db", store->folder);
}

static int64_t ask(const struct store *store, const char *sql) {
    char path[128];
    sqlite3 *handle;
    sqlite3_stmt *stmt;
    int64_t result;

    database_path(store, path);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    result = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(handle);
    return result;
}

static void run_sql(const struct store *store, const char *sql) {
    char path[128];
    sqlite3 *handle;

    database_path(store, path);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
    sqlite3_close(handle);
}

static int folder_setup(void **state) {
    struct store *store = calloc(1, sizeof *store);

    temporary_folder(store->folder);
    *state = store;
    return 0;
}

static int folder_teardown(void **state) {
    struct store *store = *state;

    temporary_remove(store->folder);
    free(store);
    return 0;
}

static void test_fresh_then_again(void **state) {
    struct store *store = *state;
    struct db_migrate_report report;
    struct err err;

    assert_ok(db_migrate(store->folder, &report, &err), err);
    assert_int_equal(report.from, 0);
    assert_int_equal(report.to, db_schema_version());
    assert_int_equal(report.to, db_migration_count);
    assert_int_equal(ask(store, "PRAGMA user_version"), db_schema_version());
    assert_ok(db_migrate(store->folder, &report, &err), err);
    assert_int_equal(report.from, db_schema_version());
    /* Every table is STRICT. */
    assert_int_equal(ask(store, "SELECT COUNT(*) FROM pragma_table_list WHERE schema = 'main' AND strict = 0 AND name NOT LIKE 'sqlite_%'"), 0);
    assert_true(ask(store, "SELECT COUNT(*) FROM pragma_table_list WHERE schema = 'main' AND strict = 1") >= 10);
}

static void test_newer_is_refused(void **state) {
    struct store *store = *state;
    struct db_options options = {.folder = store->folder};
    struct db_migrate_report report;
    struct db *db;
    struct err err;

    assert_ok(db_migrate(store->folder, &report, &err), err);
    run_sql(store, "PRAGMA user_version = 9999");
    assert_fails(db_migrate(store->folder, &report, &err), err, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "newer"));
    assert_fails(db_open(&options, &db, &err), err, ERR_CONFLICT);
    assert_int_equal(ask(store, "PRAGMA user_version"), 9999);
}

/* A migration that breaks in the middle (a table is there already) leaves the old schema, all of it. */
static void test_broken_migration_leaves_nothing(void **state) {
    struct store *store = *state;
    struct db_migrate_report report;
    struct err err;

    run_sql(store, "CREATE TABLE metadata (x)");
    assert_false(db_migrate(store->folder, &report, &err));
    assert_non_null(strstr(err.text, "migration 1"));
    assert_int_equal(ask(store, "PRAGMA user_version"), 0);
    assert_int_equal(ask(store, "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table'"), 1);
    run_sql(store, "DROP TABLE metadata");
    assert_ok(db_migrate(store->folder, &report, &err), err);
}

static void test_outdated_can_be_refused(void **state) {
    struct store *store = *state;
    struct db_options options = {.folder = store->folder, .refuse_outdated = true};
    struct db *db;
    struct err err;

    /* A new folder is not an outdated one. */
    assert_ok(db_open(&options, &db, &err), err);
    db_close(db);
    assert_ok(db_open(&options, &db, &err), err);
    db_close(db);
}

static void test_second_process(void **state) {
    struct store *store = *state;
    struct db_options options = {.folder = store->folder};
    struct db_migrate_report report;
    struct db *db, *second;
    struct err err;

    assert_ok(db_open(&options, &db, &err), err);
    assert_fails(db_open(&options, &second, &err), err, ERR_BUSY);
    assert_fails(db_migrate(store->folder, &report, &err), err, ERR_BUSY);
    db_close(db);
    assert_ok(db_open(&options, &db, &err), err);
    db_close(db);
}

static void test_not_a_database(void **state) {
    struct store *store = *state;
    struct db_options options = {.folder = store->folder};
    char path[128];
    struct db *db;
    struct err err;
    FILE *file;

    database_path(store, path);
    file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        fputs("this is not a database, whatever it may be called\n", file);
    fclose(file);
    assert_fails(db_open(&options, &db, &err), err, ERR_IO);
}

static void test_durable_settings(void **state) {
    struct store *store = *state;
    struct db_migrate_report report;
    struct err err;

    assert_ok(db_migrate(store->folder, &report, &err), err);
    assert_int_equal(ask(store, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_fresh_then_again),        IN_FOLDER(test_newer_is_refused), IN_FOLDER(test_broken_migration_leaves_nothing),
        IN_FOLDER(test_outdated_can_be_refused), IN_FOLDER(test_second_process),   IN_FOLDER(test_not_a_database),
        IN_FOLDER(test_durable_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
