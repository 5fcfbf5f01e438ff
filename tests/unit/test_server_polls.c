/* Polls and reports: what costs a write and what does not, the directive, the ratchet. */
#include "tests/unit/server_fixture.h"

static struct ask poll_of(const char *query) {
    return (struct ask){.path = "/check", .query = query, .device = "d", .key = 1};
}

/* A device of product p on hardware "board" that the server knows. */
static void make_known(struct rig *rig) {
    make_product(rig->store, "p", FLEET_POLICY_LATEST);
    expect(rig, poll_of("product=p&hardware=board&version=0.1.0&sequence=0"), 204, NULL);
}

static void test_idle_poll_does_not_write(void **state) {
    struct rig *rig = *state;
    make_known(rig);
    for (int i = 0; i < 3; i++) {
        struct ask poll = poll_of("product=p&hardware=board&version=0.1.0&sequence=0");
        assert_int_equal(ask(rig, &poll), 204);
        assert_false(poll.written);
        long after = strtol(ask_header(&poll, "Poll-After"), NULL, 10);
        assert_in_range(after, 270, 330);
        assert_string_equal(poll.call.reply.reason, "no-release");
        ask_done(&poll);
    }
}

/* The poll that registers a device counts as the first time it was seen. */
static void test_newcomer_is_seen(void **state) {
    struct rig *rig = *state;
    expect(rig, poll_of("product=p&hardware=board&version=0.1.0&sequence=3"), 204, NULL);
    struct db_device device = device_of(rig->store, "d");
    assert_int_equal(device.last_seen, NOW);
    assert_int_equal(device.installed_sequence, 3);
}

static void test_nonce_gets_a_directive(void **state) {
    struct rig *rig = *state;
    struct signer signer = {.id = "k", .key = rig->server.directive_key};
    const struct signer *items[] = {&signer};
    const struct signers signers = {.count = 1, .items = items, .threshold = 1};
    struct directive_expect expected = {.signers = &signers,
                                        .device = "d",
                                        .spki_sha256 = "0101010101010101010101010101010101010101010101010101010101010101",
                                        .nonce = "00112233445566778899aabbccddeeff",
                                        .has_clock = true,
                                        .now = NOW};
    struct directive directive;
    struct err err;
    make_known(rig);
    atomic_store(&rig->server.served.roles[API_SERVED_TIMESTAMP].version, 77);
    signer.id = key_id(rig->server.directive_key);
    struct ask poll = poll_of("nonce=00112233445566778899aabbccddeeff");
    assert_int_equal(ask(rig, &poll), 200);
    assert_ok(directive_verify(&rig->store->arena, poll.text, strlen(poll.text), &expected, &directive, &err), err);
    assert_int_equal(directive.action, DIRECTIVE_NONE);
    assert_int_equal(directive.timestamp_version, 77);
    ask_done(&poll);

    make_release(rig->store, "p", 1);
    poll = poll_of("nonce=00112233445566778899aabbccddeeff");
    assert_int_equal(ask(rig, &poll), 200);
    assert_ok(directive_verify(&rig->store->arena, poll.text, strlen(poll.text), &expected, &directive, &err), err);
    assert_int_equal(directive.action, DIRECTIVE_INSTALL);
    assert_string_equal(directive.path, "p/1.1.0/image.bin");
    assert_int_equal(directive.sequence, 1);
    ask_done(&poll);
}

static void test_bad_polls(void **state) {
    static const char *const bad[] = {"nonce=0",
                                      "nonce=00112233445566778",
                                      "nonce=001122334455667G",
                                      "product=a%20b",
                                      "hardware=a/b",
                                      "sequence=-1",
                                      "sequence=1.0",
                                      "sequence=99999999999999999999",
                                      "product=..",
                                      "version=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct rig *rig = *state;
    make_known(rig);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect(rig, poll_of(bad[i]), 400, "\"field\":");
}

static void test_latest_creates_one_deployment(void **state) {
    struct rig *rig = *state;
    make_known(rig);
    make_release(rig->store, "p", 1);
    make_release(rig->store, "p", 2);
    struct ask first = poll_of(NULL), second = poll_of(NULL);
    assert_int_equal(ask(rig, &first), 200);
    assert_true(first.written);
    assert_non_null(strstr(first.text, "\"sequence\":2"));
    assert_int_equal(ask(rig, &second), 200);
    assert_false(second.written);
    ask_done(&first);
    ask_done(&second);
    expect(rig, (struct ask){.path = "/api/v1/deployments", .token = rig->token}, 200, "\"state\":\"offered\",\"origin\":\"latest\"");
}

/* The way from offer to confirmed, then the ratchet holds whatever the device says. */
static void test_ratchet(void **state) {
    struct rig *rig = *state;
    make_known(rig);
    make_release(rig->store, "p", 1);
    make_release(rig->store, "p", 2);
    expect(rig, poll_of(NULL), 200, "\"sequence\":2");
    struct ask report = {.method = "POST", .path = "/report", .device = "d", .key = 1};
    report.body = "{\"deployment\":\"1001\",\"report_seq\":1,\"state\":\"downloading\",\"progress\":5}";
    expect(rig, report, 200, "{\"deployment\":\"1001\",\"report_seq\":1,\"state\":\"downloading\",\"repeated\":false}");
    expect(rig, report, 200, "\"repeated\":true");
    report.body = "{\"deployment\":\"1001\",\"report_seq\":2,\"state\":\"confirmed\",\"installed\":{\"version\":\"1.2.0\",\"sequence\":1}}";
    expect(rig, report, 409, NULL); /* that is not what was to be installed */
    report.body = "{\"deployment\":\"1001\",\"report_seq\":2,\"state\":\"confirmed\",\"installed\":{\"version\":\"1.2.0\",\"sequence\":2}}";
    expect(rig, report, 200, "\"state\":\"confirmed\"");
    expect(rig, (struct ask){.path = "/whoami", .device = "d", .key = 1}, 200, "\"floor\":{\"sequence\":2,\"security_version\":1}");

    expect(rig, poll_of("product=p&hardware=board&version=0.0.1&sequence=0"), 204, NULL);
    assert_int_equal(count_events(rig, "rolled-back"), 1);
    expect(rig, (struct ask){.path = "/firmware/p/1.1.0/image.bin", .device = "d", .key = 1}, 403, "urn:pawl:problem:downgrade-refused");
    expect(rig,
           (struct ask){.method = "POST", .path = "/api/v1/deployments", .body = "{\"device\":\"d\",\"version\":\"1.1.0\"}", .token = rig->token},
           409, "urn:pawl:problem:downgrade-refused");
    expect(rig, (struct ask){.path = "/whoami", .device = "d", .key = 1}, 200, "\"floor\":{\"sequence\":2,\"security_version\":1}");
}

static void test_identity_mismatch_is_an_event(void **state) {
    struct rig *rig = *state;
    make_known(rig);
    expect(rig, poll_of("product=other&hardware=board"), 204, NULL);
    expect(rig, poll_of("product=other&hardware=board"), 204, NULL);
    assert_int_equal(count_events(rig, "identity-mismatch"), 1);
    expect(rig, (struct ask){.path = "/whoami", .device = "d", .key = 1}, 200, "\"product\":\"p\"");
}

/* A device that polled before its product existed gets it as soon as it does. */
static void test_product_comes_later(void **state) {
    struct rig *rig = *state;
    expect(rig, poll_of("product=late&hardware=board&sequence=0"), 204, NULL);
    make_product(rig->store, "late", FLEET_POLICY_LATEST);
    make_release(rig->store, "late", 1);
    expect(rig, poll_of("product=late&hardware=board&sequence=0"), 200, "late/1.1.0/image.bin");
}

static void test_bad_reports(void **state) {
    static const struct {
        const char *body;
        int status;
        const char *part;
    } rows[] = {
        {"", 400, "deployment"},
        {"{\"deployment\":1001,\"report_seq\":1,\"state\":\"downloading\"}", 400, "deployment"},
        {"{\"deployment\":\"x\",\"report_seq\":1,\"state\":\"downloading\"}", 404, NULL},
        {"{\"deployment\":\"9999\",\"report_seq\":1,\"state\":\"downloading\"}", 404, NULL},
        {"{\"deployment\":\"1001\",\"report_seq\":0,\"state\":\"downloading\"}", 400, "report_seq"},
        {"{\"deployment\":\"1001\",\"report_seq\":1,\"state\":\"sleeping\"}", 400, "state"},
        {"{\"deployment\":\"1001\",\"report_seq\":1,\"state\":\"cancelled\"}", 400, "state"},
        {"{\"deployment\":\"1001\",\"report_seq\":1,\"state\":\"downloading\",\"progress\":101}", 400, "progress"},
        {"{\"deployment\":\"1001\",\"report_seq\":1,\"state\":\"failed\",\"error\":{\"code\":\"boom\"}}", 400, "error.code"},
        {"{\"deployment\":\"1001\",\"report_seq\":1,\"state\":\"failed\",\"error\":{\"code\":\"E_\"}}", 400, "error.code"},
        {"{\"deployment\":\"1001\",\"report_seq\":1,\"state\":\"failed\",\"error\":{}}", 400, "code"},
        {"{\"deployment\":\"1001\",\"report_seq\":1,\"state\":\"confirmed\"}", 400, "installed"},
        {"{\"deployment\":\"1001\",\"report_seq\":1,\"state\":\"confirmed\",\"installed\":{\"version\":\"x\",\"sequence\":1}}", 400,
         "installed.version"},
        {"{\"deployment\":\"1001\",\"report_seq\":1,\"state\":\"downloading\",\"x\":1}", 400, "\"field\":\"x\""},
    };
    struct rig *rig = *state;
    make_known(rig);
    make_release(rig->store, "p", 1);
    expect(rig, poll_of(NULL), 200, "\"deployment\":\"1001\"");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect(rig, (struct ask){.method = "POST", .path = "/report", .body = rows[i].body, .device = "d", .key = 1}, rows[i].status, rows[i].part);
    /* Another device's deployment does not exist for this one. */
    expect(rig,
           (struct ask){.method = "POST",
                        .path = "/report",
                        .body = "{\"deployment\":\"1001\",\"report_seq\":1,\"state\":\"downloading\"}",
                        .device = "other",
                        .key = 9},
           404, NULL);
    expect(rig, (struct ask){.path = "/api/v1/deployments/1001", .token = rig->token}, 200, "\"state\":\"offered\"");
}

static void test_metrics_count_reasons(void **state) {
    struct rig *rig = *state;
    make_known(rig);
    expect(rig, poll_of("product=p"), 204, NULL);
    expect(rig, poll_of("nonce=0"), 400, NULL);
    struct ask get = {.path = "/metrics", .token = rig->token};
    assert_int_equal(ask(rig, &get), 200);
    assert_non_null(strstr(get.text, "pawl_polls_total{outcome=\"nothing\",reason=\"no-release\"} 2\n"));
    assert_non_null(strstr(get.text, "pawl_polls_total{outcome=\"refused\",reason=\"invalid\"} 1\n"));
    assert_non_null(strstr(get.text, "pawl_requests_total{method=\"GET\",route=\"/check\",status=\"204\"} 2\n"));
    assert_non_null(strstr(get.text, "pawl_devices{state=\"active\"} 1\n"));
    ask_done(&get);
}

#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG(test_idle_poll_does_not_write),
        RIG(test_newcomer_is_seen),
        RIG(test_nonce_gets_a_directive),
        RIG(test_bad_polls),
        RIG(test_latest_creates_one_deployment),
        RIG(test_ratchet),
        RIG(test_identity_mismatch_is_an_event),
        RIG(test_product_comes_later),
        RIG(test_bad_reports),
        RIG(test_metrics_count_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
