/* Randomness: shape, not quality. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/random.h"

static void test_bytes_differ(void **state) {
    uint8_t a[64] = {0}, b[64] = {0};
    (void)state;
    random_bytes(a, sizeof(a));
    random_bytes(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    random_bytes(a, 0);
}

static void test_hex_shape(void **state) {
    char text[2 * 100 + 2];
    (void)state;
    memset(text, 'Z', sizeof(text));
    random_hex(text, 100);
    assert_int_equal(strlen(text), 200);
    assert_int_equal(strspn(text, "0123456789abcdef"), 200);
    assert_int_equal(text[201], 'Z');
    random_hex(text, 0);
    assert_string_equal(text, "");
}

static void test_below_reaches_all_and_no_more(void **state) {
    int seen[6] = {0};
    (void)state;
    for (int i = 0; i < 6000; i++) {
        uint64_t value = random_below(6);
        assert_true(value < 6);
        seen[value]++;
    }
    for (int i = 0; i < 6; i++)
        assert_true(seen[i] > 700 && seen[i] < 1300); /* 1,000 ± ten standard deviations */
    assert_int_equal(random_below(0), 0);
    assert_int_equal(random_below(1), 0);
    assert_true(random_below(UINT64_MAX) < UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_differ),
        cmocka_unit_test(test_hex_shape),
        cmocka_unit_test(test_below_reaches_all_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
