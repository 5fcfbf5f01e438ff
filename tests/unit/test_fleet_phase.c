/* Phases: what adds up, who belongs where, and that the order is even and depends on the salt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/phase.h"

#define PERCENT(n)                                                                                                                                   \
    { FLEET_PHASE_PERCENT, (n) }
#define DEVICES(n)                                                                                                                                   \
    { FLEET_PHASE_DEVICES, (n) }
#define REST                                                                                                                                         \
    { FLEET_PHASE_REST, 0 }

static void test_check(void **state) {
    static const struct {
        struct fleet_phase_size phases[4];
        size_t count;
        const char *message; /* NULL: they add up */
    } rows[] = {
        {{PERCENT(100)}, 1, NULL},
        {{REST}, 1, NULL},
        {{PERCENT(1), PERCENT(9), PERCENT(90)}, 3, NULL},
        {{PERCENT(1), PERCENT(9), REST}, 3, NULL},
        {{DEVICES(10), PERCENT(50), REST}, 3, NULL},
        {{PERCENT(99), REST}, 2, NULL},
        {{REST}, 0, "a rollout has 1 to 20 phases, not 0"},
        {{REST}, 21, "a rollout has 1 to 20 phases, not 21"},
        {{PERCENT(1), PERCENT(9)}, 2, "the percentages add up to 10; they must give 100, or end with the rest"},
        {{PERCENT(60), PERCENT(60)}, 2, "the percentages add up to 120; they must give 100"},
        {{PERCENT(50), PERCENT(50), REST}, 3, "the percentages add up to 100; with a rest behind them they must stay below 100"},
        {{DEVICES(10)}, 1, "phases by number of devices need the rest as the last phase"},
        {{DEVICES(10), PERCENT(100)}, 2, "phases by number of devices need the rest as the last phase"},
        {{PERCENT(0), PERCENT(100)}, 2, "phases[0]: a percentage must be 1 to 100"},
        {{PERCENT(1), PERCENT(101)}, 2, "phases[1]: a percentage must be 1 to 100"},
        {{DEVICES(0), REST}, 2, "phases[0]: a number of devices must be 1 or more"},
        {{DEVICES(-5), REST}, 2, "phases[0]: a number of devices must be 1 or more"},
        {{REST, PERCENT(100)}, 2, "phases[0]: only the last phase can be the rest"},
        {{PERCENT(1), {FLEET_PHASE_NOTHING, 0}}, 2, "phases[1]: a phase is a percentage, a number of devices, or the rest"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        bool good = fleet_phase_check(rows[i].phases, rows[i].count, &err);
        if (good != (rows[i].message == NULL) || (!good && strcmp(err.text, rows[i].message) != 0))
            fail_msg("row %zu: %s", i, err.text);
        if (!good)
            assert_int_equal(strncmp(err.field, "phases", 6), 0);
    }
}

static void test_members(void **state) {
    static const struct {
        struct fleet_phase_size phases[3];
        size_t count;
        int64_t total;
        int64_t ends[3];
    } rows[] = {
        {{PERCENT(1), PERCENT(9), PERCENT(90)}, 3, 10000, {100, 1000, 10000}},
        {{PERCENT(1), PERCENT(9), PERCENT(90)}, 3, 1, {1, 1, 1}},
        {{PERCENT(1), PERCENT(9), PERCENT(90)}, 3, 0, {0, 0, 0}},
        {{PERCENT(1), PERCENT(9), PERCENT(90)}, 3, 150, {2, 15, 150}},
        {{PERCENT(33), PERCENT(33), PERCENT(34)}, 3, 7, {3, 5, 7}},
        {{PERCENT(5), REST}, 2, 101, {6, 101}},
        {{DEVICES(10), DEVICES(20), REST}, 3, 100, {10, 30, 100}},
        {{DEVICES(10), DEVICES(20), REST}, 3, 15, {10, 15, 15}},
        {{DEVICES(INT64_MAX), DEVICES(INT64_MAX), REST}, 3, 15, {15, 15, 15}},
        {{DEVICES(10), PERCENT(10), REST}, 3, 100, {10, 20, 100}},
        {{PERCENT(1), REST}, 2, INT64_MAX / 100, {INT64_MAX / 10000 + 1, INT64_MAX / 100}},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t phase = 0; phase < rows[i].count; phase++) {
            int64_t end = fleet_phase_end(rows[i].phases, rows[i].count, phase, rows[i].total);
            if (end != rows[i].ends[phase])
                fail_msg("row %zu phase %zu: %lld", i, phase, (long long)end);
            int64_t begin = phase > 0 ? rows[i].ends[phase - 1] : 0;
            if (begin < end) {
                assert_int_equal(fleet_phase_of(rows[i].phases, rows[i].count, begin, rows[i].total), phase);
                assert_int_equal(fleet_phase_of(rows[i].phases, rows[i].count, end - 1, rows[i].total), phase);
            }
        }
    }
}

/* The same for ever: these values are stored as the order of rollouts that run. */
static void test_hash_stays(void **state) {
    (void)state;
    assert_true(fleet_phase_hash("", 0) == UINT64_C(0xf52a15e9a9b5e89b));
    assert_true(fleet_phase_hash("gw-17", 1) == UINT64_C(0x49beecb77d8d79f1));
    assert_true(fleet_phase_hash("gw-17", UINT64_MAX) == UINT64_C(0x20912cd17e046dde));
}

/* 10,000 devices with numbered names: each tenth of the hashes holds about a tenth of them; a canary of 1 % has few members in common with that of
 * another salt. */
static void test_even_and_salted(void **state) {
    enum { TOTAL = 10000, SALTS = 20 };
    static bool canary[SALTS][TOTAL];
    (void)state;
    for (uint64_t salt = 0; salt < SALTS; salt++) {
        int tenths[10] = {0};
        for (int i = 0; i < TOTAL; i++) {
            char id[16];
            snprintf(id, sizeof(id), "gw-%05d", i);
            int64_t rank = fleet_phase_rank_of_hash(fleet_phase_hash(id, salt), TOTAL);
            assert_in_range(rank, 0, TOTAL - 1);
            tenths[rank / (TOTAL / 10)]++;
            canary[salt][i] = rank < TOTAL / 100;
        }
        for (int i = 0; i < 10; i++)
            assert_in_range(tenths[i], 850, 1150);
        for (uint64_t other = 0; other < salt; other++) {
            int common = 0;
            for (int i = 0; i < TOTAL; i++)
                common += canary[salt][i] && canary[other][i];
            assert_in_range(common, 0, 10);
        }
    }
    assert_int_equal(fleet_phase_rank_of_hash(UINT64_MAX, 7), 6);
    assert_int_equal(fleet_phase_rank_of_hash(UINT64_MAX, 0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_hash_stays),
        cmocka_unit_test(test_even_and_salted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
