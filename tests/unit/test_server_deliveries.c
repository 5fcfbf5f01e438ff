/* Deliveries: how long a failed one waits, and the signature against the example that Standard Webhooks publish. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/hex.h"
#include "server/deliveries.h"

static void test_backoff(void **state) {
    static const struct {
        int64_t attempts, first, most, chance, expected;
    } rows[] = {
        {1, 100, 1000, 500, 100},   {2, 100, 1000, 500, 200},     {3, 100, 1000, 500, 400}, {4, 100, 1000, 500, 800},
        {5, 100, 1000, 500, 1000},  {99, 100, 1000, 500, 1000},   {1, 100, 1000, 0, 75},    {1, 100, 1000, 999, 124},
        {16, 5, 21600, 500, 21600}, {1, 5, 21600, 500, 5},        {1, 1, 1, 0, 1},          {100, 1, 86400, 0, 64800},
        {100, 3600, 3600, 0, 2700}, {12, 5, 21600, 500, 5 << 11},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t got = deliveries_backoff(rows[i].attempts, rows[i].first, rows[i].most, rows[i].chance);
        if (got != rows[i].expected)
            fail_msg("row %zu: %lld", i, (long long)got);
    }
}

static void test_signature(void **state) {
    struct buf secret CLEANUP(buf_free) = BUF_INIT(64), body CLEANUP(buf_free) = BUF_INIT(64), out CLEANUP(buf_free) = BUF_INIT(256);
    static const char key[] = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    struct err err;
    (void)state;
    assert_true(base64_decode(&secret, key, sizeof(key) - 1, &err));
    buf_text(&body, "{\"test\": 2432232314}");
    assert_true(deliveries_sign(secret.data, secret.len, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, &body, &out, &err));
    assert_string_equal(out.data, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert_true(deliveries_sign("other", 5, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, &body, &out, &err));
    assert_memory_equal(out.data, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,", 51);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_backoff), cmocka_unit_test(test_signature)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
