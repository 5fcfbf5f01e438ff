/* The grammar of semver.org. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/version.h"

static const char *const valid[] = {
    "0.0.4",
    "1.2.3",
    "10.20.30",
    "1.1.2-prerelease+meta",
    "1.1.2+meta",
    "1.1.2+meta-valid",
    "1.0.0-alpha",
    "1.0.0-alpha.beta.1",
    "1.0.0-alpha0.valid",
    "1.0.0-alpha.0valid",
    "1.0.0-rc.1+build.123",
    "2.0.0+build.1848",
    "1.0.0+0.build.1-rc.10000aaa-kk-0.1",
    "1.0.0-0A.is.legal",
    "1.2.3----RC-SNAPSHOT.12.9.1--.12+788",
    "1.0.0-0",
    "1.0.0+001",
};

static const char *const invalid[] = {
    "",
    "1",
    "1.2",
    "1.2.3-0123",
    "1.2.3-0123.0123",
    "1.1.2+.123",
    "+invalid",
    "-invalid",
    "1.0.0-",
    "1.0.0+",
    "alpha",
    "1.2.3.DEV",
    "01.1.1",
    "1.01.1",
    "1.1.01",
    "1.2-SNAPSHOT",
    "1.2.3.4",
    "v1.2.3",
    "1.2.3 ",
    " 1.2.3",
    "1.0.0-alpha..1",
    "1.0.0-alpha_b",
    "1.2.3+a+b",
    "1..3",
    "1.2.3-\xc3\xa4",
    "1.2.3\n",
    "-1.2.3",
    "1.-2.3",
};

static void test_grammar(void **state) {
    struct err err;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(valid); i++)
        assert_true(version_check(valid[i], &err));
    for (size_t i = 0; i < ARRAY_LEN(invalid); i++) {
        err.code = ERR_NONE;
        assert_false(version_check(invalid[i], &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void test_length(void **state) {
    struct err err;
    char text[66] = "1.0.0-";
    (void)state;
    memset(text + 6, 'a', 59);
    text[65] = '\0';
    assert_false(version_check(text, &err));
    text[64] = '\0';
    assert_true(version_check(text, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_grammar), cmocka_unit_test(test_length)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
