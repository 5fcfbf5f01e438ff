/* The publish gate: everything a device would refuse, and everything a device cannot know. */
#include "tests/unit/trust_simulator.h"

#include "common/hash.h"
#include "trust/gate.h"

/* The server: what it serves, and its online key. */
struct server {
    struct sim *sim;
    struct trusted *now;
    struct arena arena;
    struct gate_result result;
};

static struct gate_file upload(struct sim *sim, const char *role, const char *name) {
    const struct buf *file = sim_get(sim, name);
    return (struct gate_file){.name = role, .data = file->data, .len = file->len};
}

static bool publish(struct server *server, const struct gate_file *files, size_t count, int64_t time, struct err *err) {
    struct gate_request request = {.now = server->now, .files = files, .file_count = count, .timestamp_key = server->sim->timestamp[0], .time = time};
    return gate_check(&request, &server->arena, &server->result, err);
}

/* Publishes "<version>.targets.json" and "<version>.snapshot.json" of the simulator; what is accepted is served. */
static enum err_code publish_version(struct server *server, int64_t version) {
    char targets[64], snapshot[64];
    snprintf(targets, sizeof targets, "%lld.targets.json", (long long)version);
    snprintf(snapshot, sizeof snapshot, "%lld.snapshot.json", (long long)version);
    struct gate_file files[] = {upload(server->sim, "targets", targets), upload(server->sim, "snapshot", snapshot)};
    struct err err = {0};
    if (!publish(server, files, 2, SIM_NOW, &err)) {
        assert_int_not_equal(err.code, ERR_NONE);
        return err.code;
    }
    trusted_free(server->now);
    server->now = server->result.trusted;
    return ERR_NONE;
}

/* Nothing is published yet. */
static struct server *new_server(void) {
    struct server *server = calloc(1, sizeof *server);
    assert_non_null(server);
    server->sim = sim_new();
    arena_init(&server->arena, 1 << 24);
    struct gate_file root = upload(server->sim, "root", "1.root.json");
    SIM_OK(gate_load(&root, 1, NULL, 0, &server->now, &sim_err));
    return server;
}

static struct server *new_serving(void) {
    struct server *server = new_server();
    assert_int_equal(publish_version(server, 1), ERR_NONE);
    return server;
}

static void free_server(struct server *server) {
    trusted_free(server->now);
    arena_clear(&server->arena);
    sim_free(server->sim);
    free(server);
}

/* The next targets and snapshot, with targets changed by hand. */
static void publish_changed(struct sim *sim, int64_t version, json_t *targets) {
    char name[64];
    json_object_set_new(targets, "version", json_integer(version));
    snprintf(name, sizeof name, "%lld.targets.json", (long long)version);
    sim_put_body(sim, name, targets, sim->targets, 1);
    sim_publish_snapshot(sim, version, version);
}

static json_t *pawl_of(json_t *body, const char *path) {
    json_t *pawl = json_object_get(json_object_get(json_object_get(json_object_get(body, "targets"), path), "custom"), "pawl");
    assert_non_null(pawl);
    return pawl;
}

static void test_first_and_second_publish(void **state) {
    (void)state;
    struct server *server = new_server();
    assert_int_equal(publish_version(server, 1), ERR_NONE);
    assert_int_equal(server->result.added.count, 1);
    assert_string_equal(server->result.added.items[0].path, "gateway/1.0.0/image.bin");
    assert_int_equal(server->now->timestamp->version, SIM_NOW);
    assert_int_equal(server->now->timestamp->expires_at, SIM_NOW + 86400);
    sim_publish_targets(server->sim, 2, "gateway/1.1.0/image.bin", 2);
    sim_publish_snapshot(server->sim, 2, 2);
    assert_int_equal(publish_version(server, 2), ERR_NONE);
    assert_int_equal(server->result.added.count, 1);
    assert_string_equal(server->result.added.items[0].path, "gateway/1.1.0/image.bin");
    assert_int_equal(server->result.all.count, 2);
    assert_int_equal(server->now->timestamp->version, SIM_NOW + 1); /* the same second: last + 1 */
    free_server(server);
}

/* What the gate makes is what a client takes. */
static void test_client_accepts_the_result(void **state) {
    (void)state;
    struct server *server = new_serving();
    struct sim *sim = server->sim;
    sim_put(sim, "timestamp.json", server->now->timestamp->bytes, server->now->timestamp->len);
    struct tuf_client *client = sim_client(sim);
    struct tuf_fetch fetch = sim_fetcher(sim);
    SIM_OK(tuf_client_refresh(client, &fetch, SIM_NOW, &sim_err));
    assert_int_equal(tuf_client_trusted(client)->timestamp->version, SIM_NOW);
    tuf_client_free(client);
    free_server(server);
}

static void test_same_and_lower_versions(void **state) {
    (void)state;
    struct server *server = new_serving();
    sim_publish_targets(server->sim, 2, "gateway/1.1.0/image.bin", 2);
    sim_publish_snapshot(server->sim, 2, 2);
    assert_int_equal(publish_version(server, 2), ERR_NONE);
    assert_int_equal(publish_version(server, 2), ERR_ROLLBACK);
    assert_int_equal(publish_version(server, 1), ERR_ROLLBACK);
    free_server(server);
}

static void test_versions_may_leave_gaps(void **state) {
    (void)state;
    struct server *server = new_serving();
    publish_changed(server->sim, 2, sim_body(server->sim, "1.targets.json"));
    json_t *targets = sim_body(server->sim, "2.targets.json");
    json_object_set_new(targets, "version", json_integer(10));
    sim_put_body(server->sim, "10.targets.json", targets, server->sim->targets, 1);
    sim_publish_snapshot(server->sim, 3, 10);
    const struct buf *snapshot = sim_get(server->sim, "3.snapshot.json");
    sim_put(server->sim, "10.snapshot.json", snapshot->data, snapshot->len);
    assert_int_equal(publish_version(server, 10), ERR_NONE);
    assert_int_equal(server->now->targets->version, 10);
    assert_int_equal(server->now->snapshot->version, 3);
    free_server(server);
}

static void test_sequence_must_rise(void **state) {
    (void)state;
    for (int64_t sequence = 4; sequence <= 6; sequence++) {
        struct server *server = new_serving();
        sim_publish_targets(server->sim, 2, "gateway/1.1.0/image.bin", 5);
        sim_publish_snapshot(server->sim, 2, 2);
        assert_int_equal(publish_version(server, 2), ERR_NONE);
        sim_publish_targets(server->sim, 3, "gateway/1.2.0/image.bin", sequence);
        sim_publish_snapshot(server->sim, 3, 3);
        assert_int_equal(publish_version(server, 3), sequence > 5 ? ERR_NONE : ERR_DOWNGRADE);
        free_server(server);
    }
}

/* Another product counts for itself. */
static void test_products_count_alone(void **state) {
    (void)state;
    struct server *server = new_serving();
    sim_publish_targets(server->sim, 2, "gateway/1.1.0/image.bin", 50);
    sim_publish_snapshot(server->sim, 2, 2);
    assert_int_equal(publish_version(server, 2), ERR_NONE);
    sim_publish_targets(server->sim, 3, "sensor/0.1.0/image.bin", 1);
    sim_publish_snapshot(server->sim, 3, 3);
    assert_int_equal(publish_version(server, 3), ERR_NONE);
    assert_string_equal(server->result.added.items[0].product, "sensor");
    free_server(server);
}

/* Two releases in one publish must be in order among themselves too. */
static void test_two_added_with_one_sequence(void **state) {
    (void)state;
    struct server *server = new_serving();
    sim_publish_targets(server->sim, 2, "gateway/1.1.0/image.bin", 2);
    sim_publish_targets(server->sim, 3, "gateway/1.2.0/image.bin", 2);
    publish_changed(server->sim, 2, sim_body(server->sim, "3.targets.json"));
    assert_int_equal(publish_version(server, 2), ERR_DOWNGRADE);
    json_t *body = sim_body(server->sim, "2.targets.json");
    json_object_set_new(pawl_of(body, "gateway/1.2.0/image.bin"), "sequence", json_integer(3));
    publish_changed(server->sim, 2, body);
    assert_int_equal(publish_version(server, 2), ERR_NONE);
    assert_int_equal(server->result.added.count, 2);
    free_server(server);
}

static void test_security_version_must_not_fall(void **state) {
    (void)state;
    for (int64_t security = 0; security <= 2; security++) {
        struct server *server = new_serving();
        sim_publish_targets(server->sim, 2, "gateway/1.1.0/image.bin", 2);
        json_t *body = sim_body(server->sim, "2.targets.json");
        json_object_set_new(pawl_of(body, "gateway/1.1.0/image.bin"), "security_version", json_integer(security));
        publish_changed(server->sim, 2, body);
        assert_int_equal(publish_version(server, 2), security >= 1 ? ERR_NONE : ERR_DOWNGRADE);
        free_server(server);
    }
}

/* A published release stays, and stays what it is: each statement, altered alone. */
static void test_published_release_is_unchangeable(void **state) {
    (void)state;
    static const struct {
        const char *member;
        const char *text; /* NULL: the number */
        int64_t number;
    } rows[] = {
        {"notes", "other", 0},
        {"sequence", NULL, 9},
        {"security_version", NULL, 9},
        {"created", "2026-01-01T00:00:00Z", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct server *server = new_serving();
        json_t *body = sim_body(server->sim, "1.targets.json");
        json_object_set_new(pawl_of(body, "gateway/1.0.0/image.bin"), rows[i].member,
                            rows[i].text != NULL ? json_string(rows[i].text) : json_integer(rows[i].number));
        publish_changed(server->sim, 2, body);
        assert_int_equal(publish_version(server, 2), ERR_CONFLICT);
        free_server(server);
    }
    struct server *server = new_serving();
    json_t *body = sim_body(server->sim, "1.targets.json");
    json_t *entry = json_object_get(json_object_get(body, "targets"), "gateway/1.0.0/image.bin");
    json_object_set_new(json_object_get(entry, "hashes"), "sha256", json_string("ff23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
    publish_changed(server->sim, 2, body);
    assert_int_equal(publish_version(server, 2), ERR_CONFLICT);
    body = sim_body(server->sim, "1.targets.json");
    json_array_append_new(json_object_get(pawl_of(body, "gateway/1.0.0/image.bin"), "hardware"), json_string("board-c"));
    publish_changed(server->sim, 2, body);
    assert_int_equal(publish_version(server, 2), ERR_CONFLICT);
    body = sim_body(server->sim, "1.targets.json");
    json_object_clear(json_object_get(body, "targets"));
    publish_changed(server->sim, 2, body);
    assert_int_equal(publish_version(server, 2), ERR_CONFLICT);
    /* The same statement again is no change. */
    publish_changed(server->sim, 2, sim_body(server->sim, "1.targets.json"));
    assert_int_equal(publish_version(server, 2), ERR_NONE);
    assert_int_equal(server->result.added.count, 0);
    free_server(server);
}

static void test_entry_that_is_no_release(void **state) {
    (void)state;
    struct server *server = new_serving();
    json_t *body = sim_body(server->sim, "1.targets.json");
    json_object_set_new(
        json_object_get(body, "targets"), "tool.txt",
        json_pack("{s:{s:s}, s:i}", "hashes", "sha256", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "length", 5));
    publish_changed(server->sim, 2, body);
    assert_int_equal(publish_version(server, 2), ERR_TARGET);
    free_server(server);
}

static void test_signatures(void **state) {
    (void)state;
    struct server *server = new_serving();
    struct sim *sim = server->sim;
    sim_publish_targets(sim, 2, "gateway/1.1.0/image.bin", 2);
    /* By the snapshot key, by a key that root does not know, by nobody. */
    struct key *wrong[] = {sim->snapshot[0], sim->targets[1], sim->timestamp[0]};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        sim_put_body(sim, "2.targets.json", sim_body(sim, "2.targets.json"), &wrong[i], 1);
        sim_publish_snapshot(sim, 2, 2);
        assert_int_equal(publish_version(server, 2), ERR_SIGNATURE);
    }
    sim_put_body(sim, "2.targets.json", sim_body(sim, "2.targets.json"), NULL, 0);
    sim_publish_snapshot(sim, 2, 2);
    assert_int_equal(publish_version(server, 2), ERR_SIGNATURE);
    /* The snapshot by the server's own key. */
    sim_put_body(sim, "2.targets.json", sim_body(sim, "2.targets.json"), sim->targets, 1);
    sim_publish_snapshot(sim, 2, 2);
    sim_put_body(sim, "2.snapshot.json", sim_body(sim, "2.snapshot.json"), sim->timestamp, 1);
    assert_int_equal(publish_version(server, 2), ERR_SIGNATURE);
    sim_put_body(sim, "2.snapshot.json", sim_body(sim, "2.snapshot.json"), sim->snapshot, 1);
    assert_int_equal(publish_version(server, 2), ERR_NONE);
    free_server(server);
}

static void test_expired_upload(void **state) {
    (void)state;
    struct server *server = new_serving();
    struct sim *sim = server->sim;
    sim_publish_targets(sim, 2, "gateway/1.1.0/image.bin", 2);
    json_t *body = sim_body(sim, "2.targets.json");
    json_object_set_new(body, "expires", json_string("2026-01-01T00:00:00Z"));
    publish_changed(sim, 2, body);
    assert_int_equal(publish_version(server, 2), ERR_EXPIRED);
    free_server(server);
}

static void test_incomplete_uploads(void **state) {
    (void)state;
    struct server *server = new_server();
    struct sim *sim = server->sim;
    struct gate_file targets = upload(sim, "targets", "1.targets.json"), snapshot = upload(sim, "snapshot", "1.snapshot.json");
    assert_int_equal(SIM_CODE(publish(server, &targets, 1, SIM_NOW, &sim_err)), ERR_INVALID);
    assert_int_equal(SIM_CODE(publish(server, &snapshot, 1, SIM_NOW, &sim_err)), ERR_INVALID);
    assert_int_equal(SIM_CODE(publish(server, &snapshot, 0, SIM_NOW, &sim_err)), ERR_INVALID);
    struct gate_file doubled[] = {targets, snapshot, targets};
    assert_int_equal(SIM_CODE(publish(server, doubled, 3, SIM_NOW, &sim_err)), ERR_INVALID);
    struct gate_file strange[] = {targets, snapshot, targets};
    strange[2].name = "team";
    assert_int_equal(SIM_CODE(publish(server, strange, 3, SIM_NOW, &sim_err)), ERR_INVALID);
    /* Targets without the snapshot that lists it. */
    assert_int_equal(publish_version(server, 1), ERR_NONE);
    sim_publish_targets(sim, 2, "gateway/1.1.0/image.bin", 2);
    struct gate_file alone = upload(sim, "targets", "2.targets.json");
    enum err_code code = SIM_CODE(publish(server, &alone, 1, SIM_NOW, &sim_err));
    assert_true(code == ERR_HASH || code == ERR_LENGTH);
    free_server(server);
}

static void test_online_key_must_be_in_root(void **state) {
    (void)state;
    struct server *server = new_server();
    struct key *good = server->sim->timestamp[0];
    server->sim->timestamp[0] = server->sim->timestamp[1];
    assert_int_equal(publish_version(server, 1), ERR_KEY);
    server->sim->timestamp[0] = server->sim->snapshot[0];
    assert_int_equal(publish_version(server, 1), ERR_KEY);
    server->sim->timestamp[0] = good;
    assert_int_equal(publish_version(server, 1), ERR_NONE);
    free_server(server);
}

static enum err_code publish_root(struct server *server, const struct repository_root *plan, struct key *const *keys, size_t count) {
    char name[64];
    snprintf(name, sizeof name, "%lld.root.json", (long long)plan->version);
    sim_publish_root(server->sim, plan, keys, count);
    struct gate_file file = upload(server->sim, "root", name);
    struct err err = {0};
    if (!publish(server, &file, 1, SIM_NOW, &err))
        return err.code;
    trusted_free(server->now);
    server->now = server->result.trusted;
    return ERR_NONE;
}

static void test_root_rotation(void **state) {
    (void)state;
    struct server *server = new_serving();
    struct sim *sim = server->sim;
    struct repository_root plan = sim_root_plan(sim, 3);
    assert_int_equal(publish_root(server, &plan, sim->root, 2), ERR_MIX);
    plan = sim_root_plan(sim, 1);
    assert_int_equal(publish_root(server, &plan, sim->root, 2), ERR_ROLLBACK);
    plan = sim_root_plan(sim, 2);
    assert_int_equal(publish_root(server, &plan, sim->root, 1), ERR_THRESHOLD);
    assert_int_equal(publish_root(server, &plan, sim->targets, 1), ERR_SIGNATURE);
    plan.expires_at = SIM_NOW;
    assert_int_equal(publish_root(server, &plan, sim->root, 2), ERR_EXPIRED);
    plan = sim_root_plan(sim, 2);
    assert_int_equal(publish_root(server, &plan, sim->root, 2), ERR_NONE);
    assert_int_equal(server->now->root->version, 2);
    assert_int_equal(server->now->timestamp->version, SIM_NOW + 1);
    /* New targets keys without new targets: no device could go on. */
    plan = sim_root_plan(sim, 3);
    plan.targets.keys = (const struct key *const *)&sim->targets[1];
    assert_int_equal(publish_root(server, &plan, sim->root, 2), ERR_SIGNATURE);
    free_server(server);
}

/* Root alone before the first publish; the versions of a store that was fast-forwarded, recovered by new keys. */
static void test_root_before_anything_and_recovery(void **state) {
    (void)state;
    struct server *server = new_server();
    struct sim *sim = server->sim;
    struct repository_root plan = sim_root_plan(sim, 2);
    assert_int_equal(publish_root(server, &plan, sim->root, 2), ERR_NONE);
    assert_null(server->now->timestamp);
    assert_int_equal(publish_version(server, 1), ERR_NONE);

    json_t *body = sim_body(sim, "1.snapshot.json");
    json_object_set_new(body, "version", json_integer(9007199254740991));
    sim_put_body(sim, "9007199254740991.snapshot.json", body, sim->snapshot, 1);
    struct gate_file forward = upload(sim, "snapshot", "9007199254740991.snapshot.json");
    SIM_OK(publish(server, &forward, 1, SIM_NOW, &sim_err));
    trusted_free(server->now);
    server->now = server->result.trusted;

    sim_publish_snapshot(sim, 2, 1);
    struct gate_file lower = upload(sim, "snapshot", "2.snapshot.json");
    assert_int_equal(SIM_CODE(publish(server, &lower, 1, SIM_NOW, &sim_err)), ERR_ROLLBACK);
    plan = sim_root_plan(sim, 3);
    plan.snapshot.keys = (const struct key *const *)&sim->snapshot[1];
    sim_publish_root(sim, &plan, sim->root, 2);
    sim_put_body(sim, "2.snapshot.json", sim_body(sim, "2.snapshot.json"), &sim->snapshot[1], 1);
    struct gate_file both[] = {upload(sim, "root", "3.root.json"), upload(sim, "snapshot", "2.snapshot.json")};
    SIM_OK(publish(server, both, 2, SIM_NOW, &sim_err));
    trusted_free(server->now);
    server->now = server->result.trusted;
    assert_int_equal(server->now->snapshot->version, 2);
    free_server(server);
}

static void test_timestamp_renewal(void **state) {
    (void)state;
    struct server *server = new_serving();
    struct sim *sim = server->sim;
    SIM_OK(gate_renew_timestamp(server->now, sim->timestamp[0], 0, SIM_NOW + 100, &sim_err));
    assert_int_equal(server->now->timestamp->version, SIM_NOW + 100);
    assert_int_equal(server->now->timestamp->expires_at, SIM_NOW + 100 + 86400);
    /* The clock stands still, then falls; then the store knows of a higher version than the set. */
    SIM_OK(gate_renew_timestamp(server->now, sim->timestamp[0], 0, SIM_NOW, &sim_err));
    assert_int_equal(server->now->timestamp->version, SIM_NOW + 101);
    SIM_OK(gate_renew_timestamp(server->now, sim->timestamp[0], SIM_NOW + 500, SIM_NOW, &sim_err));
    assert_int_equal(server->now->timestamp->version, SIM_NOW + 501);
    assert_int_equal(SIM_CODE(gate_renew_timestamp(server->now, sim->timestamp[1], 0, SIM_NOW, &sim_err)), ERR_KEY);
    free_server(server);

    server = new_server();
    assert_int_equal(SIM_CODE(gate_renew_timestamp(server->now, server->sim->timestamp[0], 0, SIM_NOW, &sim_err)), ERR_INVALID);
    free_server(server);
}

/* A server that was off for a year starts; one whose files were altered does not. */
static void test_load(void **state) {
    (void)state;
    struct server *server = new_serving();
    struct sim *sim = server->sim;
    sim_put(sim, "timestamp.json", server->now->timestamp->bytes, server->now->timestamp->len);
    struct repository_root plan = sim_root_plan(sim, 2);
    plan.expires_at = SIM_NOW - SIM_WEEK;
    sim_publish_root(sim, &plan, sim->root, 2);
    struct gate_file roots[] = {upload(sim, "root", "1.root.json"), upload(sim, "root", "2.root.json")};
    struct gate_file files[] = {upload(sim, "targets", "1.targets.json"), upload(sim, "timestamp", "timestamp.json"),
                                upload(sim, "snapshot", "1.snapshot.json")};
    struct trusted *loaded = NULL;
    SIM_OK(gate_load(roots, 2, files, 3, &loaded, &sim_err));
    assert_int_equal(loaded->root->version, 2);
    assert_int_equal(loaded->targets->target_count, 1);
    trusted_free(loaded);
    assert_int_equal(SIM_CODE(gate_load(roots, 2, files, 1, &loaded, &sim_err)), ERR_INVALID);
    assert_int_equal(SIM_CODE(gate_load(roots, 2, files, 2, &loaded, &sim_err)), ERR_INVALID);
    assert_int_equal(SIM_CODE(gate_load(roots, 0, files, 3, &loaded, &sim_err)), ERR_NOT_FOUND);
    assert_int_equal(SIM_CODE(gate_load(&roots[1], 0, NULL, 0, &loaded, &sim_err)), ERR_NOT_FOUND);
    struct gate_file swapped[] = {roots[1], roots[0]};
    assert_int_equal(SIM_CODE(gate_load(swapped, 2, files, 3, &loaded, &sim_err)), ERR_ROLLBACK);
    char *altered = malloc(files[0].len);
    memcpy(altered, files[0].data, files[0].len);
    altered[files[0].len / 2] ^= 1;
    files[0].data = altered;
    assert_int_equal(SIM_CODE(gate_load(roots, 2, files, 3, &loaded, &sim_err)), ERR_HASH);
    free(altered);
    free_server(server);
}

static void test_image_signature(void **state) {
    (void)state;
    struct server *server = new_server();
    struct sim *sim = server->sim;
    char *folder = sim_folder(), path[256], sha256[65];
    snprintf(path, sizeof path, "%s/other.pem", folder);
    SIM_OK(file_write_new(path, "firmware bytes", 14, 0600, &sim_err));
    FILE *image = fopen(path, "r");
    assert_non_null(image);
    SIM_OK(hash_sha256_hex("firmware bytes", 14, sha256, &sim_err));
    struct draft *draft = NULL;
    struct release release = sim_release("gateway/1.0.0/image.bin", 1);
    release.length = release.plain_length = 14;
    release.sha256 = release.plain_sha256 = sha256;
    SIM_OK(repository_targets(NULL, SIM_NOW + SIM_WEEK, &draft, &sim_err));
    SIM_OK(repository_add_release(draft, &release, &sim_err));
    sim_publish(sim, "1.targets.json", draft, sim->targets, 1);
    sim_publish_snapshot(sim, 1, 1);
    assert_int_equal(publish_version(server, 1), ERR_NONE);

    struct key_signature signature;
    SIM_OK(key_sign_file(sim->targets[0], fileno(image), &signature, &sim_err));
    SIM_OK(gate_check_image_signature(server->now, &release, fileno(image), signature.bytes, signature.len, &sim_err));
    assert_int_equal(SIM_CODE(gate_check_image_signature(server->now, &release, fileno(image), signature.bytes, 0, &sim_err)), ERR_SIGNATURE);
    struct release other = release;
    other.sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    assert_int_equal(SIM_CODE(gate_check_image_signature(server->now, &other, fileno(image), signature.bytes, signature.len, &sim_err)), ERR_HASH);
    SIM_OK(file_write_atomic(path, "{irmware bytes", 14, 0600, &sim_err));
    FILE *metadata = fopen(path, "r"); /* what begins like this has no detached signature, whoever made it */
    assert_non_null(metadata);
    assert_int_equal(SIM_CODE(gate_check_image_signature(server->now, &release, fileno(metadata), signature.bytes, signature.len, &sim_err)),
                     ERR_INVALID);
    fclose(metadata);
    signature.bytes[20] ^= 1;
    assert_int_equal(SIM_CODE(gate_check_image_signature(server->now, &release, fileno(image), signature.bytes, signature.len, &sim_err)),
                     ERR_SIGNATURE);
    SIM_OK(key_sign_file(sim->snapshot[0], fileno(image), &signature, &sim_err));
    assert_int_equal(SIM_CODE(gate_check_image_signature(server->now, &release, fileno(image), signature.bytes, signature.len, &sim_err)),
                     ERR_SIGNATURE);
    struct release unknown = sim_release("gateway/1.0.1/image.bin", 2);
    assert_int_equal(SIM_CODE(gate_check_image_signature(server->now, &unknown, fileno(image), signature.bytes, signature.len, &sim_err)),
                     ERR_NOT_FOUND);
    fclose(image);
    sim_remove_folder(folder);
    free_server(server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_and_second_publish),
        cmocka_unit_test(test_client_accepts_the_result),
        cmocka_unit_test(test_same_and_lower_versions),
        cmocka_unit_test(test_versions_may_leave_gaps),
        cmocka_unit_test(test_sequence_must_rise),
        cmocka_unit_test(test_products_count_alone),
        cmocka_unit_test(test_two_added_with_one_sequence),
        cmocka_unit_test(test_security_version_must_not_fall),
        cmocka_unit_test(test_published_release_is_unchangeable),
        cmocka_unit_test(test_entry_that_is_no_release),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_expired_upload),
        cmocka_unit_test(test_incomplete_uploads),
        cmocka_unit_test(test_online_key_must_be_in_root),
        cmocka_unit_test(test_root_rotation),
        cmocka_unit_test(test_root_before_anything_and_recovery),
        cmocka_unit_test(test_timestamp_renewal),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_image_signature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
