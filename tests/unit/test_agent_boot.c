/* The boot loader's side: which slot runs, and the link that says which boots next. */
#include "agent_common.h"

#include <sys/syscall.h>

#include "agent/boot.h"
#include "tests/unit/sync_fault.h"

static struct err err;
static char slot_a[256], slot_b[256], running[256], pointer[256], boot_id[256];
static struct agent_settings settings;
static struct agent_release release = {.path = "demo/1.0.0/f", .product = "demo", .version = "1.0.0", .sha256 = SHA_A, .sequence = 9};
static struct agent_trial trial = {.phase = "switching", .slot = "b", .old_slot = "a", .release = &release, .deployment = "77"};

static int set_up(void **state) {
    if (folder_make(state) != 0)
        return -1;
    snprintf(slot_a, sizeof(slot_a), "%s", in_folder("slot-a"));
    snprintf(slot_b, sizeof(slot_b), "%s", in_folder("slot-b"));
    snprintf(running, sizeof(running), "%s", in_folder("running"));
    snprintf(pointer, sizeof(pointer), "%s", in_folder("boot"));
    snprintf(boot_id, sizeof(boot_id), "%s", in_folder("boot-id"));
    settings = (struct agent_settings){
        .slot_a = slot_a, .slot_b = slot_b, .running_file = running, .boot_pointer = pointer, .boot_id_file = boot_id, .hook_timeout_s = 10};
    write_text(boot_id, "0d5f2b1c\n");
    return 0;
}

static void test_slot_in_a_text(UNUSED void **state) {
    static const struct {
        const char *text, *slot;
    } cases[] = {
        {"a", "a"},
        {"b\n", "b"},
        {" b \n", "b"},
        {"root=/dev/sda1 ro pawl.slot=b quiet\n", "b"},
        {"pawl.slot=a", "a"},
        {"pawl.slot=a pawl.slot=a", "a"},
        {"pawl.slot=a pawl.slot=b", NULL},
        {"pawl.slot=c", NULL},
        {"pawl.slot=ab", NULL},
        {"xpawl.slot=a", NULL},
        {"a b", NULL},
        {"root=a a", NULL},
        {"A", NULL},
        {"", NULL},
        {"\n", NULL},
        {"slot-a", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *found = agent_boot_slot_of(cases[i].text);
        if (cases[i].slot == NULL)
            assert_null(found);
        else
            assert_string_equal(found, cases[i].slot);
    }
}

static void test_reads_what_runs(UNUSED void **state) {
    struct agent_boot boot;
    write_text(running, "b\n");
    assert_true(agent_boot_read(&settings, &boot, &err));
    assert_true(boot.slot_known);
    assert_string_equal(boot.slot, "b");
    assert_string_equal(boot.boot_id, "0d5f2b1c");
    settings.running_file = NULL;
    settings.running_command = (char[]){"/bin/echo pawl.slot=a"};
    assert_true(agent_boot_read(&settings, &boot, &err));
    assert_string_equal(boot.slot, "a");
}

static void test_never_guesses(UNUSED void **state) {
    struct agent_boot boot;
    assert_false(agent_boot_read(&settings, &boot, &err)); /* no file */
    write_text(running, "c\n");
    assert_false(agent_boot_read(&settings, &boot, &err));
    assert_int_equal(err.code, ERR_INSTALL);
    write_text(running, "a\n");
    assert_true(agent_boot_read(&settings, &boot, &err));
    write_text(boot_id, "");
    assert_false(agent_boot_read(&settings, &boot, &err));
    settings.running_file = NULL;
    settings.running_command = (char[]){"/bin/false"};
    write_text(boot_id, "x");
    assert_false(agent_boot_read(&settings, &boot, &err));
}

static void test_an_installer_may_name_slots_as_it_likes(UNUSED void **state) {
    struct agent_boot boot;
    settings.installer = AGENT_INSTALLER_COMMAND;
    write_text(running, "rootfs.1\n");
    assert_true(agent_boot_read(&settings, &boot, &err));
    assert_string_equal(boot.slot, "rootfs.1");
    settings.running_file = NULL;
    assert_true(agent_boot_read(&settings, &boot, &err));
    assert_false(boot.slot_known);
}

static void expect_pointer(const char *target) {
    char there[256] = {0};
    assert_true(readlink(pointer, there, sizeof(there) - 1) > 0);
    assert_string_equal(there, target);
}

static void test_link_is_replaced_in_one_step(UNUSED void **state) {
    assert_true(agent_boot_point(&settings, "switch", "b", &trial, &err));
    expect_pointer(slot_b);
    assert_int_equal(symlink("left over", in_folder("boot.new")), 0); /* from a crash */
    assert_true(agent_boot_point(&settings, "fall-back", "a", &trial, &err));
    expect_pointer(slot_a);
    assert_true(agent_boot_point(&settings, "confirm", "b", &trial, &err)); /* the link needs no confirmation */
    expect_pointer(slot_a);
}

static bool rename_fails;
int rename(const char *from, const char *to) {
    if (rename_fails)
        return -1;
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static void test_a_failed_switch_leaves_the_old_link(UNUSED void **state) {
    assert_true(agent_boot_point(&settings, "switch", "a", &trial, &err));
    rename_fails = true;
    assert_false(agent_boot_point(&settings, "switch", "b", &trial, &err));
    rename_fails = false;
    expect_pointer(slot_a);
}

static void test_a_switch_that_is_not_on_the_disk(UNUSED void **state) {
    atomic_store(&sync_fault_at, 1);
    assert_false(agent_boot_point(&settings, "switch", "b", &trial, &err));
    assert_int_equal(atomic_load(&sync_fault_at), 0);
    assert_int_equal(err.code, ERR_IO);
}

static void test_hold_points_at_what_runs(UNUSED void **state) {
    assert_true(agent_boot_hold(&settings, "a", &err)); /* no link yet */
    expect_pointer(slot_a);
    assert_true(agent_boot_hold(&settings, "b", &err));
    expect_pointer(slot_b);
    assert_int_equal(unlink(pointer), 0);
    write_text(pointer, "no link");
    assert_false(agent_boot_hold(&settings, "b", &err));
}

static void test_command_hears_action_and_slot(UNUSED void **state) {
    char command[512], found[1024], expected[1024];
    snprintf(command, sizeof(command),
             "/bin/sh -c 'echo $PAWL_ACTION $PAWL_SLOT $PAWL_SLOT_PATH $PAWL_VERSION $PAWL_SEQUENCE $PAWL_DEPLOYMENT >> %s'", in_folder("heard"));
    settings.boot_pointer = NULL;
    settings.boot_command = command;
    assert_true(agent_boot_point(&settings, "switch", "b", &trial, &err));
    assert_true(agent_boot_point(&settings, "confirm", "b", &trial, &err));
    read_file(in_folder("heard"), found, sizeof(found));
    snprintf(expected, sizeof(expected), "switch b %s 1.0.0 9 77\nconfirm b %s 1.0.0 9 77\n", slot_b, slot_b);
    assert_string_equal(found, expected);
}

static void test_self_test(UNUSED void **state) {
    assert_true(agent_boot_self_test(&settings, &trial, &err)); /* none */
    settings.self_test_command = (char[]){"/bin/false"};
    assert_false(agent_boot_self_test(&settings, &trial, &err));
    assert_int_equal(err.code, ERR_SELFTEST);
    settings.self_test_command = (char[]){"/bin/sleep 5"};
    settings.hook_timeout_s = 1;
    assert_false(agent_boot_self_test(&settings, &trial, &err));
    assert_int_equal(err.code, ERR_SELFTEST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slot_in_a_text),
        cmocka_unit_test_setup_teardown(test_reads_what_runs, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_never_guesses, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_an_installer_may_name_slots_as_it_likes, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_link_is_replaced_in_one_step, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_a_failed_switch_leaves_the_old_link, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_a_switch_that_is_not_on_the_disk, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_hold_points_at_what_runs, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_command_hears_action_and_slot, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_self_test, set_up, folder_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
