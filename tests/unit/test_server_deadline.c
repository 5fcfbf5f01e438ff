/* Deadlines come in order, move both ways, and can be taken back; counting by key keeps to its ceilings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/deadline.h"
#include "server/limits.h"

enum { COUNT = 1000 };

static void test_order(void **state) {
    struct deadlines heap = {0};
    struct deadline *items = calloc(COUNT, sizeof(*items));
    int64_t last = -1;
    int due = 0;
    (void)state;
    assert_non_null(items);
    assert_int_equal(deadlines_wait_ms(&heap, 0), -1);
    srand(1);
    for (int i = 0; i < COUNT; i++) {
        assert_true(deadlines_reserve(&heap, (size_t)i + 1));
        deadlines_set(&heap, &items[i], rand() % 5000);
    }
    for (int i = 0; i < COUNT; i++) {
        if (i % 3 == 0)
            deadlines_set(&heap, &items[i], rand() % 5000);
        if (i % 7 == 0)
            deadlines_cancel(&heap, &items[i]);
    }
    for (int64_t now = 0; now <= 5000; now++) {
        for (struct deadline *item; (item = deadlines_due(&heap, now)) != NULL; due++) {
            assert_int_equal(item->slot, 0);
            assert_true((item - items) % 7 != 0);
        }
        int wait = deadlines_wait_ms(&heap, now);
        assert_true(wait == -1 || wait > 0);
        last = now;
    }
    assert_int_equal(last, 5000);
    assert_int_equal(due, COUNT - (COUNT + 6) / 7);
    deadlines_free(&heap);
    free(items);
}

static void test_put_off(void **state) {
    struct deadlines heap = {0};
    struct deadline one = {0};
    (void)state;
    assert_true(deadlines_reserve(&heap, 1));
    deadlines_set(&heap, &one, 100);
    deadlines_set(&heap, &one, 200);
    assert_null(deadlines_due(&heap, 199));
    deadlines_set(&heap, &one, 50);
    assert_int_equal(deadlines_wait_ms(&heap, 20), 30);
    assert_ptr_equal(deadlines_due(&heap, 50), &one);
    deadlines_cancel(&heap, &one);
    assert_null(deadlines_due(&heap, 1000));
    deadlines_free(&heap);
}

static void test_limits(void **state) {
    struct limits *limits = limits_new(100);
    (void)state;
    assert_non_null(limits);
    for (int i = 0; i < 3; i++)
        assert_true(limits_enter(limits, "a", 1, 3));
    assert_false(limits_enter(limits, "a", 1, 3));
    assert_true(limits_enter(limits, "b", 1, 3));
    limits_leave(limits, "a", 1);
    assert_true(limits_enter(limits, "a", 1, 3));
    /* Many keys come and go; none is forgotten, none is left behind. */
    for (int round = 0; round < 50; round++) {
        for (int key = 0; key < 98; key++)
            assert_true(limits_enter(limits, &key, sizeof(key), 1));
        for (int key = 0; key < 98; key++)
            assert_false(limits_enter(limits, &key, sizeof(key), 1));
        int beyond = 1000;
        assert_false(limits_enter(limits, &beyond, sizeof(beyond), 1)); /* 100 keys: full */
        for (int key = 97; key >= 0; key--)
            limits_leave(limits, &key, sizeof(key));
    }
    limits_free(limits);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_put_off), cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
