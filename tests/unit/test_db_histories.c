/* 10,000 random lives of devices against a small model: publish, assign, poll, install, confirm, lie, and a server restored from an old backup. The
 * server's side is the real store, the device's side the real agent's rules. Whatever happens, no device installs below what it confirmed. */
#include "db_fixture.h"

#include "agent/check.h"
#include "common/random.h"
#include "tests/unit/sanitized.h"

enum {
    BATCHES = SANITIZED ? 10 : 50, /* under a sanitizer a fifth of them */
    DEVICES = 200,
    ROUNDS = 24,
    RELEASES_MAX = 24,
    STATE_ARENA = 1 << 16
};

static uint64_t seed;

/* xorshift64*: the same seed is the same run. */
static uint32_t pick(uint32_t below) {
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (uint32_t)((seed * UINT64_C(2685821657736338717)) >> 33) % below;
}

/* ---- the model: what is promised, and nothing of how it is done */

struct model_release {
    int64_t sequence, security_version;
    int bits; /* which image */
};

struct model_floor {
    int64_t sequence, security_version;
    int bits;
};

struct model_server { /* what a backup holds of a device */
    struct model_floor floor;
    int open; /* index of the release of its open deployment; −1: none */
};

struct model_device {
    struct model_server server;
    struct model_floor own;
};

static bool model_allows(const struct model_floor *floor, const struct model_release *release) {
    if (release->security_version < floor->security_version)
        return false;
    return release->sequence > floor->sequence || (release->sequence == floor->sequence && release->bits == floor->bits);
}

static void model_raise(struct model_floor *floor, const struct model_release *release) {
    if (release->sequence >= floor->sequence) {
        floor->sequence = release->sequence;
        floor->bits = release->bits;
    }
    if (release->security_version > floor->security_version)
        floor->security_version = release->security_version;
}

/* ---- the real things */

enum step { STEP_ASSIGN, STEP_POLL, STEP_CONFIRM, STEP_FAIL, STEP_LIE_CONFIRM, STEP_LIE_VERSION };

struct batch;

struct life {
    const struct batch *batch;
    char id[16];
    struct model_device model;
    struct agent_state state;
    struct arena arena;
    enum step step;
    int release;        /* of the step */
    bool installing;    /* it was offered and has to be reported */
    int64_t deployment; /* that is reported about */
    int64_t report_seq;
    /* What the store said. */
    bool ok;
    struct err err;
    struct db_offered offered;
};

struct batch {
    struct store *store;
    struct life lives[DEVICES];
    struct model_release releases[RELEASES_MAX];
    struct release facts[RELEASES_MAX]; /* as the device reads them from signed metadata */
    int64_t ids[RELEASES_MAX];
    int count, bits;
    struct {
        bool taken;
        struct model_server servers[DEVICES];
        int count;
    } backup;
};

static int64_t installs, refusals, below_floor, restores, divergences;

#define AGREES(what, life, real, model)                                                                                                              \
    do {                                                                                                                                             \
        if ((real) != (model)) {                                                                                                                     \
            divergences++;                                                                                                                           \
            print_error("%s, %s: the real thing says %lld, the model %lld (%s)\n", (life)->id, what, (long long)(real), (long long)(model),          \
                        (life)->err.text);                                                                                                           \
        }                                                                                                                                            \
    } while (0)

static bool run_step(struct db_conn *tx, void *arg, struct err *err) {
    struct life *life = arg;
    const struct batch *batch = life->batch;
    struct db_reported reported;
    int64_t id;
    switch (life->step) {
    case STEP_ASSIGN:
        return db_deployment_assign(tx, life->id, batch->ids[life->release], NOW, &id, err);
    case STEP_POLL:
        return db_deployment_offer(tx, life->id, NOW, &life->offered, err);
    case STEP_LIE_VERSION: {
        const struct db_observation seen = {.version = "0.0.1", .sequence_known = true, .sequence = 1};
        return db_device_observe(tx, life->id, &seen, NOW, err);
    }
    case STEP_CONFIRM:
    case STEP_FAIL:
    case STEP_LIE_CONFIRM:
        break;
    }
    const struct db_report_new said = report_of(
        life->deployment, ++life->report_seq, life->step == STEP_FAIL ? FLEET_REPORT_FAILED : FLEET_REPORT_CONFIRMED,
        life->step == STEP_FAIL ? 0 : batch->releases[life->release].sequence + (life->step == STEP_LIE_CONFIRM ? 1 : 0));
    return db_deployment_report(tx, life->id, &said, NOW, &reported, err);
}

static void step_done(void *arg, bool ok, const struct err *err) {
    struct life *life = arg;
    life->ok = ok;
    if (!ok)
        life->err = *err;
}

static bool nothing(struct db_conn *tx, void *arg, struct err *err) {
    (void)tx, (void)arg, (void)err;
    return true;
}

static const struct agent_settings settings = {.product = (char[]){"line"}, .hardware = (char[]){"board"}, .max_attempts = 3};
static const char *const boards[] = {"board"};

/* A release by the publish gate's rule; after a restore its sequence may be one that devices have confirmed with other bits. */
static void publish(struct batch *batch) {
    struct store *store = batch->store;
    int64_t highest = batch->count > 0 ? batch->releases[batch->count - 1].sequence : 0;
    int64_t security = batch->count > 0 ? batch->releases[batch->count - 1].security_version : 0;
    struct model_release *model = &batch->releases[batch->count];
    struct err err;
    if (batch->count == RELEASES_MAX)
        return;
    *model = (struct model_release){.sequence = highest + 1 + pick(2), .security_version = security + (pick(4) == 0), .bits = ++batch->bits};
    struct db_release release = {.product = "line",
                                 .sequence = model->sequence,
                                 .security_version = model->security_version,
                                 .encryption = "none",
                                 .notes = "",
                                 .published_at = NOW};
    release.hardware = (struct db_texts){.count = 1, .items = (const char *[]){"board"}};
    release.version = arena_printf(&store->arena, "%d.0.0", model->bits);
    release.path = arena_printf(&store->arena, "line/%d.0.0/image.bin", model->bits);
    char *sha256 = arena_alloc(&store->arena, DB_SHA256_SIZE);
    make_image(store, release.path, sha256);
    release.sha256 = sha256;
    release.length = (int64_t)strlen(release.path);
    struct write_args args = {.object = &release};
    assert_ok(WRITE(store, run_release, &args, &err), err);
    batch->ids[batch->count] = args.result;
    batch->facts[batch->count++] = (struct release){.path = release.path,
                                                    .length = release.length,
                                                    .sha256 = sha256,
                                                    .product = "line",
                                                    .hardware = boards,
                                                    .hardware_count = 1,
                                                    .version = release.version,
                                                    .sequence = model->sequence,
                                                    .security_version = model->security_version};
}

static void choose(struct batch *batch, struct life *life) {
    life->err = (struct err){0};
    if (life->installing) {
        bool accepted = life->release >= 0 && agent_check_eligible(&settings, &life->state, &batch->facts[life->release], &life->err);
        life->step = !accepted ? STEP_FAIL : pick(8) == 0 ? STEP_LIE_CONFIRM : STEP_CONFIRM;
        return;
    }
    life->step = (enum step[]){STEP_ASSIGN, STEP_ASSIGN, STEP_POLL, STEP_POLL, STEP_LIE_VERSION}[pick(5)];
    life->release = (int)pick((uint32_t)batch->count);
}

/* The device's side of an installation: its own rules, its own floor. */
static void install(struct batch *batch, struct life *life) {
    const struct release *release = &batch->facts[life->release];
    const struct agent_release installed = {.path = release->path,
                                            .product = release->product,
                                            .version = release->version,
                                            .sha256 = release->sha256,
                                            .sequence = release->sequence,
                                            .security_version = release->security_version};
    struct agent_floor before = agent_state_floor(&life->state, "line");
    struct err err;
    bool down = release->sequence < before.sequence || release->security_version < before.security_version ||
                (release->sequence == before.sequence && before.sequence > 0 && batch->releases[life->release].bits != life->model.own.bits);
    below_floor += down;
    installs++;
    assert_true(agent_state_raise_floor(&life->state, "line", release->sequence, release->security_version, &err));
    assert_true(agent_state_copy_release(&life->state, &installed, &life->state.installed, &err));
    model_raise(&life->model.own, &batch->releases[life->release]);
    struct agent_floor after = agent_state_floor(&life->state, "line");
    AGREES("the device's sequence", life, after.sequence, life->model.own.sequence);
    AGREES("the device's security version", life, after.security_version, life->model.own.security_version);
}

static void judge_poll(struct batch *batch, struct life *life) {
    struct model_server *server = &life->model.server;
    bool offered = life->ok && life->offered.reason == FLEET_REASON_OFFERED;
    bool expected = server->open >= 0 && model_allows(&server->floor, &batch->releases[server->open]);
    AGREES("an offer", life, offered, expected);
    if (!offered)
        return;
    AGREES("the release offered", life, life->offered.release, batch->ids[server->open]);
    life->installing = true;
    life->release = server->open;
    if (life->deployment != life->offered.deployment)
        life->report_seq = 0;
    life->deployment = life->offered.deployment;
    bool takes = agent_check_eligible(&settings, &life->state, &batch->facts[life->release], &life->err);
    AGREES("the device's own word", life, takes, model_allows(&life->model.own, &batch->releases[life->release]));
    refusals += !takes;
}

static void judge(struct batch *batch, struct life *life) {
    struct model_server *server = &life->model.server;
    bool allowed;
    switch (life->step) {
    case STEP_ASSIGN:
        allowed = model_allows(&server->floor, &batch->releases[life->release]);
        AGREES("an assignment", life, life->ok, allowed);
        if (!allowed)
            AGREES("its refusal", life, life->err.code, ERR_DOWNGRADE);
        server->open = allowed ? life->release : server->open;
        break;
    case STEP_POLL:
        judge_poll(batch, life);
        break;
    case STEP_CONFIRM:
        AGREES("a confirmation", life, life->ok, true);
        install(batch, life);
        model_raise(&server->floor, &batch->releases[life->release]);
        server->open = -1;
        life->installing = false;
        break;
    case STEP_FAIL:
        AGREES("a failure", life, life->ok, true);
        server->open = -1;
        life->installing = false;
        break;
    case STEP_LIE_CONFIRM:
        AGREES("a lie about what runs", life, life->ok, false);
        break;
    case STEP_LIE_VERSION:
        AGREES("an observation", life, life->ok, true);
        break;
    }
    struct db_device_hot hot = hot_of(batch->store, life->id);
    AGREES("the server's sequence", life, hot.floor.sequence, server->floor.sequence);
    AGREES("the server's security version", life, hot.floor.security_version, server->floor.security_version);
}

static void play_round(struct batch *batch) {
    struct err err;
    for (size_t i = 0; i < DEVICES; i++) {
        choose(batch, &batch->lives[i]);
        const struct db_job job = {.run = run_step, .done = step_done, .arg = &batch->lives[i]};
        assert_ok(db_submit(batch->store->db, &job, &err), err);
    }
    assert_ok(db_write(batch->store->db, nothing, NULL, &err), err);
    for (size_t i = 0; i < DEVICES; i++)
        judge(batch, &batch->lives[i]);
}

static void take_backup(struct batch *batch) {
    store_keep(batch->store);
    batch->backup.taken = true;
    batch->backup.count = batch->count;
    for (size_t i = 0; i < DEVICES; i++)
        batch->backup.servers[i] = batch->lives[i].model.server;
}

/* The server forgets; the devices do not. What was being installed is confirmed on the device, and its report is for nobody. */
static void restore(struct batch *batch) {
    store_restore(batch->store);
    for (size_t i = 0; i < DEVICES; i++) {
        struct life *life = &batch->lives[i];
        if (life->installing && agent_check_eligible(&settings, &life->state, &batch->facts[life->release], &life->err))
            install(batch, life);
        life->installing = false;
        life->report_seq = life->deployment = 0;
        life->model.server = batch->backup.servers[i];
    }
    batch->count = batch->backup.count;
    restores++;
}

static bool run_devices(struct db_conn *tx, void *arg, struct err *err) {
    const struct batch *batch = arg;
    for (size_t i = 0; i < DEVICES; i++) {
        const struct db_device_new device = {.id = batch->lives[i].id, .state = FLEET_DEVICE_ACTIVE, .product = "line", .hardware = "board"};
        if (!db_device_insert(tx, &device, NOW, err))
            return false;
    }
    return true;
}

static void begin_lives(struct batch *batch) {
    struct err err;
    make_product(batch->store, "line", FLEET_POLICY_ROLLOUT);
    for (size_t i = 0; i < DEVICES; i++) {
        struct life *life = &batch->lives[i];
        snprintf(life->id, sizeof life->id, "device-%zu", i);
        life->model.server.open = -1;
        arena_init(&life->arena, STATE_ARENA);
        life->state.arena = &life->arena;
        life->batch = batch;
    }
    assert_ok(db_write(batch->store->db, run_devices, batch, &err), err);
}

static void play_batch(void) {
    void *state = NULL;
    assert_int_equal(store_setup(&state), 0);
    struct batch *batch = calloc(1, sizeof *batch);
    assert_non_null(batch);
    batch->store = state;
    begin_lives(batch);
    uint32_t backup_at = 2 + pick(ROUNDS / 2), restore_at = backup_at + 1 + pick(ROUNDS - backup_at);
    publish(batch);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        if (pick(3) == 0)
            publish(batch);
        if (round == backup_at)
            take_backup(batch);
        if (round == restore_at)
            restore(batch);
        play_round(batch);
    }
    for (size_t i = 0; i < DEVICES; i++)
        arena_clear(&batch->lives[i].arena);
    free(batch);
    store_teardown(&state);
}

static void test_histories(void **unused) {
    (void)unused;
    const char *given = getenv("PAWL_TEST_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : random_below(UINT32_MAX) + 1;
    unsigned long long first = seed;
    for (int i = 0; i < BATCHES; i++)
        play_batch();
    print_message("histories: %d of %d steps, %lld installations, %lld refused by the device, %lld restores, %lld below a floor, %lld divergences; "
                  "PAWL_TEST_SEED=%llu\n",
                  BATCHES * DEVICES, ROUNDS, (long long)installs, (long long)refusals, (long long)restores, (long long)below_floor,
                  (long long)divergences, first);
    assert_int_equal(below_floor, 0);
    assert_int_equal(divergences, 0);
    assert_true(installs > BATCHES * DEVICES && refusals > BATCHES && restores > BATCHES / 2); /* it was no idle game */
}

int main(void) {
    temporary_in_memory();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
