/* The registry equals the database after every start and after every commit; last-seen values are coalesced and flushed. */
#include <pthread.h>
#include <sqlite3.h>

#include "common/clock.h"
#include "tests/unit/db_fixture.h"

/* All but what memory alone has: revision and the remembered decision. */
static void assert_same(const struct db_device_hot *a, const struct db_device_hot *b) {
    struct db_device_hot left = *a, right = *b;

    left.revision = right.revision = 0;
    left.number = right.number = 0; /* the order in which they came */
    left.told_reason = right.told_reason = FLEET_REASON_REFUSED;
    left.told_generation = right.told_generation = 0;
    left.told_until = right.told_until = 0;
    assert_memory_equal(&left, &right, sizeof left);
}

static bool run_move(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_device_move(tx, args->text, (enum fleet_device_state)args->number, args->number2, NOW, err);
}

static bool run_pins(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;
    uint8_t current[DB_PIN_SIZE] = {1}, next[DB_PIN_SIZE] = {2};

    return db_device_set_pins(tx, args->text, current, next, err);
}

static bool run_observe(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_device_observe(tx, args->text, args->object, NOW, err);
}

/* Every kind of change on a few devices, then a restart: the same registry. */
static void test_reload_equals(void **state) {
    struct store *store = *state;
    static const char *const ids[] = {"fresh", "pinned", "working", "done", "failing", "gone"};
    struct db_device_hot before[ARRAY_LEN(ids)];
    struct write_args pins = {.text = "pinned"}, gone = {.text = "gone", .number = FLEET_DEVICE_REVOKED};
    struct db_reported reported;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "fresh", NULL, NULL);
    for (size_t i = 1; i < ARRAY_LEN(ids); i++)
        make_device(store, ids[i], "hub", "board");
    make_release(store, "hub", 5);
    assert_ok(WRITE(store, run_pins, &pins, &err), err);
    offer(store, "working");
    bring_to(store, "done", 5);
    for (int i = 0; i < FLEET_MAX_FAILURES; i++) {
        struct db_report_new failed = report_of(offer(store, "failing").deployment, 1, FLEET_REPORT_FAILED, 3);

        assert_ok(report(store, "failing", &failed, &reported, &err), err);
    }
    offer(store, "gone");
    assert_ok(WRITE(store, run_move, &gone, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        before[i] = hot_of(store, ids[i]);
    store_shut(store);
    store_reopen(store);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        struct db_device_hot after = hot_of(store, ids[i]);

        assert_same(&before[i], &after);
    }
    assert_int_equal(before[1].has_pin_next, true);
    assert_int_equal(before[2].open_state, FLEET_OFFERED);
    assert_true(before[2].open_by_policy);
    assert_int_equal(before[3].floor.sequence, 5);
    assert_int_equal(before[4].quarantined_count, 1);
    assert_int_equal(before[4].installed_sequence, 3);
    assert_int_equal(before[5].state, FLEET_DEVICE_REVOKED);
    assert_int_equal(before[5].open_deployment, 0);
}

static void test_unknown(void **state) {
    struct store *store = *state;
    struct db_device_hot hot;
    struct db_observation seen = {.product = NULL};
    bool must_write;

    assert_false(db_registry_get(store->db, "nobody", &hot));
    assert_false(db_registry_seen(store->db, "nobody", NOW, &seen, &must_write));
}

static bool seen(struct store *store, const char *id, int64_t now, const char *product, const char *hardware, const char *version, int64_t sequence) {
    struct db_observation observation = {
        .product = product, .hardware = hardware, .version = version, .sequence_known = sequence >= 0, .sequence = sequence};
    struct write_args args = {.text = id, .object = &observation};
    bool must_write;
    struct err err;

    assert_true(db_registry_seen(store->db, id, now, &observation, &must_write));
    if (must_write)
        assert_ok(WRITE(store, run_observe, &args, &err), err);
    return must_write;
}

/* One poll from there; true: it is the one that makes the event. */
static bool polls_from(struct store *store, const char *place, int64_t now) {
    struct db_observation observation = {.place = place};
    bool must_write;

    assert_true(db_registry_seen(store->db, "d1", now, &observation, &must_write));
    assert_int_equal(must_write, db_registry_take_alternation(store->db, "d1"));
    assert_false(db_registry_take_alternation(store->db, "d1"));
    return must_write;
}

static void test_two_places_in_alternation(void **state) {
    struct store *store = *state;
    static const char *const roaming[] = {"A", "B", "C", "D", "A", "B", "C", "A", NULL};
    int64_t now = NOW;

    make_device(store, "d1", NULL, NULL);
    for (int i = 0; i < 20; i++)
        assert_false(polls_from(store, "A", now++));
    for (size_t i = 0; roaming[i] || i < 8; i++)
        assert_false(polls_from(store, roaming[i], now++));
    /* From A: B, and three times back. */
    assert_false(polls_from(store, "B", now));
    assert_false(polls_from(store, "A", now + 300));
    assert_false(polls_from(store, "A", now + 301));
    assert_false(polls_from(store, NULL, now + 302)); /* not said */
    assert_false(polls_from(store, "B", now + 600));
    assert_true(polls_from(store, "A", now + 900));
    /* Quiet for an hour, then told again. */
    for (int i = 0; i < 11; i++)
        assert_false(polls_from(store, i % 2 ? "A" : "B", now + 1200 + i * 300));
    now += 900 + REGISTRY_PLACE_WINDOW_S;
    assert_false(polls_from(store, "A", now));
    assert_false(polls_from(store, "B", now + 1));
    assert_true(polls_from(store, "A", now + 2));
    /* Too slow to be two at once. */
    now += 2 + REGISTRY_PLACE_WINDOW_S;
    for (int i = 0; i < 12; i++)
        assert_false(polls_from(store, i % 2 ? "A" : "B", now + (int64_t)i * REGISTRY_PLACE_WINDOW_S / 2));
}

static void test_last_seen_is_flushed(void **state) {
    struct store *store = *state;
    struct db_registry_counts counts;

    make_device(store, "d1", NULL, "board");
    assert_int_equal(device_of(store, "d1").last_seen, 0);
    assert_false(seen(store, "d1", NOW + 5, NULL, "board", "1.0.0", 4));
    assert_false(seen(store, "d1", NOW + 9, NULL, "board", "1.0.0", 4));
    /* Not in the database yet, but every reader sees it. */
    assert_int_equal(device_of(store, "d1").last_seen, NOW + 9);
    assert_int_equal(device_of(store, "d1").installed_sequence, 4);
    db_registry_count(store->db, &counts);
    assert_int_equal(counts.unflushed, 1);
    assert_int_equal(counts.devices, 1);
    assert_int_equal(counts.by_state[FLEET_DEVICE_ACTIVE], 1);
    db_registry_flush(store->db);
    db_registry_count(store->db, &counts);
    assert_int_equal(counts.unflushed, 0);
    assert_false(seen(store, "d1", NOW + 20, NULL, "board", "1.0.1", 5)); /* goes out with the closing */
    store_shut(store);
    store_reopen(store);
    assert_int_equal(hot_of(store, "d1").last_seen, NOW + 20);
    assert_int_equal(hot_of(store, "d1").installed_sequence, 5);
    assert_string_equal(hot_of(store, "d1").installed_version, "1.0.1");
    assert_in_range(device_of(store, "d1").first_seen, NOW + 9, NOW + 20); /* by what was newest when the flush ran */
}

static void test_many_slices(void **state) {
    struct store *store = *state;
    enum { DEVICES = 4500 }; /* three slices */
    char id[32];
    struct db_registry_counts counts;

    for (int i = 0; i < DEVICES; i++) {
        snprintf(id, sizeof id, "device-%05d", (i * 7919) % DEVICES);
        make_device(store, id, NULL, NULL);
    }
    for (int i = 0; i < DEVICES; i++) {
        snprintf(id, sizeof id, "device-%05d", i);
        assert_false(seen(store, id, NOW + i, NULL, NULL, "1.0.0", i));
    }
    db_registry_flush(store->db);
    store_shut(store);
    store_reopen(store);
    db_registry_count(store->db, &counts);
    assert_int_equal(counts.devices, DEVICES);
    for (int i = 0; i < DEVICES; i++) {
        snprintf(id, sizeof id, "device-%05d", i);
        assert_int_equal(hot_of(store, id).last_seen, NOW + i);
        assert_int_equal(hot_of(store, id).installed_sequence, i);
    }
    assert_true(counts.memory_bytes / DEVICES < 320);
}

/* A flush that the disk refuses (here: another process holds the lock) loses nothing. */
static void test_refused_flush_is_repeated(void **state) {
    struct store *store = *state;
    struct db_registry_counts counts = {.unflushed = 0};
    char path[128];
    sqlite3 *other;

    make_device(store, "d1", NULL, NULL);
    assert_false(seen(store, "d1", NOW + 7, NULL, NULL, "1.0.0", 4));
    snprintf(path, sizeof path, "%s/pawl.db", store->folder);
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    db_registry_flush(store->db);
    while (counts.unflushed == 0) { /* until it is given back */
        clock_sleep_ms(10);
        db_registry_count(store->db, &counts);
    }
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    store_shut(store);
    store_reopen(store);
    assert_int_equal(hot_of(store, "d1").last_seen, NOW + 7);
    assert_int_equal(hot_of(store, "d1").installed_sequence, 4);
}

static void test_first_report_fills(void **state) {
    struct store *store = *state;

    make_device(store, "d1", NULL, NULL);
    assert_true(seen(store, "d1", NOW, "hub", "board", NULL, -1)); /* hardware alone: no such product yet */
    assert_string_equal(hot_of(store, "d1").hardware, "board");
    assert_string_equal(hot_of(store, "d1").product, "");
    assert_false(seen(store, "d1", NOW, "hub", "board", NULL, -1));
    make_product(store, "hub", FLEET_POLICY_LATEST);
    assert_true(seen(store, "d1", NOW, "hub", "board", NULL, -1));
    assert_string_equal(hot_of(store, "d1").product, "hub");
    assert_false(seen(store, "d1", NOW, "hub", "board", NULL, -1));
    assert_string_equal(device_of(store, "d1").product, "hub");
}

static void test_mismatch_is_told_once(void **state) {
    struct store *store = *state;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    assert_true(seen(store, "d1", NOW, "hub", "toaster", NULL, -1));
    assert_false(seen(store, "d1", NOW + 1, "hub", "toaster", NULL, -1));
    assert_false(seen(store, "d1", NOW + 2, "hub", "kettle", NULL, -1)); /* another one within the hour */
    assert_int_equal(events_of(store, "identity-mismatch", "d1"), 1);
    assert_string_equal(hot_of(store, "d1").hardware, "board");
    assert_true(seen(store, "d1", NOW + 3600, "hub", "kettle", NULL, -1));
    assert_int_equal(events_of(store, "identity-mismatch", "d1"), 2);
    /* A restart does not tell it again. */
    store_shut(store);
    store_reopen(store);
    seen(store, "d1", NOW + 9000, "hub", "kettle", NULL, -1);
    assert_int_equal(events_of(store, "identity-mismatch", "d1"), 2);
}

static void test_fall_is_an_event(void **state) {
    struct store *store = *state;
    struct db_event_filter filter = {.kind = "rolled-back"};
    struct db_events page;
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    make_release(store, "hub", 5);
    bring_to(store, "d1", 5);
    assert_true(seen(store, "d1", NOW, "hub", "board", "1.4.0", 4));
    assert_false(seen(store, "d1", NOW, "hub", "board", "1.4.0", 4)); /* once per change */
    assert_int_equal(events_of(store, "rolled-back", "d1"), 1);
    assert_int_equal(hot_of(store, "d1").installed_sequence, 4);
    assert_int_equal(hot_of(store, "d1").floor.sequence, 5);
    assert_int_equal(offer(store, "d1").reason, FLEET_REASON_UP_TO_DATE); /* the floor holds: nothing below it, nothing at it by itself */
    assert_false(seen(store, "d1", NOW, "hub", "board", "1.5.0", 5));
    assert_false(seen(store, "d1", NOW + 1, "hub", "board", "1.4.0", 4)); /* to and fro at every poll is an event an hour */
    assert_int_equal(events_of(store, "rolled-back", "d1"), 1);
    assert_true(seen(store, "d1", NOW + 3600, "hub", "board", "1.4.0", 4));
    assert_ok(db_event_list(store->reader, &filter, PAGE(10), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 2);
    assert_string_equal(page.items[0].product, "hub");
    assert_string_equal(page.items[0].detail, "{\"from_sequence\":\"5\",\"from_version\":\"1.5.0\",\"to_sequence\":\"4\",\"to_version\":\"1.4.0\"}");
}

/* What was reported and not flushed must not win over what a later transaction wrote. */
static void test_confirmation_overtakes_unflushed(void **state) {
    struct store *store = *state;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    make_release(store, "hub", 5);
    assert_false(seen(store, "d1", NOW, "hub", "board", "1.4.0", 4));
    bring_to(store, "d1", 5);
    assert_int_equal(hot_of(store, "d1").installed_sequence, 5);
    assert_int_equal(device_of(store, "d1").installed_sequence, 5);
    db_registry_flush(store->db);
    store_shut(store);
    store_reopen(store);
    assert_int_equal(hot_of(store, "d1").installed_sequence, 5);
}

static bool run_touching_failure(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_device_observe(tx, args->text, args->object, NOW, err) && err_set(err, ERR_CONFLICT, "on purpose");
}

static void test_undone_changes_nothing(void **state) {
    struct store *store = *state;
    struct db_observation fall = {.sequence_known = true, .sequence = 2, .version = "0.2.0"};
    struct write_args args = {.text = "d1", .object = &fall};
    struct db_device_hot before;
    struct err err;

    make_device(store, "d1", NULL, "board");
    assert_false(seen(store, "d1", NOW, NULL, "board", "1.0.0", 4));
    before = hot_of(store, "d1");
    assert_fails(WRITE(store, run_touching_failure, &args, &err), err, ERR_CONFLICT);
    assert_int_equal(hot_of(store, "d1").installed_sequence, before.installed_sequence);
    assert_int_equal(events_of(store, "rolled-back", "d1"), 0);
    /* … and the unflushed value is still on its way. */
    store_shut(store);
    store_reopen(store);
    assert_int_equal(hot_of(store, "d1").installed_sequence, 4);
}

static struct fleet_offer decide(struct store *store, const char *id, int64_t now) {
    const struct db_catalog *catalog = db_catalog_get(store->db);
    struct db_device_hot hot = hot_of(store, id);
    struct fleet_offer result = db_offer_decide(store->db, catalog, &hot, now);

    result.release = NULL; /* it points into the catalog */
    db_catalog_put(catalog);
    return result;
}

static void test_remembered_decision(void **state) {
    struct store *store = *state;
    const struct db_catalog *catalog;
    struct db_device_hot hot;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_device(store, "d1", "hub", "board");
    assert_int_equal(decide(store, "d1", NOW).reason, FLEET_REASON_NO_RELEASE);
    hot = hot_of(store, "d1");
    assert_int_equal(hot.told_reason, FLEET_REASON_NO_RELEASE);
    assert_true(hot.told_until > NOW);
    /* It is really what is told: a lie planted there comes back … */
    catalog = db_catalog_get(store->db);
    db_registry_remember(store->db, &hot, catalog->generation, FLEET_REASON_UP_TO_DATE, NOW + 10);
    db_catalog_put(catalog);
    assert_int_equal(decide(store, "d1", NOW + 9).reason, FLEET_REASON_UP_TO_DATE);
    /* … until its time is over. */
    assert_int_equal(decide(store, "d1", NOW + 10).reason, FLEET_REASON_NO_RELEASE);
    /* A new release voids it, */
    make_release(store, "hub", 5);
    assert_int_equal(decide(store, "d1", NOW).reason, FLEET_REASON_OFFERED);
    /* so does what the device reports, */
    assert_false(seen(store, "d1", NOW, "hub", "board", "1.5.0", 5));
    assert_int_equal(decide(store, "d1", NOW).reason, FLEET_REASON_UP_TO_DATE);
    assert_int_equal(hot_of(store, "d1").told_reason, FLEET_REASON_UP_TO_DATE);
    assert_false(seen(store, "d1", NOW, "hub", "board", "1.6.0", 6));
    assert_int_equal(hot_of(store, "d1").told_reason, FLEET_REASON_REFUSED);
    /* and a decision made on an older copy is not kept. */
    db_registry_remember(store->db, &hot, 1, FLEET_REASON_NO_PRODUCT, NOW + 1000);
    assert_int_equal(hot_of(store, "d1").told_reason, FLEET_REASON_REFUSED);
}

static void test_pins(void **state) {
    struct store *store = *state;
    static const uint8_t one[DB_PIN_SIZE] = {1}, two[DB_PIN_SIZE] = {2}, three[DB_PIN_SIZE] = {3}, zero[DB_PIN_SIZE] = {0};
    struct write_args args = {.text = "d1"};
    struct db_device_hot hot;
    struct err err;

    make_device(store, "d1", NULL, NULL);
    hot = hot_of(store, "d1");
    assert_false(db_registry_has_pin(&hot, zero)); /* no pin is not the pin of zeros */
    assert_ok(WRITE(store, run_pins, &args, &err), err);
    hot = hot_of(store, "d1");
    assert_true(db_registry_has_pin(&hot, one));
    assert_true(db_registry_has_pin(&hot, two));
    assert_false(db_registry_has_pin(&hot, three));
    assert_false(db_registry_has_pin(&hot, zero));
}

enum { CONCURRENT_DEVICES = 32, CONCURRENT_ROUNDS = 200 };

/* A worker: polls of every device, as the server does them. */
static void *poll_all(void *arg) {
    struct store *store = arg;

    for (int round = 0; round < CONCURRENT_ROUNDS; round++) {
        for (int i = 0; i < CONCURRENT_DEVICES; i++) {
            struct db_observation seen = {.product = "hub", .hardware = "board", .version = "1.0.0", .sequence_known = true, .sequence = 1};
            const struct db_catalog *catalog = db_catalog_get(store->db);
            struct db_device_hot hot;
            bool must_write;
            char id[16];

            snprintf(id, sizeof id, "d%02d", i);
            if (db_registry_get(store->db, id, &hot) && db_registry_seen(store->db, id, NOW + round, &seen, &must_write))
                db_offer_decide(store->db, catalog, &hot, NOW);
            db_catalog_put(catalog);
        }
    }
    return NULL;
}

/* Polls on two threads while devices appear, releases are published, offers are made, and values are flushed. */
static void test_concurrent(void **state) {
    struct store *store = *state;
    struct db_device_hot before[CONCURRENT_DEVICES];
    pthread_t threads[2];
    char id[16];

    make_product(store, "hub", FLEET_POLICY_LATEST);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, poll_all, store), 0);
    for (int i = 0; i < CONCURRENT_DEVICES; i++) {
        snprintf(id, sizeof id, "d%02d", i);
        make_device(store, id, "hub", "board");
        if (i % 8 == 0)
            make_release(store, "hub", i + 2);
        assert_int_equal(offer(store, id).reason, FLEET_REASON_OFFERED);
        db_registry_flush(store->db);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < CONCURRENT_DEVICES; i++) {
        snprintf(id, sizeof id, "d%02d", i);
        before[i] = hot_of(store, id);
    }
    store_shut(store);
    store_reopen(store);
    for (int i = 0; i < CONCURRENT_DEVICES; i++) {
        struct db_device_hot after = hot_of(store, before[i].id);

        assert_same(&before[i], &after);
        assert_int_not_equal(after.open_deployment, 0);
    }
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, store_setup, store_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_reload_equals),
        WITH_STORE(test_unknown),
        WITH_STORE(test_two_places_in_alternation),
        WITH_STORE(test_last_seen_is_flushed),
        WITH_STORE(test_many_slices),
        WITH_STORE(test_refused_flush_is_repeated),
        WITH_STORE(test_first_report_fills),
        WITH_STORE(test_mismatch_is_told_once),
        WITH_STORE(test_fall_is_an_event),
        WITH_STORE(test_confirmation_overtakes_unflushed),
        WITH_STORE(test_undone_changes_nothing),
        WITH_STORE(test_remembered_decision),
        WITH_STORE(test_pins),
        WITH_STORE(test_concurrent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
