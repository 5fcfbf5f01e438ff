/* The TUF client against a repository that lies: rollback, freeze, mix-and-match, fast-forward, root chains, endless data. */
#include "common/text.h"
#include "tests/unit/trust_simulator.h"

static enum err_code refresh_code(struct tuf_client *client, struct sim *sim, int64_t now) {
    struct err err = {0};
    struct tuf_fetch fetch = sim_fetcher(sim);
    bool fine = tuf_client_refresh(client, &fetch, now, &err);
    if (!fine)
        assert_int_not_equal(err.code, ERR_NONE);
    return fine ? ERR_NONE : err.code;
}

/* What a fresh client that trusts root 1 makes of the repository. */
static enum err_code fresh_code(struct sim *sim, int64_t now) {
    struct tuf_client *client = sim_client(sim);
    enum err_code code = refresh_code(client, sim, now);
    tuf_client_free(client);
    return code;
}

static void test_refresh_finds_the_release(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct tuf_client *client = sim_client(sim);
    struct tuf_fetch fetch = sim_fetcher(sim);
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, 1 << 20);
    struct release release;
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    SIM_OK(tuf_client_release(client, &fetch, SIM_NOW, &arena, "gateway/1.0.0/image.bin", &release, &sim_err));
    assert_int_equal(release.sequence, 1);
    assert_string_equal(release.product, "gateway");
    assert_int_equal(SIM_CODE(tuf_client_release(client, &fetch, SIM_NOW, &arena, "gateway/1.0.1/image.bin", &release, &sim_err)), ERR_NOT_FOUND);
    assert_int_equal(tuf_client_trusted(client)->timestamp->version, 1);
    assert_true(signers_have(&tuf_client_trusted(client)->root->directive, sim->directive[0]));
    tuf_client_free(client);
    sim_free(sim);
}

static void test_unchanged_repository_costs_two_fetches(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct tuf_client *client = sim_client(sim);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    sim->fetches = 0;
    assert_int_equal(refresh_code(client, sim, SIM_NOW + 1), ERR_NONE);
    assert_int_equal(sim->fetches, 2); /* the next root, timestamp */
    tuf_client_free(client);
    sim_free(sim);
}

static void test_missing_files(void **state) {
    (void)state;
    static const char *const names[] = {"timestamp.json", "1.snapshot.json", "1.targets.json"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct sim *sim = sim_new();
        sim_remove(sim, names[i]);
        assert_int_equal(fresh_code(sim, SIM_NOW), ERR_NOT_FOUND);
        sim_free(sim);
    }
}

/* Each role's file, once it has expired (the second it says is too late), or a clock far ahead; a clock at 1970 expires nothing. */
static void test_expired_roles(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    assert_int_equal(fresh_code(sim, 0), ERR_NONE);
    assert_int_equal(fresh_code(sim, SIM_NOW + SIM_WEEK - 1), ERR_NONE);
    assert_int_equal(fresh_code(sim, SIM_NOW + SIM_WEEK), ERR_EXPIRED);
    assert_int_equal(fresh_code(sim, INT64_C(4102444800)), ERR_EXPIRED);
    sim_free(sim);

    static const char *const names[] = {"1.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        sim = sim_new();
        json_t *body = sim_body(sim, names[i]);
        json_object_set_new(body, "expires", json_string("2026-01-01T00:00:00Z"));
        struct key **keys = i == 0 ? sim->root : i == 1 ? sim->timestamp : i == 2 ? sim->snapshot : sim->targets;
        sim_put_body(sim, names[i], body, keys, i == 0 ? 2 : 1);
        if (i == 3)
            sim_publish_snapshot(sim, 1, 1);
        if (i >= 2)
            sim_publish_timestamp(sim, 1, 1);
        assert_int_equal(fresh_code(sim, SIM_NOW), ERR_EXPIRED);
        sim_free(sim);
    }
}

/* Held files expire too, while a fresh timestamp goes on announcing them. */
static void test_held_files_expire(void **state) {
    (void)state;
    for (int targets = 0; targets < 2; targets++) {
        struct sim *sim = sim_new();
        const char *name = targets ? "1.targets.json" : "1.snapshot.json";
        json_t *body = sim_body(sim, name);
        json_object_set_new(body, "expires", json_string("2026-09-22T00:00:00Z")); /* within the day, long before the timestamp */
        sim_put_body(sim, name, body, targets ? sim->targets : sim->snapshot, 1);
        if (targets)
            sim_publish_snapshot(sim, 1, 1);
        sim_publish_timestamp(sim, 2, 1);
        struct tuf_client *client = sim_client(sim);
        assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
        assert_int_equal(refresh_code(client, sim, SIM_NOW + 86400), ERR_EXPIRED);
        tuf_client_free(client);
        sim_free(sim);
    }
}

/* A timestamp that was fresh is served for ever. */
static void test_freeze(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct tuf_client *client = sim_client(sim);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    assert_int_equal(refresh_code(client, sim, SIM_NOW + 2 * SIM_WEEK), ERR_EXPIRED);
    tuf_client_free(client);
    sim_free(sim);
}

static void test_timestamp_rollback(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    sim_publish_timestamp(sim, 5, 1);
    struct tuf_client *client = sim_client(sim);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    sim_publish_timestamp(sim, 4, 1);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_ROLLBACK);
    sim_publish_timestamp(sim, 6, 1);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    tuf_client_free(client);
    sim_free(sim);
}

/* A new timestamp (the online key is stolen) that points to the snapshot of before. */
static void test_snapshot_rollback(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    sim_publish_all(sim, 2, "gateway/1.0.1/image.bin", 2);
    struct tuf_client *client = sim_client(sim);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    sim_publish_timestamp(sim, 3, 1);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_ROLLBACK);
    tuf_client_free(client);
    sim_free(sim);
}

/* The older snapshot lists the same targets, so that only the timestamp's own rule can see it. */
static void test_timestamp_lists_a_lower_snapshot(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    sim_publish_snapshot(sim, 2, 1);
    sim_publish_timestamp(sim, 2, 2);
    struct tuf_client *client = sim_client(sim);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    sim_publish_timestamp(sim, 3, 1);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_ROLLBACK);
    assert_int_equal(tuf_client_trusted(client)->timestamp->version, 2);
    tuf_client_free(client);
    sim_free(sim);
}

/* What a new snapshot replaces is not trusted any more, even when the new file cannot be had. */
static void test_outdated_targets_are_dropped(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct tuf_client *client = sim_client(sim);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    sim_publish_all(sim, 2, "gateway/1.0.1/image.bin", 2);
    sim_remove(sim, "2.targets.json");
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NOT_FOUND);
    assert_null(tuf_client_trusted(client)->targets);
    tuf_client_free(client);
    sim_free(sim);
}

/* A new snapshot that lists the targets of before, or lists a role no more. */
static void test_targets_rollback(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    sim_publish_all(sim, 2, "gateway/1.0.1/image.bin", 2);
    struct tuf_client *client = sim_client(sim);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    json_t *body = sim_body(sim, "1.snapshot.json");
    json_object_set_new(body, "version", json_integer(3));
    sim_put_body(sim, "3.snapshot.json", body, sim->snapshot, 1);
    sim_publish_timestamp(sim, 3, 3);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_ROLLBACK);
    assert_int_equal(tuf_client_trusted(client)->snapshot->version, 2);
    tuf_client_free(client);
    sim_free(sim);
}

static void test_snapshot_drops_a_role(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    json_t *body = sim_body(sim, "1.snapshot.json");
    json_object_set_new(json_object_get(body, "meta"), "team.json", json_pack("{s:i}", "version", 1));
    sim_put_body(sim, "1.snapshot.json", body, sim->snapshot, 1);
    sim_publish_timestamp(sim, 1, 1);
    struct tuf_client *client = sim_client(sim);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    sim_publish_targets(sim, 2, "gateway/1.0.1/image.bin", 2);
    sim_publish_snapshot(sim, 2, 2);
    body = sim_body(sim, "2.snapshot.json");
    json_object_del(json_object_get(body, "meta"), "team.json");
    sim_put_body(sim, "2.snapshot.json", body, sim->snapshot, 1);
    sim_publish_timestamp(sim, 2, 2);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_ROLLBACK);
    tuf_client_free(client);
    sim_free(sim);
}

/* Files that are all signed rightly, but do not belong together. */
static void test_mix_and_match(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    sim_publish_all(sim, 2, "gateway/1.0.1/image.bin", 2);
    const struct buf *one = sim_get(sim, "1.targets.json");
    sim_put(sim, "2.targets.json", one->data, one->len);
    enum err_code code = fresh_code(sim, SIM_NOW);
    assert_true(code == ERR_LENGTH || code == ERR_HASH);
    sim_free(sim);

    /* The snapshot says only the version, as TUF allows. */
    sim = sim_new();
    sim_publish_targets(sim, 2, NULL, 0);
    json_t *body = sim_body(sim, "1.snapshot.json");
    json_object_set_new(json_object_get(body, "meta"), "targets.json", json_pack("{s:i}", "version", 2));
    sim_put_body(sim, "1.snapshot.json", body, sim->snapshot, 1);
    sim_publish_timestamp(sim, 1, 1);
    assert_int_equal(fresh_code(sim, SIM_NOW), ERR_NONE);
    one = sim_get(sim, "1.targets.json");
    sim_put(sim, "2.targets.json", one->data, one->len);
    assert_int_equal(fresh_code(sim, SIM_NOW), ERR_MIX);
    sim_free(sim);
}

static void test_wrong_hash_and_length(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    json_t *body = sim_body(sim, "timestamp.json");
    json_t *file = json_object_get(json_object_get(body, "meta"), "snapshot.json");
    json_object_set_new(file, "hashes", json_pack("{s:s}", "sha256", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
    sim_put_body(sim, "timestamp.json", body, sim->timestamp, 1);
    assert_int_equal(fresh_code(sim, SIM_NOW), ERR_HASH);
    body = sim_body(sim, "timestamp.json");
    file = json_object_get(json_object_get(body, "meta"), "snapshot.json");
    json_object_set_new(file, "length", json_integer(json_integer_value(json_object_get(file, "length")) - 1));
    sim_put_body(sim, "timestamp.json", body, sim->timestamp, 1);
    assert_int_equal(fresh_code(sim, SIM_NOW), ERR_LENGTH);
    sim->ignore_ceiling = true;
    assert_int_equal(fresh_code(sim, SIM_NOW), ERR_LENGTH);
    /* Fewer bytes than announced, with the right hash. */
    body = sim_body(sim, "timestamp.json");
    file = json_object_get(json_object_get(body, "meta"), "snapshot.json");
    json_object_set_new(file, "length", json_integer((json_int_t)sim_get(sim, "1.snapshot.json")->len + 1));
    struct metadata *snapshot = sim_parse(sim, METADATA_SNAPSHOT, NULL, "1.snapshot.json");
    json_object_set_new(file, "hashes", json_pack("{s:s}", "sha256", snapshot->sha256));
    metadata_free(snapshot);
    sim_put_body(sim, "timestamp.json", body, sim->timestamp, 1);
    assert_int_equal(fresh_code(sim, SIM_NOW), ERR_LENGTH);
    sim_free(sim);
}

static void test_announced_length_over_ceiling(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    json_t *body = sim_body(sim, "timestamp.json");
    json_object_set_new(json_object_get(json_object_get(body, "meta"), "snapshot.json"), "length", json_integer(METADATA_SNAPSHOT_MAX + 1));
    sim_put_body(sim, "timestamp.json", body, sim->timestamp, 1);
    assert_int_equal(fresh_code(sim, SIM_NOW), ERR_LENGTH);
    assert_int_equal(sim->fetches, 2); /* it was not even asked for */
    sim_free(sim);
}

static void test_endless_data(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t max;
    } rows[] = {{"2.root.json", METADATA_ROOT_MAX}, {"timestamp.json", METADATA_TIMESTAMP_MAX}, {"1.snapshot.json", METADATA_SNAPSHOT_MAX}};
    char *spaces = malloc(SIM_FILE_MAX);
    assert_non_null(spaces);
    memset(spaces, ' ', SIM_FILE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int ignore = 0; ignore < 2; ignore++) {
            struct sim *sim = sim_new();
            sim->ignore_ceiling = ignore;
            sim_put(sim, rows[i].name, spaces, rows[i].max + 1);
            assert_int_equal(fresh_code(sim, SIM_NOW), ERR_LENGTH);
            sim_free(sim);
        }
    }
    free(spaces);
}

static bool fetch_announced(void *context, const char *name, size_t max_bytes, struct buf *out, struct err *err) {
    if (text_equal(name, "1.snapshot.json") || text_equal(name, "1.targets.json"))
        assert_int_equal(max_bytes, sim_get(context, name)->len);
    return sim_fetch(context, name, max_bytes, out, err);
}

static void test_no_more_is_asked_for_than_was_announced(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct tuf_client *client = sim_client(sim);
    const struct tuf_fetch fetch = {.get = fetch_announced, .context = sim};
    SIM_OK(tuf_client_refresh(client, &fetch, SIM_NOW, &sim_err));
    assert_true(sim->fetches >= 4);
    tuf_client_free(client);
    sim_free(sim);
}

static void test_wrong_roles_key(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct key *all[] = {sim->root[0], sim->root[1], sim->targets[0], sim->snapshot[0], sim->timestamp[0], sim->directive[0]};
    static const struct {
        const char *name;
        size_t own; /* index in all[] of the key that may sign */
    } rows[] = {{"timestamp.json", 4}, {"1.snapshot.json", 3}, {"1.targets.json", 2}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf good = BUF_INIT(SIM_FILE_MAX);
        buf_append(&good, sim_get(sim, rows[i].name)->data, sim_get(sim, rows[i].name)->len);
        for (size_t j = 0; j < ARRAY_LEN(all); j++) {
            sim_put_body(sim, rows[i].name, sim_body(sim, rows[i].name), &all[j], 1);
            if (i == 2)
                sim_publish_snapshot(sim, 1, 1);
            if (i >= 1)
                sim_publish_timestamp(sim, 1, 1);
            assert_int_equal(fresh_code(sim, SIM_NOW), j == rows[i].own ? ERR_NONE : ERR_SIGNATURE);
        }
        sim_put(sim, rows[i].name, good.data, good.len);
        buf_free(&good);
        if (i == 2)
            sim_publish_snapshot(sim, 1, 1);
        sim_publish_timestamp(sim, 1, 1);
    }
    sim_free(sim);
}

static void test_root_walk_three_hops(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    for (int64_t version = 2; version <= 4; version++) {
        struct repository_root plan = sim_root_plan(sim, version);
        sim_publish_root(sim, &plan, sim->root, 2);
    }
    struct tuf_client *client = sim_client(sim);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    assert_int_equal(tuf_client_trusted(client)->root->version, 4);
    tuf_client_free(client);
    sim_free(sim);
}

/* Nobody walks over a hole: the client stays at the last root it could reach. */
static void test_root_walk_stops_at_a_gap(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct repository_root plan = sim_root_plan(sim, 3);
    sim_publish_root(sim, &plan, sim->root, 2);
    struct tuf_client *client = sim_client(sim);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    assert_int_equal(tuf_client_trusted(client)->root->version, 1);
    /* The same file under the name of the missing one. */
    const struct buf *three = sim_get(sim, "3.root.json");
    sim_put(sim, "2.root.json", three->data, three->len);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_MIX);
    const struct buf *one = sim_get(sim, "1.root.json");
    sim_put(sim, "2.root.json", one->data, one->len);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_ROLLBACK);
    tuf_client_free(client);
    sim_free(sim);
}

/* Root 2 has other root keys; who signs it? */
static void test_root_needs_old_and_new_threshold(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct key *fresh[3];
    for (size_t i = 0; i < 3; i++)
        SIM_OK(key_generate(KEY_ECDSA_P256, &fresh[i], &sim_err));
    struct repository_root plan = sim_root_plan(sim, 2);
    plan.root.keys = (const struct key *const *)fresh;
    struct key *old_only[] = {sim->root[0], sim->root[1], sim->root[2]};
    sim_publish_root(sim, &plan, old_only, 3);
    assert_int_equal(fresh_code(sim, SIM_NOW), ERR_SIGNATURE);
    sim_publish_root(sim, &plan, fresh, 3);
    assert_int_equal(fresh_code(sim, SIM_NOW), ERR_SIGNATURE);
    struct key *one_old[] = {sim->root[0], fresh[0], fresh[1]};
    sim_publish_root(sim, &plan, one_old, 3);
    assert_int_equal(fresh_code(sim, SIM_NOW), ERR_THRESHOLD);
    struct key *one_new[] = {sim->root[0], sim->root[1], fresh[0]};
    sim_publish_root(sim, &plan, one_new, 3);
    assert_int_equal(fresh_code(sim, SIM_NOW), ERR_THRESHOLD);
    struct key *both[] = {sim->root[0], sim->root[2], fresh[0], fresh[2]};
    sim_publish_root(sim, &plan, both, 4);
    assert_int_equal(fresh_code(sim, SIM_NOW), ERR_NONE);
    for (size_t i = 0; i < 3; i++)
        key_free(fresh[i]);
    sim_free(sim);
}

/* 65 hops: 64 in the first run, the last in the second. */
static void test_root_walk_is_bounded(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    for (int64_t version = 2; version <= 66; version++) {
        struct repository_root plan = sim_root_plan(sim, version);
        sim_publish_root(sim, &plan, sim->root, 2);
    }
    struct tuf_client *client = sim_client(sim);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    assert_int_equal(tuf_client_trusted(client)->root->version, 65);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    assert_int_equal(tuf_client_trusted(client)->root->version, 66);
    tuf_client_free(client);
    sim_free(sim);
}

/* An expired root in the middle of the chain is only a step; at its end it is the end. */
static void test_expired_root_in_the_chain(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct repository_root plan = sim_root_plan(sim, 2);
    plan.expires_at = SIM_NOW - 1;
    sim_publish_root(sim, &plan, sim->root, 2);
    assert_int_equal(fresh_code(sim, SIM_NOW), ERR_EXPIRED);
    plan = sim_root_plan(sim, 3);
    sim_publish_root(sim, &plan, sim->root, 2);
    assert_int_equal(fresh_code(sim, SIM_NOW), ERR_NONE);
    sim_free(sim);
}

/* With stolen online keys the versions are driven to the end; a root with new keys brings the clients back. */
static void fast_forward(bool rotate_snapshot, bool rotate_timestamp) {
    struct sim *sim = sim_new();
    sim_publish_timestamp(sim, 9007199254740991, 1);
    struct tuf_client *client = sim_client(sim);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    sim_publish_timestamp(sim, 2, 1);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_ROLLBACK);

    struct repository_root plan = sim_root_plan(sim, 2);
    struct key *timestamp = sim->timestamp[0], *snapshot = sim->snapshot[0];
    if (rotate_timestamp) {
        plan.timestamp.keys = (const struct key *const *)&sim->timestamp[1];
        sim->timestamp[0] = sim->timestamp[1];
    }
    if (rotate_snapshot) {
        plan.snapshot.keys = (const struct key *const *)&sim->snapshot[1];
        sim->snapshot[0] = sim->snapshot[1];
    }
    sim_publish_root(sim, &plan, sim->root, 2);
    sim_publish_snapshot(sim, 1, 1);
    sim_publish_timestamp(sim, 2, 1);
    sim->timestamp[0] = timestamp;
    sim->snapshot[0] = snapshot;
    assert_int_equal(refresh_code(client, sim, SIM_NOW), rotate_snapshot || rotate_timestamp ? ERR_NONE : ERR_ROLLBACK);
    tuf_client_free(client);
    sim_free(sim);
}

static void test_fast_forward_recovery(void **state) {
    (void)state;
    fast_forward(false, true);
    fast_forward(true, false);
    fast_forward(true, true);
    fast_forward(false, false);
}

/* The timestamp key is replaced: the snapshot that it announced goes with it, though its own key stays. */
static void test_rotated_timestamp_key_drops_the_snapshot(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    json_t *body = sim_body(sim, "1.snapshot.json");
    json_object_set_new(body, "version", json_integer(1000));
    sim_put_body(sim, "1000.snapshot.json", body, sim->snapshot, 1);
    sim_publish_timestamp(sim, 2, 1000);
    struct tuf_client *client = sim_client(sim);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    struct repository_root plan = sim_root_plan(sim, 2);
    plan.timestamp.keys = (const struct key *const *)&sim->timestamp[1];
    sim_publish_root(sim, &plan, sim->root, 2);
    struct tuf_fetch fetch = sim_fetcher(sim);
    SIM_OK(tuf_client_walk_root(client, &fetch, &sim_err));
    assert_null(tuf_client_trusted(client)->timestamp);
    assert_null(tuf_client_trusted(client)->snapshot);
    assert_null(tuf_client_trusted(client)->targets);
    tuf_client_free(client);
    sim_free(sim);
}

/* A key more is no rotation: nothing is forgotten. */
static void test_added_key_forgets_nothing(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct tuf_client *client = sim_client(sim);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    struct repository_root plan = sim_root_plan(sim, 2);
    plan.snapshot.count = 2;
    plan.timestamp.count = 2;
    sim_publish_root(sim, &plan, sim->root, 2);
    struct tuf_fetch fetch = sim_fetcher(sim);
    SIM_OK(tuf_client_walk_root(client, &fetch, &sim_err));
    assert_non_null(tuf_client_trusted(client)->timestamp);
    assert_non_null(tuf_client_trusted(client)->snapshot);
    assert_non_null(tuf_client_trusted(client)->targets);
    tuf_client_free(client);
    sim_free(sim);
}

/* After a rotation the old timestamp key signs nothing any more. */
static void test_rotated_timestamp_key_is_refused(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct repository_root plan = sim_root_plan(sim, 2);
    plan.timestamp.keys = (const struct key *const *)&sim->timestamp[1];
    sim_publish_root(sim, &plan, sim->root, 2);
    assert_int_equal(fresh_code(sim, SIM_NOW), ERR_SIGNATURE);
    sim_free(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refresh_finds_the_release),
        cmocka_unit_test(test_unchanged_repository_costs_two_fetches),
        cmocka_unit_test(test_missing_files),
        cmocka_unit_test(test_expired_roles),
        cmocka_unit_test(test_held_files_expire),
        cmocka_unit_test(test_freeze),
        cmocka_unit_test(test_timestamp_rollback),
        cmocka_unit_test(test_snapshot_rollback),
        cmocka_unit_test(test_timestamp_lists_a_lower_snapshot),
        cmocka_unit_test(test_outdated_targets_are_dropped),
        cmocka_unit_test(test_targets_rollback),
        cmocka_unit_test(test_snapshot_drops_a_role),
        cmocka_unit_test(test_mix_and_match),
        cmocka_unit_test(test_wrong_hash_and_length),
        cmocka_unit_test(test_announced_length_over_ceiling),
        cmocka_unit_test(test_endless_data),
        cmocka_unit_test(test_no_more_is_asked_for_than_was_announced),
        cmocka_unit_test(test_wrong_roles_key),
        cmocka_unit_test(test_root_walk_three_hops),
        cmocka_unit_test(test_root_walk_stops_at_a_gap),
        cmocka_unit_test(test_root_needs_old_and_new_threshold),
        cmocka_unit_test(test_root_walk_is_bounded),
        cmocka_unit_test(test_expired_root_in_the_chain),
        cmocka_unit_test(test_fast_forward_recovery),
        cmocka_unit_test(test_rotated_timestamp_key_drops_the_snapshot),
        cmocka_unit_test(test_added_key_forgets_nothing),
        cmocka_unit_test(test_rotated_timestamp_key_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
