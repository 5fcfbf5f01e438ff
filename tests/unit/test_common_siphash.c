/* Against another implementation's values: CPython's hash of bytes, which is SipHash-1-3, with PYTHONHASHSEED=0. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/siphash.h"

static void test_values(void **state) {
    const struct siphash_key zero = {0};
    unsigned char bytes[63];
    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)i;
    assert_true(siphash_text(zero, "a") == UINT64_C(0x407448d2b89b1813));
    assert_true(siphash_text(zero, "abcdefg") == UINT64_C(0x6db12aae9070f506));
    assert_true(siphash_text(zero, "abcdefgh") == UINT64_C(0x3f7b849c0b8e35ea));
    assert_true(siphash_text(zero, "abcdefghi") == UINT64_C(0xf89b34a3d11eb6e5));
    assert_true(siphash(zero, bytes, sizeof(bytes)) == UINT64_C(0x385d3e39e5f37359));
}

static void test_key(void **state) {
    (void)state;
    assert_true(siphash_text((struct siphash_key){.k0 = 1}, "a") != siphash_text((struct siphash_key){.k1 = 1}, "a"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_key)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
