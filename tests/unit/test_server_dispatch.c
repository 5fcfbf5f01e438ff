/* The way of every request: route, limits, preconditions, idempotency, bodies and lists, each refusal a problem that names its cause. */
#include "tests/unit/server_fixture.h"

static void test_no_row(void **state) {
    struct rig *rig = *state;
    struct ask wrong = {.method = "DELETE", .path = "/api/v1/products", .token = rig->token};
    expect(rig, (struct ask){.path = "/nothing", .token = rig->token}, 404, "urn:pawl:problem:not-found");
    assert_int_equal(ask(rig, &wrong), 405);
    assert_string_equal(ask_header(&wrong, "Allow"), "GET, HEAD, POST");
    assert_string_equal(wrong.call.reply.content_type, "application/problem+json");
    assert_non_null(strstr(wrong.text, "\"request_id\":\"00000000000000000000000000000001\""));
    ask_done(&wrong);
}

static void test_limits(void **state) {
    struct rig *rig = *state;
    char *large = arena_alloc(&rig->store->arena, 4098);
    memset(large, ' ', 4097);
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/products", .body = large, .token = rig->token}, 413, "4096");
    expect(rig, (struct ask){.path = "/api/v1/products", .body = "{}", .token = rig->token}, 413, NULL);
    expect(rig, (struct ask){.path = "/api/v1/devices", .query = "a=%zz", .token = rig->token}, 400, NULL);
    expect(rig, (struct ask){.path = "/api/v1/devices", .query = "limit=1&limit=2", .token = rig->token}, 400, "limit");
    expect(rig, (struct ask){.path = "/api/v1/devices", .query = "limit=0", .token = rig->token}, 400, "\"field\":\"limit\"");
    expect(rig, (struct ask){.path = "/api/v1/devices", .query = "limit=1001", .token = rig->token}, 400, NULL);
    expect(rig, (struct ask){.path = "/api/v1/devices", .query = "colour=red", .token = rig->token}, 400, "\"field\":\"colour\"");
    expect(rig, (struct ask){.path = "/api/v1/devices", .query = "cursor=zz", .token = rig->token}, 400, "\"field\":\"cursor\"");
    expect(rig, (struct ask){.path = "/api/v1/deployments", .query = "cursor=6161", .token = rig->token}, 400, "\"field\":\"cursor\"");
    expect(rig, (struct ask){.path = "/api/v1/devices", .query = "state=broken", .token = rig->token}, 400, "\"field\":\"state\"");
}

static void test_bodies(void **state) {
    static const struct {
        const char *path, *body, *field;
        int status;
    } rows[] = {
        {"/api/v1/products", "", "id", 400},
        {"/api/v1/products", "{}", "id", 400},
        {"/api/v1/products", "[]", "", 400},
        {"/api/v1/products", "{\"id\":1}", "id", 400},
        {"/api/v1/products", "{\"id\":\"a b\"}", "id", 400},
        {"/api/v1/products", "{\"id\":\"..\"}", "id", 400},
        {"/api/v1/products", "{\"id\":\"a\",\"id\":\"b\"}", "", 400},
        {"/api/v1/products", "{\"id\":\"a\",\"colour\":1}", "colour", 400},
        {"/api/v1/products", "{\"id\":\"a\",\"policy\":\"newest\"}", "policy", 400},
        {"/api/v1/products", "{\"id\":\"a\"} {}", "", 400},
        {"/api/v1/devices", "{\"id\":\"a\",\"spki_sha256\":\"00\"}", "spki_sha256", 400},
        {"/api/v1/devices", "{\"id\":\"a\",\"tags\":[\"x y\"]}", "tags", 400},
        {"/api/v1/devices", "{\"id\":\"a\",\"product\":\"none\"}", "", 404},
        {"/api/v1/tokens", "{\"scopes\":[]}", "scopes", 400},
        {"/api/v1/tokens", "{\"scopes\":[\"everything\"]}", "scopes[0]", 400},
        {"/api/v1/tokens", "{\"scopes\":[\"device:read\",\"device:read\"]}", "scopes[1]", 400},
        {"/api/v1/tokens", "{\"scopes\":[\"device:read@\"]}", "scopes[0]", 400},
        {"/api/v1/tokens", "{\"scopes\":[\"device:read\"],\"expires_in_s\":31536001}", "expires_in_s", 400},
        {"/api/v1/deployments", "{\"device\":\"none\",\"version\":\"1.0.0\"}", "", 404},
        {"/api/v1/releases", "{\"targets\":\"!\",\"snapshot\":\"AA==\"}", "targets", 400},
        {"/api/v1/metadata", "{}", "", 400},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ask given = {.method = "POST", .path = rows[i].path, .body = rows[i].body, .token = rig->token};
        const char *field = arena_printf(&rig->store->arena, "\"field\":\"%s\"", rows[i].field);
        if (ask(rig, &given) != rows[i].status || (rows[i].field[0] != '\0' && strstr(given.text, field) == NULL))
            fail_msg("%s %s: %d %s", rows[i].path, rows[i].body, given.status, given.text);
        ask_done(&given);
    }
    expect(rig, (struct ask){.path = "/api/v1/audit", .token = rig->token}, 200, "{\"items\":[],"); /* nothing was changed */
    expect(rig,
           (struct ask){.method = "POST",
                        .path = "/api/v1/products",
                        .body = "{\"id\":\"a\"}",
                        .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                        .token = rig->token},
           415, "urn:pawl:problem:media-type");
}

static void test_idempotency(void **state) {
    struct rig *rig = *state;
    struct ask first = {.method = "POST",
                        .path = "/api/v1/tokens",
                        .body = "{\"scopes\":[\"device:read\"]}",
                        .headers = {{"Idempotency-Key", "k1"}},
                        .token = rig->token};
    struct ask again = first, other = first, path = first, missing = first;
    assert_int_equal(ask(rig, &first), 201);
    assert_non_null(strstr(first.text, "\"secret\":\"pawl_"));
    assert_int_equal(ask(rig, &again), 201);
    assert_non_null(strstr(again.text, "\"secret\":null"));
    assert_string_equal(ask_header(&again, "Idempotency-Replayed"), "true");
    assert_string_equal(ask_header(&again, "Location"), ask_header(&first, "Location"));
    other.body = "{\"scopes\":[\"device:write\"]}";
    assert_int_equal(ask(rig, &other), 422);
    assert_non_null(strstr(other.text, "urn:pawl:problem:idempotency"));
    path.path = "/api/v1/products";
    assert_int_equal(ask(rig, &path), 422);
    assert_string_equal(ask_header(&again, "ETag"), ask_header(&first, "ETag"));
    /* A failure is not remembered: the same key can succeed later. */
    missing = (struct ask){.method = "POST", .path = "/api/v1/devices/x/accept", .headers = {{"Idempotency-Key", "k2"}}, .token = rig->token};
    assert_int_equal(ask(rig, &missing), 404);
    ask_done(&missing);
    const struct db_device_new device = {.id = "x", .state = FLEET_DEVICE_PENDING};
    struct write_args args = {.object = &device};
    struct err err;
    assert_ok(WRITE(rig->store, run_device, &args, &err), err);
    assert_int_equal(ask(rig, &missing), 200);
    ask_done(&missing);
    assert_int_equal(ask(rig, &missing), 200); /* and moves only once */
    assert_string_equal(ask_header(&missing, "Idempotency-Replayed"), "true");
    ask_done(&missing);
    ask_done(&first);
    ask_done(&again);
    ask_done(&other);
    ask_done(&path);
    char *key = arena_alloc(&rig->store->arena, 66);
    memset(key, 'k', 65);
    expect(rig,
           (struct ask){
               .method = "POST", .path = "/api/v1/products", .body = "{\"id\":\"a\"}", .headers = {{"Idempotency-Key", key}}, .token = rig->token},
           400, "Idempotency-Key");
}

static void test_if_match(void **state) {
    struct rig *rig = *state;
    make_product(rig->store, "p", FLEET_POLICY_LATEST);
    struct ask put = {.method = "PATCH", .path = "/api/v1/products/p", .body = "{\"policy\":\"rollout\"}", .token = rig->token};
    expect(rig, put, 428, "urn:pawl:problem:precondition-required");
    put.headers[0] = (struct api_param){"If-Match", "\"2\""};
    expect(rig, put, 412, "urn:pawl:problem:precondition");
    put.headers[0].value = "W/\"1\"";
    expect(rig, put, 412, NULL);
    put.headers[0].value = "\"1\"";
    expect(rig, put, 200, "\"policy\":\"rollout\"");
    expect(rig, put, 412, NULL); /* it is 2 now */
    put.headers[0].value = "*";
    expect(rig, put, 200, NULL);
    struct ask get = {.path = "/api/v1/products/p", .token = rig->token};
    assert_int_equal(ask(rig, &get), 200);
    assert_string_equal(ask_header(&get, "ETag"), "\"3\"");
    ask_done(&get);
}

/* What stands between a text and the next quote. */
static char *between(struct arena *arena, const char *text, const char *start) {
    const char *at = strstr(text, start);
    if (at == NULL)
        return NULL;
    at += strlen(start);
    return arena_strndup(arena, at, strcspn(at, "\""));
}

static void test_pages(void **state) {
    struct rig *rig = *state;
    make_product(rig->store, "p", FLEET_POLICY_LATEST);
    for (int i = 0; i < 5; i++)
        make_device(rig->store, arena_printf(&rig->store->arena, "d%d", i), "p", "board");
    const char *query = "limit=2&product=p";
    size_t seen = 0;
    for (int page = 0; page < 3; page++) {
        struct ask get = {.path = "/api/v1/devices", .query = query, .token = rig->token};
        assert_int_equal(ask(rig, &get), 200);
        for (const char *at = get.text; (at = strstr(at, "{\"id\":\"d")) != NULL; at++) {
            assert_int_equal(at[8] - '0', seen);
            seen++;
        }
        const char *next = between(&rig->store->arena, get.text, "\"next\":\"");
        assert_int_equal(next != NULL, page < 2);
        if (next != NULL) {
            assert_string_equal(ask_header(&get, "Link"),
                                arena_printf(&rig->store->arena, "</api/v1/devices?cursor=%s&limit=2&product=p>; rel=\"next\"", next));
            query = arena_printf(&rig->store->arena, "cursor=%s&limit=2&product=p", next);
        } else {
            assert_string_equal(ask_header(&get, "Link"), "");
        }
        ask_done(&get);
    }
    assert_int_equal(seen, 5);
}

static void test_health(void **state) {
    struct rig *rig = *state;
    expect(rig, (struct ask){.path = "/healthz"}, 200, "{\"status\":\"ok\"}");
    expect(rig, (struct ask){.path = "/readyz"}, 200, "{\"status\":\"ready\"}");
    expect(rig, (struct ask){.path = "/readyz", .token = rig->token}, 200, "\"expires\":[]}");
    rig->server.config.store.free_min = INT64_MAX;
    expect(rig, (struct ask){.path = "/readyz"}, 503, "[store] free_min");
    rig->server.config.store.free_min = 1;
    expect(rig, (struct ask){.path = "/readyz", .token = rig->token}, 200, "\"store_free_bytes\":");
    atomic_store(&rig->server.store_failed, true);
    expect(rig, (struct ask){.path = "/readyz"}, 503, "the store failed");
    atomic_store(&rig->server.store_failed, false);
    atomic_store(&rig->server.draining, true);
    struct ask given = {.path = "/readyz"};
    assert_int_equal(ask(rig, &given), 503);
    assert_string_equal(ask_header(&given, "Retry-After"), "2");
    ask_done(&given);
    expect(rig, (struct ask){.path = "/healthz"}, 200, NULL);
}

/* The server's own troubles are in its log, not in the reply. */
static void test_internal_errors_say_nothing(void **state) {
    struct rig *rig = *state;
    struct api_call call = {.env = &rig->server.env, .listener = API_ADMIN, .arena = &rig->store->arena, .path = "/x"};
    struct err err;
    err_set(&err, ERR_IO, "/secret/path: broken");
    dispatch_refuse(&call, &err);
    assert_int_equal(call.reply.status, 500);
    char *text = arena_strndup(&rig->store->arena, call.reply.body, call.reply.body_len);
    assert_null(strstr(text, "secret"));
}

static void test_every_change_is_in_the_audit(void **state) {
    struct rig *rig = *state;
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/products", .body = "{\"id\":\"p\"}", .token = rig->token}, 201, NULL);
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/devices", .body = "{\"id\":\"d\",\"product\":\"p\"}", .token = rig->token}, 201,
           NULL);
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/devices/d/revoke", .body = "{\"reason\":\"lost\"}", .token = rig->token}, 200, NULL);
    struct ask list = {.path = "/api/v1/audit", .token = rig->token};
    assert_int_equal(ask(rig, &list), 200);
    static const char *const actions[] = {"product.create", "device.create", "device.revoke", "{\\\"reason\\\":\\\"lost\\\"}", "\"token:"};
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (strstr(list.text, actions[i]) == NULL)
            fail_msg("%s is not in %s", actions[i], list.text);
    ask_done(&list);
    int64_t rows;
    struct err err;
    assert_ok(db_audit_verify(rig->store->reader, &rows, &err), err);
    assert_int_equal(rows, 3);
}

#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG(test_no_row),
        RIG(test_limits),
        RIG(test_bodies),
        RIG(test_idempotency),
        RIG(test_if_match),
        RIG(test_pages),
        RIG(test_health),
        RIG(test_internal_errors_say_nothing),
        RIG(test_every_change_is_in_the_audit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
