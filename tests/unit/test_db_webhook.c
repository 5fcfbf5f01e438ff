/* Webhooks in the store: which events they get, in the event's own transaction; the queue's order, its outcomes, its ceilings. */
#include <sqlite3.h>

#include "tests/unit/db_fixture.h"

#include "db/delivery.h"
#include "db/event_kind.h"
#include "db/webhook.h"

struct hook {
    const char *id, *product, *state;
    const char *kinds[4];
};

static bool run_insert(struct db_conn *tx, void *arg, struct err *err) {
    const struct hook *hook = arg;
    const char *kinds[4];
    struct db_webhook row = {.id = hook->id,
                             .url = "https://example.com/",
                             .description = "",
                             .product = hook->product,
                             .state = hook->state ? hook->state : "enabled",
                             .created_by = "token:a",
                             .created_at = NOW,
                             .kinds = {.items = kinds}};

    for (; row.kinds.count < 4 && hook->kinds[row.kinds.count]; row.kinds.count++)
        kinds[row.kinds.count] = hook->kinds[row.kinds.count];
    memset(row.secret, 7, sizeof row.secret);
    return db_webhook_insert(tx, &row, err);
}

static void add_hook(struct store *store, struct hook hook) {
    struct err err;

    assert_ok(WRITE(store, run_insert, &hook, &err), err);
}

struct happen {
    const char *kind, *product;
    bool fails;
    int64_t id;
};

static bool run_event(struct db_conn *tx, void *arg, struct err *err) {
    struct happen *happen = arg;
    const struct db_event_new event = {.time = NOW, .kind = happen->kind, .product = happen->product};

    return db_event_add(tx, &event, &happen->id, err) && (!happen->fails || err_set(err, ERR_CONFLICT, "as asked"));
}

static int64_t event(struct store *store, const char *kind, const char *product) {
    struct happen happen = {.kind = kind, .product = product};
    struct err err;

    assert_ok(WRITE(store, run_event, &happen, &err), err);
    return happen.id;
}

/* The events that wait for a webhook, as "3 2 1". */
static const char *waiting(struct store *store, const char *webhook) {
    struct db_deliveries page;
    struct err err;
    static char text[256];
    size_t used = 0;

    assert_ok(db_delivery_list(store->reader, webhook, "waiting", PAGE(100), &store->arena, &page, &err), err);
    text[0] = '\0';
    for (size_t i = 0; i < page.count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%lld", i ? " " : "", (long long)page.items[i].event);
    return text;
}

static void test_fan_out(void **state) {
    struct store *store = *state;

    add_hook(store, (struct hook){.id = "all"});
    add_hook(store, (struct hook){.id = "of-p", .product = "p"});
    add_hook(store, (struct hook){.id = "of-kinds", .kinds = {"revoked", "rolled-back"}});
    add_hook(store, (struct hook){.id = "of-both", .product = "p", .kinds = {"revoked"}});
    add_hook(store, (struct hook){.id = "off", .state = "disabled"});
    assert_int_equal(event(store, "registered", NULL), 1);
    assert_int_equal(event(store, "registered", "p"), 2);
    assert_int_equal(event(store, "revoked", "p"), 3);
    assert_int_equal(event(store, "revoked", "q"), 4);
    assert_int_equal(event(store, "webhook-dead", "p"), 5);
    assert_int_equal(event(store, "webhook-test", NULL), 6);
    assert_string_equal(waiting(store, "all"), "4 3 2 1");
    assert_string_equal(waiting(store, "of-p"), "3 2");
    assert_string_equal(waiting(store, "of-kinds"), "4 3");
    assert_string_equal(waiting(store, "of-both"), "3");
    assert_string_equal(waiting(store, "off"), "");
}

/* What is undone was never to be delivered. */
static void test_undone(void **state) {
    struct store *store = *state;
    struct happen happen = {.kind = "revoked", .fails = true};
    struct err err;

    add_hook(store, (struct hook){.id = "all"});
    assert_fails(WRITE(store, run_event, &happen, &err), err, ERR_CONFLICT);
    assert_string_equal(waiting(store, "all"), "");
    assert_int_equal(event(store, "revoked", NULL), 1);
    assert_string_equal(waiting(store, "all"), "1");
}

static bool run_outcome(struct db_conn *tx, void *arg, struct err *err) {
    return db_delivery_outcome(tx, arg, err);
}

static void outcome(struct store *store, int64_t id, const char *state, int64_t next_at, int64_t status, const char *text) {
    struct db_delivery_outcome row = {
        .webhook = "all", .event = id, .state = state, .next_at = next_at, .at = NOW + 1, .status = status, .error = text};
    struct err err;

    assert_ok(WRITE(store, run_outcome, &row, &err), err);
}

static int64_t due(struct store *store, int64_t now) {
    struct db_delivery delivery;
    struct err err;
    bool is_due;

    assert_ok(db_delivery_due(store->reader, "all", now, &store->arena, &is_due, &delivery, &err), err);
    return is_due ? delivery.event : 0;
}

static bool run_retry(struct db_conn *tx, void *arg, struct err *err) {
    return db_delivery_retry(tx, "all", *(int64_t *)arg, NOW, err);
}

static void test_queue(void **state) {
    struct store *store = *state;
    struct db_delivery delivery;
    struct err err;
    int64_t id = 1;

    add_hook(store, (struct hook){.id = "all"});
    for (int i = 0; i < 3; i++)
        event(store, "revoked", NULL);
    assert_int_equal(due(store, NOW - 1), 0);
    assert_int_equal(due(store, NOW), 1);
    outcome(store, 1, "waiting", NOW + 60, 500, "no");
    assert_int_equal(due(store, NOW), 2);
    outcome(store, 2, "delivered", NOW, 204, "");
    assert_int_equal(due(store, NOW), 3);
    outcome(store, 3, "dead", NOW, 0, "unreachable");
    assert_int_equal(due(store, NOW), 0);
    assert_int_equal(due(store, NOW + 60), 1);
    assert_ok(db_delivery_get(store->reader, "all", 1, &store->arena, &delivery, &err), err);
    assert_int_equal(delivery.attempts, 1);
    assert_int_equal(delivery.status, 500);
    assert_string_equal(delivery.error, "no");
    assert_ok(db_delivery_get(store->reader, "all", 3, &store->arena, &delivery, &err), err);
    assert_string_equal(delivery.state, "dead");
    assert_int_equal(delivery.status, 0);
    assert_fails(WRITE(store, run_retry, &id, &err), err, ERR_CONFLICT);
    id = 3;
    assert_ok(WRITE(store, run_retry, &id, &err), err);
    assert_int_equal(due(store, NOW), 3);
    outcome(store, 2, "dead", NOW, 0, "too late"); /* it is over: nothing changes any more */
    assert_ok(db_delivery_get(store->reader, "all", 2, &store->arena, &delivery, &err), err);
    assert_string_equal(delivery.state, "delivered");
    struct db_delivery_counts counts;
    assert_ok(db_delivery_count(store->reader, &counts, &err), err);
    assert_int_equal(counts.waiting, 2);
    assert_int_equal(counts.delivered, 1);
    assert_int_equal(counts.dead, 0);
}

static void sql(const struct store *store, const char *text) {
    char path[128];
    sqlite3 *handle;

    snprintf(path, sizeof path, "%s/pawl.db", store->folder);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    sqlite3_busy_timeout(handle, 5000);
    assert_int_equal(sqlite3_exec(handle, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

static bool run_purge(struct db_conn *tx, void *arg, struct err *err) {
    return db_delivery_purge(tx, NOW + 1, arg, err);
}

static bool run_event_purge(struct db_conn *tx, void *arg, struct err *err) {
    return db_event_purge(tx, NOW + 1, arg, err);
}

/* What is over goes by its age; what waits stays, and with it its event; of too many that wait the oldest are given up. */
static void test_purge(void **state) {
    struct store *store = *state;
    struct db_delivery delivery;
    struct err err;
    size_t changed;

    add_hook(store, (struct hook){.id = "all"});
    for (int i = 0; i < 4; i++)
        event(store, "revoked", NULL);
    outcome(store, 1, "delivered", NOW, 200, "");
    outcome(store, 2, "dead", NOW, 0, "no");
    assert_ok(WRITE(store, run_event_purge, &changed, &err), err);
    assert_int_equal(changed, 2);
    assert_ok(WRITE(store, run_purge, &changed, &err), err);
    assert_int_equal(changed, 2);
    assert_string_equal(waiting(store, "all"), "4 3");
    sql(store, "WITH RECURSIVE n(i) AS (SELECT 5 UNION ALL SELECT i + 1 FROM n WHERE i < 100012) INSERT INTO webhook_delivery "
               "(webhook, event, state, attempts, next_at, created_at, error) SELECT 'all', i, 'waiting', 0, 1800000000, 1800000002, '' FROM n");
    assert_ok(WRITE(store, run_purge, &changed, &err), err);
    assert_int_equal(changed, 10); /* 3 to 12 of 3 to 100,012 */
    assert_ok(db_delivery_get(store->reader, "all", 12, &store->arena, &delivery, &err), err);
    assert_string_equal(delivery.state, "dead");
    assert_int_equal(due(store, NOW), 13);
}

static bool run_rotate(struct db_conn *tx, void *arg, struct err *err) {
    return db_webhook_rotate(tx, "all", arg, NOW + 100, err);
}

static bool run_delete(struct db_conn *tx, void *arg, struct err *err) {
    return db_webhook_delete(tx, arg, err);
}

static bool run_update(struct db_conn *tx, void *arg, struct err *err) {
    return db_webhook_update(tx, arg, err);
}

static void test_resource(void **state) {
    struct store *store = *state;
    struct db_webhook row;
    struct db_webhooks page;
    uint8_t secret[DB_WEBHOOK_SECRET_SIZE] = {9}, old[DB_WEBHOOK_SECRET_SIZE];
    struct err err;

    memset(old, 7, sizeof old);
    add_hook(store, (struct hook){.id = "all", .product = "p", .kinds = {"revoked", "accepted"}});
    event(store, "revoked", "p");
    assert_ok(db_webhook_get(store->reader, "all", &store->arena, &row, &err), err);
    assert_int_equal(row.kinds.count, 2);
    assert_string_equal(row.kinds.items[0], "accepted");
    assert_int_equal(row.old_until, 0);
    assert_ok(WRITE(store, run_rotate, secret, &err), err);
    assert_ok(db_webhook_get(store->reader, "all", &store->arena, &row, &err), err);
    assert_memory_equal(row.secret, secret, sizeof secret);
    assert_memory_equal(row.old_secret, old, sizeof old);
    assert_int_equal(row.old_until, NOW + 100);
    assert_int_equal(row.revision, 2);
    row.product = "";
    row.kinds.count = 0;
    assert_ok(WRITE(store, run_update, &row, &err), err);
    assert_ok(db_webhook_get(store->reader, "all", &store->arena, &row, &err), err);
    assert_string_equal(row.product, "");
    assert_int_equal(row.kinds.count, 0);
    assert_ok(WRITE(store, run_delete, (void *)(uintptr_t) "all", &err), err);
    assert_fails(db_webhook_get(store->reader, "all", &store->arena, &row, &err), err, ERR_NOT_FOUND);
    for (int i = 0; i < DB_WEBHOOKS_MAX; i++) {
        char id[16];
        snprintf(id, sizeof id, "w%03d", i);
        add_hook(store, (struct hook){.id = id});
    }
    struct hook more = {.id = "x"};
    assert_fails(WRITE(store, run_insert, &more, &err), err, ERR_CONFLICT);
    assert_ok(db_webhook_list(store->reader, PAGE_AFTER("id/w049", 30), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 30);
    assert_non_null(page.next);
    assert_string_equal(page.items[0].id, "w050");
}

static void count_news(void *context) {
    (*(int *)context)++;
}

static void test_news(void **state) {
    struct store *store = *state;
    struct happen failing = {.kind = "revoked", .fails = true};
    struct db_events page;
    struct err err;
    int64_t newest;
    int news = 0;

    assert_ok(db_event_newest(store->reader, &newest, &err), err);
    assert_int_equal(newest, 0);
    db_event_listen(store->db, count_news, &news);
    event(store, "revoked", NULL);
    assert_int_equal(news, 1);
    assert_fails(WRITE(store, run_event, &failing, &err), err, ERR_CONFLICT);
    assert_int_equal(news, 1);
    event(store, "accepted", NULL);
    assert_ok(db_event_newest(store->reader, &newest, &err), err);
    assert_int_equal(newest, 2);
    assert_ok(db_event_after(store->reader, 1, 10, &store->arena, &page, &err), err);
    assert_int_equal(page.count, 1);
    assert_string_equal(page.items[0].kind, "accepted");
    for (size_t i = 0; i < db_event_kind_count; i++)
        assert_true(db_event_kind_known(db_event_kinds[i].name) && strlen(db_event_kinds[i].name) < DB_EVENT_KIND_SIZE);
    assert_false(db_event_kind_known("nothing"));
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, store_setup, store_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {WITH_STORE(test_fan_out), WITH_STORE(test_undone),   WITH_STORE(test_queue),
                                       WITH_STORE(test_purge),   WITH_STORE(test_resource), WITH_STORE(test_news)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
