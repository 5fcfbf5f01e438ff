/* Claims and issued certificates. */
#include "db/certificate.h"
#include "db/claim.h"
#include "tests/unit/db_fixture.h"

static bool run_claim(struct db_conn *tx, void *arg, struct err *err) {
    return db_claim_insert(tx, arg, err);
}

static bool run_claim_revoke(struct db_conn *tx, void *arg, struct err *err) {
    return db_claim_revoke(tx, arg, NOW + 9, err);
}

static bool run_spend(struct db_conn *tx, void *arg, struct err *err) {
    return db_claim_spend(tx, arg, "dev-1", (const uint8_t[DB_PIN_SIZE]){7}, NOW + 5, err);
}

static void test_claims(void **state) {
    struct store *store = *state;
    struct db_claim claim = {.id = "ab12",
                             .secret_sha256 = {9},
                             .device = "dev-1",
                             .product = "",
                             .note = "n",
                             .created_by = "system",
                             .created_at = NOW,
                             .expires_at = NOW + 60};
    struct db_claim other = claim, got, of_product = {.id = "x", .product = "hub", .note = "", .created_by = ""};
    struct db_claim_filter any = {.device = NULL}, second = {.device = "dev-2"};
    struct db_claims page;
    struct err err;

    assert_ok(WRITE(store, run_claim, &claim, &err), err);
    assert_fails(WRITE(store, run_claim, &claim, &err), err, ERR_CONFLICT);
    other.id = "cd34";
    assert_fails(WRITE(store, run_claim, &of_product, &err), err, ERR_NOT_FOUND);
    assert_ok(db_claim_get(store->reader, "ab12", &store->arena, &got, &err), err);
    assert_string_equal(got.device, "dev-1");
    assert_string_equal(got.product, "");
    assert_memory_equal(got.secret_sha256, claim.secret_sha256, 32);
    assert_int_equal(got.spent_at, 0);
    assert_int_equal(got.revision, 1);

    assert_ok(WRITE(store, run_spend, (void *)"ab12", &err), err);
    assert_fails(WRITE(store, run_spend, (void *)"ab12", &err), err, ERR_CONFLICT);
    assert_ok(db_claim_get(store->reader, "ab12", &store->arena, &got, &err), err);
    assert_int_equal(got.spent_at, NOW + 5);
    assert_string_equal(got.spent_device, "dev-1");
    assert_int_equal(got.spent_key[0], 7);
    assert_int_equal(got.revision, 2);

    other.device = "dev-2";
    assert_ok(WRITE(store, run_claim, &other, &err), err);
    assert_ok(WRITE(store, run_claim_revoke, (void *)"cd34", &err), err);
    assert_fails(WRITE(store, run_claim_revoke, (void *)"cd34", &err), err, ERR_CONFLICT);
    assert_ok(db_claim_list(store->reader, &any, PAGE(1), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 1);
    assert_non_null(page.next);
    assert_ok(db_claim_list(store->reader, &second, PAGE(10), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 1);
    assert_int_equal(page.items[0].revoked_at, NOW + 9);
}

static bool run_certificate(struct db_conn *tx, void *arg, struct err *err) {
    return db_certificate_insert(tx, arg, err);
}

static void issue(struct store *store, const char *serial, const char *device, uint8_t key, int64_t not_after) {
    struct db_certificate row = {.serial = serial,
                                 .device = device,
                                 .spki_sha256 = {key},
                                 .issuer_sha256 = {1},
                                 .way = "claim",
                                 .data = "der",
                                 .data_len = 3,
                                 .not_before = NOW,
                                 .not_after = not_after,
                                 .issued_at = NOW};
    struct err err;

    assert_ok(WRITE(store, run_certificate, &row, &err), err);
    assert_fails(WRITE(store, run_certificate, &row, &err), err, ERR_CONFLICT);
}

static size_t count(struct store *store, struct db_certificate_filter filter) {
    struct db_certificates page;
    struct err err;

    assert_ok(db_certificate_list(store->reader, &filter, PAGE(10), &store->arena, &page, &err), err);
    return page.count;
}

static void test_certificates(void **state) {
    struct store *store = *state;
    struct db_certificate got;
    struct db_certificates page;
    struct db_certificate_filter any = {.device = NULL};
    const uint8_t first_key[DB_PIN_SIZE] = {1};
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "dev-1", "hub", "board");
    make_device(store, "dev-2", "hub", "board");
    issue(store, "01", "dev-1", 1, NOW + 10);
    issue(store, "02", "dev-1", 2, NOW + 30);
    issue(store, "03", "dev-1", 1, NOW + 40);
    issue(store, "04", "dev-2", 4, NOW + 20);

    assert_ok(db_certificate_get(store->reader, "02", &store->arena, &got, &err), err);
    assert_string_equal(got.device, "dev-1");
    assert_string_equal(got.product, "hub");
    assert_string_equal(got.way, "claim");
    assert_int_equal(got.data_len, 3);
    assert_memory_equal(got.data, "der", 3);
    assert_fails(db_certificate_get(store->reader, "05", &store->arena, &got, &err), err, ERR_NOT_FOUND);
    assert_ok(db_certificate_newest(store->reader, "dev-1", first_key, &store->arena, &got, &err), err);
    assert_string_equal(got.serial, "03");
    assert_fails(db_certificate_newest(store->reader, "dev-2", first_key, &store->arena, &got, &err), err, ERR_NOT_FOUND);

    assert_int_equal(count(store, (struct db_certificate_filter){0}), 4);
    assert_int_equal(count(store, (struct db_certificate_filter){.device = "dev-1"}), 3);
    assert_int_equal(count(store, (struct db_certificate_filter){.product = "lamp"}), 0);
    assert_int_equal(count(store, (struct db_certificate_filter){.expires_before = NOW + 20}), 1);
    assert_int_equal(count(store, (struct db_certificate_filter){.in_use = true}), 2);
    assert_int_equal(count(store, (struct db_certificate_filter){.device = "dev-1", .in_use = true, .expires_before = NOW + 40}), 0);
    assert_int_equal(count(store, (struct db_certificate_filter){.device = "dev-1", .in_use = true, .expires_before = NOW + 41}), 1);
    assert_ok(db_certificate_list(store->reader, &any, PAGE_AFTER("issued_at/2", 1), &store->arena, &page, &err), err);
    assert_string_equal(page.items[0].serial, "03");
    assert_non_null(page.next);
}

static bool run_purge(struct db_conn *tx, void *arg, struct err *err) {
    size_t *removed = arg;

    return db_certificate_purge(tx, NOW + 35, &removed[0], err) && db_claim_purge(tx, NOW + 35, &removed[1], err);
}

static void test_purge(void **state) {
    struct store *store = *state;
    struct db_claim old = {.id = "old", .device = "d", .product = "", .note = "", .created_by = "", .expires_at = NOW + 30}, young = old;
    size_t removed[2];
    int64_t number;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "dev-1", "hub", "board");
    make_device(store, "dev-2", "hub", "board");
    issue(store, "01", "dev-1", 1, NOW + 10);
    issue(store, "02", "dev-1", 2, NOW + 20);
    issue(store, "03", "dev-1", 3, NOW + 40);
    issue(store, "04", "dev-2", 4, NOW + 10); /* the newest of its device */
    young.id = "young";
    young.expires_at = NOW + 40;
    assert_ok(WRITE(store, run_claim, &old, &err), err);
    assert_ok(WRITE(store, run_claim, &young, &err), err);
    assert_ok(db_certificate_count(store->reader, "dev-1", NOW, &number, &err), err);
    assert_int_equal(number, 3);
    assert_ok(db_certificate_count(store->reader, "dev-1", NOW + 1, &number, &err), err);
    assert_int_equal(number, 0);
    assert_ok(WRITE(store, run_purge, removed, &err), err);
    assert_int_equal(removed[0], 2);
    assert_int_equal(removed[1], 1);
    assert_int_equal(count(store, (struct db_certificate_filter){.device = "dev-1"}), 1);
    assert_int_equal(count(store, (struct db_certificate_filter){.device = "dev-2"}), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_claims, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(test_certificates, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(test_purge, store_setup, store_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
