/* When devices' certificates end: from a poll to the report, and to one event each. */
#include "common/buf.h"
#include "db/expiry.h"
#include "tests/unit/db_fixture.h"

enum { DAY = 86400 };

static bool run_insert(struct db_conn *tx, void *arg, struct err *err) {
    const struct db_device_new device = {.id = arg, .state = FLEET_DEVICE_ACTIVE};
    return db_device_insert(tx, &device, NOW, err);
}

static bool run_revoke(struct db_conn *tx, void *arg, struct err *err) {
    return db_device_move(tx, arg, FLEET_DEVICE_REVOKED, 0, NOW, err);
}

struct telling {
    int64_t before;
    size_t limit, told;
};

static bool run_tell(struct db_conn *tx, void *arg, struct err *err) {
    struct telling *telling = arg;
    return db_expiry_tell(tx, telling->before, telling->limit, NOW, &telling->told, err);
}

static void poll_with(struct store *store, const char *id, int64_t expires_at) {
    const struct db_observation seen = {.certificate_expires_at = expires_at};
    bool must_write;
    assert_true(db_registry_seen(store->db, id, NOW, &seen, &must_write));
}

static bool run_nothing(struct db_conn *tx, void *arg, struct err *err) {
    (void)tx, (void)arg, (void)err;
    return true;
}

/* What polls have noted is on the disk afterwards: the writer works in order. */
static void flush(struct store *store) {
    struct err err;
    db_registry_flush(store->db);
    assert_ok(WRITE(store, run_nothing, NULL, &err), err);
}

static int fill(void **state) {
    static const char *const ids[] = {"a", "b", "c", "d", "e"};
    struct err err;
    if (store_setup(state) != 0)
        return -1;
    struct store *store = *state;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        assert_ok(WRITE(store, run_insert, (void *)(uintptr_t)ids[i], &err), err);
        if (i < 4)
            poll_with(store, ids[i], NOW + (int64_t)(4 - i) * DAY);
    }
    flush(store);
    return 0;
}

static size_t told(struct store *store, int64_t before, size_t limit) {
    struct telling telling = {.before = before, .limit = limit};
    struct err err;
    assert_ok(WRITE(store, run_tell, &telling, &err), err);
    return telling.told;
}

static void expect_list(struct store *store, int64_t before, const char *expected) {
    struct db_expiries page = {.next = NULL};
    CLEANUP(buf_free) struct buf found = BUF_INIT(64);
    struct err err;
    do { /* pages of two */
        assert_ok(db_expiry_list(store->reader, before, NULL, PAGE_AFTER(page.next, 2), &store->arena, &page, &err), err);
        for (size_t i = 0; i < page.count; i++)
            buf_text(&found, page.items[i].device);
    } while (page.next);
    assert_int_equal(found.len, strlen(expected));
    assert_memory_equal(found.data, expected, found.len);
}

static void test_list(void **state) {
    struct store *store = *state;
    struct db_device_hot hot;
    int64_t count;
    struct err err;
    expect_list(store, NOW + 10 * DAY, "dcba"); /* e was never seen */
    expect_list(store, NOW + 2 * DAY + 1, "dc");
    expect_list(store, NOW, "");
    assert_ok(db_expiry_count(store->reader, NOW, NOW + 3 * DAY, &count, &err), err);
    assert_int_equal(count, 2);
    assert_ok(WRITE(store, run_revoke, "d", &err), err);
    expect_list(store, NOW + 10 * DAY, "cba");
    /* What was renewed is at another place, also after a restart. */
    poll_with(store, "c", NOW + 20 * DAY);
    flush(store);
    expect_list(store, NOW + 10 * DAY, "ba");
    store_shut(store);
    store_reopen(store);
    assert_true(db_registry_get(store->db, "c", &hot));
    assert_int_equal(hot.certificate_expires_at, NOW + 20 * DAY);
    poll_with(store, "c", 0); /* a poll that does not say */
    flush(store);
    expect_list(store, NOW + 30 * DAY, "bac");
}

static void test_tell_once(void **state) {
    struct store *store = *state;
    const struct db_event_filter filter = {.kind = "certificate-expiring"};
    struct db_events events;
    struct err err;
    assert_int_equal(told(store, NOW, 10), 0);
    assert_int_equal(told(store, NOW + 3 * DAY, 10), 2);
    assert_int_equal(told(store, NOW + 3 * DAY, 10), 0);
    assert_int_equal(told(store, NOW + 10 * DAY, 1), 1); /* a slice at a time */
    assert_int_equal(told(store, NOW + 10 * DAY, 1), 1);
    assert_int_equal(told(store, NOW + 10 * DAY, 1), 0);
    poll_with(store, "a", NOW + 5 * DAY); /* another certificate */
    flush(store);
    assert_int_equal(told(store, NOW + 10 * DAY, 10), 1);
    assert_ok(db_event_list(store->reader, &filter, PAGE(10), &store->arena, &events, &err), err);
    assert_int_equal(events.count, 5);
    assert_string_equal(events.items[0].device, "a");
    assert_non_null(strstr(events.items[0].detail, "\"expires_at\":\"2027-01-"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_list, fill, store_teardown),
        cmocka_unit_test_setup_teardown(test_tell_once, fill, store_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
