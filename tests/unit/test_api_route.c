/* The route table: what matches, what is allowed instead, and what every row must say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "api/handlers.h"

struct fixture {
    struct arena arena;
    struct api_call call;
    const char *allow;
};

static const struct api_route *find(struct fixture *fixture, enum api_listener listener, const char *method, const char *path) {
    arena_clear(&fixture->arena);
    arena_init(&fixture->arena, 65536);
    fixture->call = (struct api_call){.arena = &fixture->arena, .listener = listener, .method = method, .path = path};
    fixture->allow = NULL;
    return api_route_find(&fixture->call, &fixture->allow);
}

static void test_rows_that_match(void **state) {
    static const struct {
        enum api_listener listener;
        const char *method, *path, *pattern, *name, *value;
    } rows[] = {
        {API_DEVICE, "GET", "/check", "/check", NULL, NULL},
        {API_DEVICE, "GET", "/firmware/p/1.0.0/f.bin", "/firmware/{path...}", "path", "p/1.0.0/f.bin"},
        {API_DEVICE, "GET", "/firmware/p/1.0.0+a/f%41.bin", "/firmware/{path...}", "path", "p/1.0.0+a/f%41.bin"},
        {API_DEVICE, "GET", "/tuf/1.root.json", "/tuf/{file}", "file", "1.root.json"},
        {API_ADMIN, "GET", "/api/v1/devices", "/api/v1/devices", NULL, NULL},
        {API_ADMIN, "GET", "/api/v1/devices/a%3Ab", "/api/v1/devices/{device}", "device", "a:b"},
        {API_ADMIN, "PUT", "/api/v1/devices/x/tags", "/api/v1/devices/{device}/tags", "device", "x"},
        {API_ADMIN, "GET", "/api/v1/releases/p/1.0.0-rc.1+b", "/api/v1/releases/{product}/{version}", "version", "1.0.0-rc.1+b"},
        {API_ADMIN, "GET", "/healthz", "/healthz", NULL, NULL},
    };
    struct fixture fixture = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct api_route *route = find(&fixture, rows[i].listener, rows[i].method, rows[i].path);
        if (route == NULL || strcmp(route->pattern, rows[i].pattern) != 0)
            fail_msg("%s %s: %s", rows[i].method, rows[i].path, route != NULL ? route->pattern : "no row");
        if (rows[i].name != NULL)
            assert_string_equal(api_var(&fixture.call, rows[i].name), rows[i].value);
    }
    arena_clear(&fixture.arena);
}

static void test_paths_that_do_not(void **state) {
    static const struct {
        enum api_listener listener;
        const char *method, *path;
    } rows[] = {
        {API_DEVICE, "GET", "/"},
        {API_DEVICE, "GET", "/check/"},
        {API_DEVICE, "GET", "//check"},
        {API_DEVICE, "GET", "/CHECK"},
        {API_DEVICE, "GET", "/chec%6b"},
        {API_DEVICE, "GET", "/firmware/"},
        {API_DEVICE, "GET", "/firmware"},
        {API_DEVICE, "GET", "/tuf/"},
        {API_DEVICE, "GET", "/tuf/a/b"},
        {API_DEVICE, "GET", "/tuf/a%2fb"},
        {API_DEVICE, "GET", "/tuf/a%00b"},
        {API_DEVICE, "GET", "/tuf/a%0ab"},
        {API_DEVICE, "GET", "/tuf/a%zzb"},
        {API_DEVICE, "GET", "/tuf/a%4"},
        {API_DEVICE, "GET", "/tuf/a%"},
        {API_DEVICE, "GET", "/tuf/%ff"},
        {API_DEVICE, "GET", "/api/v1/devices"}, /* another listener's */
        {API_ADMIN, "GET", "/check"},
        {API_ADMIN, "GET", "/api/v1/devices//tags"},
        {API_ADMIN, "GET", "/api/v1/releases/p/1.0.0/x"},
        {API_ENROL, "GET", "/healthz"},
    };
    struct fixture fixture = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (find(&fixture, rows[i].listener, rows[i].method, rows[i].path) != NULL)
            fail_msg("%s %s has a row", rows[i].method, rows[i].path);
        bool known_path = fixture.allow != NULL;
        bool escape = strchr(rows[i].path, '%') != NULL; /* the raw path matches, its decoding does not */
        if (known_path && !escape)
            fail_msg("%s %s: Allow %s", rows[i].method, rows[i].path, fixture.allow);
    }
    arena_clear(&fixture.arena);
}

static void test_allow(void **state) {
    struct fixture fixture = {0};
    (void)state;
    assert_null(find(&fixture, API_ADMIN, "DELETE", "/api/v1/products"));
    assert_string_equal(fixture.allow, "GET, HEAD, POST");
    assert_null(find(&fixture, API_ADMIN, "POST", "/api/v1/images/0"));
    assert_string_equal(fixture.allow, "GET, HEAD, PUT");
    assert_null(find(&fixture, API_DEVICE, "POST", "/check"));
    assert_string_equal(fixture.allow, "GET, HEAD");
    assert_null(find(&fixture, API_DEVICE, "HEAD", "/report")); /* the wire asks for GET when it means HEAD */
    assert_string_equal(fixture.allow, "POST");
    arena_clear(&fixture.arena);
}

/* Rows that are no GET and yet begin on the worker: the key of a request is proved there first, a file is judged there first, a preview only reads.
 */
static bool begins_on_the_worker(const struct api_route *route) {
    static const char *const patterns[] = {"/api/v1/devices/import", "/api/v1/rollouts/preview"};
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
        if (strcmp(route->pattern, patterns[i]) == 0)
            return true;
    return (route->listeners & API_ENROL) != 0;
}

/* What holds for every row, so that a new one cannot forget it. */
static void test_every_row(void **state) {
    (void)state;
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        bool api = strncmp(route->pattern, "/api/v1/", 8) == 0;
        bool changes = strcmp(route->method, "GET") != 0;
        if (route->handler == NULL || route->role == API_NOBODY)
            fail_msg("%s %s: nobody, or nothing behind it", route->method, route->pattern);
        if (api && (route->role != API_OPERATOR || route->listeners != API_ADMIN))
            fail_msg("%s %s: not an operator's", route->method, route->pattern);
        if (changes && route->run != API_WRITE && !begins_on_the_worker(route))
            fail_msg("%s %s: changes without a transaction", route->method, route->pattern);
        if (api && strcmp(route->method, "POST") == 0 && (route->policy & API_IDEMPOTENT) == 0)
            fail_msg("%s %s: a POST without Idempotency-Key", route->method, route->pattern);
        bool by_hash = strstr(route->pattern, "{sha256}") != NULL;
        if (api && !by_hash && (strcmp(route->method, "PUT") == 0 || strcmp(route->method, "DELETE") == 0) && (route->policy & API_IF_MATCH) == 0)
            fail_msg("%s %s: no If-Match", route->method, route->pattern);
        if ((route->body == API_NO_BODY) != (route->body_limit == 0) || (route->body == API_STREAM) != (route->stream != NULL))
            fail_msg("%s %s: body kind, limit and stream disagree", route->method, route->pattern);
        for (size_t j = 0; j < i; j++)
            if (strcmp(route->method, api_routes[j].method) == 0 && strcmp(route->pattern, api_routes[j].pattern) == 0 &&
                (route->listeners & api_routes[j].listeners) != 0)
                fail_msg("%s %s stands twice", route->method, route->pattern);
    }
}

static bool parse(struct fixture *fixture, const char *raw, struct err *err) {
    arena_clear(&fixture->arena);
    arena_init(&fixture->arena, 65536);
    fixture->call = (struct api_call){.arena = &fixture->arena};
    return api_query_parse(&fixture->call, raw, NULL, err);
}

static void test_query(void **state) {
    static const char *const bad[] = {"a=%",   "a=%4",    "a=%zz",
                                      "a=%00", "a=%0a",   "%00=1",
                                      "a=%ff", "a=1&a=2", "a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9&j=10&k=11&l=12&m=13&n=14&o=15&p=16&q=17"};
    struct fixture fixture = {0};
    struct err err;
    (void)state;
    assert_true(parse(&fixture, "a=1&b=x%20y&&c&d=1.0+b&e=%3D&f==", &err));
    assert_string_equal(api_query(&fixture.call, "a"), "1");
    assert_string_equal(api_query(&fixture.call, "b"), "x y");
    assert_string_equal(api_query(&fixture.call, "c"), "");
    assert_string_equal(api_query(&fixture.call, "d"), "1.0+b"); /* a plus is a plus: SemVer has them */
    assert_string_equal(api_query(&fixture.call, "e"), "=");
    assert_string_equal(api_query(&fixture.call, "f"), "=");
    assert_null(api_query(&fixture.call, "g"));
    assert_int_equal(fixture.call.query_count, 6);
    assert_true(parse(&fixture, "", &err) && parse(&fixture, NULL, &err));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (parse(&fixture, bad[i], &err))
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(err.code, ERR_INVALID);
    }
    arena_clear(&fixture.arena);
}

/* Names are whole words of the row's list; an empty list has none. */
static void test_query_known(void **state) {
    static const struct {
        const char *raw, *known;
        bool good;
    } cases[] = {
        {"limit=1&product=x", "limit cursor product", true},
        {"cursor=1", "limit cursor product", true},
        {"", "", true},
        {"limit=1", "", false},
        {"limi=1", "limit cursor product", false},
        {"limits=1", "limit cursor product", false},
        {"limit%20cursor=1", "limit cursor product", false},
        {"=1", "limit cursor product", false},
    };
    struct fixture fixture = {0};
    struct err err;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        arena_clear(&fixture.arena);
        arena_init(&fixture.arena, 65536);
        fixture.call = (struct api_call){.arena = &fixture.arena};
        if (api_query_parse(&fixture.call, cases[i].raw, cases[i].known, &err) != cases[i].good)
            fail_msg("'%s' of '%s'", cases[i].raw, cases[i].known);
        if (!cases[i].good)
            assert_int_equal(err.code, ERR_INVALID);
    }
    arena_clear(&fixture.arena);
}

static void test_headers(void **state) {
    static const struct api_param headers[] = {{"Host", "x"}, {"if-match", "\"1\""}};
    const struct api_call call = {.headers = headers, .header_count = ARRAY_LEN(headers)};
    (void)state;
    assert_string_equal(api_header(&call, "If-Match"), "\"1\"");
    assert_string_equal(api_header(&call, "HOST"), "x");
    assert_null(api_header(&call, "If-None-Match"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_that_match), cmocka_unit_test(test_paths_that_do_not),
        cmocka_unit_test(test_allow),           cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_query),           cmocka_unit_test(test_query_known),
        cmocka_unit_test(test_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
