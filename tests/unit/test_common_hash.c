/* Digests against published vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/hash.h"

/* FIPS 180-2 and RFC 1321. */
static const char abc_sha256[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char empty_sha256[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char abc_sha1[] = "a9993e364706816aba3e25717850c26c9cd0d89d";
static const char abc_md5[] = "900150983cd24fb0d6963f7d28e17f72";
static const char million_sha256[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static void test_one_call(void **state) {
    char hex[SHA256_HEX_SIZE];
    struct err err;
    (void)state;
    assert_true(hash_sha256_hex("abc", 3, hex, &err));
    assert_string_equal(hex, abc_sha256);
    assert_true(hash_sha256_hex("", 0, hex, &err));
    assert_string_equal(hex, empty_sha256);
}

static void test_stream(void **state) {
    CLEANUP(hash_free) struct hash hash = {0};
    uint8_t whole[SHA256_SIZE], parts[SHA256_SIZE];
    struct err err;
    (void)state;
    assert_true(hash_sha256_begin(&hash, &err));
    assert_true(hash_update(&hash, "a", 1, &err));
    assert_true(hash_update(&hash, "", 0, &err));
    assert_true(hash_update(&hash, "bc", 2, &err));
    assert_true(hash_sha256_end(&hash, parts, &err));
    assert_true(hash_sha256("abc", 3, whole, &err));
    assert_memory_equal(whole, parts, SHA256_SIZE);
    assert_null(hash.context);
    assert_false(hash_update(&hash, "x", 1, &err)); /* ended */
    assert_false(hash_sha256_end(&hash, parts, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
}

static void test_triple(void **state) {
    CLEANUP(hash_triple_free) struct hash_triple triple = {0};
    char sha256[SHA256_HEX_SIZE], sha1[SHA1_HEX_SIZE], md5[MD5_HEX_SIZE];
    struct err err;
    (void)state;
    assert_false(hash_triple_update(&triple, "x", 1, &err));
    assert_true(hash_triple_begin(&triple, &err));
    assert_true(hash_triple_update(&triple, "ab", 2, &err));
    assert_true(hash_triple_update(&triple, "c", 1, &err));
    assert_true(hash_triple_end(&triple, sha256, sha1, md5, &err));
    assert_string_equal(sha256, abc_sha256);
    assert_string_equal(sha1, abc_sha1);
    assert_string_equal(md5, abc_md5);
    assert_false(hash_triple_end(&triple, sha256, sha1, md5, &err));
}

static void test_file(void **state) {
    char hex[SHA256_HEX_SIZE];
    char block[1000];
    struct err err;
    (void)state;
    int fd = memfd_create("million", MFD_CLOEXEC);
    assert_true(fd >= 0);
    memset(block, 'a', sizeof(block));
    for (int i = 0; i < 1000; i++)
        assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
    assert_true(hash_sha256_fd(fd, hex, &err)); /* from the start, wherever the descriptor stands */
    assert_string_equal(hex, million_sha256);
    close(fd);
    assert_false(hash_sha256_fd(fd, hex, &err));
    assert_int_equal(err.code, ERR_IO);
}

static void test_equal(void **state) {
    (void)state;
    assert_true(hash_equal("abc", "abc", 3));
    assert_false(hash_equal("abc", "abd", 3));
    assert_true(hash_equal("abc", "abd", 2));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_call), cmocka_unit_test(test_stream), cmocka_unit_test(test_triple),
        cmocka_unit_test(test_file),     cmocka_unit_test(test_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
