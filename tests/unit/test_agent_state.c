/* The state file: all or nothing, no bit of it may change, and no floor ever falls. */
#include "agent_common.h"

#include <errno.h>
#include <sys/syscall.h>

#include "agent/report.h"
#include "agent/state.h"
#include "common/hash.h"

/* The nth call fails; these stand before the C library's. */
static int fsync_fails_at, rename_fails_at;

static bool strikes(int *countdown) {
    if (*countdown == 0 || --*countdown > 0)
        return false;
    errno = EIO;
    return true;
}

int fsync(int fd) {
    return strikes(&fsync_fails_at) ? -1 : (int)syscall(SYS_fsync, fd);
}
int rename(const char *from, const char *to) {
    return strikes(&rename_fails_at) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static struct arena arena;
static struct err err;

static int set_up(void **state) {
    arena_init(&arena, 16 << 20);
    return folder_make(state);
}

static int tear_down(void **state) {
    arena_clear(&arena);
    fsync_fails_at = rename_fails_at = 0;
    return folder_drop(state);
}

static struct agent_state fresh(void) {
    struct agent_state state;
    assert_true(agent_state_create(folder, &err));
    assert_true(agent_state_load(&arena, folder, &state, &err));
    return state;
}

static void fill(struct agent_state *state) {
    const struct agent_release release = {
        .path = "demo/1.2.0/f.bin", .product = "demo", .version = "1.2.0", .sha256 = SHA_A, .sequence = 12, .security_version = 3};
    struct agent_trial trial = {.phase = "switching", .slot = "b", .old_slot = "a", .deployment = "77", .boot_id = "boot-1", .reboots = 2};
    const struct agent_report report = {.state = "rebooting", .progress = -1};
    assert_true(agent_state_copy_release(state, &release, &state->installed, &err));
    assert_true(agent_state_raise_floor(state, "demo", 12, 3, &err));
    assert_true(agent_state_add_attempt(state, SHA_B, "E_SELFTEST", &err));
    trial.release = state->installed;
    state->trial = arena_memdup(&arena, &trial, sizeof(trial));
    state->partial = arena_memdup(&arena, &(struct agent_partial){.sha256 = SHA_B, .etag = "\"tag\""}, sizeof(struct agent_partial));
    state->directive_issued_at = 1795000000;
    state->root_version = 4;
    state->repaired_at = 1795000001;
    assert_true(agent_report_queue(state, "77", &report, &err));
}

static void test_everything_comes_back(UNUSED void **unused) {
    struct agent_state state = fresh(), again;
    fill(&state);
    assert_true(agent_state_save(&state, &err));
    assert_true(agent_state_load(&arena, folder, &again, &err));
    assert_string_equal(again.installed->path, "demo/1.2.0/f.bin");
    assert_int_equal(again.installed->sequence, 12);
    assert_int_equal(agent_state_floor(&again, "demo").sequence, 12);
    assert_int_equal(agent_state_floor(&again, "demo").security_version, 3);
    assert_int_equal(agent_state_floor(&again, "other").sequence, 0);
    assert_int_equal(agent_state_attempts(&again, SHA_B, NULL), 1);
    assert_int_equal(agent_state_attempts(&again, SHA_A, NULL), 0);
    assert_string_equal(again.partial->etag, "\"tag\"");
    assert_string_equal(again.trial->phase, "switching");
    assert_string_equal(again.trial->old_slot, "a");
    assert_int_equal(again.trial->reboots, 2);
    assert_int_equal(again.reports.count, 1);
    assert_string_equal(((struct agent_queued *)again.reports.items)->state, "rebooting");
    assert_string_equal(again.deployment, "77");
    assert_int_equal(again.report_seq, 1);
    assert_int_equal(again.directive_issued_at, 1795000000);
    assert_int_equal(again.root_version, 4);
    assert_int_equal(again.repaired_at, 1795000001);
}

static void test_the_root_never_falls(UNUSED void **unused) {
    struct agent_state state = fresh();
    fill(&state);
    assert_true(agent_state_save(&state, &err));
    state.root_version = 3;
    assert_false(agent_state_save(&state, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
}

static void test_a_new_state_never_replaces_one(UNUSED void **unused) {
    assert_false(agent_state_exists(folder));
    (void)fresh();
    assert_true(agent_state_exists(folder));
    assert_false(agent_state_create(folder, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
}

static void test_absent_is_not_damaged(UNUSED void **unused) {
    struct agent_state state;
    assert_false(agent_state_load(&arena, folder, &state, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* The new system's agent has remembered more; the old one, after a fall back, goes on with what it knows. */
static void test_a_newer_agents_state_is_read(UNUSED void **unused) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(AGENT_STATE_MAX);
    CLEANUP(buf_free) struct buf newer = BUF_INIT(AGENT_STATE_MAX);
    char digest[SHA256_HEX_SIZE];
    struct agent_state state = fresh(), again;
    fill(&state);
    agent_state_write(&state, &text);
    buf_printf(&newer, "{\"a_field_of_tomorrow\":{\"x\":[1]},%s", text.data + 1);
    assert_true(hash_sha256_hex(newer.data, newer.len, digest, &err));
    buf_printf(&newer, "\n%s\n", digest);
    write_file(in_folder("state"), newer.data, newer.len, 0600);
    assert_true(agent_state_load(&arena, folder, &again, &err));
    assert_int_equal(agent_state_floor(&again, "demo").sequence, 12);
    assert_true(agent_state_save(&again, &err));
}

/* Every byte, each of two bits: never taken for a state. */
static void test_any_flipped_bit_is_refused(UNUSED void **unused) {
    char text[8192];
    struct agent_state state = fresh(), again;
    fill(&state);
    assert_true(agent_state_save(&state, &err));
    size_t len = read_file(in_folder("state"), text, sizeof(text));
    assert_true(len > 400);
    for (size_t i = 0; i < len; i++) {
        for (int bit = 0; bit < 8; bit += 5) {
            text[i] = (char)(text[i] ^ (1 << bit));
            write_file(in_folder("state"), text, len, 0600);
            arena_clear(&arena);
            assert_false(agent_state_load(&arena, folder, &again, &err));
            assert_int_equal(err.code, ERR_IO);
            text[i] = (char)(text[i] ^ (1 << bit));
        }
    }
    write_file(in_folder("state"), text, len, 0600);
    assert_true(agent_state_load(&arena, folder, &again, &err));
}

static void test_any_cut_is_refused(UNUSED void **unused) {
    char text[8192];
    struct agent_state state = fresh(), again;
    fill(&state);
    assert_true(agent_state_save(&state, &err));
    size_t len = read_file(in_folder("state"), text, sizeof(text));
    for (size_t i = 0; i < len; i++) {
        write_file(in_folder("state"), text, i, 0600);
        arena_clear(&arena);
        assert_false(agent_state_load(&arena, folder, &again, &err));
        assert_int_equal(err.code, ERR_IO);
    }
    write_file(in_folder("state"), text, len, 0600);
    write_text(in_folder("more"), "x");
    char longer[8200];
    memcpy(longer, text, len);
    longer[len] = '\n';
    write_file(in_folder("state"), longer, len + 1, 0600);
    assert_false(agent_state_load(&arena, folder, &again, &err));
}

/* A digest that fits does not help a text that says something else than a state. */
static void test_foreign_json_is_refused(UNUSED void **unused) {
    static const char *const texts[] = {
        "{}\n44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n",
        "\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n",
    };
    struct agent_state state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        write_text(in_folder("state"), texts[i]);
        assert_false(agent_state_load(&arena, folder, &state, &err));
        assert_int_equal(err.code, ERR_IO);
    }
}

static void test_floor_only_rises(UNUSED void **unused) {
    struct agent_state state = fresh(), again;
    assert_true(agent_state_raise_floor(&state, "demo", 5, 2, &err));
    assert_true(agent_state_raise_floor(&state, "demo", 4, 7, &err));
    assert_true(agent_state_raise_floor(&state, "demo", 6, 1, &err));
    assert_int_equal(agent_state_floor(&state, "demo").sequence, 6);
    assert_int_equal(agent_state_floor(&state, "demo").security_version, 7);
    assert_true(agent_state_save(&state, &err));
    /* Whatever a caller does to the memory, the file's floor holds. */
    struct agent_floor *floor = state.floors.items;
    floor->sequence = 5;
    assert_false(agent_state_save(&state, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
    floor->sequence = 6;
    floor->security_version = 6;
    assert_false(agent_state_save(&state, &err));
    state.floors.count = 0;
    assert_false(agent_state_save(&state, &err));
    assert_true(agent_state_load(&arena, folder, &again, &err));
    assert_int_equal(agent_state_floor(&again, "demo").sequence, 6);
    assert_int_equal(agent_state_floor(&again, "demo").security_version, 7);
}

/* The disk fails at every point of a save: the old state is whole, and no temporary file stays. */
static void test_a_failed_save_leaves_the_old_state(UNUSED void **unused) {
    struct agent_state state = fresh(), again;
    assert_true(agent_state_raise_floor(&state, "demo", 5, 0, &err));
    assert_true(agent_state_save(&state, &err));
    assert_true(agent_state_raise_floor(&state, "demo", 9, 0, &err));
    for (int i = 0; i < 2; i++) {
        fsync_fails_at = i == 0 ? 1 : 0;
        rename_fails_at = i == 1 ? 1 : 0;
        assert_false(agent_state_save(&state, &err));
        assert_int_equal(err.code, ERR_IO);
        assert_true(agent_state_load(&arena, folder, &again, &err));
        assert_int_equal(agent_state_floor(&again, "demo").sequence, 5);
    }
    assert_true(agent_state_save(&state, &err));
    assert_true(agent_state_load(&arena, folder, &again, &err));
    assert_int_equal(agent_state_floor(&again, "demo").sequence, 9);
}

static void test_what_could_not_be_read_is_not_written(UNUSED void **unused) {
    struct agent_state state = fresh(), again;
    state.deployment = "two\x01"
                       "words";
    assert_false(agent_state_save(&state, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_true(agent_state_load(&arena, folder, &again, &err));
}

static void test_attempts_forget_the_oldest(UNUSED void **unused) {
    struct agent_state state = fresh();
    char sha[65] = SHA_A;
    const char *error = NULL;
    assert_true(agent_state_add_attempt(&state, SHA_B, "E_HASH", &err));
    assert_true(agent_state_add_attempt(&state, SHA_B, "E_SELFTEST", &err));
    assert_int_equal(agent_state_attempts(&state, SHA_B, &error), 2);
    assert_string_equal(error, "E_SELFTEST");
    for (int i = 0; i < AGENT_ATTEMPTS_MAX; i++) {
        snprintf(sha, 9, "%08d", i);
        sha[8] = 'a';
        assert_true(agent_state_add_attempt(&state, sha, "E_HASH", &err));
    }
    assert_int_equal(agent_state_attempts(&state, SHA_B, NULL), 0);
    assert_int_equal(agent_state_attempts(&state, sha, NULL), 1);
    assert_int_equal(state.attempts.count, AGENT_ATTEMPTS_MAX);
    agent_state_forget_attempts(&state, sha);
    agent_state_forget_attempts(&state, sha);
    assert_int_equal(agent_state_attempts(&state, sha, NULL), 0);
    assert_int_equal(state.attempts.count, AGENT_ATTEMPTS_MAX - 1);
    assert_true(agent_state_save(&state, &err));
}

static void test_two_agents_do_not_share_a_folder(UNUSED void **unused) {
    int first = -1, second = -1;
    assert_true(agent_state_lock(folder, &first, &err));
    assert_false(agent_state_lock(folder, &second, &err));
    assert_int_equal(err.code, ERR_BUSY);
    close(first);
    assert_true(agent_state_lock(folder, &second, &err));
    close(second);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_everything_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_root_never_falls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_new_state_never_replaces_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_absent_is_not_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_newer_agents_state_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_any_flipped_bit_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_any_cut_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_foreign_json_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_floor_only_rises, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_failed_save_leaves_the_old_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_could_not_be_read_is_not_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_attempts_forget_the_oldest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_two_agents_do_not_share_a_folder, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
