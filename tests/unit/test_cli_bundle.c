/* What travels between people who sign: bundles, roots in the making, and the short hash by which they know the same draft. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those four before it */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/bundle.h"
#include "cli/diff.h"
#include "cli/rootplan.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/text.h"
#include "tests/unit/folder.h"

static char path[TEMPORARY_SIZE + 8];

static int setup(void **state) {
    folder_make(state);
    return text_copy(path, sizeof(path), in_folder("file")) ? 0 : -1;
}

static void hashes_are_compared_as_people_type_them(void **state) {
    (void)state;
    assert_true(cli_diff_same_hash("1234-5678-9abc-def0", "1234-5678-9abc-def0"));
    assert_true(cli_diff_same_hash("1234-5678-9abc-def0", "123456789ABCDEF0"));
    assert_true(cli_diff_same_hash("1234-5678-9abc-def0", "1234 5678 9abc def0"));
    static const char *const others[] = {"", "1234", "1234-5678-9abc-def", "1234-5678-9abc-def1", "1234-5678-9abc-def00", "----"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(cli_diff_same_hash("1234-5678-9abc-def0", others[i]));
}

static void bundles_come_back(void **state) {
    (void)state;
    CLEANUP(arena_clear) struct arena arena;
    struct err err = {0};
    arena_init(&arena, 1 << 20);
    struct cli_bundle_file file = {.name = "timestamp.json", .data = {.len = 3, .data = (const uint8_t *)"abc"}};
    const struct cli_bundle bundle = {.role = "team", .draft = {.len = 2, .data = (const uint8_t *)"{}"}, .published = {.count = 1, .items = &file}};
    struct cli_bundle read;
    assert_true(cli_bundle_write(&bundle, path, true, &err));
    assert_false(cli_bundle_write(&bundle, path, true, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_true(cli_bundle_write(&bundle, path, false, &err));
    assert_true(cli_bundle_read(&arena, path, &read, &err));
    assert_string_equal(read.role, "team");
    assert_int_equal(read.sig.len, 0);
    assert_memory_equal(cli_bundle_find(&read, "timestamp.json")->data.data, "abc", 3);
    assert_null(cli_bundle_find(&read, "1.root.json"));
    assert_null(read.image);
    unlink(path);
    assert_false(cli_bundle_read(&arena, path, &read, &err));
    assert_int_equal(err.code, ERR_IO);
}

static const char *write_key(struct key *key) {
    CLEANUP(buf_free) struct buf pem = BUF_INIT(KEY_FILE_MAX);
    struct err err = {0};
    assert_true(key_export_pem(key, &pem, &err) && file_write_atomic(path, pem.data, pem.len, 0600, &err));
    return path;
}

static void roots_are_planned(void **state) {
    (void)state;
    CLEANUP(cli_rootplan_free) struct cli_rootplan plan = {0};
    CLEANUP(draft_cleanup) struct draft *draft = NULL;
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(METADATA_ROOT_MAX);
    CLEANUP(buf_free) struct buf text = BUF_INIT(CLI_DIFF_TEXT_MAX);
    CLEANUP(metadata_cleanup) struct metadata *root = NULL;
    struct err err = {0};
    char what[128];
    char first_id[KEY_ID_SIZE] = "";
    for (size_t r = 0; r < CLI_ROOTPLAN_ROLES; r++) {
        struct key *key = NULL;
        assert_true(key_generate(r < 3 ? KEY_ECDSA_P256 : KEY_ED25519, &key, &err));
        snprintf(what, sizeof(what), "%s=%s", cli_rootplan_names[r], write_key(key));
        assert_true(cli_rootplan_add(&plan, what, &err));
        assert_false(cli_rootplan_add(&plan, what, &err)); /* one key twice would count as one */
        assert_int_equal(err.code, ERR_USAGE);
        if (r == 0)
            snprintf(first_id, sizeof(first_id), "%s", key_id(key));
        key_free(key);
        snprintf(what, sizeof(what), "%s=1", cli_rootplan_names[r]);
        assert_true(cli_rootplan_threshold(&plan, what, &err));
    }
    assert_true(cli_rootplan_draft(&plan, 1, clock_now() + 1000, &draft, &err));
    assert_true(draft_bytes(draft, &bytes, &err) && metadata_parse(METADATA_ROOT, NULL, bytes.data, bytes.len, &root, &err));
    assert_true(cli_diff_root(NULL, root, &text, &err));
    assert_non_null(strstr(text.data, "! one key alone signs for root"));
    assert_false(cli_diff_root(root, root, &text, &err)); /* not the version after it */
    assert_int_equal(err.code, ERR_ROLLBACK);
    snprintf(what, sizeof(what), "root=%.7s", first_id); /* too few digits */
    assert_false(cli_rootplan_remove(&plan, what, &err));
    snprintf(what, sizeof(what), "targets=%.16s", first_id); /* another role's */
    assert_false(cli_rootplan_remove(&plan, what, &err));
    snprintf(what, sizeof(what), "root=%.16s", first_id);
    assert_true(cli_rootplan_remove(&plan, what, &err));
    draft_free(draft);
    draft = NULL;
    assert_false(cli_rootplan_draft(&plan, 2, clock_now() + 1000, &draft, &err)); /* no root key is left */
    assert_int_equal(err.code, ERR_THRESHOLD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_compared_as_people_type_them),
        cmocka_unit_test(bundles_come_back),
        cmocka_unit_test(roots_are_planned),
    };
    return cmocka_run_group_tests(tests, setup, folder_drop);
}
