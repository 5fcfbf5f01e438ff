/* What a refresh costs a device: CPU time to read and verify root (2 of 3), timestamp, snapshot and targets with RELEASES entries, from memory, as
 * the TUF client does it in the agent. Prints one JSON object; the goal is 10 ms.
 *
 *   bench_trust [RELEASES [ROUNDS]]                    (cmake --build build --target bench_trust) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/text.h"
#include "trust/client.h"
#include "trust/repository.h"

enum { RELEASES = 1000, RELEASES_MAX = 100000, ROUNDS = 51, ROUNDS_MAX = 1001, ROOT_KEYS = 3, FILES = 4 };

#define NOW INT64_C(1790000000)

/* One key a role, as `pawl keys init` makes them. */
struct keys {
    struct key *root[ROOT_KEYS], *targets, *snapshot, *timestamp;
};

struct served {
    const char *name;
    struct buf data;
};

struct world {
    struct keys keys;
    struct buf root;
    struct served files[FILES];
    size_t count;
};

static void fail(const char *what, const struct err *err) {
    fprintf(stderr, "bench_trust: %s: %s: %s\n", what, err_tag(err->code), err->text);
    exit(1);
}

static struct key *make_key(enum key_type type) {
    struct key *key = NULL;
    struct err err = {0};
    if (!key_generate(type, &key, &err))
        fail("key", &err);
    return key;
}

static void sign(struct draft *draft, struct key *const *keys, size_t count, struct buf *out) {
    struct err err = {0};
    for (size_t i = 0; i < count; i++)
        if (!draft_sign(draft, keys[i], &err))
            fail("signing", &err);
    buf_init(out, METADATA_TARGETS_MAX);
    if (!draft_bytes(draft, out, &err))
        fail("writing", &err);
    draft_free(draft);
}

static struct metadata *parse(enum metadata_role role, const struct buf *file) {
    struct metadata *metadata = NULL;
    struct err err = {0};
    if (!metadata_parse(role, NULL, file->data, file->len, &metadata, &err))
        fail("reading back", &err);
    return metadata;
}

static void make_root(struct world *world) {
    struct keys *keys = &world->keys;
    struct draft *draft = NULL;
    struct err err = {0};
    for (size_t i = 0; i < ROOT_KEYS; i++)
        keys->root[i] = make_key(KEY_ECDSA_P256);
    keys->targets = make_key(KEY_ECDSA_P256);
    keys->snapshot = make_key(KEY_ECDSA_P256);
    keys->timestamp = make_key(KEY_ED25519);
    const struct key *root[] = {keys->root[0], keys->root[1], keys->root[2]}, *targets = keys->targets, *snapshot = keys->snapshot,
                     *timestamp = keys->timestamp;
    const struct repository_root plan = {
        .version = 1,
        .expires_at = NOW + REPOSITORY_ROOT_LIFETIME_S,
        .root = {root, ROOT_KEYS, 2},
        .targets = {&targets, 1, 1},
        .snapshot = {&snapshot, 1, 1},
        .timestamp = {&timestamp, 1, 1},
    };
    if (!repository_root(&plan, &draft, &err))
        fail("root", &err);
    sign(draft, keys->root, 2, &world->root);
}

static void add_release(struct draft *draft, int64_t number) {
    static const char *const hardware[] = {"ath79-ap", "ath79-bridge"};
    char path[128], version[32], sha256[65];
    struct err err = {0};
    snprintf(version, sizeof version, "1.%lld.0", (long long)number);
    snprintf(path, sizeof path, "gateway/%s/firmware.bin", version);
    snprintf(sha256, sizeof sha256, "%064llx", (unsigned long long)number * 0x9E3779B97F4A7C15U);
    const struct release release = {
        .path = path,
        .file = "firmware.bin",
        .length = 8388608 + number,
        .sha256 = sha256,
        .product = "gateway",
        .hardware = hardware,
        .hardware_count = ARRAY_LEN(hardware),
        .version = version,
        .sequence = number,
        .plain_length = 8388608 + number,
        .plain_sha256 = sha256,
        .created_at = NOW,
        .notes = "Security fixes.\nSee the release page.",
    };
    if (!repository_add_release(draft, &release, &err))
        fail(path, &err);
}

static void make_rest(struct world *world, int64_t releases) {
    struct draft *draft = NULL;
    struct err err = {0};
    if (!repository_targets(NULL, NOW + REPOSITORY_TARGETS_LIFETIME_S, &draft, &err))
        fail("targets", &err);
    for (int64_t number = 1; number <= releases; number++)
        add_release(draft, number);
    struct served *targets = &world->files[world->count++], *snapshot = &world->files[world->count++], *timestamp = &world->files[world->count++];
    targets->name = "1.targets.json";
    sign(draft, &world->keys.targets, 1, &targets->data);
    const struct repository_file listed = {"targets", targets->data.data, targets->data.len};
    if (!repository_snapshot(NULL, &listed, 1, NOW + REPOSITORY_SNAPSHOT_LIFETIME_S, &draft, &err))
        fail("snapshot", &err);
    snapshot->name = "1.snapshot.json";
    sign(draft, &world->keys.snapshot, 1, &snapshot->data);
    CLEANUP(metadata_cleanup) struct metadata *announced = parse(METADATA_SNAPSHOT, &snapshot->data);
    if (!repository_timestamp(NOW, announced, NOW + REPOSITORY_TIMESTAMP_LIFETIME_S, &draft, &err))
        fail("timestamp", &err);
    timestamp->name = "timestamp.json";
    sign(draft, &world->keys.timestamp, 1, &timestamp->data);
}

static bool get(void *context, const char *name, size_t max_bytes, struct buf *out, struct err *err) {
    const struct world *world = context;
    for (size_t i = 0; i < world->count; i++) {
        if (text_equal(world->files[i].name, name) && world->files[i].data.len <= max_bytes) {
            buf_append(out, world->files[i].data.data, world->files[i].data.len);
            return true;
        }
    }
    return err_set(err, ERR_NOT_FOUND, "%s", name);
}

static double cpu_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1000.0 + (double)time.tv_nsec / 1e6;
}

static double refresh(struct world *world) {
    const struct tuf_fetch fetch = {.get = get, .context = world};
    struct err err = {0};
    double began = cpu_ms();
    struct tuf_client *client = NULL;
    if (!tuf_client_open_memory(world->root.data, world->root.len, &client, &err) || !tuf_client_refresh(client, &fetch, NOW, &err))
        fail("refresh", &err);
    tuf_client_free(client);
    return cpu_ms() - began;
}

static int compare(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

int main(int argc, char **argv) {
    int64_t releases = RELEASES, rounds = ROUNDS;
    if (argc > 3 || (argc > 1 && !text_to_int(argv[1], 1, RELEASES_MAX, &releases)) || (argc > 2 && !text_to_int(argv[2], 1, ROUNDS_MAX, &rounds))) {
        fprintf(stderr, "usage: bench_trust [RELEASES [ROUNDS]]\n");
        return 2;
    }
    static struct world world;
    static double times[ROUNDS_MAX];
    make_root(&world);
    make_rest(&world, releases);
    double first = refresh(&world);
    for (int64_t i = 0; i < rounds; i++)
        times[i] = refresh(&world);
    qsort(times, (size_t)rounds, sizeof *times, compare);
    printf("{\"releases\":%lld,\"targets_bytes\":%zu,\"rounds\":%lld,\"first_ms\":%.2f,\"median_ms\":%.2f,\"best_ms\":%.2f,\"worst_ms\":%.2f}\n",
           (long long)releases, world.files[0].data.len, (long long)rounds, first, times[rounds / 2], times[0], times[rounds - 1]);
    return 0;
}
