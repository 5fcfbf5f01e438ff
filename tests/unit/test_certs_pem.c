/* The development PKI's certificates, good and bad, as a program that holds one sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "certs/pem.h"
#include "common/file.h"
#include "common/hex.h"
#include "tests/unit/folder.h"

extern char **environ;

static struct err err;

/* certs/dev-pki.sh FOLDER and up to six words more; its exit status. */
static int make_pki(const char *const words[6]) {
    const char *argv[10] = {"sh", PAWL_SOURCE_DIR "/certs/dev-pki.sh", folder};
    pid_t pid;
    int status = -1;
    for (size_t i = 0; i < 6 && words[i] != NULL; i++)
        argv[3 + i] = words[i];
    assert_int_equal(posix_spawnp(&pid, "sh", NULL, NULL, (char *const *)(uintptr_t)argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool look_at(const char *name, bool by_common_name, struct certs_pem_identity *ret_identity) {
    char path[256];
    CLEANUP(buf_free) struct buf pem = BUF_INIT(65536);
    struct err reading;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_true(file_read(path, &pem, &reading));
    return certs_pem_device(pem.data, pem.len, name, by_common_name, ret_identity, &err);
}

static int set_up(void **state) {
    return folder_make(state) == 0 && make_pki((const char *const[6]){"--device", "dev:1", "--server-name", "ota.example"}) == 0 ? 0 : -1;
}

static void test_a_good_one(UNUSED void **state) {
    struct certs_pem_identity san = {0}, cn = {0};
    char path[256];
    struct stat info;
    assert_true(look_at("devices/dev:1.pem", false, &san));
    assert_string_equal(san.id, "dev:1");
    assert_true(hex_is_digest(san.spki_sha256));
    assert_true(look_at("devices/dev:1.pem", true, &cn));
    assert_string_equal(cn.id, "dev:1");
    assert_string_equal(cn.spki_sha256, san.spki_sha256);
    snprintf(path, sizeof(path), "%s/devices/dev:1.key", folder);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0400);
}

static void test_bad_ones(UNUSED void **state) {
    static const struct {
        const char *const words[6];
        const char *file;
        enum err_code code; /* ERR_NONE: only the chain or the time is wrong, which is not asked here */
    } cases[] = {
        {{"--device", "dev:1", "--eku", "server"}, "devices/dev:1.eku-server.pem", ERR_IDENTITY},
        {{"--device", "dev:1", "--ca-true"}, "devices/dev:1.ca-true.pem", ERR_IDENTITY},
        {{"--device", "dev:1", "--no-san"}, "devices/dev:1.no-san.pem", ERR_IDENTITY},
        {{"--device", "dev:1", "--two-san"}, "devices/dev:1.two-san.pem", ERR_IDENTITY},
        {{"--device", "dev:1", "--expired"}, "devices/dev:1.expired.pem", ERR_NONE},
        {{"--device", "dev:1", "--foreign"}, "devices/dev:1.foreign.pem", ERR_NONE},
    };
    struct certs_pem_identity good, found;
    assert_true(look_at("devices/dev:1.pem", false, &good));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(make_pki(cases[i].words), 0);
        assert_int_equal(look_at(cases[i].file, false, &found), cases[i].code == ERR_NONE);
        if (cases[i].code != ERR_NONE)
            assert_int_equal(err.code, cases[i].code);
        else
            assert_string_equal(found.spki_sha256, good.spki_sha256); /* nothing else is wrong with it */
    }
    assert_true(look_at("devices/dev:1.expired.pem", false, &found));
    assert_true(found.not_after < 1610000000);
}

static void test_a_second_key(UNUSED void **state) {
    struct certs_pem_identity good, second;
    assert_int_equal(make_pki((const char *const[6]){"--device", "dev:1", "--new-key"}), 0);
    assert_true(look_at("devices/dev:1.pem", false, &good));
    assert_true(look_at("devices/dev:1.new-key.pem", false, &second));
    assert_string_equal(second.id, good.id);
    assert_string_not_equal(second.spki_sha256, good.spki_sha256);
}

static void test_a_second_run_changes_nothing(UNUSED void **state) {
    static const char *const names[] = {"device-ca.pem", "server-ca.pem", "server.pem", "devices/dev:1.pem"};
    struct stat before[ARRAY_LEN(names)], after;
    char path[256];
    for (int run = 0; run < 2; run++) {
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
            assert_int_equal(stat(path, run == 0 ? &before[i] : &after), 0);
            if (run == 1)
                assert_int_equal(after.st_ino, before[i].st_ino);
        }
        if (run == 0)
            assert_int_equal(make_pki((const char *const[6]){"--device", "dev:1", "--server-name", "ota.example"}), 0);
    }
}

static void test_refusals(UNUSED void **state) {
    static const char *const words[][6] = {
        {"--device", "a/b"}, {"--device", ".."}, {"--device"}, {"--expired"}, {"--device", "x", "--eku", "client"}, {"--insecure"}, {"other"},
    };
    struct certs_pem_identity identity;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        assert_int_equal(make_pki(words[i]), 2);
    assert_false(look_at("devices/dev:1.key", false, &identity));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_false(certs_pem_device("", 0, "nothing", false, &identity, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_one),   cmocka_unit_test(test_bad_ones),
        cmocka_unit_test(test_a_second_key), cmocka_unit_test(test_a_second_run_changes_nothing),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, folder_drop);
}
