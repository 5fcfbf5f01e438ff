/* Names of metadata files, as they are asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "api/served.h"

static void test_names(void **state) {
    static const struct {
        const char *file, *role;
        int64_t version;
    } rows[] = {
        {"timestamp.json", "timestamp", 0},   {"1.root.json", "root", 1},
        {"12.snapshot.json", "snapshot", 12}, {"9007199254740991.targets.json", "targets", 9007199254740991},
        {"1.other.json", "other", 1},         {"3.team.v2.json", "team.v2", 3},
    };
    static const char *const bad[] = {"",
                                      "root.json",
                                      "0.root.json",
                                      "01.root.json",
                                      "1.timestamp.json",
                                      "-1.root.json",
                                      "1.root",
                                      "1.root.jso",
                                      "1.json",
                                      "1..json",
                                      "1.a b.json",
                                      "1.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.json",
                                      "99999999999999999999.root.json",
                                      "1.root.json/",
                                      "snapshot.json",
                                      "+1.root.json",
                                      " 1.root.json",
                                      "1.rootjson"};
    CLEANUP(arena_clear) struct arena arena;
    const char *role;
    int64_t version;
    (void)state;
    arena_init(&arena, 4096);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        version = 0;
        assert_true(api_served_name(&arena, rows[i].file, &role, &version));
        assert_string_equal(role, rows[i].role);
        assert_int_equal(version, rows[i].version);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (api_served_name(&arena, bad[i], &role, &version))
            fail_msg("'%s' was taken", bad[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
