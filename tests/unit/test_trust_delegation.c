/* Delegated targets roles: who speaks for a path, in which order, and what stops a search. */
#include "tests/unit/trust_simulator.h"

#include "common/hash.h"
#include "trust/gate.h"

static struct key *team_key(struct sim *sim, size_t index) {
    return sim->targets[1 + index % 2];
}

/* A delegation to be put into a draft. */
static void delegate(struct sim *sim, struct draft *draft, const char *role, const char *pattern, bool terminating, size_t key) {
    const struct key *keys[] = {team_key(sim, key)};
    struct repository_delegation delegation = {.role = role, .signers = {keys, 1, 1}, .paths = &pattern, .path_count = 1, .terminating = terminating};
    SIM_OK(repository_delegate(draft, &delegation, &sim_err));
}

static void publish_role(struct sim *sim, const char *role, const char *path, int64_t sequence, size_t key) {
    struct draft *draft = NULL;
    char name[96];
    SIM_OK(repository_targets(NULL, SIM_NOW + 26 * SIM_WEEK, &draft, &sim_err));
    if (path != NULL) {
        struct release release = sim_release(path, sequence);
        SIM_OK(repository_add_release(draft, &release, &sim_err));
    }
    struct key *keys[] = {team_key(sim, key)};
    snprintf(name, sizeof name, "1.%s.json", role);
    sim_publish(sim, name, draft, keys, 1);
}

/* Snapshot and timestamp 2 over targets 2 and these roles. */
static void announce(struct sim *sim, const char *const *roles, size_t count) {
    struct repository_file files[40];
    struct draft *draft = NULL;
    const struct buf *targets = sim_get(sim, "2.targets.json");
    files[0] = (struct repository_file){.role = "targets", .data = targets->data, .len = targets->len};
    for (size_t i = 0; i < count; i++) {
        char name[96];
        snprintf(name, sizeof name, "1.%s.json", roles[i]);
        const struct buf *file = sim_get(sim, name);
        files[i + 1] = (struct repository_file){.role = roles[i], .data = file->data, .len = file->len};
    }
    struct metadata *previous = sim_parse(sim, METADATA_SNAPSHOT, NULL, "1.snapshot.json");
    SIM_OK(repository_snapshot(previous, files, count + 1, SIM_NOW + 26 * SIM_WEEK, &draft, &sim_err));
    sim_publish(sim, "2.snapshot.json", draft, sim->snapshot, 1);
    metadata_free(previous);
    sim_publish_timestamp(sim, 2, 2);
}

static struct draft *next_targets(struct sim *sim) {
    struct draft *draft = NULL;
    struct metadata *previous = sim_parse(sim, METADATA_TARGETS, NULL, "1.targets.json");
    SIM_OK(repository_targets(previous, SIM_NOW + 26 * SIM_WEEK, &draft, &sim_err));
    metadata_free(previous);
    return draft;
}

static void finish(struct sim *sim, struct draft *draft, const char *const *roles, size_t count) {
    sim_publish(sim, "2.targets.json", draft, sim->targets, 1);
    announce(sim, roles, count);
}

/* The sequence of the release found, 0 when there is none, −code for other refusals. */
static int64_t look_up(struct sim *sim, const char *path) {
    struct tuf_client *client = sim_client(sim);
    struct tuf_fetch fetch = sim_fetcher(sim);
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, 1 << 20);
    struct release release = {0};
    struct err err = {0};
    SIM_OK(tuf_client_refresh(client, &fetch, SIM_NOW, &sim_err));
    bool found = tuf_client_release(client, &fetch, SIM_NOW, &arena, path, &release, &err);
    int64_t result = found ? release.sequence : err.code == ERR_NOT_FOUND ? 0 : -(int64_t)err.code;
    tuf_client_free(client);
    return result;
}

static void test_team_speaks_for_its_product(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct draft *draft = next_targets(sim);
    delegate(sim, draft, "sensors", "sensor/*/*", false, 0);
    publish_role(sim, "sensors", "sensor/1.0.0/image.bin", 7, 0);
    finish(sim, draft, (const char *const[]){"sensors"}, 1);
    assert_int_equal(look_up(sim, "sensor/1.0.0/image.bin"), 7);
    assert_int_equal(look_up(sim, "gateway/1.0.0/image.bin"), 1);
    assert_int_equal(look_up(sim, "sensor/1.0.1/image.bin"), 0);
    sim_free(sim);
}

/* What a team lists outside of its pattern is not there. */
static void test_team_cannot_speak_for_others(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct draft *draft = next_targets(sim);
    delegate(sim, draft, "sensors", "sensor/*/*", false, 0);
    publish_role(sim, "sensors", "gateway/9.0.0/image.bin", 9, 0);
    finish(sim, draft, (const char *const[]){"sensors"}, 1);
    assert_int_equal(look_up(sim, "gateway/9.0.0/image.bin"), 0);
    sim_free(sim);
}

static void test_team_file_needs_the_teams_key(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct draft *draft = next_targets(sim);
    delegate(sim, draft, "sensors", "sensor/*/*", false, 0);
    publish_role(sim, "sensors", "sensor/1.0.0/image.bin", 7, 1);
    finish(sim, draft, (const char *const[]){"sensors"}, 1);
    assert_int_equal(look_up(sim, "sensor/1.0.0/image.bin"), -ERR_SIGNATURE);
    sim_free(sim);
}

static void test_star_does_not_match_a_slash(void **state) {
    (void)state;
    static const struct {
        const char *pattern;
        const char *path;
        bool covered;
    } rows[] = {
        {"sensor/*/*", "sensor/1.0.0/a.bin", true},
        {"sensor/*", "sensor/1.0.0/a.bin", false},
        {"*", "sensor/1.0.0/a.bin", false},
        {"*/*/*", "sensor/1.0.0/a.bin", true},
        {"sensor/1.?.0/*", "sensor/1.0.0/a.bin", true},
        {"sensor/1?0.0/*", "sensor/1/0.0/a.bin", false},
        {"sensor/1.0.0/a.bin", "sensor/1.0.0/a.bin", true},
        {"Sensor/*/*", "sensor/1.0.0/a.bin", false},
        {"sensor/*/\\*", "sensor/1.0.0/*", false},
        {"sensor/*/[ab].bin", "sensor/1.0.0/b.bin", true},
        {"sensor/*/[ab].bin", "sensor/1.0.0/c.bin", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct metadata_delegation delegation = {.name = "x", .pattern_count = 1, .patterns = &rows[i].pattern};
        if (metadata_delegation_covers(&delegation, rows[i].path) != rows[i].covered)
            fail_msg("%s on %s", rows[i].pattern, rows[i].path);
    }
}

static void test_path_hash_prefixes(void **state) {
    (void)state;
    char sha256[65], prefix[5] = "", other[5] = "0000";
    SIM_OK(hash_sha256_hex("sensor/1.0.0/a.bin", 18, sha256, &sim_err));
    memcpy(prefix, sha256, 4);
    const char *patterns[] = {prefix}, *others[] = {other};
    struct metadata_delegation delegation = {.name = "x", .by_hash = true, .pattern_count = 1, .patterns = patterns};
    assert_true(metadata_delegation_covers(&delegation, "sensor/1.0.0/a.bin"));
    assert_false(metadata_delegation_covers(&delegation, "sensor/1.0.0/b.bin"));
    delegation.patterns = others;
    assert_false(metadata_delegation_covers(&delegation, "sensor/1.0.0/a.bin"));

    /* And through a whole file. */
    struct sim *sim = sim_new();
    struct draft *draft = next_targets(sim);
    delegate(sim, draft, "sensors", "unused", false, 0);
    sim_publish(sim, "2.targets.json", draft, sim->targets, 1);
    json_t *body = sim_body(sim, "2.targets.json");
    json_t *role = json_array_get(json_object_get(json_object_get(body, "delegations"), "roles"), 0);
    json_object_del(role, "paths");
    json_object_set_new(role, "path_hash_prefixes", json_pack("[s]", prefix));
    sim_put_body(sim, "2.targets.json", body, sim->targets, 1);
    publish_role(sim, "sensors", "sensor/1.0.0/a.bin", 3, 0);
    announce(sim, (const char *const[]){"sensors"}, 1);
    assert_int_equal(look_up(sim, "sensor/1.0.0/a.bin"), 3);
    sim_free(sim);
}

/* Two roles speak for one path: the first in the list wins; a terminating one without the target ends the search. */
static void test_priority_and_termination(void **state) {
    (void)state;
    static const struct {
        const char *first_lists;
        bool terminating;
        int64_t expected;
    } rows[] = {{"sensor/1.0.0/image.bin", false, 5},
                {"sensor/1.0.0/image.bin", true, 5},
                {"sensor/2.0.0/image.bin", false, 6},
                {"sensor/2.0.0/image.bin", true, 0}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sim *sim = sim_new();
        struct draft *draft = next_targets(sim);
        delegate(sim, draft, "first", "sensor/*/*", rows[i].terminating, 0);
        delegate(sim, draft, "second", "sensor/*/*", false, 1);
        publish_role(sim, "first", rows[i].first_lists, 5, 0);
        publish_role(sim, "second", "sensor/1.0.0/image.bin", 6, 1);
        finish(sim, draft, (const char *const[]){"first", "second"}, 2);
        assert_int_equal(look_up(sim, "sensor/1.0.0/image.bin"), rows[i].expected);
        sim_free(sim);
    }
}

/* A terminating delegation that does not cover the path stops nothing. */
static void test_termination_of_other_paths(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct draft *draft = next_targets(sim);
    delegate(sim, draft, "first", "relay/*/*", true, 0);
    delegate(sim, draft, "second", "sensor/*/*", false, 1);
    publish_role(sim, "first", NULL, 0, 0);
    publish_role(sim, "second", "sensor/1.0.0/image.bin", 6, 1);
    finish(sim, draft, (const char *const[]){"first", "second"}, 2);
    assert_int_equal(look_up(sim, "sensor/1.0.0/image.bin"), 6);
    sim_free(sim);
}

/* Publishes 1.<role>.json, a role that itself delegates. */
static void publish_delegating(struct sim *sim, const char *role, const char *to, const char *pattern, size_t key, size_t to_key) {
    struct draft *draft = NULL;
    char name[96];
    SIM_OK(repository_targets(NULL, SIM_NOW + 26 * SIM_WEEK, &draft, &sim_err));
    delegate(sim, draft, to, pattern, false, to_key);
    struct key *keys[] = {team_key(sim, key)};
    snprintf(name, sizeof name, "1.%s.json", role);
    sim_publish(sim, name, draft, keys, 1);
}

static void test_chain_and_cycle(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct draft *draft = next_targets(sim);
    delegate(sim, draft, "a", "sensor/*/*", false, 0);
    publish_delegating(sim, "a", "b", "sensor/1.*/*", 0, 1);
    publish_role(sim, "b", "sensor/1.0.0/image.bin", 4, 1);
    finish(sim, draft, (const char *const[]){"a", "b"}, 2);
    assert_int_equal(look_up(sim, "sensor/1.0.0/image.bin"), 4);
    assert_int_equal(look_up(sim, "sensor/2.0.0/image.bin"), 0); /* a speaks for it, b does not */
    sim_free(sim);

    sim = sim_new();
    draft = next_targets(sim);
    delegate(sim, draft, "a", "sensor/*/*", false, 0);
    publish_delegating(sim, "a", "b", "sensor/*/*", 0, 1);
    publish_delegating(sim, "b", "a", "sensor/*/*", 1, 0);
    finish(sim, draft, (const char *const[]){"a", "b"}, 2);
    assert_int_equal(look_up(sim, "sensor/1.0.0/image.bin"), 0);
    struct tuf_client *client = sim_client(sim);
    struct tuf_fetch fetch = sim_fetcher(sim);
    SIM_OK(tuf_client_refresh(client, &fetch, SIM_NOW, &sim_err));
    SIM_OK(tuf_client_load_all(client, &fetch, SIM_NOW, &sim_err));
    assert_int_equal(tuf_client_trusted(client)->delegated_count, 2);
    tuf_client_free(client);
    sim_free(sim);
}

/* A cycle eats up none of the visits: what lies behind it is found. */
static void test_search_goes_on_behind_a_cycle(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct draft *draft = next_targets(sim);
    delegate(sim, draft, "a", "sensor/*/*", false, 0);
    delegate(sim, draft, "c", "sensor/*/*", false, 0);
    publish_delegating(sim, "a", "b", "sensor/*/*", 0, 1);
    publish_delegating(sim, "b", "a", "sensor/*/*", 1, 0);
    publish_role(sim, "c", "sensor/1.0.0/image.bin", 8, 0);
    finish(sim, draft, (const char *const[]){"a", "b", "c"}, 3);
    assert_int_equal(look_up(sim, "sensor/1.0.0/image.bin"), 8);
    sim_free(sim);
}

/* A terminating delegation below the first role ends the whole search, the second role is not asked. */
static void test_termination_reaches_upwards(void **state) {
    (void)state;
    for (int terminating = 0; terminating < 2; terminating++) {
        struct sim *sim = sim_new();
        struct draft *draft = next_targets(sim), *first = NULL;
        delegate(sim, draft, "first", "sensor/*/*", false, 0);
        delegate(sim, draft, "second", "sensor/*/*", false, 0);
        SIM_OK(repository_targets(NULL, SIM_NOW + 26 * SIM_WEEK, &first, &sim_err));
        delegate(sim, first, "inner", "sensor/*/*", terminating, 0);
        struct key *keys[] = {team_key(sim, 0)};
        sim_publish(sim, "1.first.json", first, keys, 1);
        publish_role(sim, "inner", NULL, 0, 0);
        publish_role(sim, "second", "sensor/1.0.0/image.bin", 8, 0);
        finish(sim, draft, (const char *const[]){"first", "inner", "second"}, 3);
        assert_int_equal(look_up(sim, "sensor/1.0.0/image.bin"), terminating ? 0 : 8);
        sim_free(sim);
    }
}

/* A client that stays open sees the team's next file after the next refresh. */
static void test_held_role_is_replaced(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct draft *draft = next_targets(sim);
    delegate(sim, draft, "a", "sensor/*/*", false, 0);
    publish_role(sim, "a", "sensor/1.0.0/image.bin", 7, 0);
    finish(sim, draft, (const char *const[]){"a"}, 1);
    struct tuf_client *client = sim_client(sim);
    struct tuf_fetch fetch = sim_fetcher(sim);
    const struct metadata_target *target = NULL;
    SIM_OK(tuf_client_refresh(client, &fetch, SIM_NOW, &sim_err));
    SIM_OK(tuf_client_target(client, &fetch, SIM_NOW, "sensor/1.0.0/image.bin", &target, &sim_err));

    struct metadata *previous = sim_parse(sim, METADATA_TARGETS, "a", "1.a.json");
    struct release release = sim_release("sensor/1.1.0/image.bin", 8);
    SIM_OK(repository_targets(previous, SIM_NOW + 26 * SIM_WEEK, &draft, &sim_err));
    SIM_OK(repository_add_release(draft, &release, &sim_err));
    struct key *keys[] = {team_key(sim, 0)};
    sim_publish(sim, "2.a.json", draft, keys, 1);
    metadata_free(previous);
    const struct buf *file = sim_get(sim, "2.a.json");
    struct repository_file listed = {.role = "a", .data = file->data, .len = file->len};
    previous = sim_parse(sim, METADATA_SNAPSHOT, NULL, "2.snapshot.json");
    SIM_OK(repository_snapshot(previous, &listed, 1, SIM_NOW + 26 * SIM_WEEK, &draft, &sim_err));
    sim_publish(sim, "3.snapshot.json", draft, sim->snapshot, 1);
    metadata_free(previous);
    sim_publish_timestamp(sim, 3, 3);
    SIM_OK(tuf_client_refresh(client, &fetch, SIM_NOW, &sim_err));
    SIM_OK(tuf_client_target(client, &fetch, SIM_NOW, "sensor/1.1.0/image.bin", &target, &sim_err));
    tuf_client_free(client);
    sim_free(sim);
}

/* A role loaded through one delegator is not thereby believed for another that names other keys. */
static void test_each_delegator_verifies(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct draft *draft = next_targets(sim);
    delegate(sim, draft, "a", "sensor/*/*", false, 0);
    delegate(sim, draft, "c", "sensor/*/*", false, 0);
    publish_delegating(sim, "a", "b", "sensor/1.*/*", 0, 1);
    publish_delegating(sim, "c", "b", "sensor/2.*/*", 0, 0); /* another key for b */
    publish_role(sim, "b", "sensor/2.0.0/image.bin", 4, 1);
    finish(sim, draft, (const char *const[]){"a", "b", "c"}, 3);
    struct tuf_client *client = sim_client(sim);
    struct tuf_fetch fetch = sim_fetcher(sim);
    const struct metadata_target *target = NULL;
    SIM_OK(tuf_client_refresh(client, &fetch, SIM_NOW, &sim_err));
    assert_int_equal(SIM_CODE(tuf_client_target(client, &fetch, SIM_NOW, "sensor/1.0.0/image.bin", &target, &sim_err)), ERR_NOT_FOUND);
    assert_non_null(trusted_targets(tuf_client_trusted(client), "b"));
    assert_int_equal(SIM_CODE(tuf_client_target(client, &fetch, SIM_NOW, "sensor/2.0.0/image.bin", &target, &sim_err)), ERR_SIGNATURE);
    assert_int_equal(
        SIM_CODE(trusted_find(tuf_client_trusted(client), "sensor/2.0.0/image.bin", NULL, NULL, &(const struct metadata *){NULL}, &target, &sim_err)),
        ERR_SIGNATURE);
    tuf_client_free(client);
    sim_free(sim);
}

/* The delegator changes the team's key: the old file is not believed any more, not from the folder either. */
static void test_revoked_team_key(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct draft *draft = next_targets(sim);
    char *folder = sim_folder();
    delegate(sim, draft, "a", "sensor/*/*", false, 0);
    publish_role(sim, "a", "sensor/1.0.0/image.bin", 7, 0);
    finish(sim, draft, (const char *const[]){"a"}, 1);
    const struct buf *root = sim_get(sim, "1.root.json");
    SIM_OK(tuf_client_pin(folder, root->data, root->len, &sim_err));
    struct tuf_client *client = NULL;
    struct tuf_fetch fetch = sim_fetcher(sim);
    const struct metadata_target *target = NULL;
    SIM_OK(tuf_client_open(folder, &client, &sim_err));
    SIM_OK(tuf_client_refresh(client, &fetch, SIM_NOW, &sim_err));
    SIM_OK(tuf_client_target(client, &fetch, SIM_NOW, "sensor/1.0.0/image.bin", &target, &sim_err));
    tuf_client_free(client);

    /* From the folder: the next start fetches only root and timestamp. */
    SIM_OK(tuf_client_open(folder, &client, &sim_err));
    sim->fetches = 0;
    SIM_OK(tuf_client_refresh(client, &fetch, SIM_NOW, &sim_err));
    SIM_OK(tuf_client_target(client, &fetch, SIM_NOW, "sensor/1.0.0/image.bin", &target, &sim_err));
    assert_int_equal(sim->fetches, 2);

    struct metadata *previous = sim_parse(sim, METADATA_TARGETS, NULL, "2.targets.json");
    SIM_OK(repository_targets(previous, SIM_NOW + 26 * SIM_WEEK, &draft, &sim_err));
    delegate(sim, draft, "a", "sensor/*/*", false, 1);
    sim_publish(sim, "3.targets.json", draft, sim->targets, 1);
    metadata_free(previous);
    struct metadata *replaced = sim_parse(sim, METADATA_TARGETS, NULL, "3.targets.json");
    assert_int_equal(replaced->delegation_count, 1); /* replaced, not added; and the old key is gone */
    assert_int_equal(replaced->key_count, 1);
    metadata_free(replaced);
    sim_publish_snapshot(sim, 3, 3);
    sim_publish_timestamp(sim, 3, 3);
    SIM_OK(tuf_client_refresh(client, &fetch, SIM_NOW, &sim_err));
    assert_int_equal(SIM_CODE(tuf_client_target(client, &fetch, SIM_NOW, "sensor/1.0.0/image.bin", &target, &sim_err)), ERR_SIGNATURE);
    tuf_client_free(client);
    sim_remove_folder(folder);
    sim_free(sim);
}

static void test_delegated_rollback(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct draft *draft = next_targets(sim);
    delegate(sim, draft, "a", "sensor/*/*", false, 0);
    publish_role(sim, "a", "sensor/1.0.0/image.bin", 7, 0);
    finish(sim, draft, (const char *const[]){"a"}, 1);
    json_t *body = sim_body(sim, "1.a.json");
    json_object_set_new(body, "version", json_integer(5));
    sim_put_body(sim, "5.a.json", body, &sim->targets[1], 1);
    struct tuf_client *client = sim_client(sim);
    struct tuf_fetch fetch = sim_fetcher(sim);
    for (int64_t version = 3; version <= 4; version++) {
        json_t *snapshot = sim_body(sim, "2.snapshot.json");
        json_object_set_new(snapshot, "version", json_integer(version));
        json_object_set_new(json_object_get(snapshot, "meta"), "a.json", json_pack("{s:i}", "version", version == 3 ? 5 : 4));
        char name[64];
        snprintf(name, sizeof name, "%lld.snapshot.json", (long long)version);
        sim_put_body(sim, name, snapshot, sim->snapshot, 1);
        sim_publish_timestamp(sim, version, version);
        struct err err = {0};
        bool fine = tuf_client_refresh(client, &fetch, SIM_NOW, &err);
        assert_int_equal(fine, version == 3);
        if (!fine)
            assert_int_equal(err.code, ERR_ROLLBACK);
    }
    tuf_client_free(client);
    sim_free(sim);
}

/* 33 roles in a row: the search ends after 32, the load is refused. */
static void test_too_many_roles(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct draft *draft = next_targets(sim);
    static char names[33][8];
    const char *roles[33];
    delegate(sim, draft, "r0", "sensor/*/*", false, 0);
    for (size_t i = 0; i < 33; i++) {
        snprintf(names[i], sizeof names[i], "r%zu", i);
        roles[i] = names[i];
    }
    for (size_t i = 0; i < 33; i++)
        if (i == 32)
            publish_role(sim, roles[i], "sensor/1.0.0/image.bin", 3, i);
        else
            publish_delegating(sim, roles[i], roles[i + 1], "sensor/*/*", i, i + 1);
    finish(sim, draft, roles, 33);
    assert_int_equal(look_up(sim, "sensor/1.0.0/image.bin"), 0);
    struct tuf_client *client = sim_client(sim);
    struct tuf_fetch fetch = sim_fetcher(sim);
    SIM_OK(tuf_client_refresh(client, &fetch, SIM_NOW, &sim_err));
    assert_int_equal(SIM_CODE(tuf_client_load_all(client, &fetch, SIM_NOW, &sim_err)), ERR_FORMAT);
    tuf_client_free(client);
    sim_free(sim);
}

static enum err_code gate_code(struct sim *sim, struct trusted_releases *ret_added) {
    static const char *const roles[] = {"snapshot", "targets", "a"};
    static const char *const names[] = {"2.snapshot.json", "2.targets.json", "1.a.json"};
    struct gate_file files[3], root = {.name = "root", .data = sim_get(sim, "1.root.json")->data, .len = sim_get(sim, "1.root.json")->len};
    for (size_t i = 0; i < 3; i++) {
        const struct buf *file = sim_get(sim, names[i]);
        files[i] = (struct gate_file){.name = roles[i], .data = file->data, .len = file->len};
    }
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, 1 << 22);
    struct trusted *now = NULL;
    SIM_OK(gate_load(&root, 1, NULL, 0, &now, &sim_err));
    struct gate_request request = {.now = now, .files = files, .file_count = 3, .timestamp_key = sim->timestamp[0], .time = SIM_NOW};
    struct gate_result result = {0};
    struct err err = {0};
    bool fine = gate_check(&request, &arena, &result, &err);
    trusted_free(now);
    if (fine) {
        ret_added->count = result.added.count;
        trusted_free(result.trusted);
    }
    return fine ? ERR_NONE : err.code;
}

/* The gate takes a team's file, and refuses one that nobody would find, that lists what another lists, or that is missing. */
static void test_gate_with_a_team(void **state) {
    (void)state;
    static const struct {
        const char *path;
        enum err_code code;
    } rows[] = {{"sensor/1.0.0/image.bin", ERR_NONE}, {"relay/1.0.0/image.bin", ERR_CONFLICT}, {"gateway/1.0.0/image.bin", ERR_CONFLICT}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sim *sim = sim_new();
        struct trusted_releases added = {0};
        struct draft *draft = next_targets(sim);
        delegate(sim, draft, "a", i == 2 ? "gateway/*/*" : "sensor/*/*", false, 0);
        publish_role(sim, "a", rows[i].path, 2, 0);
        finish(sim, draft, (const char *const[]){"a"}, 1);
        assert_int_equal(gate_code(sim, &added), rows[i].code);
        assert_int_equal(added.count, rows[i].code == ERR_NONE ? 2 : 0);
        sim_free(sim);
    }
    /* a team that has published nothing yet stands in nobody's way */
    struct sim *sim = sim_new();
    struct trusted_releases added = {0};
    struct draft *draft = next_targets(sim);
    delegate(sim, draft, "a", "sensor/*/*", false, 0);
    delegate(sim, draft, "b", "relay/*/*", false, 0);
    publish_role(sim, "a", "sensor/1.0.0/image.bin", 2, 0);
    finish(sim, draft, (const char *const[]){"a"}, 1);
    assert_int_equal(gate_code(sim, &added), ERR_NONE);
    assert_int_equal(added.count, 2);
    sim_free(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_team_speaks_for_its_product),
        cmocka_unit_test(test_team_cannot_speak_for_others),
        cmocka_unit_test(test_team_file_needs_the_teams_key),
        cmocka_unit_test(test_star_does_not_match_a_slash),
        cmocka_unit_test(test_path_hash_prefixes),
        cmocka_unit_test(test_priority_and_termination),
        cmocka_unit_test(test_termination_of_other_paths),
        cmocka_unit_test(test_chain_and_cycle),
        cmocka_unit_test(test_search_goes_on_behind_a_cycle),
        cmocka_unit_test(test_termination_reaches_upwards),
        cmocka_unit_test(test_held_role_is_replaced),
        cmocka_unit_test(test_each_delegator_verifies),
        cmocka_unit_test(test_revoked_team_key),
        cmocka_unit_test(test_delegated_rollback),
        cmocka_unit_test(test_too_many_roles),
        cmocka_unit_test(test_gate_with_a_team),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
