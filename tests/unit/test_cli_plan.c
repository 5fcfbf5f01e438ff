/* What is shown before a release is signed, and what is refused before anybody is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those four before it */
#include <cmocka.h>
#include <string.h>

#include "cli/plan.h"

static const char *const old_hardware[] = {"rev-a", "rev-b"};
static const char *const new_hardware[] = {"rev-b", "rev-c"};

static struct release old_release(void) {
    return (struct release){
        .path = "gateway/1.0.0/fw.bin",
        .file = "fw.bin",
        .length = 1000,
        .sha256 = "aaaa",
        .product = "gateway",
        .hardware = old_hardware,
        .hardware_count = 2,
        .version = "1.0.0",
        .sequence = 4,
        .security_version = 1,
        .notes = "old words",
    };
}

static struct release new_release(void) {
    return (struct release){
        .path = "gateway/1.1.0/fw.bin",
        .file = "fw.bin",
        .length = 2048,
        .sha256 = "bbbb",
        .product = "gateway",
        .hardware = new_hardware,
        .hardware_count = 2,
        .version = "1.1.0",
        .sequence = 5,
        .security_version = 2,
        .requires_sequence = 4,
        .notes = "one\ntwo",
    };
}

static void first_release(void **state) {
    (void)state;
    struct release next = old_release();
    const struct cli_plan plan = {.next = &next, .first_of_repository = true, .targets_version = 1};
    CLEANUP(buf_free) struct buf out = BUF_INIT(8192);
    cli_plan_text(&plan, &out);
    assert_string_equal(out.data, "The first release of product gateway (targets version 1):\n"
                                  "  path              gateway/1.0.0/fw.bin\n"
                                  "  sequence          4\n"
                                  "  security version  1\n"
                                  "  runs on           rev-a, rev-b\n"
                                  "  updates from      any\n"
                                  "  size              1000 B\n"
                                  "  sha256            aaaa\n"
                                  "  notes             old words\n"
                                  "! the first release of a new repository: the server says that it has published nothing, and nothing was seen here "
                                  "before\n");
}

static void difference(void **state) {
    (void)state;
    struct release last = old_release();
    struct release next = new_release();
    const struct cli_plan plan = {.last = &last, .next = &next, .targets_version = 9};
    CLEANUP(buf_free) struct buf out = BUF_INIT(8192);
    cli_plan_text(&plan, &out);
    assert_string_equal(out.data, "Product gateway: 1.0.0 -> 1.1.0 (targets version 9):\n"
                                  "  path              gateway/1.0.0/fw.bin -> gateway/1.1.0/fw.bin\n"
                                  "  sequence          4 -> 5\n"
                                  "  security version  1 -> 2\n"
                                  "  runs on           rev-a, rev-b -> rev-b, rev-c\n"
                                  "  updates from      any -> at least 4\n"
                                  "  size              1000 B -> 2048 B (2.0 KiB)\n"
                                  "  sha256            aaaa\n"
                                  "                 -> bbbb\n"
                                  "  notes             one / two\n"
                                  "! hardware rev-a, which the last release ran on, gets nothing from this one\n"
                                  "! a device that confirms this release never again takes one with a lower security version\n");
}

static void same_image(void **state) {
    (void)state;
    struct release last = old_release();
    struct release next = old_release();
    next.version = "1.0.1";
    next.sequence = 5;
    next.notes = "";
    const struct cli_plan plan = {.last = &last, .next = &next, .targets_version = 2};
    CLEANUP(buf_free) struct buf out = BUF_INIT(8192);
    cli_plan_text(&plan, &out);
    assert_non_null(strstr(out.data, "sha256            aaaa (as before)\n"));
    assert_non_null(strstr(out.data, "! the same image as the last release\n"));
    assert_null(strstr(out.data, "notes"));
}

static void counters_never_fall(void **state) {
    (void)state;
    static const struct {
        int64_t sequence, security_version;
        enum err_code code;
    } cases[] = {
        {5, 1, ERR_NONE}, {500, 7, ERR_NONE}, {4, 1, ERR_DOWNGRADE}, {3, 9, ERR_DOWNGRADE}, {5, 0, ERR_DOWNGRADE},
    };
    struct release last = old_release();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct release next = new_release();
        struct err err = {0};
        next.sequence = cases[i].sequence;
        next.security_version = cases[i].security_version;
        const struct cli_plan plan = {.last = &last, .next = &next};
        assert_int_equal(cli_plan_check(&plan, &err), cases[i].code == ERR_NONE);
        assert_int_equal(err.code, cases[i].code);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_release),
        cmocka_unit_test(difference),
        cmocka_unit_test(same_image),
        cmocka_unit_test(counters_never_fall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
