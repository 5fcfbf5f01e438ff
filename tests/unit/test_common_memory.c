/* Every allocation fails once: the call says so, writes nothing and leaks nothing (the address sanitizer looks). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "common/hash.h"
#include "common/json.h"
#include "tests/unit/memory_fault.h"

/* What the libraries allocate goes through the same countdown. */
static void *library_malloc(size_t size) {
    return __wrap_malloc(size);
}

static void *openssl_malloc(size_t size, const char *file, int line) {
    (void)file;
    (void)line;
    return __wrap_malloc(size);
}

static void *openssl_realloc(void *place, size_t size, const char *file, int line) {
    (void)file;
    (void)line;
    return fault_strikes() ? NULL : realloc(place, size);
}

static void openssl_free(void *place, const char *file, int line) {
    (void)file;
    (void)line;
    free(place);
}

/* jansson calls it a syntax error when a token does not fit into memory. */
static bool is_honest(enum err_code code) {
    return code == ERR_NO_MEMORY || code == ERR_INTERNAL || code == ERR_INVALID;
}

/* Runs the scenario with the first allocation failing, then the second, until it goes through; returns how many failed. */
static int fail_each(bool (*scenario)(struct err *err)) {
    for (int nth = 1; nth < 1000; nth++) {
        struct err err = {0};
        fault_countdown = nth;
        bool done = scenario(&err);
        bool struck = fault_countdown == 0;
        fault_countdown = 0;
        if (!struck) {
            assert_true(done);
            return nth - 1;
        }
        if (!done && !is_honest(err.code))
            fail_msg("allocation %d: %s", nth, err.text);
    }
    fail_msg("the scenario never goes through");
    return 0;
}

static bool grow_buffer(struct err *err) {
    CLEANUP(buf_free) struct buf buf = BUF_INIT(100000);
    for (int i = 0; i < 2000; i++)
        buf_byte(&buf, 'x');
    if (!buf_ok(&buf, "text", err)) {
        assert_int_equal(err->code, ERR_NO_MEMORY);
        assert_true(buf.len < 2000);
        return false;
    }
    return true;
}

struct settings {
    char *text;
    char *path;
};

static const struct config_key keys[] = {
    {"a", "text", CONFIG_TEXT, offsetof(struct settings, text), "x", 0, 0, NULL, 0, "Text"},
    {"a", "path", CONFIG_PATH, offsetof(struct settings, path), NULL, 0, 0, NULL, 0, "Path"},
};
static const struct config_table table = {"tested", "PAWLMEMORY_", keys, ARRAY_LEN(keys), NULL};

static bool load_config(struct err *err) {
    static const char text[] = "[a]\npath = x\n";
    struct settings settings = {(char *)1, NULL};
    if (!config_parse(&table, "t.conf", text, strlen(text), true, &settings, err)) {
        assert_int_equal(err->code, ERR_NO_MEMORY);
        assert_ptr_equal(settings.text, (char *)1);
        return false;
    }
    config_free(&table, &settings);
    return true;
}

struct thing {
    const char *name;
    struct json_texts tags;
    const char *raw;
    struct json_bytes blob;
};

static const struct json_field fields[] = {
    {.name = "name", .type = JSON_TEXT, .offset = offsetof(struct thing, name)},
    {.name = "tags", .type = JSON_TEXTS, .offset = offsetof(struct thing, tags)},
    {.name = "raw", .type = JSON_RAW, .offset = offsetof(struct thing, raw)},
    {.name = "blob", .type = JSON_BASE64, .offset = offsetof(struct thing, blob)},
};
static const struct json_shape shape = JSON_SHAPE(struct thing, fields);

static bool read_json(struct err *err) {
    static const char text[] = "{\"name\":\"n\",\"tags\":[\"a\",\"b\"],\"raw\":{\"a\":[1,\"x\"]},\"blob\":\"Zg==\"}";
    CLEANUP(arena_clear) struct arena arena;
    struct thing thing;
    arena_init(&arena, 1 << 16);
    if (!json_read(&arena, text, strlen(text), &shape, &thing, NULL, err))
        return false;
    assert_string_equal(thing.raw, "{\"a\":[1,\"x\"]}");
    assert_int_equal(thing.tags.count, 2);
    assert_int_equal(thing.blob.len, 1);
    return true;
}

static bool pretty_json(struct err *err) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
    if (!json_pretty(&out, "{\"a\":[1]}", 9, err))
        return false;
    assert_string_equal(out.data, "{\n  \"a\": [\n    1\n  ]\n}");
    return true;
}

static bool make_digests(struct err *err) {
    CLEANUP(hash_triple_free) struct hash_triple triple = {0};
    char sha256[SHA256_HEX_SIZE], sha1[SHA1_HEX_SIZE], md5[MD5_HEX_SIZE], again[SHA256_HEX_SIZE];
    if (!hash_triple_begin(&triple, err) || !hash_triple_update(&triple, "abc", 3, err) || !hash_triple_end(&triple, sha256, sha1, md5, err) ||
        !hash_sha256_hex("abc", 3, again, err))
        return false;
    assert_string_equal(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal(again, sha256);
    return true;
}

static void test_buffer(void **state) {
    (void)state;
    assert_int_equal(fail_each(grow_buffer), 4); /* 256, 512, 1024, 2048 */
}

static void test_config(void **state) {
    (void)state;
    assert_true(fail_each(load_config) >= 3);
}

static void test_json(void **state) {
    (void)state;
    assert_true(fail_each(read_json) > 20);
    assert_true(fail_each(pretty_json) > 5);
}

static void test_digests(void **state) {
    struct err err;
    (void)state;
    assert_true(make_digests(&err)); /* what OpenSSL keeps for good is there before the first failure */
    assert_true(fail_each(make_digests) >= 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_digests),
    };
    json_set_alloc_funcs(library_malloc, free);
    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
