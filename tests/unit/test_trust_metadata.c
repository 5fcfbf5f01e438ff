/* Metadata files: strict reading from folders of cases, and verdicts that count distinct keys. */
#include "tests/unit/sanitized.h"
#include "tests/unit/trust_cases.h"

static bool parse_as(enum metadata_role role, const struct buf *file, struct err *err) {
    struct metadata *metadata = NULL;
    bool fine = metadata_parse(role, NULL, file->data, file->len, &metadata, err);
    metadata_free(metadata);
    return fine;
}

static bool run_root(const char *path, const struct buf *file, struct err *err) {
    (void)path;
    return parse_as(METADATA_ROOT, file, err);
}

static bool run_timestamp(const char *path, const struct buf *file, struct err *err) {
    (void)path;
    return parse_as(METADATA_TIMESTAMP, file, err);
}

static bool run_snapshot(const char *path, const struct buf *file, struct err *err) {
    (void)path;
    return parse_as(METADATA_SNAPSHOT, file, err);
}

static bool run_targets(const char *path, const struct buf *file, struct err *err) {
    (void)path;
    return parse_as(METADATA_TARGETS, file, err);
}

static void test_root_files(void **state) {
    (void)state;
    cases_walk("valid/root", 4, true, run_root);
    cases_walk("invalid/root", 100, false, run_root);
}

static void test_timestamp_files(void **state) {
    (void)state;
    cases_walk("valid/timestamp", 2, true, run_timestamp);
    cases_walk("invalid/timestamp", 65, false, run_timestamp);
}

static void test_snapshot_files(void **state) {
    (void)state;
    cases_walk("valid/snapshot", 2, true, run_snapshot);
    cases_walk("invalid/snapshot", 65, false, run_snapshot);
}

static void test_targets_files(void **state) {
    (void)state;
    cases_walk("valid/targets", 3, true, run_targets);
    cases_walk("invalid/targets", 90, false, run_targets);
}

static void test_targets_over_ceiling(void **state) {
    (void)state;
    struct metadata *metadata = NULL;
    char *spaces = calloc(1, METADATA_TARGETS_MAX + 1);
    assert_non_null(spaces);
    assert_int_equal(SIM_CODE(metadata_parse(METADATA_TARGETS, NULL, spaces, METADATA_TARGETS_MAX + 1, &metadata, &sim_err)), ERR_LENGTH);
    assert_int_equal(SIM_CODE(metadata_parse(METADATA_TARGETS, NULL, spaces, METADATA_TARGETS_MAX, &metadata, &sim_err)), ERR_FORMAT);
    free(spaces);
}

static void test_content_of_full_files(void **state) {
    (void)state;
    struct buf file;
    struct metadata *metadata = NULL;
    cases_read(PAWL_TEST_DATA "/trust/valid/targets/full.json", &file);
    SIM_OK(metadata_parse(METADATA_TARGETS, "team", file.data, file.len, &metadata, &sim_err));
    assert_string_equal(metadata->name, "team");
    assert_int_equal(metadata->version, 1);
    assert_int_equal(metadata->expires_at, 1798761600);
    assert_int_equal(metadata->target_count, 1);
    assert_non_null(metadata_target_find(metadata, "gateway/1.0.0/image.bin"));
    assert_null(metadata_target_find(metadata, "gateway/1.0.0/image.bi"));
    assert_int_equal(metadata->delegation_count, 2);
    assert_int_equal(metadata_delegation_find(metadata, "crew")->signers.threshold, 2);
    assert_true(metadata_delegation_find(metadata, "crew")->terminating);
    assert_null(metadata_delegation_find(metadata, "cre"));
    assert_int_equal(metadata->len, file.len);
    assert_memory_equal(metadata->bytes, file.data, file.len);
    metadata_free(metadata);
    buf_free(&file);
    cases_read(PAWL_TEST_DATA "/trust/valid/snapshot/full.json", &file);
    SIM_OK(metadata_parse(METADATA_SNAPSHOT, NULL, file.data, file.len, &metadata, &sim_err));
    assert_int_equal(metadata_file_find(metadata, "targets.json")->length, 400);
    assert_int_equal(metadata_file_find(metadata, "team.json")->length, -1);
    assert_null(metadata_file_find(metadata, "team.json")->sha256);
    assert_null(metadata_file_find(metadata, "team"));
    metadata_free(metadata);
    buf_free(&file);
}

/* Keys and a document for the verdicts below. */
struct ballot {
    struct key *keys[3];
    struct signer signers_store[4];
    const struct signer *items[4];
    struct signers signers;
};

static void ballot_open(struct ballot *ballot, size_t count, size_t threshold) {
    *ballot = (struct ballot){0};
    for (size_t i = 0; i < 3; i++) {
        SIM_OK(key_generate(i == 1 ? KEY_ED25519 : KEY_ECDSA_P256, &ballot->keys[i], &sim_err));
        ballot->signers_store[i] = (struct signer){.id = key_id(ballot->keys[i]), .key = ballot->keys[i]};
        ballot->items[i] = &ballot->signers_store[i];
    }
    ballot->signers = (struct signers){.count = count, .items = ballot->items, .threshold = threshold};
}

static void ballot_close(struct ballot *ballot) {
    for (size_t i = 0; i < 3; i++)
        key_free(ballot->keys[i]);
}

/* The verdict's code over {"_type":"x"} with a list of signatures as given (taken). */
static enum err_code vote(const struct ballot *ballot, json_t *signatures) {
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, 1 << 20);
    struct buf file = BUF_INIT(SIM_FILE_MAX);
    struct envelope envelope;
    struct err err = {0};
    json_t *document = json_pack("{s:o, s:{s:s}}", "signatures", signatures, "signed", "_type", "x");
    SIM_OK(canon_file_bytes(&file, document, &sim_err));
    json_decref(document);
    bool parsed = envelope_parse(&arena, file.data, file.len, SIM_FILE_MAX, "ballot", &envelope, &err);
    buf_free(&file);
    if (!parsed)
        return err.code;
    enum verdict verdict = envelope_verify(&envelope, &ballot->signers, "ballot", "test", &err);
    envelope_free(&envelope);
    assert_int_equal(verdict == VERDICT_VERIFIED, err.code == ERR_NONE);
    return err.code;
}

/* One entry by the key, under any key id. */
static json_t *mark(const struct key *key, const char *keyid) {
    json_t *body = json_pack("{s:s}", "_type", "x");
    struct err err = {0};
    json_t *entry = envelope_signature(body, key, &err);
    assert_non_null(entry);
    json_object_set_new(entry, "keyid", json_string(keyid));
    json_decref(body);
    return entry;
}

static json_t *own_mark(const struct ballot *ballot, size_t index) {
    return mark(ballot->keys[index], key_id(ballot->keys[index]));
}

static void test_threshold_is_counted(void **state) {
    (void)state;
    struct ballot ballot;
    ballot_open(&ballot, 3, 2);
    assert_int_equal(vote(&ballot, json_array()), ERR_SIGNATURE);
    assert_int_equal(vote(&ballot, json_pack("[o]", own_mark(&ballot, 0))), ERR_THRESHOLD);
    assert_int_equal(vote(&ballot, json_pack("[o,o]", own_mark(&ballot, 2), own_mark(&ballot, 1))), ERR_NONE);
    assert_int_equal(vote(&ballot, json_pack("[o,o,o]", own_mark(&ballot, 0), own_mark(&ballot, 1), own_mark(&ballot, 2))), ERR_NONE);
    ballot_close(&ballot);
}

/* A bad signature beside enough good ones does no harm, and none beside too few helps. */
static void test_bad_signatures_count_nothing(void **state) {
    (void)state;
    struct ballot ballot;
    ballot_open(&ballot, 3, 2);
    json_t *bad = json_pack("{s:s, s:s}", "keyid", key_id(ballot.keys[2]), "sig", "00");
    json_t *empty = json_pack("{s:s, s:s}", "keyid", key_id(ballot.keys[1]), "sig", "");
    assert_int_equal(vote(&ballot, json_pack("[O,o,o]", bad, own_mark(&ballot, 0), own_mark(&ballot, 1))), ERR_NONE);
    assert_int_equal(vote(&ballot, json_pack("[O,O,o]", bad, empty, own_mark(&ballot, 0))), ERR_THRESHOLD);
    assert_int_equal(vote(&ballot, json_pack("[O,O]", bad, empty)), ERR_SIGNATURE);
    json_decref(bad);
    json_decref(empty);
    ballot_close(&ballot);
}

static void test_zero_byte_signature(void **state) {
    (void)state;
    struct ballot ballot;
    for (size_t threshold = 1; threshold <= 2; threshold++) {
        ballot_open(&ballot, 2, threshold);
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(vote(&ballot, json_pack("[{s:s, s:s}]", "keyid", key_id(ballot.keys[i]), "sig", "")), ERR_SIGNATURE);
        ballot_close(&ballot);
    }
}

static void test_signature_twice(void **state) {
    (void)state;
    struct ballot ballot;
    ballot_open(&ballot, 3, 2);
    assert_int_equal(vote(&ballot, json_pack("[o,o]", own_mark(&ballot, 0), own_mark(&ballot, 0))), ERR_FORMAT);
    /* Another signature of the same key under an id that is not listed. */
    assert_int_equal(vote(&ballot, json_pack("[o,o]", own_mark(&ballot, 0), mark(ballot.keys[0], "other"))), ERR_THRESHOLD);
    ballot_close(&ballot);
}

/* The parser refuses such a list; the count does not rely on it. */
static void test_one_key_under_two_ids(void **state) {
    (void)state;
    struct ballot ballot;
    ballot_open(&ballot, 4, 2);
    ballot.signers_store[3] = (struct signer){.id = "alias", .key = ballot.keys[0]};
    ballot.items[3] = &ballot.signers_store[3];
    assert_int_equal(signers_distinct(&ballot.signers), 3);
    assert_int_equal(vote(&ballot, json_pack("[o,o]", own_mark(&ballot, 0), mark(ballot.keys[0], "alias"))), ERR_THRESHOLD);
    assert_int_equal(vote(&ballot, json_pack("[o,o]", own_mark(&ballot, 1), mark(ballot.keys[0], "alias"))), ERR_NONE);
    /* Two ids for one key and nobody else: 2 of 2 can never be reached. */
    ballot.items[1] = &ballot.signers_store[3];
    ballot.signers.count = 2;
    assert_int_equal(signers_distinct(&ballot.signers), 1);
    assert_int_equal(vote(&ballot, json_pack("[o,o]", own_mark(&ballot, 0), mark(ballot.keys[0], "alias"))), ERR_THRESHOLD);
    ballot_close(&ballot);
}

static void test_impossible_thresholds(void **state) {
    (void)state;
    static const size_t thresholds[] = {0, 4, (size_t)1 << 31, SIZE_MAX};
    for (size_t i = 0; i < ARRAY_LEN(thresholds); i++) {
        struct ballot ballot;
        ballot_open(&ballot, 3, thresholds[i]);
        assert_int_equal(vote(&ballot, json_pack("[o,o,o]", own_mark(&ballot, 0), own_mark(&ballot, 1), own_mark(&ballot, 2))), ERR_THRESHOLD);
        ballot_close(&ballot);
    }
    struct ballot ballot;
    ballot_open(&ballot, 0, 0);
    assert_int_equal(vote(&ballot, json_array()), ERR_THRESHOLD);
    ballot_close(&ballot);
}

static void test_signature_under_another_keys_id(void **state) {
    (void)state;
    struct ballot ballot;
    ballot_open(&ballot, 3, 1);
    assert_int_equal(vote(&ballot, json_pack("[o]", mark(ballot.keys[0], key_id(ballot.keys[2])))), ERR_SIGNATURE);
    ballot_close(&ballot);
}

static void test_unknown_key_types_sign_nothing(void **state) {
    (void)state;
    struct ballot ballot;
    ballot_open(&ballot, 3, 1);
    ballot.signers_store[2].key = NULL;
    ballot.signers_store[2].id = "future";
    assert_int_equal(signers_distinct(&ballot.signers), 2);
    assert_int_equal(vote(&ballot, json_pack("[o]", mark(ballot.keys[2], "future"))), ERR_SIGNATURE);
    assert_false(signers_have(&ballot.signers, ballot.keys[2]));
    assert_true(signers_have(&ballot.signers, ballot.keys[1]));
    ballot_close(&ballot);
}

/* Under a sanitizer a sample is taken (a step that is no multiple of eight); the plain build takes every bit. */
enum { BIT_STEP = SANITIZED ? 13 : 1 };

/* Flips every bit of a file that carries exactly the threshold of signatures: none may come through. */
static size_t flip_every_bit(enum metadata_role role, const struct buf *file, const struct signers *signers) {
    size_t flips = 0;
    char *copy = malloc(file->len);
    assert_non_null(copy);
    memcpy(copy, file->data, file->len);
    for (size_t bit = 0; bit < 8 * file->len; bit += BIT_STEP, flips++) {
        copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << (bit % 8)));
        struct metadata *metadata = NULL;
        struct err err = {0};
        if (metadata_parse(role, NULL, copy, file->len, &metadata, &err)) {
            if (metadata_verify(metadata, signers, "test", &err) != VERDICT_REFUSED)
                fail_msg("%s: bit %zu flipped and verified", metadata_role_name(role), bit);
            metadata_free(metadata);
        }
        copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << (bit % 8)));
    }
    free(copy);
    return flips;
}

static void test_every_bit_flipped(void **state) {
    (void)state;
    static const struct {
        enum metadata_role role;
        const char *name;
    } rows[] = {{METADATA_ROOT, "1.root.json"},
                {METADATA_TIMESTAMP, "timestamp.json"},
                {METADATA_SNAPSHOT, "1.snapshot.json"},
                {METADATA_TARGETS, "1.targets.json"}};
    struct sim *sim = sim_new();
    struct metadata *root = sim_parse(sim, METADATA_ROOT, NULL, "1.root.json");
    size_t flips = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct metadata *good = sim_parse(sim, rows[i].role, NULL, rows[i].name);
        struct err err = {0};
        assert_int_equal(good->envelope.signature_count, root->signers[rows[i].role].threshold);
        assert_int_equal(metadata_verify(good, &root->signers[rows[i].role], "test", &err), VERDICT_VERIFIED);
        metadata_free(good);
        flips += flip_every_bit(rows[i].role, sim_get(sim, rows[i].name), &root->signers[rows[i].role]);
    }
    print_message("bits flipped in four files: %zu, accepted: 0\n", flips);
    metadata_free(root);
    sim_free(sim);
}

/* Every member of "signed", deleted or emptied after signing. */
static void test_members_deleted_and_emptied(void **state) {
    (void)state;
    static const char *const names[] = {"1.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"};
    struct sim *sim = sim_new();
    struct metadata *root = sim_parse(sim, METADATA_ROOT, NULL, "1.root.json");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        enum metadata_role role = (enum metadata_role)(METADATA_ROOT + i);
        const struct buf *file = sim_get(sim, names[i]);
        json_t *document = json_loadb(file->data, file->len, 0, NULL);
        const char *member = NULL;
        json_t *value = NULL;
        void *next = NULL;
        json_object_foreach_safe(json_object_get(document, "signed"), next, member, value) {
            for (int empty = 0; empty < 2; empty++) {
                json_t *changed = json_deep_copy(document);
                json_t *body = json_object_get(changed, "signed");
                if (empty)
                    json_object_set_new(body, member, json_is_object(value) ? json_object() : json_string(""));
                else
                    json_object_del(body, member);
                struct buf bytes = BUF_INIT(SIM_FILE_MAX);
                struct metadata *metadata = NULL;
                struct err err = {0};
                SIM_OK(canon_file_bytes(&bytes, changed, &sim_err));
                bool verified = metadata_parse(role, NULL, bytes.data, bytes.len, &metadata, &err) &&
                                metadata_verify(metadata, &root->signers[role], "test", &err) == VERDICT_VERIFIED;
                assert_false(verified);
                metadata_free(metadata);
                buf_free(&bytes);
                json_decref(changed);
            }
        }
        json_decref(document);
    }
    metadata_free(root);
    sim_free(sim);
}

static void test_file_names_and_ceilings(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, 4096);
    struct metadata *targets = sim_parse(sim, METADATA_TARGETS, "team", "1.targets.json");
    struct metadata *timestamp = sim_parse(sim, METADATA_TIMESTAMP, NULL, "timestamp.json");
    assert_string_equal(metadata_file_name(&arena, targets), "1.team.json");
    assert_string_equal(metadata_file_name(&arena, timestamp), "timestamp.json");
    metadata_free(targets);
    metadata_free(timestamp);
    assert_int_equal(metadata_role_max(METADATA_ROOT), 65536);
    assert_int_equal(metadata_role_max(METADATA_NONE), 0);
    assert_int_equal(metadata_role_max(METADATA_ROLE_COUNT), 0);
    struct metadata *none = NULL;
    assert_int_equal(SIM_CODE(metadata_parse(METADATA_NONE, NULL, "{}", 2, &none, &sim_err)), ERR_INTERNAL);
    assert_int_equal(SIM_CODE(metadata_parse(METADATA_ROOT, "team", "{}", 2, &none, &sim_err)), ERR_INTERNAL);
    sim_free(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root_files),
        cmocka_unit_test(test_timestamp_files),
        cmocka_unit_test(test_snapshot_files),
        cmocka_unit_test(test_targets_files),
        cmocka_unit_test(test_targets_over_ceiling),
        cmocka_unit_test(test_content_of_full_files),
        cmocka_unit_test(test_threshold_is_counted),
        cmocka_unit_test(test_bad_signatures_count_nothing),
        cmocka_unit_test(test_zero_byte_signature),
        cmocka_unit_test(test_signature_twice),
        cmocka_unit_test(test_one_key_under_two_ids),
        cmocka_unit_test(test_impossible_thresholds),
        cmocka_unit_test(test_signature_under_another_keys_id),
        cmocka_unit_test(test_unknown_key_types_sign_nothing),
        cmocka_unit_test(test_every_bit_flipped),
        cmocka_unit_test(test_members_deleted_and_emptied),
        cmocka_unit_test(test_file_names_and_ceilings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
