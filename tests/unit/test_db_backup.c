/* Backup and restore: what comes back is what was there; a run killed at any block leaves nothing half; a damaged file is refused before anything is
 * touched; floors and revocations outlive an older backup. */
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/file.h"
#include "db/certificate.h"
#include "db/claim.h"
#include "db/ddi.h"
#include "db/restore.h"
#include "db/scrub.h"
#include "tests/unit/rollout_fixture.h"
#include "tests/unit/sync_fault.h"

enum { MANY = 5 };

/* "<folder><ending>": beside the store. */
static const char *beside(struct store *store, const char *ending) {
    const char *path = arena_printf(&store->arena, "%s%s", store->folder, ending);
    assert_non_null(path);
    return path;
}

static int setup(void **state) {
    store_setup(state);
    struct store *store = *state;
    make_product(store, "lamp", FLEET_POLICY_LATEST);
    make_device(store, "d1", "lamp", "board");
    for (int i = 1; i <= MANY; i++)
        make_release(store, "lamp", i);
    return 0;
}

static int teardown(void **state) {
    struct store *store = *state;
    glob_t around;
    if (glob(beside(store, ".*"), 0, NULL, &around) == 0)
        for (size_t i = 0; i < around.gl_pathc; i++)
            temporary_remove(around.gl_pathv[i]);
    globfree(&around);
    return store_teardown(state);
}

static bool backup(struct store *store, const struct db_work *work, struct db_backup_manifest *manifest, struct err *err) {
    return db_backup(store->folder, beside(store, ".tar"), "test", NOW, work, &store->arena, manifest, err);
}

static bool restore(struct store *store, const char *to, bool force, const struct db_work *work, struct db_restore_report *report, struct err *err) {
    const struct db_restore_options options = {.folder = to, .file = beside(store, ".tar"), .force = force, .now = NOW + 60, .work = work};
    return db_restore(&options, &store->arena, report, err);
}

static struct store open_copy(struct store *store, const char *folder) {
    struct store copy = {.fatal_count = 0};
    assert_true(strlen(folder) < sizeof(copy.folder));
    memcpy(copy.folder, folder, strlen(folder) + 1);
    arena_init(&copy.arena, 64 << 20);
    store_reopen(&copy);
    (void)store;
    return copy;
}

static void close_copy(struct store *copy) {
    store_shut(copy);
    arena_clear(&copy->arena);
}

static void test_round_trip(void **state) {
    struct store *store = *state;
    struct db_backup_manifest manifest;
    struct db_restore_report report;
    struct err err;
    char loose[DB_SHA256_SIZE];
    int64_t rows;
    bring_to(store, "d1", MANY);
    make_image(store, "nobody's yet", loose);
    assert_ok(backup(store, NULL, &manifest, &err), err); /* while the store is open */
    assert_int_equal(manifest.images, MANY);
    assert_int_equal(manifest.damaged_count, 0);
    assert_int_equal(manifest.schema, db_schema_version());
    assert_false(file_exists(beside(store, ".tar.part")));
    assert_false(file_exists(beside(store, ".tar.part.db")));
    struct stat info;
    assert_int_equal(stat(beside(store, ".tar"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);

    const char *to = beside(store, ".copy");
    assert_ok(restore(store, to, false, NULL, &report, &err), err);
    assert_null(report.kept);
    assert_int_equal(report.manifest.images, MANY);
    struct store copy = open_copy(store, to);
    struct db_device device = device_of(&copy, "d1");
    assert_int_equal(device.floor.sequence, MANY);
    assert_int_equal(count_files(&copy, "images"), MANY);
    struct db_image image;
    assert_fails(db_image_get(copy.reader, loose, &image, &err), err, ERR_NOT_FOUND);
    assert_ok(db_audit_verify(copy.reader, &rows, &err), err);
    assert_int_equal(events_of(&copy, "restored", NULL), 1);
    close_copy(&copy);
    assert_fails(backup(store, NULL, &manifest, &err), err, ERR_CONFLICT); /* the file exists */
}

/* Neither has succeeded before all of it is on the disk. */
static void test_every_sync_counts(void **state) {
    enum { RESTORED_SYNCS = MANY + 3 }; /* images and database, their folders, the new folder's own name */
    struct store *store = *state;
    struct db_backup_manifest manifest;
    struct db_restore_report report;
    struct err err;
    int nth = 1;
    for (; nth <= 2; nth++) {
        atomic_store(&sync_fault_at, nth);
        assert_fails(backup(store, NULL, &manifest, &err), err, ERR_IO);
        assert_int_equal(atomic_load(&sync_fault_at), 0);
        (void)unlink(beside(store, ".tar"));
    }
    assert_ok(backup(store, NULL, &manifest, &err), err);
    for (nth = 1;; nth++) {
        const char *to = arena_printf(&store->arena, "%s.copy-%d", store->folder, nth);
        atomic_store(&sync_fault_at, nth);
        bool restored = restore(store, to, false, NULL, &report, &err);
        if (atomic_exchange(&sync_fault_at, 0) > 0) { /* there is no nth */
            assert_true(restored);
            break;
        }
        assert_false(restored);
        assert_int_equal(err.code, ERR_IO);
    }
    assert_true(nth > RESTORED_SYNCS);
}

/* A step that lets the process die as kill -9 would. */
struct death {
    int at, seen;
};

static bool die(void *context, int64_t done, int64_t total) {
    struct death *death = context;
    (void)done;
    (void)total;
    if (++death->seen == death->at)
        kill(getpid(), SIGKILL);
    return true;
}

/* True when the child was killed; false when it came to its end before. */
static bool run_to_death(struct store *store, int at, const char *to, bool force) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct death death = {.at = at};
        const struct db_work work = {.step = die, .context = &death};
        struct db_backup_manifest manifest;
        struct db_restore_report report;
        struct err err;
        bool done = to == NULL ? backup(store, &work, &manifest, &err) : restore(store, to, force, &work, &report, &err);
        _exit(done ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        return true;
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

static void test_backup_killed(void **state) {
    struct store *store = *state;
    struct db_backup_manifest manifest;
    struct db_restore_report report;
    struct err err;
    int at = 1;
    store_shut(store);
    while (run_to_death(store, at, NULL, false)) {
        assert_false(file_exists(beside(store, ".tar")));
        at++;
    }
    assert_true(at > MANY);
    assert_ok(restore(store, beside(store, ".copy"), false, NULL, &report, &err), err);
    unlink(beside(store, ".tar"));
    assert_ok(backup(store, NULL, &manifest, &err), err); /* what the killed ones left is in nobody's way */
    assert_false(file_exists(beside(store, ".tar.part")));
    store_reopen(store);
}

static void test_restore_killed(void **state) {
    struct store *store = *state;
    struct db_backup_manifest manifest;
    struct db_restore_report report;
    struct err err;
    int at = 1;
    const char *to = beside(store, ".copy");
    assert_ok(backup(store, NULL, &manifest, &err), err);
    while (run_to_death(store, at, to, false)) {
        assert_false(file_exists(arena_printf(&store->arena, "%s/pawl.db", to))); /* still the empty one */
        at++;
    }
    assert_true(at > MANY);
    struct store copy = open_copy(store, to);
    assert_int_equal(count_files(&copy, "images"), MANY);
    close_copy(&copy);
    /* And over a store that is there: the old one until it is the new one. */
    for (at = 1; run_to_death(store, at, to, true); at++)
        assert_true(file_exists(arena_printf(&store->arena, "%s/pawl.db", to)));
    assert_ok(restore(store, to, true, NULL, &report, &err), err);
    assert_non_null(report.kept);
    assert_false(file_exists(beside(store, ".copy.restore")));
}

/* Killed between the exchange and the renaming: FOLDER.restore is the old store then, and must not be taken for rubbish. */
static void test_old_store_is_not_rubbish(void **state) {
    struct store *store = *state;
    struct db_backup_manifest manifest;
    struct db_restore_report report;
    struct err err;
    const char *to = beside(store, ".copy"), *staging = beside(store, ".copy.restore");
    assert_ok(backup(store, NULL, &manifest, &err), err);
    assert_ok(file_make_dirs(staging, 0700, &err), err);
    assert_ok(file_write_new(arena_printf(&store->arena, "%s/pawl.db", staging), "old", 3, 0600, &err), err);
    assert_ok(restore(store, to, false, NULL, &report, &err), err);
    const char *kept = arena_printf(&store->arena, "%s.before-restore-2027-01-15T08:01:00Z", to);
    assert_true(file_exists(arena_printf(&store->arena, "%s/pawl.db", kept)));
}

static void test_refusals(void **state) {
    struct store *store = *state;
    struct db_backup_manifest manifest;
    struct db_restore_report report;
    struct err err;
    const char *to = beside(store, ".copy");
    assert_fails(restore(store, to, false, NULL, &report, &err), err, ERR_NOT_FOUND); /* no such file */
    assert_ok(backup(store, NULL, &manifest, &err), err);
    assert_fails(restore(store, store->folder, true, NULL, &report, &err), err, ERR_BUSY); /* a server has it */
    store_shut(store);
    assert_fails(restore(store, store->folder, false, NULL, &report, &err), err, ERR_CONFLICT); /* not without --force */
    store_reopen(store);
    assert_int_equal(count_files(store, "images"), MANY);
    assert_fails(db_backup(to, beside(store, ".other"), "test", NOW, NULL, &store->arena, &manifest, &err), err, ERR_NOT_FOUND);
    assert_false(file_exists(beside(store, ".other.part")));
}

static bool stop(void *context, int64_t done, int64_t total) {
    (void)context;
    (void)total;
    return done < 3;
}

static void test_stopped(void **state) {
    struct store *store = *state;
    const struct db_work work = {.step = stop};
    struct db_backup_manifest manifest;
    struct err err;
    assert_fails(backup(store, &work, &manifest, &err), err, ERR_BUSY);
    assert_false(file_exists(beside(store, ".tar.part")));
    assert_false(file_exists(beside(store, ".tar")));
}

/* One byte in each block of the archive, and every shorter length: refused, and the folder stays empty. */
static void test_damaged(void **state) {
    struct store *store = *state;
    struct db_backup_manifest manifest;
    struct db_restore_report report;
    struct err err;
    const char *to = beside(store, ".copy"), *file = beside(store, ".tar");
    struct stat info;
    unsigned refused = 0;
    assert_ok(backup(store, NULL, &manifest, &err), err);
    assert_int_equal(stat(file, &info), 0);
    int fd = open(file, O_RDWR);
    assert_true(fd >= 0);
    off_t step = info.st_size / 60 / 512 * 512 + 512 + 13;
    for (off_t at = 5; at < info.st_size; at += step) {
        unsigned char byte, other;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        other = (unsigned char)(byte ^ 0x40);
        assert_int_equal(pwrite(fd, &other, 1, at), 1);
        bool done = restore(store, to, false, NULL, &report, &err);
        assert_false(done);
        assert_false(file_exists(arena_printf(&store->arena, "%s/pawl.db", to)));
        assert_false(file_exists(beside(store, ".copy.restore")));
        refused++;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    assert_true(refused >= 40);
    for (off_t len = info.st_size - 512; len > 0; len -= info.st_size / 16) {
        assert_int_equal(ftruncate(fd, len), 0);
        assert_false(restore(store, to, false, NULL, &report, &err));
        assert_false(file_exists(arena_printf(&store->arena, "%s/pawl.db", to)));
    }
    close(fd);
}

static bool run_revoke_token(struct db_conn *tx, void *arg, struct err *err) {
    (void)arg;
    return db_token_revoke(tx, "aa", 0, NOW + 5, err);
}

static bool run_token(struct db_conn *tx, void *arg, struct err *err) {
    const struct db_token token = {.id = "aa", .name = "t", .created_by = "test", .created_at = NOW, .expires_at = NOW + 1000};
    (void)arg;
    return db_token_insert(tx, &token, err);
}

static bool run_other_token(struct db_conn *tx, void *arg, struct err *err) {
    const struct db_token token = {.id = "bb", .name = "t", .created_by = "test", .created_at = NOW, .expires_at = NOW + 1000, .secret_sha256 = {1}};
    (void)arg;
    return db_token_insert(tx, &token, err) && db_ddi_device_token(tx, "d1", (const uint8_t[32]){3}, err) &&
           db_ddi_device_token(tx, "d2", (const uint8_t[32]){4}, err);
}

static bool run_renew_secrets(struct db_conn *tx, void *arg, struct err *err) {
    (void)arg;
    return db_token_rotate(tx, "bb", (const uint8_t[32]){2}, NOW + 500, NOW + 2000, err) && db_ddi_device_token(tx, "d1", NULL, err) &&
           db_ddi_device_token(tx, "d2", (const uint8_t[32]){5}, err);
}

/* A secret that was renewed or taken back after the backup does not open anything again. */
static void test_renewed_secrets(void **state) {
    struct store *store = *state;
    struct db_backup_manifest manifest;
    struct db_restore_report report;
    struct db_ddi_device ddi;
    struct db_token token;
    struct err err;
    make_device(store, "d2", "lamp", "board");
    assert_ok(WRITE(store, run_other_token, NULL, &err), err);
    assert_ok(backup(store, NULL, &manifest, &err), err);
    assert_ok(WRITE(store, run_renew_secrets, NULL, &err), err);
    store_shut(store);
    assert_ok(restore(store, store->folder, true, NULL, &report, &err), err);
    assert_int_equal(report.tokens, 1);
    store_reopen(store);
    assert_ok(db_token_get(store->reader, "bb", &store->arena, &token, &err), err);
    assert_int_equal(token.secret_sha256[0], 2);
    assert_false(token.has_previous);
    assert_int_equal(token.expires_at, NOW + 2000);
    assert_ok(db_ddi_device_get(store->reader, "d1", &store->arena, &ddi, &err), err);
    assert_false(ddi.has_token);
    assert_ok(db_ddi_device_get(store->reader, "d2", &store->arena, &ddi, &err), err);
    assert_int_equal(ddi.token_sha256[0], 5);
}

static const uint8_t old_key[DB_PIN_SIZE] = {11}, new_key[DB_PIN_SIZE] = {12}, next_key[DB_PIN_SIZE] = {13}, other_key[DB_PIN_SIZE] = {14};

static bool run_keys(struct db_conn *tx, void *arg, struct err *err) {
    const struct db_certificate certificate = {.serial = "0a", .device = "d1", .way = "claim", .data = "x", .data_len = 1, .not_after = NOW + 1000};
    (void)arg;
    return db_device_set_pins(tx, "d1", old_key, new_key, err) && db_device_set_pins(tx, "d2", other_key, NULL, err) &&
           db_certificate_insert(tx, &certificate, err);
}

/* The old key of d1 is revoked and another is on its way; d2's next key is new, and somebody vouches for the one it has. */
static bool run_other_keys(struct db_conn *tx, void *arg, struct err *err) {
    (void)arg;
    return db_device_set_pins(tx, "d1", new_key, NULL, err) && db_device_pin_replace(tx, "d2", other_key, FLEET_PIN_CLAIM, err) &&
           db_device_set_pins(tx, "d2", other_key, next_key, err) && db_certificate_revoke(tx, "0a", NOW + 7, err);
}

static void test_replaced_keys(void **state) {
    struct store *store = *state;
    struct db_backup_manifest manifest;
    struct db_restore_report report;
    struct db_certificate certificate;
    struct err err;
    make_device(store, "d2", "lamp", "board");
    assert_ok(WRITE(store, run_keys, NULL, &err), err);
    assert_ok(backup(store, NULL, &manifest, &err), err);
    assert_ok(WRITE(store, run_other_keys, NULL, &err), err);
    store_shut(store);
    assert_ok(restore(store, store->folder, true, NULL, &report, &err), err);
    store_reopen(store);
    const struct db_device d1 = device_of(store, "d1"), d2 = device_of(store, "d2");
    assert_memory_equal(d1.pin_current, new_key, DB_PIN_SIZE);
    assert_false(d1.has_pin_next);
    assert_memory_equal(d2.pin_current, other_key, DB_PIN_SIZE);
    assert_int_equal(d2.pin_origin, FLEET_PIN_CLAIM);
    assert_true(d2.has_pin_next);
    assert_memory_equal(d2.pin_next, next_key, DB_PIN_SIZE);
    assert_ok(db_certificate_get(store->reader, "0a", &store->arena, &certificate, &err), err);
    assert_int_equal(certificate.revoked_at, NOW + 7);
}

/* What an operator has halted does not run again because of a restore; what nobody halted does. */
static void test_halted_rollouts(void **state) {
    static const struct fleet_rollout_phase phase = PHASE_OF(REST, 0);
    struct store *store = *state;
    struct db_backup_manifest manifest;
    struct db_restore_report report;
    struct err err;
    struct fleet_rollout_phase phases[] = {phase};
    const struct db_rollout_plan plan = {
        .product = "lamp", .release = 1, .name = "r", .filter = "", .mode = FLEET_MODE_FORCED, .phases = phases, .phase_count = 1};
    int64_t paused = rollout_begin(store, &plan), stopped = rollout_begin(store, &plan), goes_on = rollout_begin(store, &plan);
    int64_t waiting = rollout_create(store, &plan);
    assert_true(rollout_move(store, waiting, FLEET_ROLLOUT_START, NOW));
    assert_ok(backup(store, NULL, &manifest, &err), err);
    assert_true(rollout_move(store, paused, FLEET_ROLLOUT_PAUSE, NOW + 10));
    assert_true(rollout_move(store, stopped, FLEET_ROLLOUT_STOP, NOW + 10));
    assert_true(rollout_move(store, waiting, FLEET_ROLLOUT_STOP, NOW + 10));
    store_shut(store);
    assert_ok(restore(store, store->folder, true, NULL, &report, &err), err);
    store_reopen(store);
    rollout_round(store, NOW + 20, NULL);
    assert_rollout(store, paused, FLEET_ROLLOUT_PAUSED, 1);
    assert_rollout(store, stopped, FLEET_ROLLOUT_PAUSED, 1);
    assert_rollout(store, goes_on, FLEET_ROLLOUT_RUNNING, 1);
    assert_rollout(store, waiting, FLEET_ROLLOUT_STOPPED, 0);
    assert_true(rollout_move(store, paused, FLEET_ROLLOUT_RESUME, NOW + 30));
    assert_int_equal(rollout_get(store, paused).held_s, 20);
}

static bool run_claim(struct db_conn *tx, void *arg, struct err *err) {
    const struct db_claim claim = {
        .id = "cc", .device = "d1", .product = "", .note = "", .created_by = "test", .created_at = NOW, .expires_at = NOW + 1000};
    (void)arg;
    return db_claim_insert(tx, &claim, err);
}

static bool run_spend_claim(struct db_conn *tx, void *arg, struct err *err) {
    (void)arg;
    return db_claim_spend(tx, "cc", "d1", (const uint8_t[DB_PIN_SIZE]){7}, NOW + 6, err);
}

static bool run_state(struct db_conn *tx, void *arg, struct err *err) {
    const struct write_args *args = arg;
    return db_device_move(tx, args->text, FLEET_DEVICE_REVOKED, 0, NOW, err);
}

/* The backup is older than what the fleet has seen since: nothing goes back. */
static void test_older_backup(void **state) {
    struct store *store = *state;
    struct db_backup_manifest manifest;
    struct db_restore_report report;
    struct write_args args = {.text = "d2"};
    struct db_token token;
    struct db_claim claim;
    struct err err;
    make_device(store, "d2", "lamp", "board");
    assert_ok(WRITE(store, run_token, NULL, &err), err);
    assert_ok(WRITE(store, run_claim, NULL, &err), err);
    assert_ok(backup(store, NULL, &manifest, &err), err);
    bring_to(store, "d1", MANY);
    make_device(store, "d3", "lamp", "board");
    bring_to(store, "d3", MANY);
    assert_ok(WRITE(store, run_state, &args, &err), err);
    assert_ok(WRITE(store, run_revoke_token, NULL, &err), err);
    assert_ok(WRITE(store, run_spend_claim, NULL, &err), err);
    store_shut(store);
    assert_ok(restore(store, store->folder, true, NULL, &report, &err), err);
    assert_true(report.carried);
    assert_int_equal(report.devices, 3);
    assert_int_equal(report.tokens, 1);
    store_reopen(store);
    assert_int_equal(device_of(store, "d1").floor.sequence, MANY);
    assert_int_equal(device_of(store, "d2").state, FLEET_DEVICE_REVOKED);
    assert_int_equal(device_of(store, "d3").floor.sequence, MANY);
    assert_string_equal(device_of(store, "d3").product, "lamp");
    assert_int_equal(hot_of(store, "d1").floor.sequence, MANY);
    assert_ok(db_token_get(store->reader, "aa", &store->arena, &token, &err), err);
    assert_int_equal(token.revoked_at, NOW + 5);
    assert_ok(db_claim_get(store->reader, "cc", &store->arena, &claim, &err), err);
    assert_int_equal(claim.spent_at, 0);
    assert_int_equal(claim.revoked_at, NOW + 6); /* its token is no good any more */
    assert_int_equal(offer(store, "d1").reason == FLEET_REASON_OFFERED, 0);
}

/* A store that cannot be read any more is what backups are for: it is kept aside, and nothing is taken from it, which somebody must have asked for.
 */
static void test_over_a_broken_store(void **state) {
    struct store *store = *state;
    struct db_backup_manifest manifest;
    struct db_restore_report report;
    struct err err;
    assert_ok(backup(store, NULL, &manifest, &err), err);
    store_shut(store);
    const char *database = arena_printf(&store->arena, "%s/pawl.db", store->folder);
    unlink(database);
    assert_ok(file_write_new(database, "this was a database", 19, 0600, &err), err);
    assert_false(restore(store, store->folder, true, NULL, &report, &err));
    assert_non_null(strstr(err.text, "--without-carrying"));
    assert_false(file_exists(beside(store, ".restore")));
    const struct db_restore_options options = {
        .folder = store->folder, .file = beside(store, ".tar"), .force = true, .without_carrying = true, .now = NOW + 60};
    assert_ok(db_restore(&options, &store->arena, &report, &err), err);
    assert_false(report.carried);
    assert_non_null(report.kept);
    store_reopen(store);
    assert_int_equal(count_files(store, "images"), MANY);
}

/* A damaged image does not stand in the way of a backup; the restored store knows that it is missing. */
static void test_damaged_image(void **state) {
    struct store *store = *state;
    struct db_backup_manifest manifest;
    struct db_restore_report report;
    struct db_scrub_report scrubbed;
    struct err err;
    struct db_images page;
    char detail[2][256];
    assert_ok(db_image_list(store->reader, "", 2, &store->arena, &page, &err), err);
    for (int i = 0; i < 2; i++)
        snprintf(detail[i], sizeof(detail[i]), "%s/images/%s", store->folder, page.items[i].sha256);
    int fd = open(detail[0], O_WRONLY);
    assert_int_equal(pwrite(fd, "X", 1, 3), 1);
    close(fd);
    unlink(detail[1]);
    assert_ok(db_scrub(store->folder, NOW, NULL, &store->arena, &scrubbed, &err), err);
    assert_int_equal(scrubbed.images, MANY);
    assert_int_equal(scrubbed.faults[DB_SCRUB_CORRUPT], 1);
    assert_int_equal(scrubbed.faults[DB_SCRUB_MISSING], 1);
    assert_int_equal(scrubbed.faults[DB_SCRUB_ORPHAN], 0);
    assert_ok(backup(store, NULL, &manifest, &err), err);
    assert_int_equal(manifest.images, MANY - 2);
    assert_int_equal(manifest.damaged_count, 2);
    assert_ok(restore(store, beside(store, ".copy"), false, NULL, &report, &err), err);
    assert_int_equal(report.manifest.damaged_count, 2);
    assert_ok(db_scrub(beside(store, ".copy"), NOW, NULL, &store->arena, &scrubbed, &err), err);
    assert_int_equal(scrubbed.faults[DB_SCRUB_MISSING], 2);
}

static void test_scrub_left_and_collected(void **state) {
    struct store *store = *state;
    struct db_scrub_report scrubbed, back;
    int64_t at = 0;
    bool found = true;
    struct err err;
    char orphan[256], name[DB_SHA256_SIZE];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    snprintf(orphan, sizeof(orphan), "%s/images/%s", store->folder, name);
    assert_ok(file_write_new(orphan, "x", 1, 0600, &err), err);
    assert_ok(db_scrub(store->folder, NOW - 100000000, NULL, &store->arena, &scrubbed, &err), err);
    assert_int_equal(scrubbed.faults[DB_SCRUB_ORPHAN], 0); /* perhaps on its way in */
    assert_ok(db_scrub(store->folder, NOW, NULL, &store->arena, &scrubbed, &err), err);
    assert_int_equal(scrubbed.faults[DB_SCRUB_ORPHAN], 1);
    assert_ok(db_scrub_collect(store->folder, &store->arena, &back, &at, &found, &err), err);
    assert_false(found);
    assert_ok(db_scrub_leave(store->folder, NOW, &scrubbed, &err), err);
    assert_ok(db_scrub_collect(store->folder, &store->arena, &back, &at, &found, &err), err);
    assert_true(found);
    assert_int_equal(at, NOW);
    assert_int_equal(back.finding_count, 1);
    assert_string_equal(back.findings[0].sha256, name);
    assert_ok(db_scrub_collect(store->folder, &store->arena, &back, &at, &found, &err), err);
    assert_false(found);
    assert_ok(file_write_new(arena_printf(&store->arena, "%s/scrub.json", store->folder), "{}", 2, 0600, &err), err);
    assert_fails(db_scrub_collect(store->folder, &store->arena, &back, &at, &found, &err), err, ERR_INVALID);
    assert_ok(db_scrub_collect(store->folder, &store->arena, &back, &at, &found, &err), err);
    assert_false(found); /* rubbish is taken away, too */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_sync_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_backup_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restore_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_store_is_not_rubbish, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_older_backup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_renewed_secrets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaced_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_halted_rollouts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_over_a_broken_store, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_image, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scrub_left_and_collected, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
