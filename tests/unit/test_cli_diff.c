/* What is shown before somebody signs: keys by what they are, the order of delegations, and what no draft may hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those four before it */
#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "cli/diff.h"
#include "trust/repository.h"

#define EXPIRY INT64_C(1900000000)

static struct err err;

static struct key *new_key(void) {
    struct key *key = NULL;
    assert_true(key_generate(KEY_ECDSA_P256, &key, &err));
    return key;
}

static struct metadata *parse(enum metadata_role role, const json_t *document) {
    struct metadata *metadata = NULL;
    char *text = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
    assert_non_null(text);
    if (!metadata_parse(role, NULL, text, strlen(text), &metadata, &err))
        fail_msg("%s", err.text);
    free(text);
    return metadata;
}

/* The draft as a document that a test may change. Takes the draft. */
static json_t *document_of(struct draft *draft) {
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(METADATA_TARGETS_MAX);
    assert_true(draft_bytes(draft, &bytes, &err));
    draft_free(draft);
    json_t *document = json_loadb(bytes.data, bytes.len, 0, NULL);
    assert_non_null(document);
    return document;
}

static json_t *next_version(const json_t *document) {
    json_t *next = json_deep_copy(document);
    json_object_set_new(json_object_get(next, "signed"), "version", json_integer(2));
    return next;
}

static struct repository_signers one(struct key **key) {
    return (struct repository_signers){.keys = (const struct key *const *)key, .count = 1, .threshold = 1};
}

struct world {
    struct key *keys[3]; /* root and directive, targets, the attacker's */
    json_t *root;
    json_t *targets; /* delegates to "alpha", then to "beta" */
};

static int set_up(void **state) {
    static struct world world;
    static const char *const paths[] = {"p/*/*"};
    struct draft *root = NULL;
    struct draft *targets = NULL;
    for (size_t i = 0; i < ARRAY_LEN(world.keys); i++)
        world.keys[i] = new_key();
    struct repository_signers first = one(&world.keys[0]);
    struct repository_signers second = one(&world.keys[1]);
    const struct repository_root content = {
        .version = 1, .expires_at = EXPIRY, .root = first, .targets = second, .snapshot = second, .timestamp = second, .directive = first};
    const struct repository_delegation alpha = {.role = "alpha", .signers = first, .paths = paths, .path_count = 1, .terminating = true};
    const struct repository_delegation beta = {.role = "beta", .signers = second, .paths = paths, .path_count = 1};
    assert_true(repository_root(&content, &root, &err));
    assert_true(repository_targets(NULL, EXPIRY, &targets, &err) && repository_delegate(targets, &alpha, &err) &&
                repository_delegate(targets, &beta, &err));
    world.root = document_of(root);
    world.targets = document_of(targets);
    *state = &world;
    return 0;
}

static int tear_down(void **state) {
    struct world *world = *state;
    for (size_t i = 0; i < ARRAY_LEN(world->keys); i++)
        key_free(world->keys[i]);
    json_decref(world->root);
    json_decref(world->targets);
    return 0;
}

/* ERR_NONE, or why the difference is not even shown. Takes both. */
static enum err_code diff_root(json_t *before, json_t *after, struct buf *out) {
    CLEANUP(metadata_cleanup) struct metadata *base = parse(METADATA_ROOT, before);
    CLEANUP(metadata_cleanup) struct metadata *next = parse(METADATA_ROOT, after);
    json_decref(before);
    json_decref(after);
    return cli_diff_root(base, next, out, &err) ? ERR_NONE : err.code;
}

static enum err_code diff_targets(json_t *before, json_t *after, struct buf *out) {
    CLEANUP(metadata_cleanup) struct metadata *base = parse(METADATA_TARGETS, before);
    CLEANUP(metadata_cleanup) struct metadata *next = parse(METADATA_TARGETS, after);
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, 65536);
    struct trusted_releases added;
    const struct trusted_releases none = {0};
    const struct cli_diff diff = {.base = base, .next = next, .releases = &none};
    json_decref(before);
    json_decref(after);
    return cli_diff_targets(&arena, &diff, out, &added, &err) ? ERR_NONE : err.code;
}

static json_t *keys_of_root(json_t *document) {
    return json_object_get(json_object_get(document, "signed"), "keys");
}

/* Writes another key under the id of the targets key. */
static void swap_key(struct world *world, json_t *document) {
    json_t *entry = json_object_get(keys_of_root(document), key_id(world->keys[1]));
    json_object_set_new(json_object_get(entry, "keyval"), "public", json_string(key_public(world->keys[2])));
}

static void a_key_under_anothers_id(void **state) {
    struct world *world = *state;
    CLEANUP(buf_free) struct buf out = BUF_INIT(CLI_DIFF_TEXT_MAX);
    json_t *next = next_version(world->root);
    assert_int_equal(diff_root(json_incref(world->root), json_incref(next), &out), ERR_NONE);
    swap_key(world, next);
    assert_int_equal(diff_root(json_incref(world->root), next, &out), ERR_FORMAT);
    assert_non_null(strstr(err.text, "an id that is not its own"));
}

/* A published root that breaks the rule: what comes after it is shown by the real keys. */
static void a_base_with_a_strange_id(void **state) {
    struct world *world = *state;
    CLEANUP(buf_free) struct buf out = BUF_INIT(CLI_DIFF_TEXT_MAX);
    char expected[64];
    json_t *base = json_deep_copy(world->root);
    swap_key(world, base);
    assert_int_equal(diff_root(base, next_version(world->root), &out), ERR_NONE);
    snprintf(expected, sizeof(expected), "+%.16s, -%.16s\n", key_id(world->keys[1]), key_id(world->keys[2]));
    assert_non_null(strstr(out.data, expected));
}

static void a_key_of_unknown_type(void **state) {
    struct world *world = *state;
    CLEANUP(buf_free) struct buf out = BUF_INIT(CLI_DIFF_TEXT_MAX);
    json_t *next = next_version(world->root);
    json_t *strange = json_pack("{s:s,s:s,s:{s:s}}", "keytype", "rsa", "scheme", "rsa-pkcs1v15-sha256", "keyval", "public", "x");
    json_object_set(keys_of_root(next), "ffff", strange);
    assert_int_equal(diff_root(json_incref(world->root), next, &out), ERR_FORMAT);
    next = next_version(world->targets);
    json_t *delegations = json_object_get(json_object_get(next, "signed"), "delegations");
    json_object_set_new(json_object_get(delegations, "keys"), "ffff", strange);
    json_array_append_new(json_object_get(json_array_get(json_object_get(delegations, "roles"), 0), "keyids"), json_string("ffff"));
    assert_int_equal(diff_targets(json_incref(world->targets), next, &out), ERR_FORMAT);
    assert_non_null(strstr(err.text, "a type that is not known here"));
}

static void delegations_in_another_order(void **state) {
    struct world *world = *state;
    CLEANUP(buf_free) struct buf out = BUF_INIT(CLI_DIFF_TEXT_MAX);
    json_t *next = next_version(world->targets);
    assert_int_equal(diff_targets(json_incref(world->targets), json_incref(next), &out), ERR_NONE);
    assert_null(strstr(out.data, "order"));
    json_t *roles = json_object_get(json_object_get(json_object_get(next, "signed"), "delegations"), "roles");
    json_t *first = json_incref(json_array_get(roles, 0));
    json_array_remove(roles, 0);
    json_array_append_new(roles, first);
    assert_int_equal(diff_targets(json_incref(world->targets), next, &out), ERR_NONE);
    assert_non_null(strstr(out.data, "! the delegations are asked in another order: beta, alpha\n"));
}

static void the_hash_has_128_bits(void **state) {
    struct world *world = *state;
    CLEANUP(metadata_cleanup) struct metadata *root = parse(METADATA_ROOT, world->root);
    char hash[CLI_DIFF_HASH_SIZE];
    char typed[CLI_DIFF_HASH_SIZE];
    size_t digits = 0;
    assert_true(cli_diff_hash(root, hash, &err));
    for (const char *at = hash; *at != '\0'; at++)
        digits += *at != '-';
    assert_int_equal(digits, 32);
    assert_true(cli_diff_same_hash(hash, hash));
    snprintf(typed, sizeof(typed), "%.19s", hash); /* half of it */
    assert_false(cli_diff_same_hash(hash, typed));
    snprintf(typed, sizeof(typed), "%s", hash);
    typed[38] = typed[38] == '0' ? '1' : '0';
    assert_false(cli_diff_same_hash(hash, typed));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_under_anothers_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_base_with_a_strange_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_of_unknown_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(delegations_in_another_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_hash_has_128_bits, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
