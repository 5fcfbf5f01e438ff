/* The small tables: tokens, metadata, idempotency keys, events. */
#include "tests/unit/db_fixture.h"

static bool run_token(struct db_conn *tx, void *arg, struct err *err) {
    return db_token_insert(tx, arg, err);
}

static bool run_revoke(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_token_revoke(tx, args->text, args->number, NOW, err);
}

static void test_tokens(void **state) {
    struct store *store = *state;
    struct db_grant grants[] = {{"device:write", "hub"}, {"device:read", ""}, {"device:write", "hub"}};
    struct db_token token = {.id = "ab12",
                             .secret_sha256 = {9},
                             .name = "ci",
                             .created_by = "system",
                             .grant_count = 3,
                             .grants = grants,
                             .created_at = NOW,
                             .expires_at = NOW + 60};
    struct write_args args = {.text = "ab12", .number = 7};
    struct db_token got;
    struct db_tokens page;
    struct err err;

    assert_ok(WRITE(store, run_token, &token, &err), err);
    assert_fails(WRITE(store, run_token, &token, &err), err, ERR_CONFLICT);
    assert_ok(db_token_get(store->reader, "ab12", &store->arena, &got, &err), err);
    assert_int_equal(got.grant_count, 2);
    assert_string_equal(got.grants[0].scope, "device:read");
    assert_memory_equal(got.secret_sha256, token.secret_sha256, 32);
    assert_string_equal(got.created_by, "system");
    assert_int_equal(got.last_used_at, 0);
    /* Pair by pair, never as a union. */
    assert_true(db_token_allows(&got, "device:read", "lamp"));
    assert_true(db_token_allows(&got, "device:read", ""));
    assert_true(db_token_allows(&got, "device:write", "hub"));
    assert_false(db_token_allows(&got, "device:write", "lamp"));
    assert_false(db_token_allows(&got, "device:write", ""));
    assert_false(db_token_allows(&got, "token:admin", "hub"));
    assert_ok(db_token_list(store->reader, PAGE(10), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 1);
    assert_int_equal(page.items[0].grant_count, 2);
    assert_fails(WRITE(store, run_revoke, &args, &err), err, ERR_PRECONDITION);
    args.number = 1;
    assert_ok(WRITE(store, run_revoke, &args, &err), err);
    assert_fails(WRITE(store, run_revoke, &args, &err), err, ERR_CONFLICT);
    assert_ok(db_token_get(store->reader, "ab12", &store->arena, &got, &err), err);
    assert_int_equal(got.revoked_at, NOW);
    args.text = "none";
    assert_fails(WRITE(store, run_revoke, &args, &err), err, ERR_NOT_FOUND);
}

static void test_token_use_is_flushed(void **state) {
    struct store *store = *state;
    struct db_token token = {.id = "ab12", .created_at = NOW, .expires_at = NOW + 60}, got;
    struct err err;

    assert_ok(WRITE(store, run_token, &token, &err), err);
    db_token_used(store->db, "ab12", NOW + 3);
    db_token_used(store->db, "ab12", NOW + 4);
    for (int i = 0; i < 1000; i++) {
        char other[16];

        snprintf(other, sizeof other, "t%d", i); /* more than there is room for */
        db_token_used(store->db, other, NOW);
    }
    db_registry_flush(store->db);
    store_shut(store);
    store_reopen(store);
    assert_ok(db_token_get(store->reader, "ab12", &store->arena, &got, &err), err);
    assert_int_equal(got.last_used_at, NOW + 4);
}

static bool run_metadata(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_metadata_insert(tx, args->text, args->number, args->text2, strlen(args->text2), NOW, err);
}

static void put_metadata(struct store *store, const char *role, int64_t version, const char *data) {
    struct write_args args = {.text = role, .text2 = data, .number = version};
    struct err err;

    assert_ok(WRITE(store, run_metadata, &args, &err), err);
}

static void refuse_metadata(struct store *store, const char *role, int64_t version) {
    struct write_args args = {.text = role, .text2 = "{}", .number = version};
    struct err err;

    assert_fails(WRITE(store, run_metadata, &args, &err), err, ERR_ROLLBACK);
}

static void test_metadata(void **state) {
    struct store *store = *state;
    struct db_metadata got;
    struct err err;

    assert_fails(db_metadata_current(store->reader, "root", &store->arena, &got, &err), err, ERR_NOT_FOUND);
    refuse_metadata(store, "root", 2);
    put_metadata(store, "root", 1, "one");
    put_metadata(store, "root", 2, "two");
    refuse_metadata(store, "root", 2);
    refuse_metadata(store, "root", 4);
    put_metadata(store, "targets", 5, "five");
    refuse_metadata(store, "targets", 5);
    put_metadata(store, "targets", 9, "nine");
    assert_ok(db_metadata_current(store->reader, "root", &store->arena, &got, &err), err);
    assert_int_equal(got.version, 2);
    assert_int_equal(got.len, 3);
    assert_memory_equal(got.data, "two", 3);
    assert_string_equal(got.sha256, "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3");
    assert_true(got.current);
    assert_ok(db_metadata_get(store->reader, "root", 1, &store->arena, &got, &err), err);
    assert_false(got.current);
    assert_ok(db_metadata_get(store->reader, "targets", 5, &store->arena, &got, &err), err);
    assert_fails(db_metadata_get(store->reader, "targets", 6, &store->arena, &got, &err), err, ERR_NOT_FOUND);
    /* Of timestamps only the newest stay. */
    for (int i = 1; i <= 20; i++)
        put_metadata(store, "timestamp", i, "t");
    assert_ok(db_metadata_get(store->reader, "timestamp", 13, &store->arena, &got, &err), err);
    assert_fails(db_metadata_get(store->reader, "timestamp", 12, &store->arena, &got, &err), err, ERR_NOT_FOUND);
}

static bool run_remember(struct db_conn *tx, void *arg, struct err *err) {
    return db_idempotency_insert(tx, arg, err);
}

static bool run_purge(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_idempotency_purge(tx, args->number, args->out, err);
}

static void test_idempotency(void **state) {
    struct store *store = *state;
    struct db_idempotency reply = {.actor = "token:a",
                                   .key = "k1",
                                   .request_sha256 = {3},
                                   .status = 201,
                                   .content_type = "application/json",
                                   .body = "{}",
                                   .body_len = 2,
                                   .created_at = NOW};
    struct db_idempotency got;
    size_t removed;
    struct write_args args = {.number = NOW + 24 * 3600, .out = &removed};
    struct err err;

    assert_ok(WRITE(store, run_remember, &reply, &err), err);
    assert_fails(WRITE(store, run_remember, &reply, &err), err, ERR_CONFLICT);
    reply.actor = "token:b"; /* another actor's key is another key */
    reply.body = NULL;
    assert_ok(WRITE(store, run_remember, &reply, &err), err);
    assert_ok(db_idempotency_get(store->reader, "token:a", "k1", &store->arena, &got, &err), err);
    assert_int_equal(got.status, 201);
    assert_int_equal(got.body_len, 2);
    assert_memory_equal(got.body, "{}", 2);
    assert_string_equal(got.location, "");
    assert_memory_equal(got.request_sha256, reply.request_sha256, 32);
    assert_fails(db_idempotency_get(store->reader, "token:a", "k2", &store->arena, &got, &err), err, ERR_NOT_FOUND);
    assert_ok(WRITE(store, run_purge, &args, &err), err);
    assert_int_equal(removed, 0);
    args.number++;
    assert_ok(WRITE(store, run_purge, &args, &err), err);
    assert_int_equal(removed, 2);
    assert_fails(db_idempotency_get(store->reader, "token:a", "k1", &store->arena, &got, &err), err, ERR_NOT_FOUND);
}

static bool run_event(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_event_insert(tx, args->number, args->text, args->text2, "{}", err);
}

static bool run_event_purge(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_event_purge(tx, args->number, args->out, err);
}

static size_t count_events(struct store *store, struct db_event_filter filter) {
    struct db_events page;
    struct err err;

    assert_ok(db_event_list(store->reader, &filter, PAGE(100), &store->arena, &page, &err), err);
    return page.count;
}

static void test_events(void **state) {
    struct store *store = *state;
    struct write_args first = {.text = "boot", .number = NOW - 100}, second = {.text = "image-missing", .text2 = "d1", .number = NOW};
    struct db_events page;
    struct db_event_filter any = {.kind = NULL};
    size_t removed;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    assert_ok(WRITE(store, run_event, &first, &err), err);
    make_device(store, "d1", "hub", "board");
    assert_ok(WRITE(store, run_event, &second, &err), err);
    assert_ok(db_event_list(store->reader, &any, PAGE(2), &store->arena, &page, &err), err);
    assert_non_null(page.next);
    assert_int_equal(page.items[0].id, 3);
    assert_string_equal(page.items[0].kind, "image-missing");
    assert_string_equal(page.items[0].product, "hub");
    assert_ok(db_event_list(store->reader, &any, PAGE_AFTER(page.next, 2), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 1);
    assert_string_equal(page.items[0].device, "");
    assert_int_equal(count_events(store, (struct db_event_filter){.kind = "boot"}), 1);
    assert_int_equal(count_events(store, (struct db_event_filter){.device = "d1"}), 2);
    assert_int_equal(count_events(store, (struct db_event_filter){.device = "d1", .kind = "registered"}), 1);
    assert_int_equal(count_events(store, (struct db_event_filter){.product = "hub"}), 2);
    assert_int_equal(count_events(store, (struct db_event_filter){.product = "lamp"}), 0);
    first.number = NOW + 1; /* older than tomorrow: all but the newest */
    first.out = &removed;
    assert_ok(WRITE(store, run_event_purge, &first, &err), err);
    assert_int_equal(removed, 2);
    assert_ok(WRITE(store, run_event, &second, &err), err);
    assert_ok(db_event_list(store->reader, &any, PAGE(10), &store->arena, &page, &err), err);
    assert_int_equal(page.items[0].id, 4); /* an id never comes back */
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, store_setup, store_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {WITH_STORE(test_tokens), WITH_STORE(test_token_use_is_flushed), WITH_STORE(test_metadata),
                                       WITH_STORE(test_idempotency), WITH_STORE(test_events)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
