/* man/pawl-agent.conf.5 says what the configuration table says. */
#include "tests/unit/manual_check.h"

#include "agent/settings.h"

static void the_manual_is_complete(void **state) {
    (void)state;
    manual_check(PAWL_SOURCE_DIR "/man/pawl-agent.conf.5", &agent_settings_table);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_manual_is_complete)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
