/* A TUF repository in memory for the tests of trust/: makes keys, publishes, serves through the client's fetch, and can lie at every step. */
#ifndef PAWL_TESTS_TRUST_SIMULATOR_H
#define PAWL_TESTS_TRUST_SIMULATOR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/file.h"
#include "tests/unit/temporary.h"
#include "trust/client.h"
#include "trust/repository.h"

#define SIM_NOW  INT64_C(1790000000)
#define SIM_WEEK INT64_C(604800)

enum { SIM_FILES_MAX = 512, SIM_FILE_MAX = 2 * 1048576 };

struct sim_file {
    char name[96];
    struct buf data;
};

struct sim {
    struct key *root[3], *targets[3], *snapshot[2], *timestamp[2], *directive[2];
    struct sim_file files[SIM_FILES_MAX];
    size_t file_count;
    size_t fetches;      /* how often anything was asked for */
    bool ignore_ceiling; /* serves more bytes than the client allows */
};

/* The code the call failed with; the test fails when it did not fail. */
#define SIM_CODE(call)                                                                                                                               \
    __extension__({                                                                                                                                  \
        struct err sim_err = {0};                                                                                                                    \
        if (call)                                                                                                                                    \
            fail_msg("%s:%d: %s was accepted", __FILE__, __LINE__, #call);                                                                           \
        assert_int_not_equal(sim_err.code, ERR_NONE);                                                                                                \
        assert_null(strchr(sim_err.text, '\n'));                                                                                                     \
        sim_err.code;                                                                                                                                \
    })

/* A call that must work, with its message when it does not. The call names its error sim_err. */
#define SIM_OK(call)                                                                                                                                 \
    do {                                                                                                                                             \
        struct err sim_err = {0};                                                                                                                    \
        if (!(call))                                                                                                                                 \
            fail_msg("%s:%d: %s: %s", __FILE__, __LINE__, err_tag(sim_err.code), sim_err.text);                                                      \
    } while (0)

UNUSED static struct sim_file *sim_find(struct sim *sim, const char *name) {
    for (size_t i = 0; i < sim->file_count; i++)
        if (strcmp(sim->files[i].name, name) == 0)
            return &sim->files[i];
    return NULL;
}

UNUSED static void sim_put(struct sim *sim, const char *name, const void *data, size_t len) {
    struct sim_file *file = sim_find(sim, name);
    if (file == NULL) {
        assert_true(sim->file_count < SIM_FILES_MAX);
        file = &sim->files[sim->file_count++];
        snprintf(file->name, sizeof file->name, "%s", name);
        buf_init(&file->data, SIM_FILE_MAX);
    }
    struct buf copy = BUF_INIT(SIM_FILE_MAX);
    buf_append(&copy, data, len);
    buf_free(&file->data);
    file->data = copy;
    assert_int_equal(file->data.failed, ERR_NONE);
}

UNUSED static void sim_remove(struct sim *sim, const char *name) {
    struct sim_file *file = sim_find(sim, name);
    assert_non_null(file);
    buf_free(&file->data);
    *file = sim->files[--sim->file_count];
}

UNUSED static const struct buf *sim_get(struct sim *sim, const char *name) {
    struct sim_file *file = sim_find(sim, name);
    if (file == NULL)
        fail_msg("the simulator has no %s", name);
    return &file->data;
}

UNUSED static bool sim_fetch(void *context, const char *name, size_t max_bytes, struct buf *out, struct err *err) {
    struct sim *sim = context;
    sim->fetches++;
    struct sim_file *file = sim_find(sim, name);
    if (file == NULL)
        return err_set(err, ERR_NOT_FOUND, "%s: not there", name);
    if (file->data.len > max_bytes && !sim->ignore_ceiling)
        return err_set(err, ERR_TOO_LARGE, "%s: longer than %zu bytes", name, max_bytes);
    buf_append(out, file->data.data, file->data.len);
    return true;
}

UNUSED static struct tuf_fetch sim_fetcher(struct sim *sim) {
    return (struct tuf_fetch){.get = sim_fetch, .context = sim};
}

static const struct {
    size_t offset, count;
    enum key_type type;
} sim_key_rows[] = {
    {offsetof(struct sim, root), 3, KEY_ECDSA_P256},     {offsetof(struct sim, targets), 3, KEY_ECDSA_P256},
    {offsetof(struct sim, snapshot), 2, KEY_ECDSA_P256}, {offsetof(struct sim, timestamp), 2, KEY_ED25519},
    {offsetof(struct sim, directive), 2, KEY_ED25519},
};

UNUSED static void sim_keys(struct sim *sim) {
    for (size_t i = 0; i < ARRAY_LEN(sim_key_rows); i++) {
        struct key **keys = (struct key **)(void *)((char *)sim + sim_key_rows[i].offset);
        for (size_t j = 0; j < sim_key_rows[i].count; j++)
            SIM_OK(key_generate(sim_key_rows[i].type, &keys[j], &sim_err));
    }
}

UNUSED static void sim_free(struct sim *sim) {
    for (size_t i = 0; i < ARRAY_LEN(sim_key_rows); i++) {
        struct key **keys = (struct key **)(void *)((char *)sim + sim_key_rows[i].offset);
        for (size_t j = 0; j < sim_key_rows[i].count; j++)
            key_free(keys[j]);
    }
    for (size_t i = 0; i < sim->file_count; i++)
        buf_free(&sim->files[i].data);
    free(sim);
}

/* Root of that version: 2 of 3, one key for each other role. */
UNUSED static struct repository_root sim_root_plan(struct sim *sim, int64_t version) {
    return (struct repository_root){
        .version = version,
        .expires_at = SIM_NOW + 52 * SIM_WEEK,
        .root = {(const struct key *const *)sim->root, 3, 2},
        .targets = {(const struct key *const *)sim->targets, 1, 1},
        .snapshot = {(const struct key *const *)sim->snapshot, 1, 1},
        .timestamp = {(const struct key *const *)sim->timestamp, 1, 1},
        .directive = {(const struct key *const *)sim->directive, 1, 1},
    };
}

/* Signs the draft with these keys and publishes it under the name. Takes the draft. */
UNUSED static void sim_publish(struct sim *sim, const char *name, struct draft *draft, struct key *const *keys, size_t count) {
    struct buf file = BUF_INIT(SIM_FILE_MAX);
    for (size_t i = 0; i < count; i++)
        SIM_OK(draft_sign(draft, keys[i], &sim_err));
    SIM_OK(draft_bytes(draft, &file, &sim_err));
    sim_put(sim, name, file.data, file.len);
    buf_free(&file);
    draft_free(draft);
}

UNUSED static void sim_publish_root(struct sim *sim, const struct repository_root *plan, struct key *const *keys, size_t count) {
    struct draft *draft = NULL;
    char name[64];
    SIM_OK(repository_root(plan, &draft, &sim_err));
    snprintf(name, sizeof name, "%lld.root.json", (long long)plan->version);
    sim_publish(sim, name, draft, keys, count);
}

UNUSED static struct metadata *sim_parse(struct sim *sim, enum metadata_role role, const char *delegated, const char *name) {
    struct metadata *metadata = NULL;
    const struct buf *file = sim_get(sim, name);
    SIM_OK(metadata_parse(role, delegated, file->data, file->len, &metadata, &sim_err));
    return metadata;
}

static const char *const sim_hardware[] = {"board-a", "board-b"};

UNUSED static struct release sim_release(const char *path, int64_t sequence) {
    static char texts[16][256];
    static size_t next;
    char *copy = texts[next++ % 16];
    snprintf(copy, 256, "%s", path);
    char *product = texts[next++ % 16], *version = texts[next++ % 16];
    const char *first = strchr(path, '/');
    const char *second = strchr(first + 1, '/');
    snprintf(product, 256, "%.*s", (int)(first - path), path);
    snprintf(version, 256, "%.*s", (int)(second - first - 1), first + 1);
    return (struct release){
        .path = copy,
        .file = strrchr(copy, '/') + 1,
        .length = 1000 + sequence,
        .sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        .product = product,
        .hardware = sim_hardware,
        .hardware_count = 2,
        .version = version,
        .sequence = sequence,
        .security_version = 1,
        .plain_length = 1000 + sequence,
        .plain_sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        .created_at = SIM_NOW,
        .notes = "",
    };
}

/* The next targets with one more release (path NULL: the same ones), under "<version>.targets.json"; returns its version. */
UNUSED static int64_t sim_publish_targets(struct sim *sim, int64_t version, const char *path, int64_t sequence) {
    struct draft *draft = NULL;
    struct metadata *previous = NULL;
    char name[64];
    if (version > 1) {
        snprintf(name, sizeof name, "%lld.targets.json", (long long)version - 1);
        previous = sim_parse(sim, METADATA_TARGETS, NULL, name);
    }
    SIM_OK(repository_targets(previous, SIM_NOW + 26 * SIM_WEEK, &draft, &sim_err));
    if (path != NULL) {
        struct release release = sim_release(path, sequence);
        SIM_OK(repository_add_release(draft, &release, &sim_err));
    }
    snprintf(name, sizeof name, "%lld.targets.json", (long long)version);
    sim_publish(sim, name, draft, sim->targets, 1);
    metadata_free(previous);
    return version;
}

/* The snapshot of that version over that version of targets, after the snapshot one lower. */
UNUSED static void sim_publish_snapshot(struct sim *sim, int64_t version, int64_t targets_version) {
    struct draft *draft = NULL;
    struct metadata *previous = NULL;
    char name[64];
    if (version > 1) {
        snprintf(name, sizeof name, "%lld.snapshot.json", (long long)version - 1);
        previous = sim_parse(sim, METADATA_SNAPSHOT, NULL, name);
    }
    snprintf(name, sizeof name, "%lld.targets.json", (long long)targets_version);
    const struct buf *targets = sim_get(sim, name);
    struct repository_file file = {.role = "targets", .data = targets->data, .len = targets->len};
    SIM_OK(repository_snapshot(previous, &file, 1, SIM_NOW + 26 * SIM_WEEK, &draft, &sim_err));
    snprintf(name, sizeof name, "%lld.snapshot.json", (long long)version);
    sim_publish(sim, name, draft, sim->snapshot, 1);
    metadata_free(previous);
}

UNUSED static void sim_publish_timestamp(struct sim *sim, int64_t version, int64_t snapshot_version) {
    struct draft *draft = NULL;
    char name[64];
    snprintf(name, sizeof name, "%lld.snapshot.json", (long long)snapshot_version);
    struct metadata *snapshot = sim_parse(sim, METADATA_SNAPSHOT, NULL, name);
    SIM_OK(repository_timestamp(version, snapshot, SIM_NOW + SIM_WEEK, &draft, &sim_err));
    sim_publish(sim, "timestamp.json", draft, sim->timestamp, 1);
    metadata_free(snapshot);
}

/* The next version of everything below root, with one more release. */
UNUSED static void sim_publish_all(struct sim *sim, int64_t version, const char *path, int64_t sequence) {
    sim_publish_targets(sim, version, path, sequence);
    sim_publish_snapshot(sim, version, version);
    sim_publish_timestamp(sim, version, version);
}

/* Root 1 by two keys, and version 1 of the rest with one release. */
UNUSED static struct sim *sim_new(void) {
    struct sim *sim = calloc(1, sizeof *sim);
    assert_non_null(sim);
    sim_keys(sim);
    struct repository_root plan = sim_root_plan(sim, 1);
    sim_publish_root(sim, &plan, sim->root, 2);
    sim_publish_all(sim, 1, "gateway/1.0.0/image.bin", 1);
    return sim;
}

/* The "signed" part of a published file, to be changed and put back. */
UNUSED static json_t *sim_body(struct sim *sim, const char *name) {
    const struct buf *file = sim_get(sim, name);
    json_t *root = json_loadb(file->data, file->len, 0, NULL);
    assert_non_null(root);
    json_t *body = json_incref(json_object_get(root, "signed"));
    json_decref(root);
    return body;
}

/* Signs a body (taken) with the keys as they come, and publishes it. */
UNUSED static void sim_put_body(struct sim *sim, const char *name, json_t *body, struct key *const *keys, size_t count) {
    struct buf file = BUF_INIT(SIM_FILE_MAX);
    SIM_OK(envelope_write(&file, body, (const struct key *const *)keys, count, &sim_err));
    sim_put(sim, name, file.data, file.len);
    buf_free(&file);
    json_decref(body);
}

/* A fresh client that trusts root 1 and persists nothing. */
UNUSED static struct tuf_client *sim_client(struct sim *sim) {
    struct tuf_client *client = NULL;
    const struct buf *root = sim_get(sim, "1.root.json");
    SIM_OK(tuf_client_open_memory(root->data, root->len, &client, &sim_err));
    return client;
}

UNUSED static char *sim_folder(void) {
    char *folder = malloc(TEMPORARY_SIZE);
    assert_non_null(folder);
    temporary_folder(folder);
    return folder;
}

UNUSED static void sim_remove_folder(char *folder) {
    char command[256];
    static const char *const names[] = {"root.pinned", "root.json", "timestamp.json", "snapshot.json", "targets.json",
                                        "lock",        "a.json",    "b.json",         "key.pem",       "other.pem"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(command, sizeof command, "%s/%s", folder, names[i]);
        remove(command);
    }
    assert_int_equal(remove(folder), 0);
    free(folder);
}

#endif
