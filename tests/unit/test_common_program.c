/* Command lines: options, operands, help, exit codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/program.h"

static struct {
    bool force;
    const char *file;
    int64_t count;
    struct option_texts keys;
    struct option_texts operands;
} got;

static const struct option options[] = {
    {"force", 'f', OPTION_FLAG, &got.force, NULL, "Do it anyway"},
    {"file", 'o', OPTION_TEXT, &got.file, "FILE", "Write to FILE\nand nowhere else"},
    {"count", 0, OPTION_INT, &got.count, "N", "How often"},
    {"key-with-a-long-name", 'k', OPTION_TEXTS, &got.keys, "KEY", "Sign with KEY"},
};

static bool parse(const char *const *arguments, struct err *err) {
    char *argv[80] = {(char *)"program"};
    int argc = 1;
    for (; arguments[argc - 1] != NULL; argc++)
        argv[argc] = (char *)arguments[argc - 1];
    memset(&got, 0, sizeof(got));
    return option_parse(options, ARRAY_LEN(options), argc, argv, &got.operands, err);
}

#define PARSE(err, ...) parse((const char *const[]){__VA_ARGS__, NULL}, (err))

static void test_all_forms(void **state) {
    struct err err;
    (void)state;
    assert_true(PARSE(&err, "in", "-f", "--file=a=b", "--count", "-12", "-k", "1", "--key-with-a-long-name=2", "-", "--", "-x", "--file"));
    assert_true(got.force);
    assert_string_equal(got.file, "a=b");
    assert_int_equal(got.count, -12);
    assert_int_equal(got.keys.count, 2);
    assert_string_equal(got.keys.items[1], "2");
    assert_int_equal(got.operands.count, 4);
    assert_string_equal(got.operands.items[0], "in");
    assert_string_equal(got.operands.items[1], "-");
    assert_string_equal(got.operands.items[2], "-x");
    assert_string_equal(got.operands.items[3], "--file");
    assert_true(PARSE(&err, "--file", "--force")); /* a value is taken as it is */
    assert_string_equal(got.file, "--force");
    assert_false(got.force);
}

static void test_refused(void **state) {
    struct err err;
    (void)state;
    assert_false(PARSE(&err, "--fil", "x"));
    assert_string_equal(err.text, "unknown option '--fil' (--help shows them)");
    assert_false(PARSE(&err, "--password=hunter2"));
    assert_null(strstr(err.text, "hunter2"));
    assert_false(PARSE(&err, "-fx"));
    assert_false(PARSE(&err, "-z"));
    assert_false(PARSE(&err, "--force=yes"));
    assert_string_equal(err.field, "force");
    assert_false(PARSE(&err, "--file"));
    assert_string_equal(err.text, "option --file needs a value: FILE");
    assert_false(PARSE(&err, "--file", "a", "-o", "b"));
    assert_string_equal(err.text, "option --file is given twice");
    assert_false(PARSE(&err, "-f", "-f"));
    assert_false(PARSE(&err, "--count", "1x"));
    assert_int_equal(err.code, ERR_USAGE);
    assert_string_equal(err.field, "count");
}

static void test_at_most_64(void **state) {
    const char *arguments[70] = {0};
    struct err err;
    (void)state;
    for (int i = 0; i < 64; i++)
        arguments[i] = "x";
    assert_true(parse(arguments, &err));
    assert_int_equal(got.operands.count, 64);
    arguments[64] = "x";
    assert_false(parse(arguments, &err));
    assert_int_equal(err.code, ERR_USAGE);
    for (int i = 0; i < 65; i++)
        arguments[i] = "--key-with-a-long-name=x";
    assert_false(parse(arguments, &err));
    assert_int_equal(err.code, ERR_USAGE);
    arguments[64] = NULL;
    assert_true(parse(arguments, &err));
}

static void test_help(void **state) {
    char *text = NULL;
    size_t len = 0;
    (void)state;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    option_help(out, options, ARRAY_LEN(options));
    fclose(out);
    assert_string_equal(text, "  -f, --force                 Do it anyway\n"
                              "  -o, --file FILE             Write to FILE\n"
                              "                              and nowhere else\n"
                              "      --count N               How often\n"
                              "  -k, --key-with-a-long-name KEY\n"
                              "                              Sign with KEY\n");
    free(text);
}

static void test_exit_codes(void **state) {
    static const struct {
        enum err_code code;
        int exit;
    } cases[] = {
        {ERR_NONE, 0},    {ERR_INTERNAL, 1},  {ERR_USAGE, 2},    {ERR_CONFIG, 2},  {ERR_FORBIDDEN, 3}, {ERR_CONFLICT, 3},   {ERR_NETWORK, 4},
        {ERR_TIMEOUT, 4}, {ERR_SIGNATURE, 5}, {ERR_ROLLBACK, 5}, {ERR_EXPIRED, 5}, {ERR_NO_SPACE, 6},  {ERR_PASSPHRASE, 7},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {.code = cases[i].code};
        assert_int_equal(program_exit_code(&err), cases[i].exit);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_forms), cmocka_unit_test(test_refused),    cmocka_unit_test(test_at_most_64),
        cmocka_unit_test(test_help),      cmocka_unit_test(test_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
