/* Counting: each request once, under its route and status; polls by reason; text that Prometheus reads. */
#include "tests/unit/server_fixture.h"

#include "api/reply.h"

static const struct api_route *route_of(const char *method, const char *pattern) {
    for (size_t i = 0; i < api_route_count; i++)
        if (strcmp(api_routes[i].method, method) == 0 && strcmp(api_routes[i].pattern, pattern) == 0)
            return &api_routes[i];
    fail_msg("no row %s %s", method, pattern);
    return NULL;
}

static void count(struct rig *rig, const struct api_route *route, int status, const char *reason, uint64_t bytes, int64_t us) {
    struct api_call call = {.env = &rig->server.env, .route = route, .listener = API_DEVICE, .reply = {.status = status, .reason = reason}};
    metrics_count(&rig->server.metrics, &call, bytes, us);
}

static void expect_lines(struct rig *rig, const char *const *lines, size_t line_count) {
    struct buf text CLEANUP(buf_free) = BUF_INIT(1 << 20);
    metrics_write(&rig->server, rig->store->reader, &text);
    for (size_t i = 0; i < line_count; i++)
        if (strstr(text.data, lines[i]) == NULL)
            fail_msg("'%s' is not in\n%s", lines[i], text.data);
}

static void test_requests(void **state) {
    static const char *const lines[] = {
        "pawl_requests_total{method=\"GET\",route=\"/firmware/{path...}\",status=\"206\"} 2\n",
        "pawl_requests_total{method=\"GET\",route=\"/firmware/{path...}\",status=\"0\"} 1\n",
        "pawl_requests_total{method=\"\",route=\"\",status=\"404\"} 1\n",
        "pawl_reply_bytes_total{method=\"GET\",route=\"/firmware/{path...}\"} 30\n",
        "pawl_request_duration_seconds_total{method=\"GET\",route=\"/firmware/{path...}\"} 1.500000\n",
    };
    struct rig *rig = *state;
    const struct api_route *route = route_of("GET", "/firmware/{path...}");
    count(rig, route, 206, NULL, 10, 500000);
    count(rig, route, 206, NULL, 20, 1000000);
    count(rig, route, 299, NULL, 0, -5); /* a status nobody thought of; a clock that stepped */
    count(rig, NULL, 404, NULL, 0, 1);
    expect_lines(rig, lines, ARRAY_LEN(lines));
}

/* None of what is ever answered is counted as "0". */
static void test_every_status_has_a_column(void **state) {
    static const int others[] = {200, 201, 202, 204, 206, 304, STATUS_GONE};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(status_at(status_index(others[i])), others[i]);
    for (int code = ERR_NONE + 1; code < ERR_CODE_COUNT; code++)
        for (int listener = API_DEVICE; listener <= API_TOKEN; listener <<= 1) {
            int status = api_problem_status((enum err_code)code, (enum api_listener)listener);
            assert_int_equal(status_at(status_index(status)), status);
        }
}

static void test_polls(void **state) {
    static const char *const lines[] = {
        "pawl_polls_total{outcome=\"offer\",reason=\"offered\"} 1\n",
        "pawl_polls_total{outcome=\"nothing\",reason=\"up-to-date\"} 2\n",
        "pawl_polls_total{outcome=\"refused\",reason=\"device-pending\"} 1\n",
    };
    struct rig *rig = *state;
    const struct api_route *check = route_of("GET", "/check");
    count(rig, check, 200, fleet_reason_name(FLEET_REASON_OFFERED), 0, 1);
    count(rig, check, 204, fleet_reason_name(FLEET_REASON_UP_TO_DATE), 0, 1);
    count(rig, check, 204, fleet_reason_name(FLEET_REASON_UP_TO_DATE), 0, 1);
    count(rig, check, 403, err_slug(ERR_DEVICE_PENDING), 0, 1);
    count(rig, route_of("GET", "/whoami"), 403, err_slug(ERR_DEVICE_PENDING), 0, 1); /* no poll */
    expect_lines(rig, lines, ARRAY_LEN(lines));
}

static void test_expiry(void **state) {
    static const char *const lines[] = {
        "pawl_metadata_expires_seconds{role=\"timestamp\"} 1800086400\n",
        "pawl_metadata_version{role=\"timestamp\"} 9\n",
    };
    struct rig *rig = *state;
    atomic_store(&rig->server.served.roles[API_SERVED_TIMESTAMP].version, 9);
    atomic_store(&rig->server.served.roles[API_SERVED_TIMESTAMP].expires_at, NOW + 86400);
    expect_lines(rig, lines, ARRAY_LEN(lines));
}

/* Every line is a comment or "name{labels} number", and every name was announced. */
static void test_format(void **state) {
    struct rig *rig = *state;
    struct buf text CLEANUP(buf_free) = BUF_INIT(1 << 20);
    struct buf announced CLEANUP(buf_free) = BUF_INIT(1 << 20);
    count(rig, route_of("GET", "/check"), 204, fleet_reason_name(FLEET_REASON_UP_TO_DATE), 0, 1);
    metrics_write(&rig->server, rig->store->reader, &text);
    char *rest = text.data;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        if (strncmp(line, "# TYPE ", 7) == 0)
            buf_printf(&announced, "<%.*s>", (int)strcspn(line + 7, " "), line + 7);
        if (line[0] == '#')
            continue;
        size_t name = strcspn(line, "{ ");
        const char *space = strrchr(line, ' ');
        char *end;
        static const char *const endings[] = {"_bucket", "_sum", "_count"};
        for (size_t i = 0; i < 3; i++) {
            size_t len = strlen(endings[i]);
            if (name > len && strncmp(line + name - len, endings[i], len) == 0)
                name -= len; /* of a histogram */
        }
        char *known = arena_printf(&rig->store->arena, "<%.*s>", (int)name, line);
        if (space == NULL || (strtod(space + 1, &end), *end != '\0') || (strncmp(line, "pawl_", 5) != 0 && strncmp(line, "process_", 8) != 0) ||
            strstr(announced.data, known) == NULL)
            fail_msg("'%s'", line);
    }
}

/* As few series as asked for, whatever devices say; the sum is all of them. */
static void test_groups(void **state) {
    struct rig *rig = *state;
    struct db_registry_group groups[10];
    struct err err;
    size_t count, sum = 0;
    for (int i = 0; i < 40; i++) {
        char id[16], version[16];
        bool must_write;
        snprintf(id, sizeof(id), "g%d", i);
        snprintf(version, sizeof(version), "1.%d", i % 5 == 0 ? 0 : i);
        make_device(rig->store, id, NULL, NULL);
        const struct db_observation seen = {.version = version, .sequence_known = true, .sequence = i, .place = "here"};
        assert_true(db_registry_seen(rig->store->db, id, NOW, &seen, &must_write));
    }
    assert_ok(db_registry_group(rig->store->db, groups, ARRAY_LEN(groups), &count, &err), err);
    assert_true(count <= ARRAY_LEN(groups));
    for (size_t i = 0; i < count; i++)
        sum += groups[i].count;
    struct db_registry_counts counts;
    db_registry_count(rig->store->db, &counts);
    assert_int_equal(sum, counts.devices);
    assert_string_equal(groups[0].version, "1.0");
    assert_int_equal(groups[0].count, 8);
    assert_true(groups[count - 1].others);
}

static void test_times(void **state) {
    static const char *const lines[] = {
        "pawl_request_seconds_bucket{listener=\"device\",le=\"0.001\"} 1\n",
        "pawl_request_seconds_bucket{listener=\"device\",le=\"0.0025\"} 2\n",
        "pawl_request_seconds_bucket{listener=\"device\",le=\"10\"} 2\n",
        "pawl_request_seconds_bucket{listener=\"device\",le=\"+Inf\"} 3\n",
        "pawl_request_seconds_sum{listener=\"device\"} 20.002500\n",
        "pawl_request_seconds_count{listener=\"device\"} 3\n",
        "pawl_db_commit_seconds_bucket{le=\"+Inf\"}",
    };
    struct rig *rig = *state;
    const struct api_route *check = route_of("GET", "/check");
    count(rig, check, 204, NULL, 0, 1000);
    count(rig, check, 204, NULL, 0, 1500);
    count(rig, check, 204, NULL, 0, 20000000);
    expect_lines(rig, lines, ARRAY_LEN(lines));
}

#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG(test_requests), cmocka_unit_test(test_every_status_has_a_column), RIG(test_polls), RIG(test_expiry), RIG(test_format), RIG(test_groups),
        RIG(test_times)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
