/* Errors: text, codes and names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "common/err.h"

static void test_set_fills_everything(void **state) {
    struct err err;
    (void)state;
    memset(&err, 0xff, sizeof(err));
    assert_false(err_set(&err, ERR_NOT_FOUND, "device '%s'", "d1"));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.text, "device 'd1'");
    assert_string_equal(err.field, "");
    assert_false(err_set_field(&err, ERR_INVALID, "phases[1]", "%s is bad", "phases[1]"));
    assert_string_equal(err.field, "phases[1]");
}

static void test_text_is_one_line_and_cut(void **state) {
    struct err err;
    char long_text[2 * ERR_TEXT_SIZE];
    (void)state;
    err_set(&err, ERR_IO, "a\nb\tc\x7f");
    assert_string_equal(err.text, "a b c ");
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    err_set_field(&err, ERR_IO, long_text, "%s", long_text);
    assert_int_equal(strlen(err.text), ERR_TEXT_SIZE - 1);
    assert_int_equal(strlen(err.field), ERR_FIELD_SIZE - 1);
    err_prefix(&err, "%s", "front");
    assert_int_equal(strlen(err.text), ERR_TEXT_SIZE - 1);
    assert_memory_equal(err.text, "front: xxx", 10);
    err_set_field(&err, ERR_IO, "a\nb", "x");
    assert_string_equal(err.field, "a b");
}

static void test_arguments_may_be_the_error_itself(void **state) {
    struct err err;
    (void)state;
    err_set_field(&err, ERR_IO, "field", "inner");
    err_set_field(&err, ERR_HASH, err.field, "outer: %s", err.text);
    assert_string_equal(err.text, "outer: inner");
    assert_string_equal(err.field, "field");
    err_prefix(&err, "far %d", 1);
    assert_string_equal(err.text, "far 1: outer: inner");
    assert_int_equal(err.code, ERR_HASH);
}

static void test_errno(void **state) {
    static const struct {
        int number;
        enum err_code code;
    } cases[] = {{ENOSPC, ERR_NO_SPACE}, {EDQUOT, ERR_NO_SPACE}, {ENOMEM, ERR_NO_MEMORY}, {ENOENT, ERR_NOT_FOUND}, {EIO, ERR_IO}, {EACCES, ERR_IO}};
    struct err err;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        errno = cases[i].number;
        assert_false(err_errno(&err, "open %s", "x"));
        assert_int_equal(err.code, cases[i].code);
    }
    errno = ENOENT;
    err_errno(&err, "open %s", "x");
    assert_string_equal(err.text, "open x: No such file or directory");
}

static void test_names_are_whole_and_distinct(void **state) {
    (void)state;
    for (unsigned i = 0; i < ERR_CODE_COUNT; i++) {
        const char *slug = err_slug((enum err_code)i);
        const char *tag = err_tag((enum err_code)i);
        assert_memory_equal(tag, "E_", 2);
        assert_true(strlen(slug) >= strlen(tag) - 2 && strlen(tag) > 2);
        for (size_t k = 0; i != ERR_NO_SPACE && tag[k + 2] != '\0'; k++) /* the tag is the slug, or its first words, in capitals */
            assert_true(slug[k] == '-' ? tag[k + 2] == '_' : tag[k + 2] == slug[k] - 'a' + 'A');
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(slug, err_slug((enum err_code)k));
    }
    assert_string_equal(err_slug(ERR_NOT_FOUND), "not-found");
    assert_string_equal(err_tag(ERR_STEPPING_STONE), "E_STEPPING_STONE");
    assert_string_equal(err_tag(ERR_NO_SPACE), "E_NOSPC"); /* errno's own name */
    assert_string_equal(err_slug(ERR_CODE_COUNT), "internal");
    assert_string_equal(err_tag((enum err_code)1000), "E_INTERNAL");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_fills_everything),
        cmocka_unit_test(test_text_is_one_line_and_cut),
        cmocka_unit_test(test_arguments_may_be_the_error_itself),
        cmocka_unit_test(test_errno),
        cmocka_unit_test(test_names_are_whole_and_distinct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
