/* Bearer tokens: what is made can be taken apart, and nothing else can; scopes as text and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "api/secret.h"
#include "api/shapes.h"
#include "api/token.h"

static void test_made_and_parsed(void **state) {
    struct arena arena CLEANUP(arena_clear);
    struct db_token token = {0}, other = {0};
    char id[DB_TOKEN_ID_SIZE];
    uint8_t secret[32];
    const char *text, *second;
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 20);
    assert_true(api_token_make(&arena, &token, &text, &err));
    assert_int_equal(strlen(text), 5 + 12 + 1 + API_SECRET_LEN);
    assert_true(api_token_parse(text, id, secret));
    assert_string_equal(id, token.id);
    assert_memory_equal(secret, token.secret_sha256, 32);
    assert_true(api_token_make(&arena, &other, &second, &err));
    assert_string_not_equal(text, second);
}

static void test_not_tokens(void **state) {
    static const char *const bad[] = {
        "",
        "pawl",
        "pawl_",
        "pawl_a",
        "pawl_a_",
        "pawl__AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "pawl_a_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "pawl_a_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "pawl_A_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "xawl_a_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "pawl_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    char id[DB_TOKEN_ID_SIZE];
    uint8_t secret[32];
    (void)state;
    assert_true(api_token_parse("pawl_a_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", id, secret));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (api_token_parse(bad[i], id, secret))
            fail_msg("'%s' was taken", bad[i]);
}

static void test_scopes(void **state) {
    struct arena arena CLEANUP(arena_clear);
    const char *items[] = {"device:read", "release:publish@router-x1", "metrics:read"};
    const struct json_texts scopes = {.count = ARRAY_LEN(items), .items = items};
    struct json_texts back;
    struct db_token token = {0};
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 20);
    assert_true(api_scopes_read(&arena, &scopes, &token, &err));
    assert_int_equal(token.grant_count, 3);
    assert_string_equal(token.grants[0].product, "");
    assert_string_equal(token.grants[1].scope, "release:publish");
    assert_string_equal(token.grants[1].product, "router-x1");
    assert_true(api_scopes_write(&arena, &token, &back, &err));
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        assert_string_equal(back.items[i], items[i]);
}

static void test_bad_scopes(void **state) {
    static const char *const bad[] = {"",   "device", "device:", "device:read ", "device:reads", "Device:read", "device:read@", "device:read@a@b",
                                      "@a", "*"};
    struct arena arena CLEANUP(arena_clear);
    struct db_token token = {0};
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *item = bad[i];
        const struct json_texts scopes = {.count = 1, .items = &item};
        if (api_scopes_read(&arena, &scopes, &token, &err))
            fail_msg("'%s' was taken", bad[i]);
        assert_string_equal(err.field, "scopes[0]");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_and_parsed),
        cmocka_unit_test(test_not_tokens),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_bad_scopes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
