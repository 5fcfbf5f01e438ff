/* Devices: made, found, listed in pages, moved forward, changed under their revision. */
#include "db/query.h"
#include "tests/unit/db_fixture.h"

static bool run_move(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_device_move(tx, args->text, (enum fleet_device_state)args->number, args->number2, NOW, err);
}

static bool run_update(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_device_update(tx, args->text, args->number, args->object, err);
}

static bool run_pin_first(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_device_pin_first(tx, args->text, args->object, FLEET_PIN_CERTIFICATE, err);
}

static void test_insert_and_get(void **state) {
    struct store *store = *state;
    static const char *tags[] = {"north", "beta", "north"};
    static const uint8_t pin[DB_PIN_SIZE] = {7};
    struct db_device_new device = {.id = "d1",
                                   .state = FLEET_DEVICE_PENDING,
                                   .product = "hub",
                                   .hardware = "board",
                                   .pin = pin,
                                   .pin_origin = FLEET_PIN_CLAIM,
                                   .tags = {3, tags}};
    struct write_args args = {.object = &device};
    struct db_device got;
    struct err err;

    assert_fails(WRITE(store, run_device, &args, &err), err, ERR_NOT_FOUND); /* no such product */
    make_product(store, "hub", FLEET_POLICY_LATEST);
    assert_ok(WRITE(store, run_device, &args, &err), err);
    assert_fails(WRITE(store, run_device, &args, &err), err, ERR_CONFLICT);
    device.id = "d2";
    assert_fails(WRITE(store, run_device, &args, &err), err, ERR_CONFLICT); /* the key belongs to d1 */
    device.id = "a/b";
    device.pin = NULL;
    assert_fails(WRITE(store, run_device, &args, &err), err, ERR_INVALID);
    assert_fails(db_device_get(store->reader, "d2", &store->arena, &got, &err), err, ERR_NOT_FOUND);
    got = device_of(store, "d1");
    assert_int_equal(got.state, FLEET_DEVICE_PENDING);
    assert_string_equal(got.product, "hub");
    assert_string_equal(got.hardware, "board");
    assert_string_equal(got.attributes, "{}");
    assert_int_equal(got.tags.count, 2);
    assert_string_equal(got.tags.items[0], "beta");
    assert_string_equal(got.tags.items[1], "north");
    assert_true(got.has_pin_current);
    assert_memory_equal(got.pin_current, pin, sizeof pin);
    assert_int_equal(got.pin_origin, FLEET_PIN_CLAIM);
    assert_int_equal(hot_of(store, "d1").pin_origin, FLEET_PIN_CLAIM);
    assert_false(got.has_pin_next);
    assert_false(got.installed_known);
    assert_int_equal(got.created_at, NOW);
    assert_int_equal(got.first_seen, 0);
    assert_int_equal(got.revision, 1);
    assert_int_equal(events_of(store, "registered", "d1"), 1);
}

static void test_moves(void **state) {
    struct store *store = *state;
    struct write_args args = {.text = "d1", .number = FLEET_DEVICE_REVOKED};
    struct err err;

    make_product(store, "hub", FLEET_POLICY_ROLLOUT);
    make_device(store, "d1", "hub", "board");
    assign(store, "d1", make_release(store, "hub", 1));
    args.number2 = 99;
    assert_fails(WRITE(store, run_move, &args, &err), err, ERR_PRECONDITION);
    args.number2 = device_of(store, "d1").revision;
    assert_ok(WRITE(store, run_move, &args, &err), err);
    assert_int_equal(hot_of(store, "d1").state, FLEET_DEVICE_REVOKED);
    assert_int_equal(hot_of(store, "d1").open_deployment, 0);
    assert_int_equal(events_of(store, "revoked", "d1"), 1);
    args.number = FLEET_DEVICE_ACTIVE;
    args.number2 = 0;
    assert_fails(WRITE(store, run_move, &args, &err), err, ERR_CONFLICT); /* never back */
    args.text = "nobody";
    assert_fails(WRITE(store, run_move, &args, &err), err, ERR_NOT_FOUND);
    args.text = "d1";
    args.number = 1;
    assert_fails(WRITE(store, run_assign, &args, &err), err, ERR_DEVICE_REVOKED);
}

static void test_update(void **state) {
    struct store *store = *state;
    static const char *first[] = {"a", "b"}, *second[] = {"c"};
    struct db_texts tags = {2, first};
    struct json_pair site[] = {{"site", "Kiel"}}, moved[] = {{"site", NULL}, {"room", "7"}};
    char long_text[257];
    struct json_pair many[40];
    const struct json_map site_map = {1, site}, moved_map = {2, moved}, many_map = {ARRAY_LEN(many), many};
    struct db_device_change change = {.tags = &tags, .attributes = &site_map};
    struct write_args args = {.text = "d1", .number = 1, .object = &change};
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_product(store, "lamp", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    assert_ok(WRITE(store, run_update, &args, &err), err);
    assert_int_equal(device_of(store, "d1").revision, 2);
    assert_int_equal(device_of(store, "d1").tags.count, 2);
    assert_string_equal(device_of(store, "d1").attributes, "{\"site\":\"Kiel\"}");
    tags = (struct db_texts){1, second};
    assert_fails(WRITE(store, run_update, &args, &err), err, ERR_PRECONDITION);
    assert_int_equal(device_of(store, "d1").tags.count, 2);
    args.number = 2;
    change.attributes = NULL;
    assert_ok(WRITE(store, run_update, &args, &err), err);
    assert_int_equal(device_of(store, "d1").tags.count, 1);
    assert_string_equal(device_of(store, "d1").attributes, "{\"site\":\"Kiel\"}");
    /* Attributes are merged. */
    change = (struct db_device_change){.attributes = &moved_map};
    args.number = 0;
    assert_ok(WRITE(store, run_update, &args, &err), err);
    assert_string_equal(device_of(store, "d1").attributes, "{\"room\":\"7\"}");
    assert_int_equal(device_of(store, "d1").tags.count, 1);
    /* No more of them than the column may hold. */
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = (struct json_pair){.name = arena_printf(&store->arena, "name-%zu", i), .value = long_text};
    change.attributes = &many_map;
    assert_fails(WRITE(store, run_update, &args, &err), err, ERR_INVALID);
    assert_string_equal(err.field, "attributes");
    assert_string_equal(device_of(store, "d1").attributes, "{\"room\":\"7\"}");
    /* Another product: fine without a history, refused with one. */
    change = (struct db_device_change){.product = "nothing"};
    args.number = 0;
    assert_fails(WRITE(store, run_update, &args, &err), err, ERR_NOT_FOUND);
    change.product = "lamp";
    assert_ok(WRITE(store, run_update, &args, &err), err);
    assert_string_equal(hot_of(store, "d1").product, "lamp");
    make_release(store, "lamp", 1);
    offer(store, "d1");
    change.product = "hub";
    assert_fails(WRITE(store, run_update, &args, &err), err, ERR_CONFLICT); /* an open deployment */
    bring_to(store, "d1", 1);
    assert_fails(WRITE(store, run_update, &args, &err), err, ERR_CONFLICT); /* a floor */
}

static void test_pin_first(void **state) {
    struct store *store = *state;
    static const uint8_t one[DB_PIN_SIZE] = {1}, two[DB_PIN_SIZE] = {2};
    struct write_args args = {.text = "d1", .object = one};
    struct err err;

    make_device(store, "d1", NULL, NULL);
    make_device(store, "d2", NULL, NULL);
    assert_ok(WRITE(store, run_pin_first, &args, &err), err);
    assert_true(hot_of(store, "d1").has_pin_current);
    args.object = two;
    assert_fails(WRITE(store, run_pin_first, &args, &err), err, ERR_CONFLICT);
    args = (struct write_args){.text = "d2", .object = one};
    assert_fails(WRITE(store, run_pin_first, &args, &err), err, ERR_CONFLICT);
}

/* The database itself refuses a floor that falls, whoever asks. */
static bool run_floor_back(struct db_conn *tx, void *arg, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DEVICE_FLOOR);

    db_query_text(stmt, 1, arg);
    db_query_int(stmt, 2, 4);
    db_query_int(stmt, 3, 1);
    return db_query_run(stmt, NULL, err);
}

static void test_floor_never_falls(void **state) {
    struct store *store = *state;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    make_release(store, "hub", 5);
    bring_to(store, "d1", 5);
    assert_fails(db_write(store->db, run_floor_back, "d1", &err), err, ERR_CONFLICT);
    assert_int_equal(device_of(store, "d1").floor.sequence, 5);
}

/* Pages of 7 until the end; every id once, in order. */
static size_t walk(struct store *store, const struct db_device_filter *filter) {
    const char *last = "";
    size_t count = 0;
    struct db_devices page = {.next = NULL};
    struct err err;

    do {
        assert_ok(db_device_list(store->reader, filter, PAGE_AFTER(page.next, 7), &store->arena, &page, &err), err);
        for (size_t i = 0; i < page.count; i++) {
            assert_true(strcmp(page.items[i].id, last) > 0);
            last = page.items[i].id;
        }
        count += page.count;
        assert_true(page.count == 7 || !page.next);
    } while (page.next);
    return count;
}

static void test_lists(void **state) {
    struct store *store = *state;
    static const char *tags[] = {"fifth"};
    char id[16];
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_product(store, "lamp", FLEET_POLICY_LATEST);
    for (int i = 0; i < 40; i++) {
        struct db_device_new device = {.id = id,
                                       .state = i % 10 == 0 ? FLEET_DEVICE_PENDING : FLEET_DEVICE_ACTIVE,
                                       .product = i % 2 ? "hub" : "lamp",
                                       .hardware = i % 4 == 1 ? "board-2" : "board",
                                       .tags = {i % 5 == 0, tags}};
        struct write_args args = {.object = &device};
        struct db_observation seen = {.sequence_known = true, .sequence = i, .version = i % 8 ? "1.0.0" : "2.0.0"};
        bool must_write;

        snprintf(id, sizeof id, "%s-%02d", i < 20 ? "alpha" : "beta", i);
        assert_ok(WRITE(store, run_device, &args, &err), err);
        assert_true(db_registry_seen(store->db, id, NOW, &seen, &must_write));
    }
    store_shut(store);
    store_reopen(store); /* flushed */
    {
        const struct {
            struct db_device_filter filter;
            size_t count;
        } rows[] = {
            {{.product = NULL}, 40},
            {{.product = "hub"}, 20},
            {{.product = "none"}, 0},
            {{.hardware = "board-2"}, 10},
            {{.tag = "fifth"}, 8},
            {{.version = "2.0.0"}, 5},
            {{.id_prefix = "beta-"}, 20},
            {{.id_prefix = "beta-2"}, 10},
            {{.id_prefix = "gamma"}, 0},
            {{.by_state = true, .state = FLEET_DEVICE_PENDING}, 4},
            {{.by_state = true, .state = FLEET_DEVICE_ACTIVE}, 36},
            {{.product = "lamp", .by_state = true, .state = FLEET_DEVICE_PENDING}, 4},
            {{.product = "hub", .tag = "fifth"}, 4},
            {{.product = "hub", .tag = "fifth", .id_prefix = "alpha"}, 2},
            {{.product = "lamp", .version = "2.0.0", .hardware = "board", .id_prefix = "beta"}, 2},
            {{.product = "hub", .by_state = true, .state = FLEET_DEVICE_ACTIVE, .hardware = "board"}, 10},
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            size_t found = walk(store, &rows[i].filter);

            if (found != rows[i].count)
                fail_msg("filter %zu: %zu devices where %zu are expected", i, found, rows[i].count);
        }
    }
}

static void test_cursor_before_the_prefix(void **state) {
    struct store *store = *state;
    struct db_device_filter filter = {.id_prefix = "b"};
    char too_long[80];
    struct db_devices page;
    struct err err;

    make_device(store, "a", NULL, NULL);
    make_device(store, "b", NULL, NULL);
    make_device(store, "b1", NULL, NULL);
    assert_ok(db_device_list(store->reader, &filter, PAGE_AFTER("id/a", 10), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 2);
    assert_ok(db_device_list(store->reader, &filter, PAGE_AFTER("id/b", 10), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 1);
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    filter.id_prefix = too_long;
    assert_fails(db_device_list(store->reader, &filter, PAGE(10), &store->arena, &page, &err), err, ERR_INVALID);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, store_setup, store_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_insert_and_get),
        WITH_STORE(test_moves),
        WITH_STORE(test_update),
        WITH_STORE(test_pin_first),
        WITH_STORE(test_floor_never_falls),
        WITH_STORE(test_lists),
        WITH_STORE(test_cursor_before_the_prefix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
