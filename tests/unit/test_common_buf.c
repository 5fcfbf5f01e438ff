/* Buffers: growth, ceiling, the failure that sticks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/buf.h"

static void test_grows_and_ends_with_nul(void **state) {
    CLEANUP(buf_free) struct buf buf = BUF_INIT(100000);
    struct err err;
    (void)state;
    for (int i = 0; i < 10000; i++)
        buf_byte(&buf, (char)('a' + i % 26));
    assert_true(buf_ok(&buf, "text", &err));
    assert_int_equal(buf.len, 10000);
    assert_int_equal(buf.data[10000], '\0');
    for (int i = 0; i < 10000; i++)
        assert_int_equal(buf.data[i], 'a' + i % 26);
    buf_reset(&buf);
    assert_int_equal(buf.len, 0);
    assert_string_equal(buf.data, "");
    buf_printf(&buf, "%s %d", "n", 5);
    buf_text(&buf, "!");
    assert_string_equal(buf.data, "n 5!");
}

static void test_choices(void **state) {
    static const char *const names[] = {"a", "b", "c"}, *const said[] = {"a", "a or b", "a, b or c"};
    (void)state;
    for (size_t count = 1; count <= 3; count++) {
        CLEANUP(buf_free) struct buf buf = BUF_INIT(16);
        for (size_t i = 0; i < count; i++)
            buf_choice(&buf, i, count, names[i]);
        assert_string_equal(buf.data, said[count - 1]);
    }
}

static void test_ceiling_is_exact_and_sticks(void **state) {
    CLEANUP(buf_free) struct buf buf = BUF_INIT(5);
    struct err err;
    (void)state;
    buf_text(&buf, "12345");
    assert_true(buf_ok(&buf, "text", &err));
    buf_byte(&buf, '6');
    assert_false(buf_ok(&buf, "name", &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_string_equal(err.text, "name is larger than 5 bytes");
    assert_string_equal(buf.data, "12345");
    buf_reset(&buf);
    buf_printf(&buf, "%d", 123456);
    assert_int_equal(buf.failed, ERR_TOO_LARGE);
    buf_text(&buf, "1"); /* would fit: the failure sticks */
    assert_int_equal(buf.len, 0);
    buf_reset(&buf);
    buf_text(&buf, "1");
    assert_true(buf_ok(&buf, "text", &err));
}

static void test_huge_appends_do_not_wrap(void **state) {
    CLEANUP(buf_free) struct buf buf;
    (void)state;
    buf_init(&buf, SIZE_MAX - 1);
    buf_text(&buf, "x");
    buf_append(&buf, "y", SIZE_MAX - 1);
    assert_int_equal(buf.failed, ERR_TOO_LARGE);
    assert_int_equal(buf.len, 1);
}

static void test_empty(void **state) {
    CLEANUP(buf_free) struct buf buf = BUF_INIT(0);
    struct err err;
    (void)state;
    buf_append(&buf, NULL, 0);
    assert_true(buf_ok(&buf, "text", &err));
    assert_string_equal(buf.data, "");
    buf_byte(&buf, 'x');
    assert_int_equal(buf.failed, ERR_TOO_LARGE);
}

static void test_wipe_leaves_nothing(void **state) {
    struct buf buf = BUF_INIT(100);
    (void)state;
    buf_text(&buf, "secret");
    buf_wipe(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf.max, 100);
    buf_text(&buf, "again");
    assert_string_equal(buf.data, "again");
    buf_wipe(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_and_ends_with_nul),  cmocka_unit_test(test_choices), cmocka_unit_test(test_ceiling_is_exact_and_sticks),
        cmocka_unit_test(test_huge_appends_do_not_wrap), cmocka_unit_test(test_empty),   cmocka_unit_test(test_wipe_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
