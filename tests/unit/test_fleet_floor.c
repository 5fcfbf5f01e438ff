#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/floor.h"

static const uint8_t bits_a[FLEET_SHA256_SIZE] = {0xaa}, bits_b[FLEET_SHA256_SIZE] = {0xbb};

static void test_rises(void **state) {
    struct fleet_floor floor = {.sequence = 0};

    (void)state;
    floor = fleet_floor_raise(floor, 5, 1, bits_a);
    assert_int_equal(floor.sequence, 5);
    assert_int_equal(floor.security_version, 1);
    assert_memory_equal(floor.sha256, bits_a, sizeof bits_a);
    floor = fleet_floor_raise(floor, 6, 0, bits_b);
    assert_int_equal(floor.sequence, 6);
    assert_int_equal(floor.security_version, 1);
    assert_memory_equal(floor.sha256, bits_b, sizeof bits_b);
}

/* The hash stays with the sequence that set it; security_version rises by itself. */
static void test_lower_sequence(void **state) {
    struct fleet_floor floor = fleet_floor_raise((struct fleet_floor){.sequence = 5, .security_version = 1, .sha256 = {0xaa}}, 4, 3, bits_b);

    (void)state;
    assert_int_equal(floor.sequence, 5);
    assert_int_equal(floor.security_version, 3);
    assert_memory_equal(floor.sha256, bits_a, sizeof bits_a);
    floor = fleet_floor_raise(floor, 5, 3, bits_b);
    assert_memory_equal(floor.sha256, bits_a, sizeof bits_a);
}

static void test_random_histories(void **state) {
    (void)state;
    srand(42);
    for (int history = 0; history < 1000; history++) {
        struct fleet_floor floor = {.sequence = 0};
        int64_t highest_sequence = 0, highest_security = 0;

        for (int step = 0; step < 20; step++) {
            int64_t sequence = rand() % 10, security = rand() % 4;

            floor = fleet_floor_raise(floor, sequence, security, bits_a);
            highest_sequence = sequence > highest_sequence ? sequence : highest_sequence;
            highest_security = security > highest_security ? security : highest_security;
            assert_int_equal(floor.sequence, highest_sequence);
            assert_int_equal(floor.security_version, highest_security);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rises), cmocka_unit_test(test_lower_sequence), cmocka_unit_test(test_random_histories)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
