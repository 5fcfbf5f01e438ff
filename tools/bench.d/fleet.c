/* What rollouts cost the store: over the devices of a product in a stopped server's data folder. One JSON object a line: {"row", "ms"}.
 * usage: bench_fleet DATA PRODUCT VERSION */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "db/deployment.h"
#include "db/device.h"
#include "db/release.h"
#include "db/rollout_run.h"

enum { PHASES = 3, DEADLINE_S = 3600, ROUNDS_MAX = 100000 };

struct bench {
    struct db *db;
    struct db_conn *reader;
    struct db_rollout_plan plan;
    int64_t id, now;
    const char *device;
    int64_t deployment;
    enum fleet_event event;
    int64_t sequence;
    int64_t report_seq;
};

static _Noreturn void fail(const struct err *err) {
    fprintf(stderr, "bench_fleet: %s\n", err->text);
    exit(EXIT_FAILURE);
}

static void print(const char *row, int64_t us) {
    printf("{\"row\": \"%s\", \"ms\": %.3f}\n", row, (double)us / 1000);
    fflush(stdout);
}

static void must_write(struct bench *bench, bool (*run)(struct db_conn *tx, void *arg, struct err *err)) {
    struct err err;
    if (!db_write(bench->db, run, bench, &err))
        fail(&err);
}

/* ---- somebody else's writes meanwhile: how long does one wait? ---- */

struct other {
    struct db *db;
    pthread_t thread;
    atomic_bool end;
    int64_t longest_us;
};

static bool write_nothing(struct db_conn *tx, void *arg, struct err *err) {
    (void)tx, (void)arg, (void)err;
    return true;
}

static void *write_on(void *arg) {
    struct other *other = arg;
    while (!atomic_load(&other->end)) {
        struct err err;
        int64_t start = clock_mono_us();
        if (!db_write(other->db, write_nothing, NULL, &err))
            fail(&err);
        int64_t took = clock_mono_us() - start;
        other->longest_us = took > other->longest_us ? took : other->longest_us;
        clock_sleep_ms(1);
    }
    return NULL;
}

static void begin_others(struct bench *bench, struct other *other) {
    *other = (struct other){.db = bench->db};
    if (pthread_create(&other->thread, NULL, write_on, other) != 0)
        exit(EXIT_FAILURE);
}

static void end_others(struct other *other, const char *row) {
    atomic_store(&other->end, true);
    pthread_join(other->thread, NULL);
    print(row, other->longest_us);
}

/* ---- the store's jobs ---- */

static bool create(struct db_conn *tx, void *arg, struct err *err) {
    struct bench *bench = arg;
    bool changed;
    return db_rollout_create(tx, &bench->plan, "token:bench", bench->now, &bench->id, err) &&
           db_rollout_move(tx, bench->id, FLEET_ROLLOUT_START, bench->now, &changed, err);
}

static bool stop(struct db_conn *tx, void *arg, struct err *err) {
    struct bench *bench = arg;
    bool changed;
    return db_rollout_move(tx, bench->id, FLEET_ROLLOUT_STOP, bench->now, &changed, err);
}

static bool offer(struct db_conn *tx, void *arg, struct err *err) {
    struct bench *bench = arg;
    struct db_offered offered;
    if (!db_deployment_offer(tx, bench->device, bench->now, &offered, err))
        return false;
    bench->deployment = offered.deployment;
    return true;
}

static bool confirm(struct db_conn *tx, void *arg, struct err *err) {
    struct bench *bench = arg;
    const struct db_report_new report = {.deployment = bench->deployment,
                                         .report_seq = 1,
                                         .event = FLEET_REPORT_CONFIRMED,
                                         .progress = -1,
                                         .installed_known = true,
                                         .installed_sequence = bench->sequence};
    struct db_reported reported;
    return db_deployment_report(tx, bench->device, &report, bench->now, &reported, err);
}

/* ---- rounds ---- */

static struct db_rollout look(struct bench *bench, struct arena *arena) {
    struct db_rollout rollout;
    struct err err;
    if (!db_rollout_get(bench->reader, bench->id, arena, &rollout, &err))
        fail(&err);
    return rollout;
}

/* One round; how long it took. */
static int64_t round_us(struct bench *bench, const struct db_rollout_rules *rules) {
    struct err err;
    int64_t start = clock_mono_us();
    if (!db_rollout_run(bench->db, bench->reader, rules, bench->now, &err))
        fail(&err);
    return clock_mono_us() - start;
}

static bool is_idle(struct bench *bench) {
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, 1 << 20);
    struct db_rollout rollout = look(bench, &arena);
    enum fleet_step_kind kind = db_rollout_step(&rollout, bench->now).kind;
    return !rollout.working && rollout.state != FLEET_ROLLOUT_SCHEDULED && (kind == FLEET_STEP_NONE || kind == FLEET_STEP_WAIT);
}

/* Slice by slice until there is nothing to do: the longest one, and all of them. */
static void settle(struct bench *bench, const char *longest_row, const char *all_row) {
    static const struct db_rollout_rules one = {.max_slices = 1};
    int64_t longest = 0, all = 0;
    for (int i = 0; i < ROUNDS_MAX && !is_idle(bench); i++) {
        int64_t took = round_us(bench, &one);
        longest = took > longest ? took : longest;
        all += took;
    }
    print(longest_row, longest);
    print(all_row, all);
}

/* Every member of the phase is offered the release; confirmed: and confirms it. */
static void serve_phase(struct bench *bench, int64_t phase, bool confirmed) {
    CLEANUP(arena_clear) struct arena arena;
    const struct db_rollout_member_filter filter = {.by_state = true, .state = FLEET_MEMBER_WAITING, .phase = phase};
    struct db_rollout_members page;
    struct err err;
    do {
        arena_clear(&arena);
        arena_init(&arena, 16 << 20);
        if (!db_rollout_member_list(bench->reader, bench->id, &filter, &(struct db_list){.limit = DB_MAX_PAGE}, &arena, &page, &err))
            fail(&err);
        for (size_t i = 0; i < page.count; i++) {
            bench->device = page.items[i].device;
            must_write(bench, offer);
            if (confirmed)
                must_write(bench, confirm);
        }
    } while (page.count > 0);
}

static void preview(struct bench *bench, const char *filter, const char *row) {
    struct db_rollout_preview result;
    struct err err;
    bench->plan.filter = filter;
    int64_t start = clock_mono_us();
    if (!db_rollout_preview(bench->reader, &bench->plan, &result, &err))
        fail(&err);
    print(row, clock_mono_us() - start);
    bench->plan.filter = "";
}

static void run(struct bench *bench) {
    static const struct db_rollout_rules none;
    struct other other;

    preview(bench, "", "preview");
    preview(bench, "tag == even", "preview-tag");
    preview(bench, "attribute.number >= 50000", "preview-attribute");

    begin_others(bench, &other);
    int64_t start = clock_mono_us();
    must_write(bench, create);
    print("create", clock_mono_us() - start);
    while (!is_idle(bench))
        (void)round_us(bench, &none);
    print("create-and-choose", clock_mono_us() - start);
    end_others(&other, "create-others-wait");

    print("step-idle", round_us(bench, &none));
    serve_phase(bench, 1, true);
    print("step-advance", round_us(bench, &none));
    serve_phase(bench, 2, false);
    bench->now += DEADLINE_S + 1;
    begin_others(bench, &other);
    settle(bench, "step-deadline", "deadline-all");
    end_others(&other, "deadline-others-wait");
    must_write(bench, stop);
    begin_others(bench, &other);
    settle(bench, "step-stop", "stop-all");
    end_others(&other, "stop-others-wait");
}

int main(int argc, char **argv) {
    CLEANUP(arena_clear) struct arena arena;
    struct fleet_rollout_phase phases[PHASES] = {
        {.size = {FLEET_PHASE_PERCENT, 1}}, {.size = {FLEET_PHASE_PERCENT, 10}}, {.size = {FLEET_PHASE_REST, 0}}};
    struct bench bench = {.now = clock_now()};
    struct db_options options = {0};
    struct db_release release;
    struct err err;
    if (argc != 4) {
        fprintf(stderr, "usage: bench_fleet DATA PRODUCT VERSION\n");
        return EXIT_FAILURE;
    }
    arena_init(&arena, 16 << 20);
    options.folder = argv[1];
    for (size_t i = 0; i < PHASES; i++) {
        phases[i].success_percent = 100;
        phases[i].error = (struct fleet_phase_size){FLEET_PHASE_PERCENT, 100};
        phases[i].deadline_s = DEADLINE_S;
    }
    int64_t start = clock_mono_us();
    if (!db_open(&options, &bench.db, &err))
        fail(&err);
    print("open", clock_mono_us() - start);
    if (!db_reader_open(bench.db, &bench.reader, &err) || !db_release_get_version(bench.reader, argv[2], argv[3], &arena, &release, &err))
        fail(&err);
    bench.sequence = release.sequence;
    bench.plan = (struct db_rollout_plan){
        .product = argv[2], .release = release.id, .name = "bench", .filter = "", .phase_count = PHASES, .phases = phases};
    run(&bench);
    db_reader_close(bench.reader);
    db_close(bench.db);
    return EXIT_SUCCESS;
}
