/* Every way × state × key, written down once more by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fleet/enrol.h"

#define K FLEET_ENROL_REFUSE_KEY
#define G FLEET_ENROL_REGISTER
#define W FLEET_ENROL_WAIT
#define M FLEET_ENROL_ADMIT
#define C FLEET_ENROL_ACCEPT
#define I FLEET_ENROL_ISSUE
#define S FLEET_ENROL_SHOW
#define V FLEET_ENROL_REFUSE_REVOKED
#define T FLEET_ENROL_REFUSE_RETIRED
#define U FLEET_ENROL_REFUSE_UNKNOWN

/* Columns: other, other where one yields, first, same key. */
static const struct {
    const char *way;
    enum fleet_enrol_verdict unknown, pending[4], active[4];
} expected[] = {
    [FLEET_ENROL_OPEN] = {"open", G, {K, K, K, W}, {K, K, K, S}},
    [FLEET_ENROL_DEVICE_CLAIM] = {"device claim", M, {C, C, C, C}, {I, I, I, I}},
    [FLEET_ENROL_PRODUCT_CLAIM] = {"product claim", M, {K, C, C, C}, {K, K, I, I}},
    [FLEET_ENROL_FACTORY] = {"factory", M, {K, C, C, C}, {K, K, I, I}},
    [FLEET_ENROL_RENEWAL] = {"renewal", U, {K, K, K, K}, {I, I, I, I}},
};

static void test_all(void **state) {
    (void)state;
    for (int way = 0; way <= FLEET_ENROL_RENEWAL; way++) {
        for (int key = 0; key <= FLEET_ENROL_SAME_KEY; key++) {
            const enum fleet_enrol_verdict wanted[] = {expected[way].unknown, expected[way].pending[key], expected[way].active[key], V, T};
            const enum fleet_device_state states[] = {FLEET_DEVICE_PENDING, FLEET_DEVICE_PENDING, FLEET_DEVICE_ACTIVE, FLEET_DEVICE_REVOKED,
                                                      FLEET_DEVICE_RETIRED};
            for (size_t i = 0; i < ARRAY_LEN(states); i++) {
                enum fleet_enrol_verdict verdict = fleet_enrol_decide((enum fleet_enrol_way)way, i > 0, states[i], (enum fleet_enrol_key)key);
                if (verdict != wanted[i])
                    fail_msg("%s, column %zu, key %d: %d where %d was expected", expected[way].way, i, key, verdict, wanted[i]);
            }
        }
    }
}

/* Only what nobody vouches for, and only while the device waits. */
static void test_yields(void **state) {
    (void)state;
    for (unsigned origin = 0; origin < FLEET_PIN_ORIGIN_COUNT; origin++) {
        enum fleet_pin_origin parsed;
        assert_true(fleet_pin_origin_parse(fleet_pin_origin_name((enum fleet_pin_origin)origin), &parsed));
        assert_int_equal(parsed, origin);
        for (unsigned its_state = 0; its_state < FLEET_DEVICE_STATE_COUNT; its_state++)
            assert_int_equal(fleet_pin_yields((enum fleet_device_state)its_state, parsed),
                             its_state == FLEET_DEVICE_PENDING && origin == FLEET_PIN_REQUESTED);
    }
    assert_false(fleet_pin_origin_parse("", &(enum fleet_pin_origin){0}));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all), cmocka_unit_test(test_yields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
