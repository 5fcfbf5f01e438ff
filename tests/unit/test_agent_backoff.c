/* Waiting: between nothing and a ceiling that doubles; and the poll's tenth. */
#include "agent_common.h"

#include "agent/backoff.h"

static void test_ceiling_doubles_up_to_the_longest(UNUSED void **state) {
    const struct { int64_t failures, ceiling_ms; } cases[] = {{1, 10}, {2, 20}, {3, 40}, {4, 80}, {5, 100}, {6, 100}, {60, 100}, {INT64_MAX, 100}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t most = 0, least = INT64_MAX;
        for (uint64_t random = 0; random < 400; random++) {
            int64_t wait = agent_backoff_ms(cases[i].failures, 10, 100, 0, random);
            most = wait > most ? wait : most;
            least = wait < least ? wait : least;
        }
        assert_int_equal(most, cases[i].ceiling_ms);
        assert_int_equal(least, 0); /* full jitter */
    }
}

static void test_retry_after_is_the_floor(UNUSED void **state) {
    assert_int_equal(agent_backoff_ms(1, 10, 100, 5000, 3), 5000);
    assert_int_equal(agent_backoff_ms(5, 10, 100, 50, 100), 100);
}

static void test_what_is_asked_for_has_a_ceiling(UNUSED void **state) {
    assert_int_equal(agent_backoff_asked_ms(0, 60), 0);
    assert_int_equal(agent_backoff_asked_ms(59, 60), 59000);
    assert_int_equal(agent_backoff_asked_ms(61, 60), 60000);
    assert_int_equal(agent_backoff_asked_ms(INT64_MAX, 2592000), INT64_C(2592000000));
}

static void test_does_not_overflow(UNUSED void **state) {
    int64_t wait = agent_backoff_ms(INT64_MAX, INT64_MAX / 2, INT64_MAX - 1, 0, UINT64_MAX);
    assert_true(wait >= 0);
}

static void test_poll_follows_the_server_and_adds_a_tenth(UNUSED void **state) {
    assert_int_equal(agent_backoff_poll_ms(60000, 900000, 86400000, 0), 60000);
    assert_int_equal(agent_backoff_poll_ms(60000, 900000, 86400000, 6000), 66000);
    assert_int_equal(agent_backoff_poll_ms(60000, 900000, 86400000, 6001), 60000);
    assert_int_equal(agent_backoff_poll_ms(0, 900000, 86400000, 0), 900000);
    assert_int_equal(agent_backoff_poll_ms(INT64_MAX, 900000, 86400000, 0), 86400000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ceiling_doubles_up_to_the_longest),        cmocka_unit_test(test_retry_after_is_the_floor),
        cmocka_unit_test(test_what_is_asked_for_has_a_ceiling),          cmocka_unit_test(test_does_not_overflow),
        cmocka_unit_test(test_poll_follows_the_server_and_adds_a_tenth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
