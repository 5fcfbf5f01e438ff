/* Files of several certificates: whether two of them have anything to do with each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "certs/bundle.h"
#include "tests/unit/certs_make.h"

/* A file with these certificates and text behind them. */
static const char *bundle(X509 *first, X509 *second, const char *text) {
    static int made;
    char name[16];
    snprintf(name, sizeof(name), "%d.pem", made++);
    const char *path = in_folder(name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(first == NULL || PEM_write_X509(file, first) == 1);
    assert_true(second == NULL || PEM_write_X509(file, second) == 1);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    return path;
}

static void test_unreadable(void **state) {
    struct made ca = make_ca("ca"), other = make_ca("other");
    struct err err;
    (void)state;
    const char *good = bundle(other.certificate, NULL, "");
    const char *const bad[] = {
        bundle(ca.certificate, NULL, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
        bundle(NULL, NULL, "nothing in here\n"),
        "/nonexistent/ca.pem",
    };
    for (size_t i = 0; i < 3; i++) {
        assert_false(certs_bundle_disjoint(good, bad[i], &err));
        assert_int_equal(err.code, ERR_CONFIG);
        assert_non_null(strstr(err.text, bad[i]));
        assert_false(certs_bundle_disjoint(bad[i], good, &err));
    }
    make_free(&other);
    make_free(&ca);
}

static void test_disjoint(void **state) {
    struct made one = make_ca("one"), other = make_ca("other"), third = make_ca("third");
    struct make between = {.common_name = "between", .basic = "critical,CA:TRUE", .usage = "keyCertSign", .eku = ""};
    struct made below = make_certificate(&between, &one);
    struct err err;
    (void)state;
    const char *ours = bundle(one.certificate, other.certificate, "");
    const char *same = bundle(third.certificate, other.certificate, "");
    const char *signed_by_ours = bundle(below.certificate, NULL, "");
    const char *foreign = bundle(third.certificate, NULL, "");
    assert_true(certs_bundle_disjoint(ours, foreign, &err));
    const char *const related[] = {ours, same, signed_by_ours};
    for (size_t i = 0; i < 3; i++) {
        assert_false(certs_bundle_disjoint(ours, related[i], &err));
        assert_int_equal(err.code, ERR_CONFIG);
        assert_false(certs_bundle_disjoint(related[i], ours, &err));
    }
    make_free(&below);
    make_free(&third);
    make_free(&other);
    make_free(&one);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_unreadable), cmocka_unit_test(test_disjoint)};
    return cmocka_run_group_tests(tests, folder_make, folder_drop);
}
