/* Who gets in: tokens with their scopes, devices with their certificates and registry entries. */
#include "tests/unit/server_fixture.h"

#include "server/administrators.h"

static void test_tokens_that_do_not_exist(void **state) {
    struct rig *rig = *state;
    char altered[128];
    snprintf(altered, sizeof(altered), "%s", rig->token);
    altered[strlen(altered) - 1] = altered[strlen(altered) - 1] == 'A' ? 'B' : 'A';
    const char *const bad[] = {"",
                               "pawl_",
                               "pawl__",
                               "pawl_000000000000_0000000000000000000000000000000000000000000",
                               "PAWL_000000000000_0000000000000000000000000000000000000000000",
                               altered};
    expect(rig, (struct ask){.path = "/api/v1/whoami"}, 401, "urn:pawl:problem:unauthenticated");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect(rig, (struct ask){.path = "/api/v1/whoami", .token = bad[i], .address = arena_printf(&rig->store->arena, "192.0.2.%zu", i)}, 401,
               NULL);
    expect(rig, (struct ask){.path = "/api/v1/whoami", .token = rig->token}, 200, "device:write");
}

static void test_dead_tokens(void **state) {
    static const char *const scopes[] = {"device:read", NULL};
    struct rig *rig = *state;
    const char *token = rig_token(rig, NOW + 10, scopes);
    expect(rig, (struct ask){.path = "/api/v1/devices", .token = token}, 200, "items");
    rig->now = NOW + 9;
    expect(rig, (struct ask){.path = "/api/v1/devices", .token = token}, 200, "items");
    rig->now = NOW + 10;
    expect(rig, (struct ask){.path = "/api/v1/devices", .token = token}, 401, NULL);

    token = rig_token(rig, NOW + 1000, scopes);
    char *path = arena_printf(&rig->store->arena, "/api/v1/tokens/%.12s", token + 5);
    expect(rig, (struct ask){.path = "/api/v1/devices", .token = token}, 200, "items");
    expect(rig, (struct ask){.method = "DELETE", .path = path, .token = rig->token, .headers = {{"If-Match", "\"1\""}}}, 204, NULL);
    expect(rig, (struct ask){.path = "/api/v1/devices", .token = token}, 401, NULL);
}

static const char *revoked_path; /* of the token that goes while its request is under way */

static void revoke_it(struct rig *rig) {
    expect(rig, (struct ask){.method = "DELETE", .path = revoked_path, .token = rig->token, .headers = {{"If-Match", "\"1\""}}}, 204, NULL);
}

static void test_token_revoked_under_way(void **state) {
    static const char *const scopes[] = {"token:admin", NULL};
    struct rig *rig = *state;
    const char *token = rig_token(rig, NOW + 1000, scopes);
    struct ask successor = {.method = "POST",
                            .path = "/api/v1/tokens",
                            .token = token,
                            .body = "{\"name\":\"successor\",\"scopes\":[\"token:admin\"],\"expires_at\":\"2030-01-01T00:00:00Z\"}"};
    revoked_path = arena_printf(&rig->store->arena, "/api/v1/tokens/%.12s", token + 5);
    successor.between = revoke_it;
    expect(rig, successor, 401, "urn:pawl:problem:unauthenticated");
}

static void test_throttle(void **state) {
    struct rig *rig = *state;
    const struct ask bad = {.path = "/api/v1/whoami", .token = "pawl_x", .address = "198.51.100.7"};
    for (int i = 0; i < 3; i++)
        expect(rig, bad, 401, NULL);
    expect(rig, bad, 429, "urn:pawl:problem:rate");
    /* Another address, and whoever holds a token, are not kept out. */
    expect(rig, (struct ask){.path = "/api/v1/whoami", .token = "pawl_x", .address = "198.51.100.8"}, 401, NULL);
    expect(rig, (struct ask){.path = "/api/v1/whoami", .token = rig->token, .address = "198.51.100.7"}, 200, NULL);
    rig->now += AUTH_THROTTLE_WINDOW_S;
    expect(rig, bad, 401, NULL);
}

/* An address that shares a slot with another is counted only when the other's window is past: nobody can tell beforehand which one that is. */
static void test_throttle_slots(void **state) {
    struct auth_throttle *one = calloc(1, sizeof(*one)), *other = calloc(1, sizeof(*other));
    int together = 0, both = 0;
    (void)state;
    auth_throttle_init(one, 1);
    auth_throttle_init(other, 1);
    auth_throttle_count(one, "198.51.100.7", NOW);
    auth_throttle_count(other, "198.51.100.7", NOW);
    for (int i = 0; i < 16384; i++) {
        char address[32];
        snprintf(address, sizeof(address), "10.1.%d.%d", i / 256, i % 256);
        auth_throttle_count(one, address, NOW);
        auth_throttle_count(other, address, NOW);
        bool hidden = !auth_throttle_over(one, address, NOW);
        together += hidden;
        both += hidden && !auth_throttle_over(other, address, NOW);
    }
    assert_true(together > 0);
    assert_true(both < together);
    free(one);
    free(other);
}

/* An IPv6 customer has 2^64 addresses: his network counts. */
static void test_throttle_by_network(void **state) {
    static const char *const one[] = {"2001:db8:0:7::1", "2001:db8:0:7::2", "2001:db8:0:7:ffff::1"};
    struct rig *rig = *state;
    for (size_t i = 0; i < ARRAY_LEN(one); i++)
        expect(rig, (struct ask){.path = "/api/v1/whoami", .token = "pawl_x", .address = one[i]}, 401, NULL);
    expect(rig, (struct ask){.path = "/api/v1/whoami", .token = "pawl_x", .address = "2001:db8:0:7::3"}, 429, NULL);
    expect(rig, (struct ask){.path = "/api/v1/whoami", .token = "pawl_x", .address = "2001:db8:0:8::1"}, 401, NULL);
}

static void test_grace_of_an_old_secret(void **state) {
    static const char *const scopes[] = {"device:read", NULL};
    struct rig *rig = *state;
    const char *old = rig_token(rig, NOW + 1000, scopes);
    char *path = arena_printf(&rig->store->arena, "/api/v1/tokens/%.12s/rotate", old + 5);
    expect(rig, (struct ask){.method = "POST", .path = path, .token = rig->token, .body = "{\"grace_s\":10}"}, 200, "\"secret\":\"pawl_");
    rig->now = NOW + 9;
    expect(rig, (struct ask){.path = "/api/v1/devices", .token = old}, 200, "items");
    rig->now = NOW + 10;
    expect(rig, (struct ask){.path = "/api/v1/devices", .token = old}, 401, NULL);
}

/* On the enrolment listener an expired certificate is let in: only the key that a device is known by counts there. */
static void test_renewals_are_for_known_keys(void **state) {
    struct rig *rig = *state;
    const struct ask renewal = {.method = "POST", .path = "/.well-known/est/simplereenroll", .listener = API_ENROL, .device = "d1", .key = 7};
    expect(rig, renewal, 403, "is not known by this key");
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/devices", .token = rig->token, .body = "{\"id\":\"d1\"}"}, 201, NULL);
    expect(rig, renewal, 403, "is not known by this key"); /* registered, and has never shown a key */
}

static void test_certificates(void **state) {
    static const char *const reader[] = {"device:read", NULL};
    struct rig *rig = *state;
    struct err err;
    struct db_token *grants = &rig->server.first_grants;
    expect(rig, (struct ask){.path = "/api/v1/whoami", .administrator = "alice"}, 200, "\"cert:alice\"");
    expect(rig, (struct ask){.path = "/metrics", .administrator = "alice"}, 403, "urn:pawl:problem:scope");
    assert_ok(administrators_scopes(&rig->store->arena, " metrics:read\taudit:read ", grants, &err), err);
    assert_int_equal(grants->grant_count, 2);
    expect(rig, (struct ask){.path = "/metrics", .administrator = "alice"}, 200, NULL);
    expect(rig, (struct ask){.path = "/api/v1/devices", .administrator = "alice"}, 403, "urn:pawl:problem:scope");
    /* A token goes before it, for better and for worse. */
    expect(rig, (struct ask){.path = "/metrics", .administrator = "alice", .token = rig_token(rig, NOW + 10, reader)}, 403, NULL);
    expect(rig, (struct ask){.path = "/metrics", .administrator = "alice", .token = "pawl_x"}, 401, NULL);
    expect(rig, (struct ask){.path = "/api/v1/devices", .administrator = "alice", .token = rig->token}, 200, NULL);
    rig->now = NOW + 3599;
    expect(rig, (struct ask){.path = "/metrics", .administrator = "alice"}, 200, NULL);
    rig->now = NOW + 3600; /* the connection lives longer than its certificate */
    expect(rig, (struct ask){.path = "/metrics", .administrator = "alice"}, 401, "expired");
}

static void test_scopes(void **state) {
    static const char *const reader[] = {"device:read", NULL};
    static const char *const pair[] = {"device:read@one", "device:write@two", "release:publish@one", NULL};
    struct rig *rig = *state;
    make_product(rig->store, "one", FLEET_POLICY_LATEST);
    make_product(rig->store, "two", FLEET_POLICY_LATEST);
    make_device(rig->store, "a", "one", "board");
    make_device(rig->store, "b", "two", "board");
    const char *token = rig_token(rig, NOW + 1000, reader);
    expect(rig, (struct ask){.path = "/api/v1/devices/a", .token = token}, 200, NULL);
    expect(rig, (struct ask){.path = "/api/v1/audit", .token = token}, 403, "urn:pawl:problem:scope");
    expect(rig, (struct ask){.path = "/api/v1/tokens", .token = token}, 403, NULL);
    expect(rig, (struct ask){.path = "/metrics", .token = token}, 403, NULL);
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/devices/a/revoke", .token = token}, 403, NULL);

    /* Pair by pair: reading one and writing two is not reading two, nor writing one. */
    token = rig_token(rig, NOW + 1000, pair);
    expect(rig, (struct ask){.path = "/api/v1/devices/a", .token = token}, 200, NULL);
    expect(rig, (struct ask){.path = "/api/v1/devices/b", .token = token}, 404, NULL);
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/devices/a/revoke", .token = token}, 403, NULL);
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/devices/b/revoke", .token = token}, 200, "revoked");
    expect(rig, (struct ask){.path = "/api/v1/devices", .token = token}, 403, NULL);
    expect(rig, (struct ask){.path = "/api/v1/devices", .query = "product=two", .token = token}, 403, NULL);
    expect(rig, (struct ask){.path = "/api/v1/devices", .query = "product=one", .token = token}, 200, "\"a\"");
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/products", .body = "{\"id\":\"three\"}", .token = token}, 403, NULL);
    /* Rows for the whole installation take no limited token. */
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/metadata", .body = "{}", .token = token}, 403, NULL);
}

static void test_nobody_gives_what_he_does_not_have(void **state) {
    static const char *const giver[] = {"token:admin", "device:read@one", NULL};
    struct rig *rig = *state;
    const char *token = rig_token(rig, NOW + 1000, giver);
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/tokens", .body = "{\"scopes\":[\"device:read@one\"]}", .token = token}, 201, "pawl_");
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/tokens", .body = "{\"scopes\":[\"device:read\"]}", .token = token}, 403, NULL);
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/tokens", .body = "{\"scopes\":[\"device:read@two\"]}", .token = token}, 403, NULL);
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/tokens", .body = "{\"scopes\":[\"audit:read\"]}", .token = token}, 403, NULL);
}

static void test_new_device_accepted(void **state) {
    struct rig *rig = *state;
    struct ask first = {.path = "/whoami", .device = "new", .key = 1};
    assert_int_equal(ask(rig, &first), 200);
    assert_true(first.written);
    assert_non_null(strstr(first.text, "\"state\":\"active\""));
    ask_done(&first);
    struct ask second = {.path = "/whoami", .device = "new", .key = 1};
    assert_int_equal(ask(rig, &second), 200);
    assert_false(second.written);
    ask_done(&second);
    assert_int_equal(count_events(rig, "registered"), 1);
}

static void test_new_device_pending(void **state) {
    struct rig *rig = *state;
    rig->server.env.settings.auto_accept = false;
    struct ask first = {.path = "/check", .device = "new", .key = 1};
    assert_int_equal(ask(rig, &first), 403);
    assert_non_null(strstr(first.text, "urn:pawl:problem:device-pending"));
    assert_string_not_equal(ask_header(&first, "Poll-After"), "");
    ask_done(&first);
    assert_int_equal(hot_of(rig->store, "new").state, FLEET_DEVICE_PENDING); /* the refusal was committed with the registration */
    expect(rig, (struct ask){.path = "/check", .device = "new", .key = 1}, 403, "device-pending");
    expect(rig, (struct ask){.path = "/firmware/x/1.0.0/y", .device = "new", .key = 1}, 403, "device-pending");
    expect(rig, (struct ask){.path = "/tuf/1.root.json", .device = "new", .key = 1}, 403, "device-pending");
    expect(rig, (struct ask){.method = "POST", .path = "/report", .body = "{}", .device = "new", .key = 1}, 403, "device-pending");
    expect(rig, (struct ask){.path = "/whoami", .device = "new", .key = 1}, 200, "pending");
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/devices/new/accept", .token = rig->token}, 200, "active");
    expect(rig, (struct ask){.path = "/check", .device = "new", .key = 1}, 204, NULL);

    expect(rig, (struct ask){.path = "/check", .device = "p1", .key = 2}, 403, "device-pending");
    expect(rig, (struct ask){.path = "/check", .device = "p2", .key = 3}, 403, "device-pending");
    expect(rig, (struct ask){.path = "/check", .device = "p3", .key = 4}, 503, "pending_max"); /* the ceiling is two */
}

static void test_other_key(void **state) {
    struct rig *rig = *state;
    expect(rig, (struct ask){.path = "/check", .device = "d", .key = 1}, 204, NULL);
    expect(rig, (struct ask){.path = "/check", .device = "d", .key = 2}, 403, "urn:pawl:problem:identity");
    assert_int_equal(count_events(rig, "clone-suspected"), 1);
    expect(rig, (struct ask){.path = "/whoami", .device = "d", .key = 2}, 403, "urn:pawl:problem:identity");
    assert_int_equal(count_events(rig, "clone-suspected"), 1); /* once a minute */
    expect(rig, (struct ask){.path = "/check", .device = "d", .key = 1}, 204, NULL);
    /* One key is one device. */
    expect(rig, (struct ask){.path = "/check", .device = "e", .key = 1}, 403, "urn:pawl:problem:identity");
}

/* Nothing else that is wrong with a clone's request hides the clone, nor the one after it. */
static void test_other_key_with_bad_requests(void **state) {
    static const char *const bad[] = {"%zz", "a=1&a=2", "sequence=x", "nonce=no"};
    static char large[5000];
    struct rig *rig = *state;
    memset(large, ' ', sizeof(large) - 1);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char device[16];
        snprintf(device, sizeof(device), "bad-%zu", i);
        expect(rig, (struct ask){.path = "/check", .device = device, .key = (uint8_t)(10 + 2 * i)}, 204, NULL);
        expect(rig, (struct ask){.path = "/check", .query = bad[i], .device = device, .key = (uint8_t)(11 + 2 * i)}, 403,
               "urn:pawl:problem:identity");
        assert_int_equal(count_events(rig, "clone-suspected"), i + 1);
    }
    expect(rig, (struct ask){.path = "/check", .device = "big", .key = 50}, 204, NULL);
    expect(rig, (struct ask){.method = "POST", .path = "/report", .body = large, .device = "big", .key = 51}, 413, NULL);
    assert_int_equal(count_events(rig, "clone-suspected"), ARRAY_LEN(bad));
    expect(rig, (struct ask){.path = "/check", .device = "big", .key = 51}, 403, "urn:pawl:problem:identity");
    assert_int_equal(count_events(rig, "clone-suspected"), ARRAY_LEN(bad) + 1);
}

static void test_first_key_is_pinned(void **state) {
    struct rig *rig = *state;
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/devices", .body = "{\"id\":\"pre\"}", .token = rig->token}, 201, "\"pins\":[]");
    expect(rig, (struct ask){.path = "/check", .device = "pre", .key = 5}, 204, NULL);
    expect(rig, (struct ask){.path = "/check", .device = "pre", .key = 6}, 403, "identity");
    expect(rig, (struct ask){.path = "/api/v1/devices/pre", .token = rig->token}, 200,
           "\"pins\":[\"0505050505050505050505050505050505050505050505050505050505050505\"]");
}

static void test_revoked(void **state) {
    struct rig *rig = *state;
    struct api_identity identity = {.id = "d"};
    expect(rig, (struct ask){.path = "/check", .device = "d", .key = 1}, 204, NULL);
    assert_true(auth_may_connect(&rig->server.env, &identity));
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/devices/d/revoke", .body = "{\"reason\":\"stolen\"}", .token = rig->token}, 200,
           "revoked");
    assert_string_equal(rig->cut, "d");
    assert_false(auth_may_connect(&rig->server.env, &identity));
    struct ask refused = {.path = "/check", .device = "d", .key = 1};
    assert_int_equal(ask(rig, &refused), 403);
    assert_non_null(strstr(refused.text, "urn:pawl:problem:device-revoked"));
    assert_string_equal(ask_header(&refused, "Connection"), "close");
    ask_done(&refused);
    expect(rig, (struct ask){.path = "/whoami", .device = "d", .key = 1}, 403, "device-revoked");
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/devices/d/accept", .token = rig->token}, 409, NULL);
}

static void test_retired_and_unknown(void **state) {
    struct rig *rig = *state;
    struct api_identity unknown = {.id = "nobody-yet"};
    expect(rig, (struct ask){.path = "/check", .device = "d", .key = 1}, 204, NULL);
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/devices/d/retire", .token = rig->token}, 200, "retired");
    expect(rig, (struct ask){.path = "/check", .device = "d", .key = 1}, 403, "urn:pawl:problem:device-retired");
    assert_string_equal(rig->cut, "d");
    assert_true(auth_may_connect(&rig->server.env, &unknown));
    expect(rig, (struct ask){.listener = API_DEVICE, .path = "/check"}, 401, NULL);
}

/* A token opens nothing on the device listener, a certificate nothing on the administration listener. */
static void test_listeners_do_not_mix(void **state) {
    struct rig *rig = *state;
    expect(rig, (struct ask){.listener = API_DEVICE, .path = "/whoami", .token = rig->token}, 401, NULL);
    expect(rig, (struct ask){.listener = API_DEVICE, .path = "/api/v1/devices", .token = rig->token}, 404, NULL);
    expect(rig, (struct ask){.listener = API_ADMIN, .path = "/api/v1/devices", .device = "d", .key = 1}, 401, NULL);
    expect(rig, (struct ask){.listener = API_ADMIN, .path = "/check", .device = "d", .key = 1}, 404, NULL);
}

#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG(test_tokens_that_do_not_exist),
        RIG(test_token_revoked_under_way),
        RIG(test_dead_tokens),
        RIG(test_throttle),
        cmocka_unit_test(test_throttle_slots),
        RIG(test_throttle_by_network),
        RIG(test_grace_of_an_old_secret),
        RIG(test_renewals_are_for_known_keys),
        RIG(test_certificates),
        RIG(test_scopes),
        RIG(test_nobody_gives_what_he_does_not_have),
        RIG(test_new_device_accepted),
        RIG(test_new_device_pending),
        RIG(test_other_key),
        RIG(test_other_key_with_bad_requests),
        RIG(test_first_key_is_pinned),
        RIG(test_revoked),
        RIG(test_retired_and_unknown),
        RIG(test_listeners_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
