/* The configuration: its sample, and what one key alone cannot say. */
#include "agent_common.h"

#include "agent/settings.h"

static const char good[] = "[server]\nurl = https://pawl.example:8443\nca = ca.pem\n"
                           "[device]\ncertificate = d.pem\nkey = d.key\nproduct = demo\nhardware = board-1\ntrust_root = 1.root.json\n"
                           "[install]\nslot_a = a\nslot_b = b\nrunning_file = running\nboot_pointer = boot\n";
static struct err err;

static void test_the_sample_is_the_one_in_config(UNUSED void **state) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(1 << 20);
    static char sample[1 << 16];
    config_sample(&agent_settings_table, &out);
    read_file(PAWL_SOURCE_DIR "/config/pawl-agent.conf", sample, sizeof(sample));
    assert_string_equal(out.data, sample);
}

static void test_defaults_and_relative_paths(UNUSED void **state) {
    CLEANUP(agent_settings_free) struct agent_settings settings = {0};
    char expected[128];
    write_text(in_folder("c"), good);
    assert_true(agent_settings_load(in_folder("c"), &settings, &err));
    snprintf(expected, sizeof(expected), "%s/1.root.json", folder);
    assert_string_equal(settings.trust_root, expected);
    assert_string_equal(settings.state, "/var/lib/pawl-agent");
    assert_int_equal(settings.clock, AGENT_CLOCK_SYSTEM);
    assert_int_equal(settings.min_rate_bytes, 256);
    assert_int_equal(settings.min_rate_time_s, 60);
    assert_int_equal(settings.max_rate_bytes, 0);
    assert_int_equal(settings.max_attempts, 3);
    assert_int_equal(settings.reboot, AGENT_REBOOT_COMMAND);
}

/* One line more at the end (a section may be opened again), and what the message must name. */
static void test_refusals(UNUSED void **state) {
    static const struct {
        const char *change, *to, *names;
    } cases[] = {
        {"https://pawl.example:8443", "http://pawl.example:8443", "https://"},
        {"https://pawl.example:8443", "https://", "https://name"},
        {"https://pawl.example:8443", "HTTPS://x", "https://"},
        {"https://pawl.example:8443", "https://user:secret@pawl.example", "https://name"},
        {"https://pawl.example:8443", "https://pawl.example/ota", "path"},
        {"https://pawl.example:8443", "https://pawl.example?x=1", "https://name"},
        {"ca = ca.pem", "ca = ca.pem\npublic_key = 1234", "public_key"},
        {"ca = ca.pem", "ca = ca.pem\ninsecure = yes", "insecure"},
        {"trust_root = 1.root.json\n", "", "trust_root"},
        {"ca = ca.pem\n", "", "ca"},
        {"product = demo", "product = de/mo", "product"},
        {"hardware = board-1", "hardware = .", "hardware"},
        {"slot_b = b\n", "", "slot_b"},
        {"slot_b = b", "slot_b = a", "same"},
        {"boot_pointer = boot\n", "", "boot_pointer"},
        {"boot_pointer = boot", "boot_pointer = boot\nboot_command = /bin/true", "not both"},
        {"running_file = running\n", "", "running_file"},
        {"boot_pointer = boot", "boot_pointer = boot\nreboot = none", "reboot"},
        {"slot_a = a", "slot_a = a\ninstaller = command", "command"},
        {"boot_pointer = boot", "boot_pointer = boot\n[hooks]\nreboot =", "hooks.reboot"},
        {"boot_pointer = boot", "boot_pointer = boot\n[hooks]\nconfirm = external\nself_test = /bin/true", "self_test"},
        {"boot_pointer = boot", "boot_pointer = boot\n[poll]\nretry_min = 2h\nretry_max = 1h", "retry_min"},
        {"boot_pointer = boot", "boot_pointer = boot\n[download]\nmin_rate = 0", "min_rate"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[2048];
        struct agent_settings settings = {0};
        const char *at = strstr(good, cases[i].change);
        assert_non_null(at);
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, cases[i].to, at + strlen(cases[i].change));
        write_text(in_folder("c"), text);
        err.text[0] = '\0';
        if (agent_settings_load(in_folder("c"), &settings, &err) || err.code != ERR_CONFIG || strstr(err.text, cases[i].names) == NULL)
            fail_msg("case %zu: '%s' → '%s'", i, cases[i].to, err.text);
    }
}

/* After a reboot a self-test alone is no judge: the old system passes it as well. */
static void test_installer_command_needs_a_judge(UNUSED void **state) {
    static const struct {
        const char *text;
        bool enough;
    } judges[] = {
        {"reboot = none\n[hooks]\nself_test = /bin/true\n", true},
        {"[hooks]\nreboot = reboot\nself_test = /bin/true\n", false},
        {"reboot = exit\n[hooks]\nself_test = /bin/true\n", false},
        {"running_file = /proc/cmdline\n[hooks]\nreboot = reboot\nself_test = /bin/true\n", true},
        {"running_command = which-slot\nreboot = exit\n", true},
        {"reboot = exit\n[hooks]\nconfirm = external\n", true},
        {"reboot = none\n[hooks]\nconfirm = external\n", true},
        {"reboot = none\n", false},
    };
    char text[2048];
    const char *head = strstr(good, "[install]");
    for (size_t i = 0; i < ARRAY_LEN(judges); i++) {
        CLEANUP(agent_settings_free) struct agent_settings settings = {0};
        snprintf(text, sizeof(text), "%.*s[install]\ninstaller = command\ncommand = rauc install\n%s", (int)(head - good), good, judges[i].text);
        write_text(in_folder("c"), text);
        assert_int_equal(agent_settings_load(in_folder("c"), &settings, &err), judges[i].enough);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_sample_is_the_one_in_config),
        cmocka_unit_test_setup_teardown(test_defaults_and_relative_paths, folder_make, folder_drop),
        cmocka_unit_test_setup_teardown(test_refusals, folder_make, folder_drop),
        cmocka_unit_test_setup_teardown(test_installer_command_needs_a_judge, folder_make, folder_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
