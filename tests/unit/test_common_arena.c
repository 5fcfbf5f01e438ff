/* Arenas: alignment, zeroes, ceiling, reuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdalign.h>
#include <string.h>

#include "common/arena.h"

static void test_pieces_are_zero_aligned_and_apart(void **state) {
    CLEANUP(arena_clear) struct arena arena;
    unsigned char *last = NULL;
    (void)state;
    arena_init(&arena, 1 << 20);
    for (size_t size = 0; size < 600; size++) {
        unsigned char *piece = arena_alloc(&arena, size);
        assert_non_null(piece);
        assert_true(piece != last);
        assert_int_equal((uintptr_t)piece % alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(piece[i], 0);
        if (size > 0)
            memset(piece, 0xaa, size);
        last = piece;
    }
}

static void test_ceiling(void **state) {
    CLEANUP(arena_clear) struct arena arena;
    (void)state;
    arena_init(&arena, 10000);
    assert_null(arena_alloc(&arena, 10001));
    assert_non_null(arena_alloc(&arena, 6000));
    assert_null(arena_alloc(&arena, 6000));
    size_t count = 0;
    while (arena_alloc(&arena, 16) != NULL)
        count++;
    assert_true(count > 0 && count <= 4000 / 16);
    assert_true(arena.used_bytes <= 10000);
    arena_clear(&arena);
    assert_int_equal(arena.used_bytes, 0);
    assert_non_null(arena_alloc(&arena, 6000));
}

static void test_sizes_that_overflow(void **state) {
    CLEANUP(arena_clear) struct arena arena;
    (void)state;
    arena_init(&arena, SIZE_MAX);
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 8));
    assert_null(arena_array(&arena, SIZE_MAX / 2, 3));
    assert_null(arena_strndup(&arena, "", SIZE_MAX));
    assert_non_null(arena_array(&arena, 0, 8));
}

static void test_copies(void **state) {
    CLEANUP(arena_clear) struct arena arena;
    (void)state;
    arena_init(&arena, 1 << 20);
    assert_string_equal(arena_strdup(&arena, "abc"), "abc");
    assert_string_equal(arena_strndup(&arena, "abc", 2), "ab");
    assert_memory_equal(arena_memdup(&arena, "a\0b", 3), "a\0b", 3);
    assert_string_equal(arena_printf(&arena, "%s-%d", "x", 7), "x-7");
    char *huge = arena_printf(&arena, "%09000d", 1);
    assert_int_equal(strlen(huge), 9000);
}

static void test_copies_at_the_ceiling(void **state) {
    CLEANUP(arena_clear) struct arena arena;
    (void)state;
    arena_init(&arena, 16);
    assert_non_null(arena_alloc(&arena, 16));
    assert_null(arena_strdup(&arena, ""));
    assert_null(arena_memdup(&arena, "a", 1));
    assert_null(arena_printf(&arena, "x"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_zero_aligned_and_apart),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_sizes_that_overflow),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_copies_at_the_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
