/* Releases: what an entry of targets must say, and the rules of a path. */
#include "tests/unit/trust_cases.h"

/* {"entry":…,"path":…}: read, written again, and equal. */
static bool run_release(const char *path, const struct buf *file, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, 1 << 20);
    (void)path;
    json_t *value = json_loadb(file->data, file->len, 0, NULL);
    assert_non_null(value);
    struct release release, again;
    bool fine = release_read(&arena, json_string_value(json_object_get(value, "path")), json_object_get(value, "entry"), &release, err);
    if (fine) {
        json_t *written = release_write(&release, err);
        assert_non_null(written);
        assert_true(json_equal(written, json_object_get(value, "entry")));
        SIM_OK(release_read(&arena, release.path, written, &again, &sim_err));
        assert_true(release_equal(&release, &again));
        json_decref(written);
    }
    json_decref(value);
    return fine;
}

static void test_valid_entries(void **state) {
    (void)state;
    cases_walk("valid/release", 8, true, run_release);
}

static void test_refused_entries(void **state) {
    (void)state;
    cases_walk("invalid/release", 70, false, run_release);
}

static void test_path_parts(void **state) {
    (void)state;
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, 1 << 16);
    const char *product = NULL, *version = NULL, *file = NULL;
    SIM_OK(release_path_parse(&arena, "gateway/1.2.3-rc.1/u-boot.bin", &product, &version, &file, &sim_err));
    assert_string_equal(product, "gateway");
    assert_string_equal(version, "1.2.3-rc.1");
    assert_string_equal(file, "u-boot.bin");
    SIM_OK(release_path_parse(&arena, "gateway/1.2.3/u-boot.bin", NULL, NULL, NULL, &sim_err));
    assert_int_equal(SIM_CODE(release_path_parse(&arena, "gateway/1.2.3/u-boot.sig", NULL, NULL, NULL, &sim_err)), ERR_INVALID);
}

static void test_hardware(void **state) {
    (void)state;
    struct release release = sim_release("gateway/1.0.0/image.bin", 3);
    assert_true(release_runs_on(&release, "board-b"));
    assert_false(release_runs_on(&release, "board"));
    assert_false(release_runs_on(&release, "Board-b"));
    assert_false(release_runs_on(&release, ""));
    assert_false(release_runs_on(&release, NULL));
}

/* Every single statement counts. */
static void test_equal_sees_each_field(void **state) {
    (void)state;
    static const char *const other_hardware[] = {"board-a", "board-c"};
    struct release release = sim_release("gateway/1.0.0/image.bin", 3), changed[15];
    for (size_t i = 0; i < ARRAY_LEN(changed); i++)
        changed[i] = release;
    changed[0].path = "gateway/1.0.0/image.img";
    changed[1].length++;
    changed[2].sha256 = "ff23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    changed[3].product = "sensor";
    changed[4].hardware = other_hardware;
    changed[5].hardware_count--;
    changed[6].version = "1.0.1";
    changed[7].sequence++;
    changed[8].security_version++;
    changed[9].requires_sequence++;
    changed[10].encryption = RELEASE_AGE;
    changed[11].plain_length++;
    changed[12].created_at++;
    changed[13].notes = "x";
    changed[14].withdrawn = true;
    assert_true(release_equal(&release, &release));
    for (size_t i = 0; i < ARRAY_LEN(changed); i++)
        assert_false(release_equal(&release, &changed[i]));
}

/* Only one thing may change after publication, and only one way. */
static void test_only_withdrawal_may_follow(void **state) {
    (void)state;
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, 1 << 16);
    struct release release = sim_release("gateway/1.0.0/image.bin", 3), gone = release, other = release, read;
    gone.withdrawn = true;
    other.sequence++;
    assert_true(release_may_follow(&release, &release));
    assert_true(release_may_follow(&release, &gone));
    assert_true(release_may_follow(&gone, &gone));
    assert_false(release_may_follow(&gone, &release));
    assert_false(release_may_follow(&release, &other));
    struct err err = {0};
    json_t *entry = release_write(&gone, &err);
    SIM_OK(release_read(&arena, gone.path, entry, &read, &sim_err));
    assert_true(read.withdrawn && release_equal(&read, &gone));
    json_object_set_new(json_object_get(json_object_get(entry, "custom"), "pawl"), "withdrawn", json_false());
    assert_int_equal(SIM_CODE(release_read(&arena, gone.path, entry, &read, &sim_err)), ERR_TARGET);
    json_decref(entry);
}

static void test_check_names_the_field(void **state) {
    (void)state;
    struct release release = sim_release("gateway/1.0.0/image.bin", 3);
    struct err err = {0};
    assert_true(release_check(&release, &err));
    release.requires_sequence = 3;
    assert_false(release_check(&release, &err));
    assert_string_equal(err.field, "requires_sequence");
    release.requires_sequence = 2;
    assert_true(release_check(&release, &err));
    release.notes = "tab\there";
    assert_false(release_check(&release, &err));
    assert_string_equal(err.field, "notes");
    release.notes = "";
    release.length = RELEASE_LENGTH_MAX + 1;
    assert_false(release_check(&release, &err));
    assert_string_equal(err.field, "length");
    release.length = 5;
    assert_false(release_check(&release, &err)); /* plain_length differs and nothing is encrypted */
    assert_string_equal(err.field, "plain_sha256");
    assert_null(release_write(&release, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid_entries),
        cmocka_unit_test(test_refused_entries),
        cmocka_unit_test(test_path_parts),
        cmocka_unit_test(test_hardware),
        cmocka_unit_test(test_equal_sees_each_field),
        cmocka_unit_test(test_only_withdrawal_may_follow),
        cmocka_unit_test(test_check_names_the_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
