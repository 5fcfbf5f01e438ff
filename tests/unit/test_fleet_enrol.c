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

/* Columns: other, first, same key. */
static const struct {
    const char *way;
    enum fleet_enrol_verdict unknown, pending[3], active[3];
} expected[] = {
    [FLEET_ENROL_OPEN] = {"open", G, {K, K, W}, {K, K, S}},
    [FLEET_ENROL_DEVICE_CLAIM] = {"device claim", M, {C, C, C}, {I, I, I}},
    [FLEET_ENROL_PRODUCT_CLAIM] = {"product claim", M, {K, C, C}, {K, I, I}},
    [FLEET_ENROL_FACTORY] = {"factory", M, {C, C, C}, {K, I, I}},
    [FLEET_ENROL_RENEWAL] = {"renewal", U, {K, K, K}, {I, I, I}},
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
