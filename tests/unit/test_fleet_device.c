#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fleet/device.h"

/* The whole table: row from, column to. */
static void test_moves(void **state) {
    static const bool allowed[FLEET_DEVICE_STATE_COUNT][FLEET_DEVICE_STATE_COUNT] = {
        /* to:           pending active revoked retired */
        /* pending */ {false, true, true, true},
        /* active */ {false, false, true, true},
        /* revoked */ {false, false, false, true},
        /* retired */ {false, false, false, false},
    };

    (void)state;
    for (unsigned from = 0; from < FLEET_DEVICE_STATE_COUNT; from++)
        for (unsigned to = 0; to < FLEET_DEVICE_STATE_COUNT; to++)
            assert_int_equal(fleet_device_may_move((enum fleet_device_state)from, (enum fleet_device_state)to), allowed[from][to]);
    assert_false(fleet_device_may_move(FLEET_DEVICE_STATE_COUNT, FLEET_DEVICE_ACTIVE));
    assert_false(fleet_device_may_move(FLEET_DEVICE_PENDING, FLEET_DEVICE_STATE_COUNT));
}

static void test_names(void **state) {
    static const char *const names[FLEET_DEVICE_STATE_COUNT] = {"pending", "active", "revoked", "retired"};
    enum fleet_device_state parsed;

    (void)state;
    for (unsigned i = 0; i < FLEET_DEVICE_STATE_COUNT; i++) {
        assert_string_equal(fleet_device_state_name((enum fleet_device_state)i), names[i]);
        assert_true(fleet_device_state_parse(names[i], &parsed));
        assert_int_equal(parsed, i);
    }
    assert_false(fleet_device_state_parse("Active", &parsed));
    assert_false(fleet_device_state_parse("", &parsed));
    assert_string_equal(fleet_device_state_name(FLEET_DEVICE_STATE_COUNT), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_moves), cmocka_unit_test(test_names)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
