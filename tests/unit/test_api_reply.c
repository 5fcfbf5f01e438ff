/* Problems and replies: every error that can reach a client has its status, and says no more than it should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "api/env.h"
#include "api/reply.h"

static struct api_env env = {.settings = {.poll_after_s = 100, .poll_jitter = 10}};

static void problem(struct api_call *call, struct arena *arena, enum api_listener listener, const struct err *err) {
    *call = (struct api_call){.arena = arena, .listener = listener, .env = &env, .request_id = "7"};
    api_reply_problem(call, err);
}

static void test_every_code_has_a_status(void **state) {
    struct arena arena CLEANUP(arena_clear);
    struct api_call call;
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 20);
    for (int code = ERR_NONE + 1; code < ERR_CODE_COUNT; code++) {
        err_set(&err, (enum err_code)code, "the text");
        problem(&call, &arena, API_ADMIN, &err);
        if (call.reply.status < 400 || call.reply.status > 599 || call.reply.body_len == 0)
            fail_msg("%s: status %d", err_slug(err.code), call.reply.status);
        CLEANUP(buf_free) struct buf pretty = BUF_INIT(10000);
        assert_true(json_pretty(&pretty, call.reply.body, call.reply.body_len, &err));
        assert_string_equal(call.reply.reason, err_slug((enum err_code)code));
    }
    assert_int_equal(api_problem_status(ERR_NONE, API_ADMIN), 500);
    assert_int_equal(api_problem_status(ERR_CODE_COUNT, API_ADMIN), 500);
}

static void test_listeners_differ(void **state) {
    (void)state;
    assert_int_equal(api_problem_status(ERR_DOWNGRADE, API_DEVICE), 403);
    assert_int_equal(api_problem_status(ERR_DOWNGRADE, API_ADMIN), 409);
    assert_int_equal(api_problem_status(ERR_DEVICE_PENDING, API_DEVICE), 403);
    assert_int_equal(api_problem_status(ERR_NOT_FOUND, API_DEVICE), 404);
}

static void test_exact_body(void **state) {
    struct arena arena CLEANUP(arena_clear);
    struct api_call call;
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 20);
    err_set_field(&err, ERR_INVALID, "id", "'id' is \"odd\"");
    problem(&call, &arena, API_ADMIN, &err);
    static const char expected[] =
        "{\"type\":\"urn:pawl:problem:invalid\",\"title\":\"Invalid request\",\"status\":400,\"detail\":\"'id' is \\\"odd\\\"\","
        "\"request_id\":\"7\",\"errors\":[{\"field\":\"id\",\"detail\":\"'id' is \\\"odd\\\"\"}]}";
    assert_int_equal(call.reply.body_len, sizeof(expected) - 1);
    assert_memory_equal(call.reply.body, expected, sizeof(expected) - 1);
}

static const char *header(const struct api_call *call, const char *name) {
    for (size_t i = 0; i < call->reply.header_count; i++)
        if (strcmp(call->reply.headers[i].name, name) == 0)
            return call->reply.headers[i].value;
    return "";
}

static void test_headers_of_problems(void **state) {
    struct arena arena CLEANUP(arena_clear);
    struct api_call call;
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 20);
    err_set(&err, ERR_UNAUTHENTICATED, "x");
    problem(&call, &arena, API_ADMIN, &err);
    assert_string_equal(header(&call, "WWW-Authenticate"), "Bearer realm=\"pawl\"");
    err_set(&err, ERR_RATE, "x");
    problem(&call, &arena, API_ADMIN, &err);
    assert_string_equal(header(&call, "Retry-After"), "60");
    err_set(&err, ERR_BUSY, "x");
    problem(&call, &arena, API_ADMIN, &err);
    assert_string_equal(header(&call, "Retry-After"), "2");
    err_set(&err, ERR_DEVICE_PENDING, "x");
    problem(&call, &arena, API_DEVICE, &err);
    assert_string_not_equal(header(&call, "Poll-After"), "");
    /* A refusal keeps what was said before it; a failure does not. */
    call = (struct api_call){.arena = &arena, .listener = API_ADMIN, .env = &env};
    assert_true(api_reply_header(&call, "Allow", "GET", &err));
    err_set(&err, ERR_METHOD, "x");
    api_reply_problem(&call, &err);
    assert_string_equal(header(&call, "Allow"), "GET");
    err_set(&err, ERR_IO, "x");
    api_reply_problem(&call, &err);
    assert_string_equal(header(&call, "Allow"), "");
}

static int released;

static void release(void *context) {
    (void)context;
    released++;
}

static void test_a_problem_lets_the_blob_go(void **state) {
    struct arena arena CLEANUP(arena_clear);
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 20);
    struct api_call call = {.arena = &arena, .listener = API_ADMIN, .env = &env, .reply = {.blob = {.data = "x", .len = 1, .release = release}}};
    err_set(&err, ERR_IO, "x");
    released = 0;
    api_reply_problem(&call, &err);
    api_reply_problem(&call, &err);
    assert_int_equal(released, 1);
}

static void test_without_memory(void **state) {
    struct arena arena CLEANUP(arena_clear);
    struct api_call call;
    struct err err;
    (void)state;
    arena_init(&arena, 16);
    err_set(&err, ERR_NOT_FOUND, "x");
    problem(&call, &arena, API_ADMIN, &err);
    assert_int_equal(call.reply.status, 404);
    assert_int_equal(call.reply.body_len, 0);
}

static void test_headers_have_a_ceiling(void **state) {
    struct arena arena CLEANUP(arena_clear);
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 20);
    struct api_call call = {.arena = &arena};
    for (int i = 0; i < API_MAX_HEADERS; i++)
        assert_true(api_reply_header(&call, "X", "y", &err));
    assert_false(api_reply_header(&call, "X", "y", &err));
}

static void test_poll_after_spreads(void **state) {
    struct arena arena CLEANUP(arena_clear);
    struct err err;
    bool low = false, high = false;
    (void)state;
    arena_init(&arena, 1 << 20);
    for (uint32_t i = 0; i < 1000; i++) {
        struct api_call call = {.arena = &arena, .env = &env, .chance = i * 2654435761U};
        assert_true(api_reply_poll_after(&call, &err));
        long after = strtol(header(&call, "Poll-After"), NULL, 10);
        assert_in_range(after, 90, 110);
        low = low || after < 95;
        high = high || after > 105;
    }
    assert_true(low && high);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_has_a_status), cmocka_unit_test(test_listeners_differ),           cmocka_unit_test(test_exact_body),
        cmocka_unit_test(test_headers_of_problems),     cmocka_unit_test(test_a_problem_lets_the_blob_go), cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_headers_have_a_ceiling),  cmocka_unit_test(test_poll_after_spreads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
