/* After the reboot: the table of decisions, and whole histories with a boot loader that is a link and a file. */
#include "agent_common.h"

#include "agent/report.h"
#include "agent/trial.h"
#include "common/log.h"
#include "common/text.h"

static struct err err;
static struct arena arena;
static struct agent_settings settings;
static char slot_a[256], slot_b[256], pointer[256];
static const struct agent_release release = {
    .path = "demo/2.0.0/f", .product = "demo", .version = "2.0.0", .sha256 = SHA_A, .sequence = 20, .security_version = 4};

static void set(char place[AGENT_BOOT_TEXT_SIZE], const char *text) {
    assert_true(text_copy(place, AGENT_BOOT_TEXT_SIZE, text));
}

static int set_up(void **state) {
    if (folder_make(state) != 0)
        return -1;
    arena_init(&arena, 16 << 20);
    snprintf(slot_a, sizeof(slot_a), "%s", in_folder("slot-a"));
    snprintf(slot_b, sizeof(slot_b), "%s", in_folder("slot-b"));
    snprintf(pointer, sizeof(pointer), "%s", in_folder("boot"));
    settings = (struct agent_settings){.slot_a = slot_a,
                                       .slot_b = slot_b,
                                       .running_file = (char[]){"/unused"},
                                       .boot_pointer = pointer,
                                       .reboot = AGENT_REBOOT_EXIT,
                                       .confirm_within_s = 60,
                                       .max_attempts = 3,
                                       .hook_timeout_s = 10};
    log_setup(LOG_ERROR, LOG_LOGFMT);
    return 0;
}

static int tear_down(void **state) {
    arena_clear(&arena);
    return folder_drop(state);
}

static void test_decisions(UNUSED void **unused) {
    enum { NEW, OLD, BLIND };
    static const struct {
        const char *phase;
        int system;
        bool rebooted;
        int64_t reboots;
        enum agent_trial_move move;
        enum err_code code;
    } cases[] = {
        {"switching", NEW, true, 1, AGENT_TRIAL_TEST, ERR_NONE},
        {"switching", OLD, false, 0, AGENT_TRIAL_REBOOT, ERR_NONE},
        {"switching", OLD, true, 0, AGENT_TRIAL_REBOOT, ERR_NONE}, /* the power went before the loader was told */
        {"switching", BLIND, true, 0, AGENT_TRIAL_REBOOT, ERR_NONE},
        {"switching", OLD, true, AGENT_TRIAL_REBOOTS_MAX, AGENT_TRIAL_GIVE_UP, ERR_INSTALL},
        {"rebooting", NEW, false, 1, AGENT_TRIAL_TEST, ERR_NONE},
        {"rebooting", NEW, true, AGENT_TRIAL_REBOOTS_MAX, AGENT_TRIAL_TEST, ERR_NONE},
        {"rebooting", OLD, false, AGENT_TRIAL_REBOOTS_MAX - 1, AGENT_TRIAL_REBOOT, ERR_NONE},
        {"rebooting", OLD, false, AGENT_TRIAL_REBOOTS_MAX, AGENT_TRIAL_GIVE_UP, ERR_INSTALL},
        {"rebooting", OLD, true, 1, AGENT_TRIAL_GIVE_UP, ERR_SELFTEST},
        {"rebooting", BLIND, false, 1, AGENT_TRIAL_REBOOT, ERR_NONE},
        {"rebooting", BLIND, true, 1, AGENT_TRIAL_TEST, ERR_NONE},
        {"testing", NEW, false, 0, AGENT_TRIAL_TEST, ERR_NONE},
        {"testing", NEW, true, 1, AGENT_TRIAL_TEST, ERR_NONE},
        {"testing", NEW, true, AGENT_TRIAL_REBOOTS_MAX, AGENT_TRIAL_GIVE_UP, ERR_SELFTEST},
        {"testing", OLD, true, 0, AGENT_TRIAL_GIVE_UP, ERR_SELFTEST},
        {"testing", OLD, false, 0, AGENT_TRIAL_GIVE_UP, ERR_SELFTEST},
        {"testing", BLIND, false, 0, AGENT_TRIAL_TEST, ERR_NONE},
        {"falling-back", NEW, false, 1, AGENT_TRIAL_REBOOT, ERR_NONE},
        {"falling-back", NEW, true, 1, AGENT_TRIAL_REBOOT, ERR_NONE},
        {"falling-back", NEW, true, AGENT_TRIAL_REBOOTS_MAX, AGENT_TRIAL_BACK, ERR_NONE},
        {"falling-back", OLD, true, 1, AGENT_TRIAL_REBOOT, ERR_NONE}, /* which ends with the loader told */
        {"falling-back", OLD, true, AGENT_TRIAL_REBOOTS_MAX, AGENT_TRIAL_BACK, ERR_NONE},
        {"falling-back", BLIND, true, 1, AGENT_TRIAL_BACK, ERR_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct agent_trial trial = {.phase = cases[i].phase,
                                    .slot = "b",
                                    .old_slot = "a",
                                    .release = (struct agent_release *)(uintptr_t)&release,
                                    .deployment = "1",
                                    .boot_id = "one",
                                    .reboots = cases[i].reboots};
        struct agent_boot boot = {.slot_known = cases[i].system != BLIND};
        struct err why = {0};
        set(boot.slot, cases[i].system == NEW ? "b" : "a");
        set(boot.boot_id, cases[i].rebooted ? "two" : "one");
        if (agent_trial_decide(&settings, &trial, &boot, 0, &why) != cases[i].move || why.code != cases[i].code)
            fail_msg("case %zu: %s", i, cases[i].phase);
    }
    struct agent_boot boot = {0};
    assert_int_equal(agent_trial_decide(&settings, NULL, &boot, 0, &err), AGENT_TRIAL_NONE);
}

static void test_external_confirmation_has_its_time(UNUSED void **unused) {
    struct agent_trial trial = {.phase = "testing", .slot = "b", .old_slot = "a", .boot_id = "one", .testing_ms = 1000};
    struct agent_boot boot = {.slot_known = true, .slot = "b", .boot_id = "one"};
    trial.release = (struct agent_release *)(uintptr_t)&release;
    settings.confirm = AGENT_CONFIRM_EXTERNAL;
    assert_int_equal(agent_trial_decide(&settings, &trial, &boot, 61000, &err), AGENT_TRIAL_WAIT);
    assert_int_equal(agent_trial_decide(&settings, &trial, &boot, 61001, &err), AGENT_TRIAL_GIVE_UP);
    assert_int_equal(err.code, ERR_SELFTEST);
    set(boot.boot_id, "two"); /* another boot, another clock */
    assert_int_equal(agent_trial_decide(&settings, &trial, &boot, 61001, &err), AGENT_TRIAL_WAIT);
}

/* The device of these histories: each step loads the state anew, as a new process would. */
static struct agent_boot device;

static struct agent_state load(void) {
    struct agent_state state;
    assert_true(agent_state_load(&arena, folder, &state, &err));
    return state;
}

static enum agent_trial_result start(void) {
    assert_true(agent_state_exists(folder) || agent_state_create(folder, &err));
    struct agent_state state = load();
    return agent_trial_start(&settings, &state, &device, &release, "77", &err);
}

static enum agent_trial_result resume(void) {
    struct agent_state state = load();
    return agent_trial_resume(&settings, &state, &device, &err);
}

static void reboot_into(const char *slot) {
    static int boots;
    set(device.slot, slot);
    snprintf(device.boot_id, sizeof(device.boot_id), "boot-%d", ++boots);
}

static void expect_pointer(const char *target) {
    char there[256] = {0};
    assert_true(readlink(pointer, there, sizeof(there) - 1) > 0);
    assert_string_equal(there, target);
}

static const struct agent_queued *last_report(const struct agent_state *state) {
    assert_true(state->reports.count > 0);
    return (const struct agent_queued *)state->reports.items + state->reports.count - 1;
}

static void begin_on_a(void) {
    device = (struct agent_boot){.slot_known = true};
    reboot_into("a");
    assert_int_equal(start(), AGENT_TRIAL_REBOOTING);
    expect_pointer(slot_b);
}

static void test_history_confirmed(UNUSED void **unused) {
    begin_on_a();
    struct agent_state state = load();
    assert_null(state.installed);
    assert_int_equal(agent_state_floor(&state, "demo").sequence, 0);
    assert_string_equal(last_report(&state)->state, "rebooting");
    reboot_into("b");
    assert_int_equal(resume(), AGENT_TRIAL_CONFIRMED);
    state = load();
    assert_null(state.trial);
    assert_int_equal(state.installed->sequence, 20);
    assert_int_equal(agent_state_floor(&state, "demo").sequence, 20);
    assert_int_equal(agent_state_floor(&state, "demo").security_version, 4);
    assert_string_equal(last_report(&state)->state, "confirmed");
    assert_string_equal(last_report(&state)->installed, "2.0.0");
    assert_int_equal(resume(), AGENT_TRIAL_IDLE);
}

static void test_history_self_test_fails(UNUSED void **unused) {
    settings.self_test_command = (char[]){"/bin/false"};
    begin_on_a();
    reboot_into("b");
    assert_int_equal(resume(), AGENT_TRIAL_REBOOTING);
    expect_pointer(slot_a);
    struct agent_state state = load();
    assert_string_equal(state.trial->phase, "falling-back");
    assert_string_equal(last_report(&state)->state, "failed");
    assert_string_equal(last_report(&state)->error, "E_SELFTEST");
    assert_int_equal(agent_state_attempts(&state, release.path, NULL), 1);
    assert_int_equal(agent_state_floor(&state, "demo").sequence, 0);
    reboot_into("a");
    assert_int_equal(resume(), AGENT_TRIAL_OVER);
    state = load();
    assert_null(state.trial);
    assert_null(state.installed);
    assert_int_equal(agent_state_attempts(&state, release.path, NULL), 1);
    assert_int_equal(agent_state_floor(&state, "demo").sequence, 0);
}

static void test_history_boot_loader_falls_back(UNUSED void **unused) {
    begin_on_a();
    reboot_into("a");
    assert_int_equal(resume(), AGENT_TRIAL_OVER);
    expect_pointer(slot_a); /* else the next reboot would try the failed slot again */
    struct agent_state state = load();
    assert_null(state.trial);
    assert_string_equal(last_report(&state)->error, "E_SELFTEST");
    assert_int_equal(agent_state_attempts(&state, release.path, NULL), 1);
}

static void test_history_the_reboot_does_not_come(UNUSED void **unused) {
    begin_on_a();
    for (int i = 1; i < AGENT_TRIAL_REBOOTS_MAX; i++)
        assert_int_equal(resume(), AGENT_TRIAL_REBOOTING);
    expect_pointer(slot_b);
    assert_int_equal(resume(), AGENT_TRIAL_OVER); /* the old slot runs: no reboot is needed for the way back */
    expect_pointer(slot_a);
    struct agent_state state = load();
    assert_string_equal(last_report(&state)->error, "E_INSTALL");
}

/* A boot loader that can never be told must not keep the device from what comes after for ever. */
static void test_history_the_boot_loader_cannot_be_told(UNUSED void **unused) {
    settings.boot_pointer = NULL;
    settings.boot_command = (char[]){"/bin/false"};
    device = (struct agent_boot){.slot_known = true};
    reboot_into("a");
    assert_int_equal(start(), AGENT_TRIAL_FAILED);
    assert_string_equal(load().trial->phase, "switching");
    for (int i = 1; i < 2 * AGENT_TRIAL_REBOOTS_MAX; i++)
        assert_int_equal(resume(), AGENT_TRIAL_FAILED);
    assert_int_equal(resume(), AGENT_TRIAL_OVER);
    struct agent_state state = load();
    assert_null(state.trial);
    assert_string_equal(last_report(&state)->state, "failed");
    assert_string_equal(last_report(&state)->error, "E_INSTALL");
    assert_int_equal(agent_state_attempts(&state, release.path, NULL), 1);
}

/* The power goes between "falling-back" and the loader, and the loader gives the new slot up by itself: it is told all the same. */
static void test_history_the_way_back_is_cut(UNUSED void **unused) {
    settings.self_test_command = (char[]){"/bin/false"};
    begin_on_a();
    reboot_into("b");
    assert_int_equal(resume(), AGENT_TRIAL_REBOOTING);
    assert_int_equal(unlink(pointer), 0);
    assert_int_equal(symlink(slot_b, pointer), 0);
    reboot_into("a");
    assert_int_equal(resume(), AGENT_TRIAL_OVER);
    expect_pointer(slot_a);
}

static void test_history_external(UNUSED void **unused) {
    settings.confirm = AGENT_CONFIRM_EXTERNAL;
    begin_on_a();
    struct agent_state state = load();
    assert_int_equal(agent_trial_verdict(&settings, &state, &device, true, &err), AGENT_TRIAL_FAILED);
    assert_int_equal(err.code, ERR_CONFLICT);
    reboot_into("b");
    assert_int_equal(resume(), AGENT_TRIAL_WAITING);
    assert_int_equal(resume(), AGENT_TRIAL_WAITING);
    state = load();
    assert_null(state.installed);
    assert_int_equal(agent_trial_verdict(&settings, &state, &device, true, &err), AGENT_TRIAL_CONFIRMED);
    state = load();
    assert_int_equal(agent_state_floor(&state, "demo").sequence, 20);
    assert_int_equal(agent_trial_verdict(&settings, &state, &device, true, &err), AGENT_TRIAL_FAILED);
}

static void test_history_external_says_no(UNUSED void **unused) {
    settings.confirm = AGENT_CONFIRM_EXTERNAL;
    begin_on_a();
    reboot_into("b");
    assert_int_equal(resume(), AGENT_TRIAL_WAITING);
    struct agent_state state = load();
    assert_int_equal(agent_trial_verdict(&settings, &state, &device, false, &err), AGENT_TRIAL_REBOOTING);
    expect_pointer(slot_a);
    state = load();
    assert_int_equal(agent_state_floor(&state, "demo").sequence, 0);
    assert_string_equal(last_report(&state)->error, "E_SELFTEST");
}

static void test_history_without_a_reboot(UNUSED void **unused) {
    settings.installer = AGENT_INSTALLER_COMMAND;
    settings.reboot = AGENT_REBOOT_NONE;
    settings.boot_pointer = NULL;
    settings.self_test_command = (char[]){"/bin/true"};
    device = (struct agent_boot){.boot_id = "one"};
    assert_int_equal(start(), AGENT_TRIAL_CONFIRMED);
    struct agent_state state = load();
    assert_int_equal(agent_state_floor(&state, "demo").sequence, 20);
    settings.self_test_command = (char[]){"/bin/false"};
    assert_int_equal(start(), AGENT_TRIAL_OVER); /* no way back: told and counted */
    state = load();
    assert_string_equal(last_report(&state)->state, "failed");
    assert_int_equal(agent_state_attempts(&state, release.path, NULL), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_decisions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_external_confirmation_has_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_history_confirmed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_history_self_test_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_history_boot_loader_falls_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_history_the_reboot_does_not_come, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_history_the_boot_loader_cannot_be_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_history_the_way_back_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_history_external, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_history_external_says_no, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_history_without_a_reboot, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
