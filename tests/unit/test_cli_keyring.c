/* A folder of keys: complete, private, verifiable; nothing overwritten, nothing left behind by a failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those four before it */
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/keyring.h"
#include "cli/signing.h"
#include "common/file.h"
#include "common/text.h"
#include "tests/unit/folder.h"
#include "trust/trusted.h"

static const struct cli_keyring_secret offline = {"offline words", 13};
static const struct cli_keyring_secret online = {"online words", 12};
enum { NOW = 1795000000 };

static struct arena arena;
static char ring_folder[TEMPORARY_SIZE + 8]; /* where the keys are made */

static int set_up(void **state) {
    arena_init(&arena, 1 << 20);
    folder_make(state);
    return text_copy(ring_folder, sizeof(ring_folder), in_folder("keys")) ? 0 : -1;
}

static int tear_down(void **state) {
    arena_clear(&arena);
    return folder_drop(state);
}

static size_t entries_in(const char *path) {
    size_t count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2;
}

static bool create(int64_t roots, int64_t threshold, const struct cli_keyring_secret *secret, struct err *err) {
    const struct cli_keyring_plan plan = {
        .folder = ring_folder, .roots = roots, .threshold = threshold, .offline = *secret, .online = online, .now = NOW};
    return cli_keyring_create(&arena, &plan, err);
}

static void all_keys_and_root_1(void **state) {
    (void)state;
    static const char *const files[] = {"root-1.pem",     "root-2.pem",           "root-3.pem",           "targets-1.pem",
                                        "snapshot-1.pem", "online/timestamp.pem", "online/directive.pem", "online/audit.pem"};
    struct err err = {0};
    assert_true(create(3, 2, &offline, &err));
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct stat info;
        char path[TEMPORARY_SIZE + 64];
        snprintf(path, sizeof(path), "%s/%s", ring_folder, files[i]);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 07777, 0400);
    }
    assert_int_equal(entries_in(ring_folder), 8); /* five keys, online, keys.json, 1.root.json */
    assert_int_equal(entries_in(folder), 1);      /* no temporary folder */

    CLEANUP(buf_free) struct buf root = BUF_INIT(METADATA_ROOT_MAX);
    CLEANUP(trusted_cleanup) struct trusted *trusted = NULL;
    assert_true(cli_keyring_read_root(&arena, ring_folder, &root, &err));
    assert_true(trusted_open(root.data, root.len, &trusted, &err)); /* signed by its own threshold */
    assert_int_equal(trusted->root->version, 1);
    assert_int_equal(trusted->root->signers[METADATA_ROOT].count, 3);
    assert_int_equal(trusted->root->signers[METADATA_ROOT].threshold, 2);
    assert_int_equal(trusted->root->envelope.signature_count, 2);
    assert_int_equal(trusted->root->directive.count, 1);
    assert_int_equal(trusted->root->expires_at, NOW + 365 * 86400);
}

static void keys_open_with_their_own_passphrase(void **state) {
    (void)state;
    struct cli_keyring ring;
    struct err err = {0};
    struct key *key = NULL;
    assert_true(create(1, 1, &offline, &err));
    assert_true(cli_keyring_read(&arena, ring_folder, &ring, &err));
    assert_int_equal(ring.keys.count, 6);
    const struct cli_keyring_entry *targets = cli_keyring_find(&ring, "targets-1");
    const struct cli_keyring_entry *timestamp = cli_keyring_find(&ring, "timestamp");
    assert_non_null(targets);
    assert_non_null(timestamp);
    assert_null(cli_keyring_find(&ring, "targets-2"));
    assert_true(cli_keyring_open(&arena, &ring, targets, &offline, &key, &err));
    assert_string_equal(key_id(key), targets->keyid);
    key_free(key);
    assert_true(cli_keyring_open(&arena, &ring, timestamp, &online, &key, &err));
    key_free(key);
    assert_false(cli_keyring_open(&arena, &ring, timestamp, &offline, &key, &err));
    assert_int_equal(err.code, ERR_PASSPHRASE);
}

static void a_key_that_was_exchanged_is_refused(void **state) {
    (void)state;
    struct cli_keyring ring;
    struct err err = {0};
    struct key *key = NULL;
    char from[TEMPORARY_SIZE + 64];
    char to[TEMPORARY_SIZE + 64];
    assert_true(create(1, 1, &offline, &err));
    assert_true(cli_keyring_read(&arena, ring_folder, &ring, &err));
    snprintf(from, sizeof(from), "%s/snapshot-1.pem", ring_folder);
    snprintf(to, sizeof(to), "%s/targets-1.pem", ring_folder);
    assert_int_equal(rename(from, to), 0);
    assert_false(cli_keyring_open(&arena, &ring, cli_keyring_find(&ring, "targets-1"), &offline, &key, &err));
    assert_int_equal(err.code, ERR_KEY);
    assert_false(cli_keyring_open(&arena, &ring, cli_keyring_find(&ring, "snapshot-1"), &offline, &key, &err));
    assert_int_equal(err.code, ERR_KEY); /* not there any more */
}

static void nothing_is_overwritten(void **state) {
    (void)state;
    struct err err = {0};
    char path[TEMPORARY_SIZE + 64];
    assert_int_equal(mkdir(ring_folder, 0700), 0); /* an empty folder is fine */
    assert_true(create(1, 1, &offline, &err));
    assert_false(create(1, 1, &offline, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_int_equal(entries_in(folder), 1);
    temporary_remove(ring_folder);
    snprintf(path, sizeof(path), "%s", ring_folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_false(create(1, 1, &offline, &err));
    assert_int_equal(err.code, ERR_IO);
}

static void a_failure_leaves_nothing(void **state) {
    (void)state;
    static const struct cli_keyring_secret too_short = {"short", 5};
    struct err err = {0};
    assert_false(create(3, 2, &too_short, &err));
    assert_int_equal(err.code, ERR_PASSPHRASE);
    assert_int_equal(entries_in(folder), 0);
}

static void numbers_out_of_range(void **state) {
    (void)state;
    static const struct { int64_t roots, threshold; } cases[] = {{0, 1}, {-1, 1}, {17, 1}, {3, 0}, {3, -1}, {3, 4}, {INT64_MAX, INT64_MAX}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        assert_false(create(cases[i].roots, cases[i].threshold, &offline, &err));
        assert_int_equal(err.code, ERR_USAGE);
    }
    assert_int_equal(entries_in(folder), 0);
}

static void an_index_that_is_not_valid(void **state) {
    (void)state;
    static const char entry[] = "{\"keys\":[{\"name\":\"t\",\"role\":\"targets\",\"file\":\"%s\",\"keyid\":\"x\",\"keytype\":\"ed25519\",\"scheme\":"
                                "\"ed25519\",\"public\":\"x\"}]}";
    char texts[4][512] = {"", "{}", "[]"};
    struct cli_keyring ring;
    struct err err = {0};
    char path[TEMPORARY_SIZE + 64];
    assert_int_equal(mkdir(ring_folder, 0700), 0);
    snprintf(path, sizeof(path), "%s/keys.json", ring_folder);
    assert_false(cli_keyring_read(&arena, ring_folder, &ring, &err));
    assert_int_equal(err.code, ERR_KEY);
    static const char *const files[] = {"/etc/shadow", "../other/targets-1.pem"};
    for (size_t i = 0; i < 3 + ARRAY_LEN(files); i++) {
        char *text = i < 3 ? texts[i] : texts[3];
        if (i >= 3) {
            CLEANUP(buf_free) struct buf made = BUF_INIT(512);
            const char *at = strstr(entry, "%s");
            buf_append(&made, entry, (size_t)(at - entry));
            buf_text(&made, files[i - 3]);
            buf_text(&made, at + 2);
            assert_true(text_copy(text, sizeof(texts[3]), made.data));
        }
        assert_true(file_write_atomic(path, text, strlen(text), 0644, &err));
        assert_false(cli_keyring_read(&arena, ring_folder, &ring, &err));
        assert_int_equal(err.code, ERR_KEY);
    }
}

static void only_keys_that_root_names_sign(void **state) {
    (void)state;
    struct err err = {0};
    CLEANUP(buf_free) struct buf root = BUF_INIT(METADATA_ROOT_MAX);
    CLEANUP(trusted_cleanup) struct trusted *trusted = NULL;
    CLEANUP(cli_signing_close) struct cli_signing signing = {0};
    struct cli cli = {.quiet = true};
    const char *passphrase = in_folder("passphrase");
    const struct cli_signing_args args = {.keys = ring_folder, .passphrase_file = passphrase};
    const struct key *keys[CLI_SIGNING_KEYS_MAX], *image_key = NULL;
    size_t count = 0;
    arena_init(&cli.arena, 1 << 20);
    assert_true(file_write_atomic(passphrase, offline.passphrase, offline.len, 0600, &err));
    assert_true(create(2, 2, &offline, &err));
    assert_true(cli_keyring_read_root(&arena, ring_folder, &root, &err));
    assert_true(trusted_open(root.data, root.len, &trusted, &err));
    assert_true(cli_signing_open(&cli, &args, &signing, &err));

    const struct signers *signers = trusted->root->signers;
    assert_true(cli_signing_find(&signing, &signers[METADATA_TARGETS], CLI_SIGNING_KEYS_MAX, keys, &count, &err));
    assert_int_equal(count, 1);
    assert_true(cli_signing_image_key(&signing, &signers[METADATA_TARGETS], &image_key, &err));
    assert_ptr_equal(image_key, keys[0]);
    const struct key *targets_key = keys[0];
    assert_true(cli_signing_find(&signing, &signers[METADATA_ROOT], CLI_SIGNING_KEYS_MAX, keys, &count, &err));
    assert_int_equal(count, 2);
    assert_false(key_same(keys[0], keys[1]));
    /* The folder's targets key is no snapshot key of this root. */
    assert_true(cli_signing_find(&signing, &signers[METADATA_SNAPSHOT], CLI_SIGNING_KEYS_MAX, keys, &count, &err));
    assert_int_equal(count, 1);
    assert_false(key_same(keys[0], targets_key));
    /* Nor are there three root keys. */
    assert_false(cli_signing_sign(&signing, "root", &signers[METADATA_ROOT], 3, NULL, &err));
    assert_int_equal(err.code, ERR_KEY);
    assert_non_null(strstr(err.text, "needs 3 signatures;"));
    arena_clear(&cli.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_keys_and_root_1, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_open_with_their_own_passphrase, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_that_was_exchanged_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_overwritten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failure_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_out_of_range, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_index_that_is_not_valid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_keys_that_root_names_sign, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
