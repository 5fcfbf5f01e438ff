/* The signing side: drafts that grow out of verified files, and signatures that are added by several people. */
#include "tests/unit/trust_simulator.h"

/* Short ones, in front of all else that may be in the file. */
static void put_release(json_t *list, size_t number) {
    char path[64];
    snprintf(path, sizeof path, "g/1.0.%zu/i", number);
    struct release release = sim_release(path, (int64_t)number + 1);
    struct err err;
    release.hardware_count = 1;
    release.notes = "";
    assert_int_equal(json_object_set_new(list, path, release_write(&release, &err)), 0);
}

/* A full role refuses a release, and has room for everything else: the withdrawal of each, delegations, signatures. */
static void test_a_full_role(void **state) {
    (void)state;
    enum { PUBLISHED = 2800 };
    struct sim *sim = sim_new();
    struct draft *draft = NULL;
    struct buf file = BUF_INIT(METADATA_TARGETS_MAX);
    struct metadata *full = NULL;
    struct err err;
    json_t *body = sim_body(sim, "1.targets.json");
    for (size_t i = 0; i < PUBLISHED; i++)
        put_release(json_object_get(body, "targets"), i);
    sim_put_body(sim, "1.targets.json", body, sim->targets, 1);
    struct metadata *previous = sim_parse(sim, METADATA_TARGETS, NULL, "1.targets.json");
    SIM_OK(repository_targets(previous, SIM_NOW + SIM_WEEK, &draft, &sim_err));
    static char notes[RELEASE_NOTES_MAX + 1];
    memset(notes, 'n', RELEASE_NOTES_MAX);
    bool fits = true;
    size_t added = 0;
    for (; fits; added += fits) {
        char path[64];
        snprintf(path, sizeof path, "gateway/2.0.%zu/image.bin", added);
        struct release release = sim_release(path, (int64_t)added + 1);
        release.notes = notes;
        fits = repository_add_release(draft, &release, &err);
    }
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_non_null(strstr(err.text, "pawl targets delegate"));
    SIM_OK(draft_bytes(draft, &file, &sim_err));
    assert_in_range(file.len, METADATA_TARGETS_MAX - 98304 - 5000, METADATA_TARGETS_MAX - 98304);
    SIM_OK(metadata_parse(METADATA_TARGETS, NULL, file.data, file.len, &full, &sim_err));
    assert_int_equal(full->target_count, previous->target_count + added);
    for (size_t i = 0; i < full->target_count; i++)
        SIM_OK(repository_withdraw(draft, full->targets[i].path, &sim_err));
    const struct key *keys[] = {sim->targets[0], sim->targets[1]};
    const char *paths[] = {"gateway/*/*"};
    for (int i = 0; i < METADATA_DELEGATIONS_MAX; i++) {
        char role[16];
        snprintf(role, sizeof role, "gateway-%d", i);
        struct repository_delegation delegation = {.role = role, .signers = {keys, 2, 2}, .paths = paths, .path_count = 1};
        SIM_OK(repository_delegate(draft, &delegation, &sim_err));
    }
    SIM_OK(draft_sign(draft, sim->targets[0], &sim_err));
    buf_reset(&file);
    metadata_free(full);
    SIM_OK(draft_bytes(draft, &file, &sim_err));
    SIM_OK(metadata_parse(METADATA_TARGETS, NULL, file.data, file.len, &full, &sim_err));
    assert_int_equal(full->delegation_count, METADATA_DELEGATIONS_MAX);
    metadata_free(full);
    metadata_free(previous);
    draft_free(draft);
    buf_free(&file);
    sim_free(sim);
}

static void test_root_plans(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct draft *draft = NULL;
    struct repository_root plan = sim_root_plan(sim, 1);
    plan.root.threshold = 0;
    assert_int_equal(SIM_CODE(repository_root(&plan, &draft, &sim_err)), ERR_THRESHOLD);
    plan.root.threshold = 4;
    assert_int_equal(SIM_CODE(repository_root(&plan, &draft, &sim_err)), ERR_THRESHOLD);
    plan = sim_root_plan(sim, 1);
    const struct key *twice[] = {sim->targets[0], sim->targets[0]};
    plan.targets = (struct repository_signers){twice, 2, 1};
    assert_int_equal(SIM_CODE(repository_root(&plan, &draft, &sim_err)), ERR_THRESHOLD);
    plan = sim_root_plan(sim, 1);
    plan.directive.threshold = 2;
    assert_int_equal(SIM_CODE(repository_root(&plan, &draft, &sim_err)), ERR_THRESHOLD);
    plan.directive.count = 0;
    SIM_OK(repository_root(&plan, &draft, &sim_err));
    sim_publish(sim, "1.root.json", draft, sim->root, 2);
    struct metadata *root = sim_parse(sim, METADATA_ROOT, NULL, "1.root.json");
    assert_int_equal(root->directive.count, 0);
    assert_int_equal(root->signers[METADATA_ROOT].threshold, 2);
    assert_int_equal(root->key_count, 6);
    assert_int_equal(root->expires_at, SIM_NOW + 52 * SIM_WEEK);
    metadata_free(root);
    sim_free(sim);
}

static void test_targets_grow(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct draft *draft = NULL;
    json_t *body = sim_body(sim, "1.targets.json");
    json_object_set_new(body, "x-later", json_string("kept"));
    sim_put_body(sim, "1.targets.json", body, sim->targets, 1);
    struct metadata *previous = sim_parse(sim, METADATA_TARGETS, NULL, "1.targets.json");
    SIM_OK(repository_targets(previous, SIM_NOW + SIM_WEEK, &draft, &sim_err));
    struct release release = sim_release("gateway/1.0.0/image.bin", 2);
    assert_int_equal(SIM_CODE(repository_add_release(draft, &release, &sim_err)), ERR_CONFLICT);
    release = sim_release("gateway/1.1/image.bin", 2);
    assert_int_equal(SIM_CODE(repository_add_release(draft, &release, &sim_err)), ERR_INVALID);
    release = sim_release("gateway/1.1.0/image.bin", 2);
    SIM_OK(draft_sign(draft, sim->targets[0], &sim_err));
    SIM_OK(repository_add_release(draft, &release, &sim_err));
    assert_int_equal(draft_signature_count(draft), 0); /* it was over something else */
    sim_publish(sim, "2.targets.json", draft, sim->targets, 1);
    struct metadata *next = sim_parse(sim, METADATA_TARGETS, NULL, "2.targets.json");
    assert_int_equal(next->version, 2);
    assert_int_equal(next->target_count, 2);
    assert_int_equal(next->expires_at, SIM_NOW + SIM_WEEK);
    assert_string_equal(json_string_value(json_object_get(next->envelope.signed_, "x-later")), "kept");
    assert_int_equal(previous->target_count, 1);
    metadata_free(previous);
    metadata_free(next);
    sim_free(sim);
}

static void test_releases_go_into_targets_only(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct draft *draft = NULL;
    struct repository_root plan = sim_root_plan(sim, 2);
    struct release release = sim_release("gateway/1.1.0/image.bin", 2);
    SIM_OK(repository_root(&plan, &draft, &sim_err));
    assert_int_equal(SIM_CODE(repository_add_release(draft, &release, &sim_err)), ERR_INTERNAL);
    draft_free(draft);
    sim_free(sim);
}

static void test_snapshot_lists_what_is_signed(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    sim_publish_all(sim, 2, "gateway/1.1.0/image.bin", 2);
    struct metadata *snapshot = sim_parse(sim, METADATA_SNAPSHOT, NULL, "2.snapshot.json");
    struct metadata *targets = sim_parse(sim, METADATA_TARGETS, NULL, "2.targets.json");
    const struct metadata_file *file = metadata_file_find(snapshot, "targets.json");
    assert_int_equal(snapshot->version, 2);
    assert_int_equal(file->version, 2);
    assert_int_equal(file->length, targets->len);
    assert_string_equal(file->sha256, targets->sha256);
    /* Not back to what was before, and nothing that is no targets file. */
    struct draft *draft = NULL;
    const struct buf *old = sim_get(sim, "1.targets.json"), *root = sim_get(sim, "1.root.json");
    struct repository_file lower = {.role = "targets", .data = old->data, .len = old->len};
    assert_int_equal(SIM_CODE(repository_snapshot(snapshot, &lower, 1, SIM_NOW + SIM_WEEK, &draft, &sim_err)), ERR_ROLLBACK);
    struct repository_file wrong = {.role = "targets", .data = root->data, .len = root->len};
    assert_int_equal(SIM_CODE(repository_snapshot(snapshot, &wrong, 1, SIM_NOW + SIM_WEEK, &draft, &sim_err)), ERR_FORMAT);
    metadata_free(snapshot);
    metadata_free(targets);
    sim_free(sim);
}

/* Written unsigned, signed here and there, read back in between: what two people who never share a machine do. */
static void test_two_signers(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct repository_root plan = sim_root_plan(sim, 2);
    struct draft *draft = NULL, *theirs = NULL;
    struct buf file = BUF_INIT(SIM_FILE_MAX), to_sign = BUF_INIT(SIM_FILE_MAX);
    struct key_signature signature;
    SIM_OK(repository_root(&plan, &draft, &sim_err));
    SIM_OK(draft_bytes(draft, &file, &sim_err));
    SIM_OK(draft_read(file.data, file.len, &theirs, &sim_err));
    assert_int_equal(draft_signature_count(theirs), 0);
    SIM_OK(draft_sign(theirs, sim->root[0], &sim_err));
    SIM_OK(draft_sign(theirs, sim->root[0], &sim_err)); /* once more replaces */
    assert_int_equal(draft_signature_count(theirs), 1);
    buf_reset(&file);
    SIM_OK(draft_bytes(theirs, &file, &sim_err));
    draft_free(draft);
    SIM_OK(draft_read(file.data, file.len, &draft, &sim_err));
    SIM_OK(draft_signed_bytes(draft, &to_sign, &sim_err));
    SIM_OK(key_sign(sim->root[2], to_sign.data, to_sign.len, &signature, &sim_err)); /* any other signer */
    assert_int_equal(SIM_CODE(draft_attach(draft, sim->root[1], signature.bytes, signature.len, &sim_err)), ERR_SIGNATURE);
    assert_int_equal(SIM_CODE(draft_attach(draft, sim->root[2], signature.bytes, 0, &sim_err)), ERR_SIGNATURE);
    SIM_OK(draft_attach(draft, sim->root[2], signature.bytes, signature.len, &sim_err));
    assert_int_equal(draft_signature_count(draft), 2);
    sim_publish(sim, "2.root.json", draft, NULL, 0);
    struct tuf_client *client = sim_client(sim);
    struct tuf_fetch fetch = sim_fetcher(sim);
    SIM_OK(tuf_client_walk_root(client, &fetch, &sim_err));
    assert_int_equal(tuf_client_trusted(client)->root->version, 2);
    tuf_client_free(client);
    draft_free(theirs);
    buf_free(&file);
    buf_free(&to_sign);
    sim_free(sim);
}

static void test_drafts_are_read_strictly(void **state) {
    (void)state;
    struct draft *draft = NULL;
    static const char *const files[] = {"", "{}", "{\"signatures\":[],\"signed\":{}}", "{\"signatures\":[],\"signed\":{\"_type\":\"x\"}}\n"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        assert_int_equal(SIM_CODE(draft_read(files[i], strlen(files[i]), &draft, &sim_err)), ERR_FORMAT);
}

static void test_delegations_are_checked(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct draft *draft = NULL;
    const struct key *keys[] = {sim->targets[1]};
    const char *paths[] = {"sensor/*/*"};
    SIM_OK(repository_targets(NULL, SIM_NOW + SIM_WEEK, &draft, &sim_err));
    struct repository_delegation good = {.role = "team", .signers = {keys, 1, 1}, .paths = paths, .path_count = 1}, bad = good;
    SIM_OK(repository_delegate(draft, &good, &sim_err));
    bad.role = "snapshot";
    assert_int_equal(SIM_CODE(repository_delegate(draft, &bad, &sim_err)), ERR_INVALID);
    bad = good;
    bad.path_count = 0;
    assert_int_equal(SIM_CODE(repository_delegate(draft, &bad, &sim_err)), ERR_INVALID);
    bad = good;
    bad.signers.threshold = 2;
    assert_int_equal(SIM_CODE(repository_delegate(draft, &bad, &sim_err)), ERR_THRESHOLD);
    draft_free(draft);
    sim_free(sim);
}

static void test_expiries(void **state) {
    (void)state;
    assert_int_equal(repository_expiry(METADATA_ROOT, 1000), 1000 + 365 * 86400);
    assert_int_equal(repository_expiry(METADATA_TARGETS, 1000), 1000 + 180 * 86400);
    assert_int_equal(repository_expiry(METADATA_SNAPSHOT, 1000), 1000 + 180 * 86400);
    assert_int_equal(repository_expiry(METADATA_TIMESTAMP, 1000), 1000 + 86400);
}

/* A withdrawal drops signatures; two copies of one draft bring theirs together, and nothing else does. */
static void test_withdraw_and_merge(void **state) {
    (void)state;
    struct err err = {0};
    CLEANUP(draft_cleanup) struct draft *first = NULL;
    CLEANUP(draft_cleanup) struct draft *second = NULL;
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(METADATA_TARGETS_MAX);
    CLEANUP(key_cleanup) struct key *one = NULL;
    CLEANUP(key_cleanup) struct key *two = NULL;
    const struct release release = sim_release("gateway/1.0.0/image.bin", 3);
    assert_true(key_generate(KEY_ED25519, &one, &err) && key_generate(KEY_ECDSA_P256, &two, &err));
    assert_true(repository_targets(NULL, 2000000000, &first, &err) && repository_add_release(first, &release, &err));
    assert_true(draft_bytes(first, &bytes, &err) && draft_read(bytes.data, bytes.len, &second, &err));
    assert_true(draft_sign(first, one, &err) && draft_sign(second, two, &err) && draft_sign(second, one, &err));
    assert_true(draft_merge(first, second, &err));
    assert_int_equal(draft_signature_count(first), 2);
    assert_true(draft_merge(first, second, &err));
    assert_int_equal(draft_signature_count(first), 2);
    assert_false(repository_withdraw(first, "gateway/2.0.0/image.bin", &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_true(repository_withdraw(first, release.path, &err));
    assert_int_equal(draft_signature_count(first), 0);
    assert_false(draft_merge(first, second, &err));
    assert_int_equal(err.code, ERR_MIX);
}

/* A public key as OpenSSL writes it. */
/* A bogus signature under a key's id does not keep the real one out. */
static void test_bogus_signatures_are_dropped(void **state) {
    (void)state;
    struct err err = {0};
    struct sim *sim = sim_new();
    CLEANUP(draft_cleanup) struct draft *other = NULL;
    CLEANUP(draft_cleanup) struct draft *bogus = NULL;
    CLEANUP(draft_cleanup) struct draft *genuine = NULL;
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(METADATA_TARGETS_MAX);
    struct metadata *root = sim_parse(sim, METADATA_ROOT, NULL, "1.root.json");
    const struct signers *signers = &root->signers[METADATA_TARGETS];
    size_t dropped = 99;
    SIM_OK(repository_targets(NULL, 2000000000, &other, &err));
    SIM_OK(repository_targets(NULL, 2000000001, &genuine, &err));
    SIM_OK(draft_sign(other, sim->targets[0], &err) && draft_sign(other, sim->snapshot[0], &err));
    SIM_OK(draft_bytes(other, &bytes, &err));
    char *expires = strstr(bytes.data, "2033-05-18T03:33:20Z"); /* the signatures are over something else now */
    assert_non_null(expires);
    expires[18] = '1';
    SIM_OK(draft_read(bytes.data, bytes.len, &bogus, &err));
    SIM_OK(draft_sign(genuine, sim->targets[0], &err));
    SIM_OK(draft_drop_invalid(genuine, signers, &dropped, &err));
    assert_int_equal(dropped, 0);
    SIM_OK(draft_drop_invalid(bogus, signers, &dropped, &err));
    assert_int_equal(dropped, 2);
    SIM_OK(draft_merge(bogus, genuine, &err));
    assert_int_equal(draft_signature_count(bogus), 1);
    SIM_OK(draft_drop_invalid(bogus, signers, &dropped, &err));
    assert_int_equal(dropped, 0);
    SIM_OK(draft_sign(bogus, sim->snapshot[0], &err)); /* a real signature, but of another role */
    SIM_OK(draft_drop_invalid(bogus, signers, &dropped, &err));
    assert_int_equal(dropped, 1);
    metadata_free(root);
    sim_free(sim);
}

static void test_public_key_from_pem(void **state) {
    (void)state;
    struct err err = {0};
    CLEANUP(key_cleanup) struct key *p256 = NULL;
    CLEANUP(key_cleanup) struct key *ed25519 = NULL;
    assert_true(key_generate(KEY_ED25519, &ed25519, &err) && key_generate(KEY_ECDSA_P256, &p256, &err));
    const struct key *const keys[] = {p256, ed25519};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        CLEANUP(buf_free) struct buf pem = BUF_INIT(KEY_FILE_MAX);
        CLEANUP(key_cleanup) struct key *read = NULL;
        assert_true(key_export_pem(keys[i], &pem, &err) && key_from_pem(pem.data, &read, &err));
        assert_true(key_same(keys[i], read));
        pem.data[0] = '+';
        key_free(read);
        read = NULL;
        assert_false(key_from_pem(pem.data, &read, &err));
        assert_int_equal(err.code, ERR_KEY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_withdraw_and_merge),
        cmocka_unit_test(test_bogus_signatures_are_dropped),
        cmocka_unit_test(test_public_key_from_pem),
        cmocka_unit_test(test_a_full_role),
        cmocka_unit_test(test_root_plans),
        cmocka_unit_test(test_targets_grow),
        cmocka_unit_test(test_releases_go_into_targets_only),
        cmocka_unit_test(test_snapshot_lists_what_is_signed),
        cmocka_unit_test(test_two_signers),
        cmocka_unit_test(test_drafts_are_read_strictly),
        cmocka_unit_test(test_delegations_are_checked),
        cmocka_unit_test(test_expiries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
