/* The directive: for this device, now, and nothing else. */
#include "tests/unit/trust_simulator.h"

#include "trust/directive.h"

static const char device[] = "gw-0001";
static const char spki[] = "1111111111111111111111111111111111111111111111111111111111111111";
static const char nonce[] = "00112233445566778899aabbccddeeff";

/* A directive key, root's list of it, what the server says and what the device expects. */
struct scene {
    struct key *key, *other;
    struct signer signer;
    const struct signer *items[1];
    struct signers signers;
    struct release release;
    struct directive said;
    struct directive_expect expect;
    struct buf file;
    struct arena arena;
};

static void scene_open(struct scene *scene) {
    *scene = (struct scene){.file = BUF_INIT(SIM_FILE_MAX)};
    arena_init(&scene->arena, 1 << 20);
    SIM_OK(key_generate(KEY_ED25519, &scene->key, &sim_err));
    SIM_OK(key_generate(KEY_ED25519, &scene->other, &sim_err));
    scene->signer = (struct signer){.id = key_id(scene->key), .key = scene->key};
    scene->items[0] = &scene->signer;
    scene->signers = (struct signers){.count = 1, .items = scene->items, .threshold = 1};
    scene->release = sim_release("gateway/1.0.0/image.bin", 4);
    scene->said = (struct directive){
        .device = device,
        .spki_sha256 = spki,
        .nonce = nonce,
        .issued_at = SIM_NOW,
        .expires_at = SIM_NOW + DIRECTIVE_LIFETIME_S,
        .timestamp_version = 12,
        .action = DIRECTIVE_INSTALL,
        .deployment = "17",
        .path = scene->release.path,
        .length = scene->release.length,
        .sha256 = scene->release.sha256,
        .version = scene->release.version,
        .sequence = scene->release.sequence,
        .security_version = scene->release.security_version,
    };
    scene->expect = (struct directive_expect){
        .signers = &scene->signers, .device = device, .spki_sha256 = spki, .nonce = nonce, .has_clock = true, .now = SIM_NOW + 1};
}

static void scene_close(struct scene *scene) {
    buf_free(&scene->file);
    arena_clear(&scene->arena);
    key_free(scene->key);
    key_free(scene->other);
}

static void say(struct scene *scene) {
    buf_reset(&scene->file);
    SIM_OK(directive_write(&scene->file, &scene->said, scene->key, &sim_err));
}

static enum err_code hear(struct scene *scene, struct directive *ret_directive) {
    struct err err = {0};
    bool fine = directive_verify(&scene->arena, scene->file.data, scene->file.len, &scene->expect, ret_directive, &err);
    assert_int_equal(fine, err.code == ERR_NONE);
    return err.code;
}

static void test_round_trip(void **state) {
    (void)state;
    struct scene scene;
    struct directive heard;
    scene_open(&scene);
    say(&scene);
    assert_int_equal(hear(&scene, &heard), ERR_NONE);
    assert_int_equal(heard.action, DIRECTIVE_INSTALL);
    assert_string_equal(heard.deployment, "17");
    assert_int_equal(heard.timestamp_version, 12);
    assert_int_equal(heard.issued_at, SIM_NOW);
    assert_string_equal(heard.nonce, nonce);
    SIM_OK(directive_check_release(&heard, &scene.release, &sim_err));
    assert_false(heard.optional);
    assert_null(strstr(scene.file.data, "optional")); /* a forced one says nothing of it */
    scene.said.optional = true;
    say(&scene);
    assert_int_equal(hear(&scene, &heard), ERR_NONE);
    assert_true(heard.optional);
    scene.said.optional = false;
    static const enum directive_action idle[] = {DIRECTIVE_NONE, DIRECTIVE_HOLD};
    for (size_t i = 0; i < ARRAY_LEN(idle); i++) {
        scene.said.action = idle[i];
        scene.said.deployment = scene.said.path = NULL;
        say(&scene);
        assert_int_equal(hear(&scene, &heard), ERR_NONE);
        assert_int_equal(heard.action, idle[i]);
        assert_null(heard.path);
    }
    struct err err = {0};
    scene.said.optional = true; /* nothing to postpone */
    assert_false(directive_write(&scene.file, &scene.said, scene.key, &err));
    scene_close(&scene);
}

static void test_another_device_or_key(void **state) {
    (void)state;
    struct scene scene;
    struct directive heard;
    scene_open(&scene);
    say(&scene);
    scene.expect.device = "gw-0002";
    assert_int_equal(hear(&scene, &heard), ERR_DIRECTIVE);
    scene.expect.device = "GW-0001";
    assert_int_equal(hear(&scene, &heard), ERR_DIRECTIVE);
    scene.expect.device = device;
    scene.expect.spki_sha256 = "2222222222222222222222222222222222222222222222222222222222222222";
    assert_int_equal(hear(&scene, &heard), ERR_DIRECTIVE);
    scene_close(&scene);
}

static void test_replay(void **state) {
    (void)state;
    struct scene scene;
    struct directive heard;
    scene_open(&scene);
    say(&scene);
    scene.expect.nonce = "ffeeddccbbaa99887766554433221100";
    assert_int_equal(hear(&scene, &heard), ERR_FREEZE);
    /* An answer without nonce to a device that sent one; the other way round it is no matter. */
    scene.said.nonce = NULL;
    say(&scene);
    assert_int_equal(hear(&scene, &heard), ERR_FREEZE);
    scene.expect.nonce = NULL;
    assert_int_equal(hear(&scene, &heard), ERR_NONE);
    /* An earlier one than accepted before; the same second is not earlier. With a clock the nonce says enough. */
    scene.expect.issued_floor = SIM_NOW + 1;
    assert_int_equal(hear(&scene, &heard), ERR_NONE);
    scene.expect.nonce = nonce;
    scene.said.nonce = nonce;
    say(&scene);
    scene.expect.has_clock = false;
    assert_int_equal(hear(&scene, &heard), ERR_FREEZE);
    scene.expect.issued_floor = SIM_NOW;
    assert_int_equal(hear(&scene, &heard), ERR_NONE);
    scene_close(&scene);
}

static void test_clocks(void **state) {
    (void)state;
    static const struct {
        bool has_clock;
        int64_t now;
        enum err_code code;
    } rows[] = {
        {true, SIM_NOW + DIRECTIVE_LIFETIME_S - 1, ERR_NONE},
        {true, SIM_NOW + DIRECTIVE_LIFETIME_S, ERR_EXPIRED},
        {true, INT64_C(4102444800), ERR_EXPIRED},
        {true, SIM_NOW - DIRECTIVE_AHEAD_MAX_S, ERR_NONE},
        {true, SIM_NOW - DIRECTIVE_AHEAD_MAX_S - 1, ERR_FREEZE},
        {true, 0, ERR_FREEZE},
        {true, INT64_MIN / 2, ERR_FREEZE},
        {false, INT64_C(4102444800), ERR_NONE},
    };
    struct scene scene;
    struct directive heard;
    scene_open(&scene);
    say(&scene);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        scene.expect.has_clock = rows[i].has_clock;
        scene.expect.now = rows[i].now;
        assert_int_equal(hear(&scene, &heard), rows[i].code);
    }
    /* Neither clock nor nonce: nothing says that it is fresh. */
    scene.expect.has_clock = false;
    scene.expect.nonce = NULL;
    assert_int_equal(hear(&scene, &heard), ERR_FREEZE);
    scene_close(&scene);
}

static void test_signature(void **state) {
    (void)state;
    struct scene scene;
    struct directive heard;
    scene_open(&scene);
    buf_reset(&scene.file);
    SIM_OK(directive_write(&scene.file, &scene.said, scene.other, &sim_err));
    assert_int_equal(hear(&scene, &heard), ERR_SIGNATURE);
    /* Root names no directive key at all. */
    say(&scene);
    scene.expect.signers = &(struct signers){0};
    assert_int_equal(hear(&scene, &heard), ERR_THRESHOLD);
    scene.expect.signers = &scene.signers;
    assert_int_equal(hear(&scene, &heard), ERR_NONE);
    for (size_t bit = 0; bit < 8 * scene.file.len; bit++) {
        scene.file.data[bit / 8] = (char)(scene.file.data[bit / 8] ^ (1 << (bit % 8)));
        if (hear(&scene, &heard) == ERR_NONE)
            fail_msg("bit %zu flipped and accepted", bit);
        scene.file.data[bit / 8] = (char)(scene.file.data[bit / 8] ^ (1 << (bit % 8)));
        arena_clear(&scene.arena);
    }
    scene_close(&scene);
}

/* What a thief of the online key might say; the device takes no half statements. */
static void test_incomplete_statements(void **state) {
    (void)state;
    static const char *const members[] = {"_type",      "action", "device", "expires", "issued", "spki_sha256", "timestamp_version",
                                          "deployment", "release"};
    static const char *const parts[] = {"length", "path", "security_version", "sequence", "sha256", "version"};
    struct scene scene;
    struct directive heard;
    scene_open(&scene);
    say(&scene);
    json_t *document = json_loadb(scene.file.data, scene.file.len, 0, NULL);
    for (size_t i = 0; i < ARRAY_LEN(members) + ARRAY_LEN(parts); i++) {
        for (int null = 0; null < 2; null++) {
            json_t *body = json_deep_copy(json_object_get(document, "signed"));
            bool part = i >= ARRAY_LEN(members);
            const char *name = part ? parts[i - ARRAY_LEN(members)] : members[i];
            json_t *object = part ? json_object_get(body, "release") : body;
            if (null)
                json_object_set_new(object, name, json_null());
            else
                json_object_del(object, name);
            buf_reset(&scene.file);
            SIM_OK(envelope_write(&scene.file, body, (const struct key *const *)&scene.key, 1, &sim_err));
            if (hear(&scene, &heard) != ERR_FORMAT)
                fail_msg("without %s", name);
            json_decref(body);
        }
    }
    json_decref(document);
    scene_close(&scene);
}

static void test_too_long_a_life(void **state) {
    (void)state;
    struct scene scene;
    struct directive heard;
    scene_open(&scene);
    static const int64_t lives[] = {DIRECTIVE_LIFETIME_S + 1, 0, -1};
    for (size_t i = 0; i < ARRAY_LEN(lives); i++) {
        scene.said.expires_at = SIM_NOW + lives[i];
        assert_int_equal(SIM_CODE(directive_write(&scene.file, &scene.said, scene.key, &sim_err)), ERR_INTERNAL);
    }
    scene.said.expires_at = SIM_NOW + DIRECTIVE_LIFETIME_S;
    say(&scene);
    json_t *document = json_loadb(scene.file.data, scene.file.len, 0, NULL);
    json_t *body = json_object_get(document, "signed");
    json_object_set_new(body, "expires", json_string("2099-01-01T00:00:00Z"));
    buf_reset(&scene.file);
    SIM_OK(envelope_write(&scene.file, body, (const struct key *const *)&scene.key, 1, &sim_err));
    assert_int_equal(hear(&scene, &heard), ERR_FORMAT);
    json_decref(document);
    scene_close(&scene);
}

/* Metadata signed by a key that is also listed for directives is none. */
static void test_another_document(void **state) {
    (void)state;
    struct scene scene;
    struct directive heard;
    struct sim *sim = sim_new();
    scene_open(&scene);
    json_t *body = sim_body(sim, "timestamp.json");
    SIM_OK(envelope_write(&scene.file, body, (const struct key *const *)&scene.key, 1, &sim_err));
    assert_int_equal(hear(&scene, &heard), ERR_FORMAT);
    json_decref(body);
    /* And everything that a directive says, under another type. */
    say(&scene);
    json_t *document = json_loadb(scene.file.data, scene.file.len, 0, NULL);
    body = json_object_get(document, "signed");
    json_object_set_new(body, "_type", json_string("timestamp"));
    buf_reset(&scene.file);
    SIM_OK(envelope_write(&scene.file, body, (const struct key *const *)&scene.key, 1, &sim_err));
    assert_int_equal(hear(&scene, &heard), ERR_FORMAT);
    json_decref(document);
    scene_close(&scene);
    sim_free(sim);
}

static void test_over_ceiling(void **state) {
    (void)state;
    struct scene scene;
    struct directive heard;
    scene_open(&scene);
    char *spaces = calloc(1, DIRECTIVE_MAX + 1);
    buf_append(&scene.file, spaces, DIRECTIVE_MAX + 1);
    free(spaces);
    assert_int_equal(hear(&scene, &heard), ERR_LENGTH);
    scene_close(&scene);
}

static void test_release_must_be_the_signed_one(void **state) {
    (void)state;
    struct scene scene;
    scene_open(&scene);
    struct release changed[6];
    for (size_t i = 0; i < ARRAY_LEN(changed); i++)
        changed[i] = scene.release;
    changed[0].path = "gateway/1.0.0/image.img";
    changed[1].length++;
    changed[2].sha256 = "ff23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    changed[3].version = "1.0.1";
    changed[4].sequence++;
    changed[5].security_version++;
    for (size_t i = 0; i < ARRAY_LEN(changed); i++)
        assert_int_equal(SIM_CODE(directive_check_release(&scene.said, &changed[i], &sim_err)), ERR_TARGET);
    scene_close(&scene);
}

static void test_nonces(void **state) {
    (void)state;
    static const struct {
        const char *nonce;
        bool fine;
    } rows[] = {
        {"0011223344556677", true},
        {"001122334455667", false},
        {"00112233445566778", false},
        {"00112233445566", false},
        {"00112233445566FF", false},
        {"0011223344556677889900112233445566778899001122334455667788990011", true},
        {"001122334455667788990011223344556677889900112233445566778899001122", false},
        {"", false},
        {"zz11223344556677", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        assert_int_equal(directive_nonce_check(rows[i].nonce, &err), rows[i].fine);
        assert_int_equal(err.code, rows[i].fine ? ERR_NONE : ERR_INVALID);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_another_device_or_key),
        cmocka_unit_test(test_replay),          cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_signature),       cmocka_unit_test(test_incomplete_statements),
        cmocka_unit_test(test_too_long_a_life), cmocka_unit_test(test_another_document),
        cmocka_unit_test(test_over_ceiling),    cmocka_unit_test(test_release_must_be_the_signed_one),
        cmocka_unit_test(test_nonces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
