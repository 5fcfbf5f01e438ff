/* man/pawld.conf.5 says what the configuration table says. */
#include "tests/unit/manual_check.h"

#include "server/config.h"

static void the_manual_is_complete(void **state) {
    (void)state;
    manual_check(PAWL_SOURCE_DIR "/man/pawld.conf.5", &server_config_table);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_manual_is_complete)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
