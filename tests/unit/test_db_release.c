/* Releases and products, and the catalog that mirrors them. */
#include "tests/unit/db_fixture.h"

static void assert_refused(struct store *store, const struct db_release *release, enum err_code code) {
    struct write_args args = {.object = release};
    struct err err;

    assert_fails(WRITE(store, run_release, &args, &err), err, code);
}

static void test_insert(void **state) {
    struct store *store = *state;
    static const char *boards[] = {"board-b", "board-a"};
    struct db_release release, got;
    struct write_args args = {.object = &release};
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    release = release_of(store, "hub", 5);
    release.hardware = (struct db_texts){2, boards};
    release.requires_sequence = 3;
    release.notes = "first";
    release.signed_at = NOW - 10;
    assert_ok(WRITE(store, run_release, &args, &err), err);
    assert_int_equal(args.result, 1);
    assert_ok(db_release_get(store->reader, 1, &store->arena, &got, &err), err);
    assert_string_equal(got.path, "hub/1.5.0/image.bin");
    assert_int_equal(got.requires_sequence, 3);
    assert_int_equal(got.hardware.count, 2);
    assert_string_equal(got.hardware.items[0], "board-b"); /* as signed, not sorted */
    assert_int_equal(strlen(got.sha1), 40);
    assert_int_equal(strlen(got.md5), 32);
    assert_string_equal(got.notes, "first");
    assert_int_equal(got.signed_at, NOW - 10);
    assert_int_equal(got.withdrawn_at, 0);
    assert_false(got.has_signature);
    assert_ok(db_release_get_path(store->reader, "hub/1.5.0/image.bin", &store->arena, &got, &err), err);
    assert_ok(db_release_get_version(store->reader, "hub", "1.5.0", &store->arena, &got, &err), err);
    assert_fails(db_release_get(store->reader, 2, &store->arena, &got, &err), err, ERR_NOT_FOUND);
    assert_fails(db_release_get_path(store->reader, "hub/1.5.0/other", &store->arena, &got, &err), err, ERR_NOT_FOUND);
    assert_fails(db_release_get_version(store->reader, "lamp", "1.5.0", &store->arena, &got, &err), err, ERR_NOT_FOUND);
}

static void test_refused(void **state) {
    struct store *store = *state;
    struct db_release release;
    struct db_releases page;
    struct err err;

    release = release_of(store, "hub", 5);
    assert_refused(store, &release, ERR_NOT_FOUND); /* no such product */
    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_release(store, "hub", 5);
    assert_refused(store, &release, ERR_DOWNGRADE); /* the sequence again */
    release.sequence = 4;
    assert_refused(store, &release, ERR_DOWNGRADE);
    release.sequence = 6;
    assert_refused(store, &release, ERR_CONFLICT); /* path and version exist */
    release = release_of(store, "hub", 7);
    release.security_version = 0;
    assert_refused(store, &release, ERR_DOWNGRADE);
    release = release_of(store, "hub", 7);
    release.length++;
    assert_refused(store, &release, ERR_LENGTH);
    release = release_of(store, "hub", 7);
    release.sha256 = "0000000000000000000000000000000000000000000000000000000000000000";
    assert_refused(store, &release, ERR_NOT_FOUND); /* no such image */
    release = release_of(store, "hub", 7);
    release.encryption = "rot13";
    assert_refused(store, &release, ERR_CONFLICT);
    assert_ok(db_release_list(store->reader, NULL, PAGE(10), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 1);
}

/* The row is right, the file on the disk is not: nobody could install it. */
static void test_file_that_was_cut(void **state) {
    struct store *store = *state;
    char path[PATH_MAX];
    struct db_release release;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    release = release_of(store, "hub", 5);
    snprintf(path, sizeof path, "%s/images/%s", store->folder, release.sha256);
    assert_int_equal(truncate(path, release.length - 1), 0);
    assert_refused(store, &release, ERR_IO);
    assert_int_equal(unlink(path), 0);
    assert_refused(store, &release, ERR_IO);
}

static void test_lists(void **state) {
    struct store *store = *state;
    struct db_releases page;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_product(store, "lamp", FLEET_POLICY_LATEST);
    for (int i = 1; i <= 5; i++) {
        make_release(store, "hub", i);
        make_release(store, "lamp", 10 * i);
    }
    assert_ok(db_release_list(store->reader, NULL, PAGE(4), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 4);
    assert_non_null(page.next);
    assert_int_equal(page.items[0].id, 10);
    assert_ok(db_release_list(store->reader, NULL, PAGE_AFTER(page.next, 100), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 6);
    assert_null(page.next);
    assert_ok(db_release_list(store->reader, "lamp", PAGE(3), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 3);
    assert_int_equal(page.items[0].sequence, 50);
    assert_ok(db_release_list(store->reader, "lamp", PAGE_AFTER(page.next, 3), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.items[1].sequence, 10);
}

static bool run_product_update(struct db_conn *tx, void *arg, struct err *err) {
    return db_product_update(tx, arg, err);
}

static void test_products(void **state) {
    struct store *store = *state;
    struct db_product product = {.name = "hub", .description = "new", .policy = FLEET_POLICY_ROLLOUT, .revision = 1};
    struct write_args again = {.text = "hub"};
    struct db_products page;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_product(store, "lamp", FLEET_POLICY_LATEST);
    assert_fails(WRITE(store, run_product, &again, &err), err, ERR_CONFLICT);
    assert_ok(WRITE(store, run_product_update, &product, &err), err);
    assert_fails(WRITE(store, run_product_update, &product, &err), err, ERR_PRECONDITION);
    product.name = "none";
    assert_fails(WRITE(store, run_product_update, &product, &err), err, ERR_NOT_FOUND);
    assert_ok(db_product_get(store->reader, "hub", &store->arena, &product, &err), err);
    assert_int_equal(product.revision, 2);
    assert_int_equal(product.policy, FLEET_POLICY_ROLLOUT);
    assert_string_equal(product.description, "new");
    assert_ok(db_product_list(store->reader, PAGE(1), &store->arena, &page, &err), err);
    assert_non_null(page.next);
    assert_ok(db_product_list(store->reader, PAGE_AFTER(page.next, 1), &store->arena, &page, &err), err);
    assert_string_equal(page.items[0].name, "lamp");
    assert_null(page.next);
}

static void test_catalog_follows(void **state) {
    struct store *store = *state;
    const struct db_catalog *empty = db_catalog_get(store->db), *full;
    const struct db_catalog_line *line;
    int64_t id;

    assert_int_equal(empty->line_count, 0);
    assert_null(db_catalog_find(empty, "hub"));
    assert_null(db_catalog_release(empty, 1));
    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_product(store, "attic", FLEET_POLICY_ROLLOUT);
    make_release(store, "hub", 3);
    id = make_release(store, "hub", 8);
    full = db_catalog_get(store->db);
    assert_true(full->generation > empty->generation);
    assert_int_equal(empty->line_count, 0); /* who holds a snapshot keeps it */
    db_catalog_put(empty);
    assert_int_equal(full->line_count, 2);
    line = db_catalog_find(full, "hub");
    assert_non_null(line);
    assert_int_equal(line->release_count, 2);
    assert_int_equal(line->rules[0].sequence, 3);
    assert_int_equal(line->rules[1].sequence, 8);
    assert_int_equal(line->rules[1].id, line->releases[1].id);
    assert_string_equal(line->rules[1].hardware[0], "board");
    assert_int_equal(db_catalog_find(full, "attic")->release_count, 0);
    assert_ptr_equal(db_catalog_release(full, id), &line->releases[1]);
    assert_ptr_equal(db_catalog_rule(full, id), &line->rules[1]);
    assert_ptr_equal(db_catalog_path(full, "hub/1.8.0/image.bin"), &line->releases[1]);
    assert_null(db_catalog_path(full, "hub/1.8.0/other.bin"));
    assert_null(db_catalog_release(full, 99));
    db_catalog_put(full);
    store_shut(store);
    store_reopen(store);
    full = db_catalog_get(store->db);
    assert_int_equal(db_catalog_find(full, "hub")->release_count, 2);
    db_catalog_put(full);
}

static bool run_signature(struct db_conn *tx, void *arg, struct err *err) {
    return db_image_signature_set(tx, arg, "sig", 3, err);
}

static void test_signature_shows(void **state) {
    struct store *store = *state;
    const struct db_catalog *catalog;
    struct db_release release;
    int64_t id;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    id = make_release(store, "hub", 3);
    assert_ok(db_release_get(store->reader, id, &store->arena, &release, &err), err);
    assert_ok(WRITE(store, run_signature, (void *)(uintptr_t)release.sha256, &err), err);
    assert_ok(db_release_get(store->reader, id, &store->arena, &release, &err), err);
    assert_true(release.has_signature);
    catalog = db_catalog_get(store->db);
    assert_true(db_catalog_release(catalog, id)->has_signature);
    db_catalog_put(catalog);
}

static bool run_product_undone(struct db_conn *tx, void *arg, struct err *err) {
    return run_product(tx, arg, err) && err_set(err, ERR_CONFLICT, "on purpose");
}

static void test_undone_is_not_in_the_catalog(void **state) {
    struct store *store = *state;
    struct write_args args = {.text = "hub"};
    const struct db_catalog *catalog;
    struct err err;

    assert_fails(WRITE(store, run_product_undone, &args, &err), err, ERR_CONFLICT);
    make_product(store, "lamp", FLEET_POLICY_LATEST);
    catalog = db_catalog_get(store->db);
    assert_null(db_catalog_find(catalog, "hub"));
    assert_non_null(db_catalog_find(catalog, "lamp"));
    db_catalog_put(catalog);
}

/* Published, assigned and offered in one transaction: the open deployment's release is younger than the catalog, and is offered all the same. */
static bool run_all_at_once(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;
    int64_t release, deployment;

    return db_release_insert(tx, args->object, &release, err) && db_deployment_assign(tx, args->text, release, NOW, &deployment, err) &&
           db_deployment_offer(tx, args->text, NOW, args->out, err);
}

static void test_younger_than_the_catalog(void **state) {
    struct store *store = *state;
    struct db_release release;
    struct db_offered offered;
    struct write_args args = {.text = "d1", .object = &release, .out = &offered};
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    release = release_of(store, "hub", 4);
    assert_ok(WRITE(store, run_all_at_once, &args, &err), err);
    assert_int_equal(offered.reason, FLEET_REASON_OFFERED);
    assert_int_equal(hot_of(store, "d1").open_state, FLEET_OFFERED);
    assert_int_equal(hot_of(store, "d1").open_release, offered.release);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, store_setup, store_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_insert),
        WITH_STORE(test_refused),
        WITH_STORE(test_file_that_was_cut),
        WITH_STORE(test_lists),
        WITH_STORE(test_products),
        WITH_STORE(test_catalog_follows),
        WITH_STORE(test_signature_shows),
        WITH_STORE(test_undone_is_not_in_the_catalog),
        WITH_STORE(test_younger_than_the_catalog),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
