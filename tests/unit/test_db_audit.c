/* The audit chain: appended, walked, and every way of tampering seen. */
#include <sqlite3.h>

#include "db/checkpoint.h"
#include "tests/unit/db_fixture.h"

static bool run_append(struct db_conn *tx, void *arg, struct err *err) {
    const struct chain_row row = {.time = NOW, .actor = "token:ab12cd", .action = "device.accept", .object = arg, .detail = "{}", .request_id = "r1"};

    return db_audit_append(tx, &row, err);
}

static void append(struct store *store, const char *object) {
    struct err err;

    assert_ok(WRITE(store, run_append, (void *)(uintptr_t)object, &err), err);
}

static void test_chain(void **state) {
    struct store *store = *state;
    static const uint8_t zero[32];
    struct db_audits page;
    uint8_t hash[32];
    int64_t rows;
    struct err err;

    assert_ok(db_audit_verify(store->reader, &rows, &err), err);
    assert_int_equal(rows, 0);
    append(store, "device:a");
    append(store, "device:b");
    append(store, "device:c");
    assert_ok(db_audit_list(store->reader, &(struct db_audit_filter){.since = 0}, PAGE(2), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 2);
    assert_non_null(page.next);
    assert_int_equal(page.items[0].seq, 1);
    assert_memory_equal(page.items[0].prev_hash, zero, 32);
    assert_memory_equal(page.items[1].prev_hash, page.items[0].hash, 32);
    assert_ok(chain_hash(&page.items[1], hash, &err), err);
    assert_memory_equal(hash, page.items[1].hash, 32);
    assert_ok(db_audit_list(store->reader, &(struct db_audit_filter){.since = 0}, PAGE_AFTER(page.next, 2), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 1);
    assert_string_equal(page.items[0].object, "device:c");
    assert_ok(db_audit_verify(store->reader, &rows, &err), err);
    assert_int_equal(rows, 3);
}

/* The form that the header promises, so that an export can be verified elsewhere: computed here with nothing but SHA-256. */
static void test_hash_form(void **state) {
    struct chain_row row = {.seq = 2, .time = 1800000000, .actor = "system", .action = "a", .object = "o", .detail = "", .request_id = "r"};
    static const char text[] = "1:2,10:1800000000,6:system,1:a,1:o,0:,1:r,";
    uint8_t bytes[32 + sizeof text], expected[32], got[32];
    struct err err;

    (void)state;
    memset(row.prev_hash, 0x5a, 32);
    memset(bytes, 0x5a, 32);
    memcpy(bytes + 32, text, sizeof text);
    assert_ok(hash_sha256(bytes, 32 + sizeof text - 1, expected, &err), err);
    assert_ok(chain_hash(&row, got, &err), err);
    assert_memory_equal(got, expected, 32);
}

static int run_sql(const struct store *store, const char *sql) {
    char path[128];
    sqlite3 *handle;
    int code;

    snprintf(path, sizeof path, "%s/pawl.db", store->folder);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    code = sqlite3_exec(handle, sql, NULL, NULL, NULL);
    sqlite3_close(handle);
    return code;
}

static void test_triggers(void **state) {
    struct store *store = *state;
    int64_t rows;
    struct err err;

    append(store, "device:a");
    assert_int_equal(run_sql(store, "UPDATE audit SET actor = 'me' WHERE seq = 1"), SQLITE_CONSTRAINT);
    assert_int_equal(run_sql(store, "DELETE FROM audit"), SQLITE_CONSTRAINT);
    assert_ok(db_audit_verify(store->reader, &rows, &err), err);
    assert_int_equal(rows, 1);
}

/* Someone drops the triggers first. */
static void test_tampering(void **state) {
    static const char *const attacks[] = {
        "UPDATE audit SET actor = 'token:other' WHERE seq = 2",
        "UPDATE audit SET time = time + 1 WHERE seq = 1",
        "UPDATE audit SET detail = '{ }' WHERE seq = 3",
        "UPDATE audit SET hash = zeroblob(32) WHERE seq = 3",
        "UPDATE audit SET prev_hash = zeroblob(32) WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 1",
        "UPDATE audit SET seq = CASE seq WHEN 2 THEN 30 WHEN 3 THEN 20 ELSE seq END; UPDATE audit SET seq = seq / 10 WHERE seq > 9",
        "INSERT INTO audit SELECT 5, time, actor, action, object, detail, request_id, prev_hash, hash FROM audit WHERE seq = 4",
    };

    for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
        struct store *store;
        int64_t rows;
        struct err err;

        assert_int_equal(store_setup(state), 0);
        store = *state;
        append(store, "device:a");
        append(store, "device:b");
        append(store, "device:c");
        append(store, "device:d");
        assert_int_equal(run_sql(store, "DROP TRIGGER audit_is_not_updated; DROP TRIGGER audit_is_not_deleted"), SQLITE_OK);
        assert_int_equal(run_sql(store, attacks[i]), SQLITE_OK);
        if (db_audit_verify(store->reader, &rows, &err))
            fail_msg("not seen: %s", attacks[i]);
        assert_int_equal(err.code, ERR_INVALID);
        store_teardown(state);
    }
}

static bool run_checkpoint(struct db_conn *tx, void *arg, struct err *err) {
    return db_checkpoint_insert(tx, arg, err);
}

/* A read that fails half-way ends its statement: the connection is not held to that moment. */
static void test_failed_read_lets_go(void **state) {
    struct store *store = *state;
    struct db_checkpoint checkpoint = {.seq = 1, .time = NOW, .key_id = "key", .signature = "signed", .signature_len = 6};
    struct db_product product;
    struct arena none;
    struct err err;

    append(store, "device:a");
    assert_ok(WRITE(store, run_checkpoint, &checkpoint, &err), err);
    arena_init(&none, 0);
    assert_fails(db_checkpoint_last(store->reader, &none, &checkpoint, &err), err, ERR_NO_MEMORY);
    make_product(store, "hub", FLEET_POLICY_LATEST);
    assert_ok(db_product_get(store->reader, "hub", &store->arena, &product, &err), err);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, store_setup, store_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {WITH_STORE(test_chain), cmocka_unit_test(test_hash_form), WITH_STORE(test_triggers),
                                       cmocka_unit_test(test_tampering), WITH_STORE(test_failed_read_lets_go)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
