/* What makes a release eligible on this device. */
#include "agent_common.h"

#include "agent/check.h"

static struct err err;
static struct arena arena;
static struct agent_settings settings = {.product = (char[]){"demo"}, .hardware = (char[]){"board-1"}, .max_attempts = 3};

static const char *const boards[] = {"board-1", "board-2"};
static const char *const others[] = {"board-10", "board-2", "Board-1"};

static struct release base(void) {
    return (struct release){.path = "demo/2.0.0/f",
                            .length = 10,
                            .sha256 = SHA_A,
                            .product = "demo",
                            .hardware = boards,
                            .hardware_count = ARRAY_LEN(boards),
                            .version = "2.0.0",
                            .sequence = 10,
                            .security_version = 2,
                            .plain_length = 10,
                            .plain_sha256 = SHA_A};
}

static struct agent_state state_of(void) {
    struct agent_state state = {.arena = &arena};
    static struct agent_release installed = {.path = "demo/1.9.0/f", .product = "demo", .version = "1.9.0", .sha256 = SHA_B, .sequence = 9};
    arena_clear(&arena);
    arena_init(&arena, 1 << 20);
    assert_true(agent_state_raise_floor(&state, "demo", 9, 2, &err));
    state.installed = &installed;
    return state;
}

static void expect(const struct agent_state *state, const struct release *release, enum err_code code) {
    err = (struct err){0};
    bool ok = agent_check_eligible(&settings, state, release, &err);
    assert_int_equal(err.code, code);
    assert_int_equal(ok, code == ERR_NONE);
}

static void test_newer_is_taken(UNUSED void **unused) {
    struct agent_state state = state_of();
    struct release release = base();
    expect(&state, &release, ERR_NONE);
    release.requires_sequence = 9;
    expect(&state, &release, ERR_NONE);
}

static void test_product_and_hardware_are_compared_exactly(UNUSED void **unused) {
    struct agent_state state = state_of();
    struct release release = base();
    release.product = "demo2";
    expect(&state, &release, ERR_TARGET);
    release = base();
    release.hardware = others;
    release.hardware_count = ARRAY_LEN(others);
    expect(&state, &release, ERR_HARDWARE);
}

static void test_stepping_stone(UNUSED void **unused) {
    struct agent_state state = state_of();
    struct release release = base();
    release.sequence = 12;
    release.requires_sequence = 10;
    expect(&state, &release, ERR_STEPPING_STONE);
}

static void test_floor(UNUSED void **unused) {
    struct agent_state state = state_of();
    struct release release = base();
    release.sequence = 8;
    expect(&state, &release, ERR_ROLLBACK);
    release.sequence = 9; /* equal, other bits */
    expect(&state, &release, ERR_ROLLBACK);
    release.sha256 = SHA_B; /* a repair */
    expect(&state, &release, ERR_NONE);
    release.sequence = 8; /* the same bits under a lower number are still older */
    expect(&state, &release, ERR_ROLLBACK);
    release = base();
    release.security_version = 1;
    expect(&state, &release, ERR_ROLLBACK);
}

/* The state says that an older release is installed; the floor knows better. */
static void test_floor_is_not_what_is_installed(UNUSED void **unused) {
    struct agent_state state = state_of();
    struct release release = base();
    assert_true(agent_state_raise_floor(&state, "demo", 11, 2, &err));
    expect(&state, &release, ERR_ROLLBACK);
    state.installed = NULL;
    release.sequence = 11;
    expect(&state, &release, ERR_ROLLBACK);
}

static void test_sealed_is_refused_without_an_identity(UNUSED void **unused) {
    struct agent_state state = state_of();
    struct release release = base();
    release.encryption = RELEASE_AGE;
    expect(&state, &release, ERR_DECRYPT);
    settings.seal_identity = (char[]){"identity"};
    expect(&state, &release, ERR_NONE);
    settings.seal_identity = NULL;
}

static void test_three_attempts(UNUSED void **unused) {
    struct agent_state state = state_of();
    struct release release = base();
    for (int i = 0; i < 3; i++) {
        expect(&state, &release, ERR_NONE);
        assert_true(agent_state_add_attempt(&state, release.path, "E_SELFTEST", &err));
    }
    expect(&state, &release, ERR_SELFTEST);
    release.path = "demo/2.0.1/f"; /* the same bits, signed as another release, are not held back by it */
    expect(&state, &release, ERR_NONE);
}

static void test_one_repair_a_day(UNUSED void **unused) {
    struct agent_state state = state_of();
    struct release release = base();
    release.sha256 = SHA_B;
    assert_true(agent_check_is_repair(&state, &release));
    assert_true(agent_check_repair(&state, &release, 1795000000, &err)); /* the first */
    state.repaired_at = 1795000000;
    assert_false(agent_check_repair(&state, &release, 1795000000 + 86399, &err));
    assert_int_equal(err.code, ERR_TARGET);
    assert_true(agent_check_repair(&state, &release, 1795000000 + 86400, &err));
    assert_true(agent_check_repair(&state, &release, 1794999999, &err)); /* a clock that was ahead does not forbid it for years */
    release = base();
    assert_false(agent_check_is_repair(&state, &release));
    assert_true(agent_check_repair(&state, &release, 1795000001, &err)); /* an update is no repair */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newer_is_taken),
        cmocka_unit_test(test_product_and_hardware_are_compared_exactly),
        cmocka_unit_test(test_stepping_stone),
        cmocka_unit_test(test_floor),
        cmocka_unit_test(test_floor_is_not_what_is_installed),
        cmocka_unit_test(test_sealed_is_refused_without_an_identity),
        cmocka_unit_test(test_three_attempts),
        cmocka_unit_test(test_one_repair_a_day),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_clear(&arena);
    return failed;
}
