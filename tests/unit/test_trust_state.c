/* The TUF client's folder: what is persisted, when, and what a start makes of it. */
#include "tests/unit/trust_simulator.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What happens to the folder, in order: u(nlink), d (folder synced), r(ename). These stand before the C library's. */
static char events[256];

static void note(char what) {
    size_t len = strlen(events);
    if (len + 1 < sizeof(events)) {
        events[len] = what;
        events[len + 1] = '\0';
    }
}

int unlink(const char *path) {
    note('u');
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int fsync(int fd) {
    struct stat info;
    if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode))
        note('d');
    return (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to) {
    note('r');
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static enum err_code refresh_code(struct tuf_client *client, struct sim *sim, int64_t now) {
    struct err err = {0};
    struct tuf_fetch fetch = sim_fetcher(sim);
    bool fine = tuf_client_refresh(client, &fetch, now, &err);
    if (!fine)
        assert_int_not_equal(err.code, ERR_NONE);
    return fine ? ERR_NONE : err.code;
}

static struct tuf_client *open_folder(const char *folder) {
    struct tuf_client *client = NULL;
    SIM_OK(tuf_client_open(folder, &client, &sim_err));
    return client;
}

static void assert_stored(const char *folder, const char *name, const struct buf *expected) {
    char path[256];
    struct buf stored = BUF_INIT(SIM_FILE_MAX);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    SIM_OK(file_read(path, &stored, &sim_err));
    assert_int_equal(stored.len, expected->len);
    assert_memory_equal(stored.data, expected->data, stored.len);
    buf_free(&stored);
}

static void test_state_is_persisted_byte_for_byte(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    char *folder = sim_folder();
    const struct buf *root = sim_get(sim, "1.root.json");
    assert_int_equal(SIM_CODE((tuf_client_open(folder, &(struct tuf_client *){NULL}, &sim_err))), ERR_NOT_FOUND);
    SIM_OK(tuf_client_pin(folder, root->data, root->len, &sim_err));
    SIM_OK(tuf_client_pin(folder, root->data, root->len, &sim_err));
    struct tuf_client *client = open_folder(folder);
    assert_int_equal(SIM_CODE((tuf_client_open(folder, &(struct tuf_client *){NULL}, &sim_err))), ERR_BUSY);
    struct repository_root plan = sim_root_plan(sim, 2);
    sim_publish_root(sim, &plan, sim->root, 2);
    sim_publish_timestamp(sim, 7, 1);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    tuf_client_free(client);
    assert_stored(folder, "root.json", sim_get(sim, "2.root.json"));
    assert_stored(folder, "timestamp.json", sim_get(sim, "timestamp.json"));
    assert_stored(folder, "snapshot.json", sim_get(sim, "1.snapshot.json"));
    assert_stored(folder, "targets.json", sim_get(sim, "1.targets.json"));

    /* The next start knows the versions, and fetches what it has no more. */
    client = open_folder(folder);
    assert_int_equal(tuf_client_trusted(client)->root->version, 2);
    sim_publish_timestamp(sim, 6, 1);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_ROLLBACK);
    sim_publish_timestamp(sim, 8, 1);
    sim->fetches = 0;
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    assert_int_equal(sim->fetches, 2);
    tuf_client_free(client);
    sim_remove_folder(folder);
    sim_free(sim);
}

static void test_another_root_is_not_pinned(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    struct sim *other = sim_new();
    char *folder = sim_folder();
    const struct buf *root = sim_get(sim, "1.root.json"), *foreign = sim_get(other, "1.root.json");
    SIM_OK(tuf_client_pin(folder, root->data, root->len, &sim_err));
    assert_int_equal(SIM_CODE(tuf_client_pin(folder, foreign->data, foreign->len, &sim_err)), ERR_CONFLICT);
    /* A root that its own keys did not sign is none. */
    sim_put_body(sim, "1.root.json", sim_body(sim, "1.root.json"), sim->root, 1);
    root = sim_get(sim, "1.root.json");
    assert_int_equal(SIM_CODE(tuf_client_pin(folder, root->data, root->len, &sim_err)), ERR_THRESHOLD);
    sim_remove_folder(folder);
    sim_free(other);
    sim_free(sim);
}

/* Nothing that failed a check reaches the folder. */
static void test_refused_files_are_not_persisted(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    char *folder = sim_folder();
    const struct buf *root = sim_get(sim, "1.root.json");
    SIM_OK(tuf_client_pin(folder, root->data, root->len, &sim_err));
    struct tuf_client *client = open_folder(folder);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    struct buf good = BUF_INIT(SIM_FILE_MAX);
    buf_append(&good, sim_get(sim, "timestamp.json")->data, sim_get(sim, "timestamp.json")->len);

    json_t *body = sim_body(sim, "timestamp.json");
    json_object_set_new(body, "version", json_integer(99));
    sim_put_body(sim, "timestamp.json", body, sim->directive, 1);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_SIGNATURE);
    assert_stored(folder, "timestamp.json", &good);
    sim_publish_timestamp(sim, 2, 1);
    body = sim_body(sim, "timestamp.json");
    json_object_set_new(body, "expires", json_string("2026-01-01T00:00:00Z"));
    sim_put_body(sim, "timestamp.json", body, sim->timestamp, 1);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_EXPIRED);
    assert_stored(folder, "timestamp.json", &good);
    buf_free(&good);
    tuf_client_free(client);
    sim_remove_folder(folder);
    sim_free(sim);
}

/* After a rotation of keys the old files are gone from the folder before the new root is in it. */
static void test_recovery_is_persisted(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    char *folder = sim_folder(), path[256];
    const struct buf *root = sim_get(sim, "1.root.json");
    SIM_OK(tuf_client_pin(folder, root->data, root->len, &sim_err));
    struct tuf_client *client = open_folder(folder);
    sim_publish_timestamp(sim, 100, 1);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    struct repository_root plan = sim_root_plan(sim, 2);
    plan.snapshot.keys = (const struct key *const *)&sim->snapshot[1];
    sim_publish_root(sim, &plan, sim->root, 2);
    struct tuf_fetch fetch = sim_fetcher(sim);
    events[0] = '\0';
    SIM_OK(tuf_client_walk_root(client, &fetch, &sim_err));
    assert_non_null(strstr(events, "ududr")); /* a power cut never leaves the new root beside the old files */
    tuf_client_free(client);
    snprintf(path, sizeof path, "%s/timestamp.json", folder);
    assert_false(file_exists(path));
    snprintf(path, sizeof path, "%s/snapshot.json", folder);
    assert_false(file_exists(path));
    assert_stored(folder, "root.json", sim_get(sim, "2.root.json"));
    sim_remove_folder(folder);
    sim_free(sim);
}

/* A stored file that was altered on the disk is as good as none; an altered root is refused. */
static void test_altered_state(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    char *folder = sim_folder(), path[256];
    const struct buf *root = sim_get(sim, "1.root.json");
    SIM_OK(tuf_client_pin(folder, root->data, root->len, &sim_err));
    struct tuf_client *client = open_folder(folder);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    tuf_client_free(client);
    static const char *const names[] = {"timestamp.json", "snapshot.json", "targets.json"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        SIM_OK(file_write_atomic(path, "{}", 2, 0644, &sim_err));
    }
    client = open_folder(folder);
    assert_null(tuf_client_trusted(client)->timestamp);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    tuf_client_free(client);
    snprintf(path, sizeof path, "%s/root.json", folder);
    SIM_OK(file_write_atomic(path, "{}", 2, 0644, &sim_err));
    assert_int_equal(SIM_CODE((tuf_client_open(folder, &(struct tuf_client *){NULL}, &sim_err))), ERR_FORMAT);
    /* One that is there and cannot be read is not absent: the pinned one does not count again. */
    assert_int_equal(remove(path), 0);
    assert_int_equal(symlink("root.json", path), 0);
    assert_int_equal(SIM_CODE((tuf_client_open(folder, &(struct tuf_client *){NULL}, &sim_err))), ERR_IO);
    sim_remove_folder(folder);
    sim_free(sim);
}

/* Without a refresh, what was trusted last can be shown; nothing but a refresh says that it is still fresh. */
static void test_offline_start_shows_the_last_state(void **state) {
    (void)state;
    struct sim *sim = sim_new();
    char *folder = sim_folder();
    const struct buf *root = sim_get(sim, "1.root.json");
    SIM_OK(tuf_client_pin(folder, root->data, root->len, &sim_err));
    struct tuf_client *client = open_folder(folder);
    assert_int_equal(refresh_code(client, sim, SIM_NOW), ERR_NONE);
    tuf_client_free(client);
    client = open_folder(folder);
    const struct trusted *trusted = tuf_client_trusted(client);
    assert_int_equal(trusted->timestamp->version, 1);
    assert_non_null(trusted->targets);
    assert_int_equal(trusted->targets->target_count, 1);
    assert_int_equal(refresh_code(client, sim, SIM_NOW + 2 * SIM_WEEK), ERR_EXPIRED);
    tuf_client_free(client);
    sim_remove_folder(folder);
    sim_free(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_is_persisted_byte_for_byte),
        cmocka_unit_test(test_another_root_is_not_pinned),
        cmocka_unit_test(test_refused_files_are_not_persisted),
        cmocka_unit_test(test_recovery_is_persisted),
        cmocka_unit_test(test_altered_state),
        cmocka_unit_test(test_offline_start_shows_the_last_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
