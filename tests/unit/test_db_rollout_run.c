#include <time.h>

#include "common/clock.h"
#include "common/text.h"
#include "tests/unit/rollout_fixture.h"

enum { CROWD = 5500 }; /* three slices of members */

static struct db_rollout_plan plan_of(struct store *store, size_t devices, struct fleet_rollout_phase *phases, size_t phase_count) {
    make_product(store, "hub", FLEET_POLICY_ROLLOUT);
    make_crowd(store, "hub", devices);
    return (struct db_rollout_plan){
        .product = "hub", .release = make_release(store, "hub", 2), .name = "spring", .filter = "", .phases = phases, .phase_count = phase_count};
}

static int64_t sum(const struct db_rollout *rollout, enum fleet_member_state state) {
    int64_t total = 0;

    for (size_t i = 0; i < rollout->plan.phase_count; i++)
        total += rollout->plan.phases[i].members[state];
    return total;
}

struct ranked {
    uint64_t hash;
    char id[32];
};

static int by_hash(const void *a, const void *b) {
    const struct ranked *left = a, *right = b;

    if (left->hash != right->hash)
        return left->hash < right->hash ? -1 : 1;
    return strcmp(left->id, right->id);
}

/* Every member is where its rank puts it. */
static void assert_phases_by_rank(struct store *store, int64_t id, const struct fleet_rollout_phase *phases, size_t phase_count) {
    static struct ranked ranked[CROWD];
    struct fleet_phase_size sizes[FLEET_PHASE_MAX];
    struct db_rollout rollout = rollout_get(store, id);
    struct db_decision decision;
    struct err err;

    for (size_t i = 0; i < phase_count; i++)
        sizes[i] = phases[i].size;
    for (size_t i = 0; i < CROWD; i++) {
        snprintf(ranked[i].id, sizeof ranked[i].id, "dev-%06zu", i);
        ranked[i].hash = fleet_phase_hash(ranked[i].id, rollout.salt);
    }
    qsort(ranked, CROWD, sizeof ranked[0], by_hash);
    for (size_t i = 0; i < CROWD; i++) {
        assert_ok(db_decision_get(store->reader, ranked[i].id, NOW, &store->arena, &decision, &err), err);
        assert_int_equal(decision.rollout_count, 1);
        assert_int_equal(decision.rollouts[0].phase, fleet_phase_of(sizes, phase_count, (int64_t)i, CROWD) + 1);
        arena_clear(&store->arena);
    }
}

/* The process ends after each slice: choosing goes on where it was, and nobody is a member twice. */
static void test_killed_while_choosing(void **state) {
    const struct db_rollout_rules one_slice = {.max_slices = 1};
    struct fleet_rollout_phase phases[] = {PHASE_OF(PERCENT, 1), PHASE_OF(PERCENT, 9), PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = plan_of(store, CROWD, phases, 3);
    int64_t id = rollout_create(store, &plan);

    rollout_move(store, id, FLEET_ROLLOUT_START, NOW);
    rollout_round(store, NOW, &one_slice);
    assert_rollout(store, id, FLEET_ROLLOUT_SCHEDULED, 0);
    assert_int_equal(members_of(store, id, 0).count, DB_MAX_PAGE);
    store_shut(store);
    store_reopen(store);
    rollout_round(store, NOW, &(struct db_rollout_rules){.max_slices = 3});
    assert_rollout(store, id, FLEET_ROLLOUT_SCHEDULED, 0);
    store_shut(store);
    store_reopen(store);
    rollout_round(store, NOW, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1);
    assert_int_equal(rollout_get(store, id).plan.phases[0].members[FLEET_MEMBER_WAITING], 55);
    assert_int_equal(rollout_get(store, id).plan.phases[1].members[FLEET_MEMBER_WAITING], 495);
    assert_int_equal(rollout_get(store, id).plan.phases[2].members[FLEET_MEMBER_WAITING], CROWD - 550);
    assert_counts(store, id);
    assert_phases_by_rank(store, id, phases, 3);
    store_shut(store); /* and memory is what the store says */
    store_reopen(store);
    assert_phases_by_rank(store, id, phases, 3);
}

/* The same for deadlines, for retrying and for cancelling. */
static void test_killed_at_work(void **state) {
    const struct db_rollout_rules one_slice = {.max_slices = 1};
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = plan_of(store, CROWD, phases, 1);
    struct rollout_args args = {.now = NOW + 3601};
    struct db_rollout rollout;
    struct err err;
    int64_t id;

    phases[0].error.amount = CROWD + 1;
    id = rollout_begin(store, &plan);
    rollout_poll(store, "dev-000001", NOW);
    rollout_poll(store, "dev-000002", NOW);
    rollout_round(store, NOW + 3600, &one_slice);
    rollout = rollout_get(store, id);
    assert_in_range(sum(&rollout, FLEET_MEMBER_TIMED_OUT), 1, CROWD - 1);
    assert_false(rollout.plan.phases[0].expired);
    store_shut(store);
    store_reopen(store);
    rollout_round(store, NOW + 3600, NULL);
    rollout = rollout_get(store, id);
    assert_int_equal(sum(&rollout, FLEET_MEMBER_TIMED_OUT), CROWD);
    assert_true(rollout.plan.phases[0].expired);
    assert_int_equal(rollout.halt, FLEET_HALT_SUCCESS);
    assert_int_equal(hot_of(store, "dev-000001").open_deployment, 0);

    args.id = id;
    assert_ok(db_write(store->db, rollout_retry_job, &args, &err), err);
    rollout_round(store, NOW + 3601, &one_slice);
    rollout = rollout_get(store, id);
    assert_true(rollout.working);
    assert_in_range(sum(&rollout, FLEET_MEMBER_WAITING), 1, CROWD - 1);
    store_shut(store);
    store_reopen(store);
    rollout_round(store, NOW + 3601, NULL);
    rollout = rollout_get(store, id);
    assert_false(rollout.working);
    assert_int_equal(sum(&rollout, FLEET_MEMBER_WAITING), CROWD);

    rollout_move(store, id, FLEET_ROLLOUT_RESUME, NOW + 3602);
    for (int i = 0; i < 300; i++) {
        char device[32];

        snprintf(device, sizeof device, "dev-%06d", i);
        assert_int_equal(rollout_poll(store, device, NOW + 3603).reason, FLEET_REASON_OFFERED);
    }
    rollout_move(store, id, FLEET_ROLLOUT_STOP, NOW + 3604);
    rollout_round(store, NOW + 3604, &one_slice);
    rollout = rollout_get(store, id);
    assert_true(rollout.working);
    assert_in_range(sum(&rollout, FLEET_MEMBER_CANCELLED), 1, 299);
    store_shut(store);
    store_reopen(store);
    rollout_round(store, NOW + 3605, NULL);
    rollout = rollout_get(store, id);
    assert_false(rollout.working);
    assert_int_equal(sum(&rollout, FLEET_MEMBER_CANCELLED), 300);
    assert_int_equal(hot_of(store, "dev-000299").open_deployment, 0);
    assert_counts(store, id);
}

static void test_in_flight_limit(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = plan_of(store, 5, phases, 1);
    struct db_offered offered;

    plan.max_in_flight = 2;
    rollout_begin(store, &plan);
    offered = rollout_poll(store, "dev-000000", NOW);
    assert_int_equal(rollout_poll(store, "dev-000001", NOW).reason, FLEET_REASON_OFFERED);
    assert_int_equal(rollout_poll(store, "dev-000002", NOW).reason, FLEET_REASON_IN_FLIGHT_LIMIT);
    assert_int_equal(rollout_poll(store, "dev-000000", NOW).reason, FLEET_REASON_OFFERED); /* one of the two */
    rollout_report(store, "dev-000000", offered.deployment, 1, FLEET_REPORT_CONFIRMED, 2, NOW);
    assert_int_equal(rollout_poll(store, "dev-000002", NOW).reason, FLEET_REASON_OFFERED);
    assert_int_equal(rollout_poll(store, "dev-000003", NOW).reason, FLEET_REASON_IN_FLIGHT_LIMIT);
    store_shut(store);
    store_reopen(store);
    assert_int_equal(rollout_poll(store, "dev-000003", NOW).reason, FLEET_REASON_IN_FLIGHT_LIMIT);
}

struct tag_args {
    const char *device;
    const char *tags[1];
    size_t count;
};

static bool run_tag(struct db_conn *tx, void *arg, struct err *err) {
    struct tag_args *args = arg;
    const struct db_texts tags = {.count = args->count, .items = args->tags};
    const struct db_device_change change = {.tags = &tags};

    return db_device_update(tx, args->device, 0, &change, err);
}

static void tag(struct store *store, const char *device, const char *name) {
    struct tag_args args = {.device = device, .tags = {name}, .count = name ? 1 : 0};
    struct err err;

    assert_ok(db_write(store->db, run_tag, &args, &err), err);
}

/* NOW is a Friday, 08:00 UTC: 2027-01-15. Berlin is an hour ahead. */
static void test_windows(void **state) {
    struct db_rollout_window windows[] = {
        {.days = 127, .from_minute = 2 * 60, .to_minute = 4 * 60, .zone = "Europe/Berlin", .tag = ""},
        {.days = 127, .from_minute = 20 * 60, .to_minute = 22 * 60, .zone = "Europe/Berlin", .tag = "late"},
    };
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    const int64_t two = NOW + 17 * 3600, twenty = NOW + 11 * 3600; /* by Berlin's wall clocks */
    struct store *store = *state;
    struct db_rollout_plan plan = plan_of(store, 3, phases, 1);
    struct db_decision decision;
    struct err err;
    char text[CLOCK_RFC3339_SIZE];

    clock_rfc3339(NOW, text);
    assert_string_equal(text, "2027-01-15T08:00:00Z");
    tag(store, "dev-000001", "late");
    phases[0].deadline_s = 7 * 86400;
    plan.windows = windows;
    plan.window_count = 2;
    rollout_begin(store, &plan);
    assert_int_equal(rollout_poll(store, "dev-000000", NOW).reason, FLEET_REASON_OUTSIDE_WINDOW);
    assert_ok(db_decision_get(store->reader, "dev-000000", NOW, &store->arena, &decision, &err), err);
    assert_int_equal(decision.reason, FLEET_REASON_OUTSIDE_WINDOW);
    assert_int_equal(decision.until, two);
    assert_int_equal(decision.rollouts[0].until, two);
    assert_ok(db_decision_get(store->reader, "dev-000001", NOW, &store->arena, &decision, &err), err);
    assert_int_equal(decision.until, twenty);
    assert_int_equal(rollout_poll(store, "dev-000000", twenty).reason, FLEET_REASON_OUTSIDE_WINDOW);
    assert_int_equal(rollout_poll(store, "dev-000001", twenty - 1).reason, FLEET_REASON_OUTSIDE_WINDOW);
    assert_int_equal(rollout_poll(store, "dev-000001", twenty).reason, FLEET_REASON_OFFERED);
    assert_int_equal(rollout_poll(store, "dev-000001", twenty + 7200).reason, FLEET_REASON_OUTSIDE_WINDOW); /* told, not begun */
    assert_int_equal(rollout_poll(store, "dev-000000", two).reason, FLEET_REASON_OFFERED);

    /* A tag that comes later. */
    rollout_round(store, two, NULL);
    assert_int_equal(rollout_poll(store, "dev-000002", two - 1).reason, FLEET_REASON_OUTSIDE_WINDOW);
    tag(store, "dev-000002", "late");
    rollout_round(store, two, NULL);
    assert_int_equal(rollout_poll(store, "dev-000002", two).reason, FLEET_REASON_OUTSIDE_WINDOW);
    store_shut(store);
    store_reopen(store);
    assert_int_equal(rollout_poll(store, "dev-000002", two).reason, FLEET_REASON_OUTSIDE_WINDOW);
    assert_int_equal(rollout_poll(store, "dev-000002", twenty + 86400).reason, FLEET_REASON_OFFERED);
}

/* New and changed devices join, each with a deadline of its own; nobody joins twice, and a restart forgets nobody. */
static void test_continuous(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = plan_of(store, 4, phases, 1);
    struct db_rollout_members members;
    struct db_offered offered;
    int64_t id;

    phases[0].error.amount = 2;
    tag(store, "dev-000000", "field");
    plan.filter = "tag == field";
    plan.continuous = true;
    id = rollout_begin(store, &plan);
    rollout_round(store, NOW, NULL);
    assert_int_equal(members_of(store, id, 0).count, 1);
    offered = rollout_poll(store, "dev-000000", NOW);
    rollout_report(store, "dev-000000", offered.deployment, 1, FLEET_REPORT_CONFIRMED, 2, NOW);
    rollout_round(store, NOW + 3600, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1); /* for those to come */

    tag(store, "dev-000001", "field");
    make_device(store, "newcomer", "hub", "board");
    tag(store, "newcomer", "field");
    make_device(store, "toaster", "hub", "toaster");
    tag(store, "toaster", "field");
    rollout_round(store, NOW + 4000, NULL);
    members = members_of(store, id, 0);
    assert_int_equal(members.count, 3); /* not the one that the release is not for */
    assert_string_equal(members.items[1].device, "dev-000001");
    assert_int_equal(members.items[1].due_at, NOW + 4000 + 3600);
    assert_int_equal(rollout_poll(store, "newcomer", NOW + 4001).reason, FLEET_REASON_OFFERED);
    tag(store, "dev-000001", NULL); /* who is in stays in */
    rollout_round(store, NOW + 4002, NULL);
    assert_int_equal(members_of(store, id, 0).count, 3);

    tag(store, "dev-000002", "field");
    store_shut(store);
    store_reopen(store);
    rollout_round(store, NOW + 4003, NULL);
    assert_int_equal(members_of(store, id, 0).count, 4);
    assert_counts(store, id);
    rollout_round(store, NOW + 4000 + 3600, NULL); /* the first two newcomers were silent */
    assert_rollout(store, id, FLEET_ROLLOUT_PAUSED, 1);
    assert_int_equal(rollout_get(store, id).plan.phases[0].members[FLEET_MEMBER_TIMED_OUT], 2);
}

/* A crowd that comes later needs the approval that a crowd at the beginning needs. */
static void test_newcomers_need_an_approval(void **state) {
    const struct db_rollout_rules above_two = {.approval_above = 2};
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = plan_of(store, 5, phases, 1);
    struct rollout_args args = {.actor = "token:boss", .now = NOW};
    struct err err;

    tag(store, "dev-000000", "field");
    plan.filter = "tag == field";
    plan.continuous = true;
    args.id = rollout_begin(store, &plan);
    tag(store, "dev-000001", "field");
    rollout_round(store, NOW, &above_two);
    assert_int_equal(members_of(store, args.id, 0).count, 2);
    assert_false(rollout_get(store, args.id).awaits_approval);

    tag(store, "dev-000002", "field");
    tag(store, "dev-000003", "field");
    rollout_round(store, NOW, &above_two);
    rollout_move(store, args.id, FLEET_ROLLOUT_PAUSE, NOW);
    rollout_move(store, args.id, FLEET_ROLLOUT_RESUME, NOW);
    tag(store, "dev-000004", "field");
    store_shut(store);
    store_reopen(store);
    rollout_round(store, NOW, &above_two);
    assert_rollout(store, args.id, FLEET_ROLLOUT_RUNNING, 1);
    assert_true(rollout_get(store, args.id).awaits_approval);
    assert_int_equal(rollout_get(store, args.id).matched, 1);
    assert_int_equal(members_of(store, args.id, 0).count, 2);
    assert_int_equal(events_of(store, "rollout-awaiting-approval", NULL), 1);

    assert_ok(db_write(store->db, rollout_approve_job, &args, &err), err);
    assert_true(args.changed);
    rollout_round(store, NOW, &above_two);
    assert_int_equal(members_of(store, args.id, 0).count, 5);
    assert_int_equal(events_of(store, "rollout-awaiting-approval", NULL), 1);
    assert_counts(store, args.id);
}

static void test_explicit_list(void **state) {
    const char *ids[] = {"dev-000003", "dev-000001", "later"};
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = plan_of(store, 5, phases, 1);
    struct db_rollout_preview preview;
    struct err err;
    int64_t id;

    plan.ids = (struct db_texts){.count = 3, .items = ids};
    plan.continuous = true;
    assert_ok(db_rollout_preview(store->reader, &plan, &preview, &err), err);
    assert_int_equal(preview.matched, 2);
    assert_int_equal(preview.unknown, 1);
    id = rollout_begin(store, &plan);
    assert_int_equal(members_of(store, id, 0).count, 2);
    make_device(store, "later", "hub", "board");
    make_device(store, "never", "hub", "board");
    rollout_round(store, NOW, NULL);
    assert_int_equal(members_of(store, id, 0).count, 3);
}

static bool run_revoke(struct db_conn *tx, void *arg, struct err *err) {
    const struct write_args *args = arg;

    return db_device_move(tx, args->text, (enum fleet_device_state)args->number, 0, NOW, err);
}

static void move_device(struct store *store, const char *device, enum fleet_device_state to) {
    struct write_args args = {.text = device, .number = to};
    struct err err;

    assert_ok(db_write(store->db, run_revoke, &args, &err), err);
}

static int64_t excluded(const struct db_rollout_preview *preview, enum fleet_reason reason) {
    for (size_t i = 0; i < preview->excluded_count; i++)
        if (preview->excluded[i].reason == reason)
            return preview->excluded[i].count;
    return 0;
}

/* What a preview promises is what a start chooses. */
static void test_preview(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(DEVICES, 2), PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = plan_of(store, 10, phases, 2);
    struct db_rollout_preview preview;
    struct err err;
    int64_t id, deployment;

    make_device(store, "toaster", "hub", "toaster");
    make_device(store, "unknown", "hub", "");
    assign(store, "dev-000000", plan.release);
    bring_to(store, "dev-000000", 2);
    move_device(store, "dev-000001", FLEET_DEVICE_REVOKED);
    move_device(store, "dev-000002", FLEET_DEVICE_RETIRED);
    for (int i = 1; i <= 3; i++) {
        struct db_reported reported;
        struct db_report_new failed;

        deployment = i == 1 ? assign(store, "dev-000003", plan.release) : hot_of(store, "dev-000003").open_deployment;
        if (deployment == 0)
            break;
        offer(store, "dev-000003");
        failed = report_of(deployment, 1, FLEET_REPORT_FAILED, 0);
        assert_ok(report(store, "dev-000003", &failed, &reported, &err), err);
    }
    assert_ok(db_rollout_preview(store->reader, &plan, &preview, &err), err);
    assert_int_equal(preview.matched, 12);
    assert_int_equal(excluded(&preview, FLEET_REASON_UP_TO_DATE), 1);
    assert_int_equal(excluded(&preview, FLEET_REASON_REVOKED), 1);
    assert_int_equal(excluded(&preview, FLEET_REASON_RETIRED), 1);
    assert_int_equal(excluded(&preview, FLEET_REASON_WRONG_HARDWARE), 1);
    assert_int_equal(excluded(&preview, FLEET_REASON_HARDWARE_UNKNOWN), 1);
    assert_int_equal(preview.included, 7);
    assert_int_equal(preview.phases[0], 2);
    assert_int_equal(preview.phases[1], 5);
    id = rollout_begin(store, &plan);
    assert_int_equal(members_of(store, id, 1).count, 2);
    assert_int_equal(members_of(store, id, 2).count, 5);
    plan.filter = "id == dev-000004";
    assert_ok(db_rollout_preview(store->reader, &plan, &preview, &err), err);
    assert_int_equal(preview.included, 1);
    plan.filter = "id =";
    assert_fails(db_rollout_preview(store->reader, &plan, &preview, &err), err, ERR_INVALID);
}

/* Out of the rollout by other ways than its own. */
static void test_other_ways(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = plan_of(store, 5, phases, 1);
    int64_t id = rollout_begin(store, &plan), other = make_release(store, "hub", 3);
    struct db_rollout_members members;
    struct db_offered offered;

    assign(store, "dev-000000", plan.release); /* the same release by hand */
    bring_to(store, "dev-000000", 2);
    rollout_poll(store, "dev-000001", NOW);
    assign(store, "dev-000001", other); /* another one by hand */
    move_device(store, "dev-000002", FLEET_DEVICE_REVOKED);
    offered = rollout_poll(store, "dev-000003", NOW);
    rollout_report(store, "dev-000003", offered.deployment, 1, FLEET_REPORT_REJECTED, 0, NOW);
    members = members_of(store, id, 0);
    assert_int_equal(members.items[0].state, FLEET_MEMBER_CONFIRMED);
    assert_int_equal(members.items[1].state, FLEET_MEMBER_SKIPPED);
    assert_int_equal(members.items[2].state, FLEET_MEMBER_SKIPPED);
    assert_int_equal(members.items[3].state, FLEET_MEMBER_WAITING);
    assert_int_equal(members.items[4].state, FLEET_MEMBER_WAITING);
    for (int i = 0; i < 2; i++) {
        offered = rollout_poll(store, "dev-000003", NOW);
        rollout_report(store, "dev-000003", offered.deployment, 1, FLEET_REPORT_REJECTED, 0, NOW);
    }
    assert_int_equal(members_of(store, id, 0).items[3].state, FLEET_MEMBER_CANCELLED); /* the third no */
    assert_counts(store, id);
}

static bool run_withdraw(struct db_conn *tx, void *arg, struct err *err) {
    return db_release_withdraw(tx, *(int64_t *)arg, NOW, err);
}

static void test_withdrawn_release_pauses(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = plan_of(store, 2, phases, 1);
    int64_t id = rollout_begin(store, &plan);
    struct err err;

    assert_ok(db_write(store->db, run_withdraw, &plan.release, &err), err);
    rollout_round(store, NOW, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_PAUSED, 1);
    assert_int_equal(rollout_get(store, id).halt, FLEET_HALT_WITHDRAWN);
}

static void test_decision(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(DEVICES, 1), PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = plan_of(store, 3, phases, 2);
    int64_t first = rollout_begin(store, &plan), later, waiting;
    const char *canary = members_of(store, first, 1).items[0].device;
    const char *other = members_of(store, first, 2).items[0].device;
    struct db_decision decision;
    struct err err;

    plan.filter = "id == nobody";
    later = rollout_begin(store, &plan);
    plan.start_at = NOW + 500;
    waiting = rollout_create(store, &plan);
    rollout_move(store, waiting, FLEET_ROLLOUT_SCHEDULE, NOW);
    assert_ok(db_decision_get(store->reader, canary, NOW, &store->arena, &decision, &err), err);
    assert_int_equal(decision.reason, FLEET_REASON_OFFERED);
    assert_string_equal(decision.origin, "rollout");
    assert_int_equal(decision.rollout, first);
    assert_int_equal(decision.release, plan.release);
    assert_int_equal(decision.rollout_count, 2 + (rollout_get(store, later).state == FLEET_ROLLOUT_RUNNING));
    assert_int_equal(decision.rollouts[0].id, waiting); /* the newest first */
    assert_int_equal(decision.rollouts[0].reason, FLEET_REASON_ROLLOUT_SCHEDULED);
    assert_int_equal(decision.rollouts[0].until, NOW + 500);
    assert_ok(db_decision_get(store->reader, other, NOW, &store->arena, &decision, &err), err);
    assert_int_equal(decision.reason, FLEET_REASON_PHASE_NOT_OPEN);
    assert_string_equal(decision.origin, "rollout");
    rollout_poll(store, canary, NOW);
    assert_ok(db_decision_get(store->reader, canary, NOW, &store->arena, &decision, &err), err);
    assert_int_not_equal(decision.open_deployment, 0);
    assert_int_equal(decision.rollouts[decision.rollout_count - 1].reason, FLEET_REASON_OFFERED);
    assert_int_equal(decision.rollouts[decision.rollout_count - 1].member, FLEET_MEMBER_IN_FLIGHT);
    assert_fails(db_decision_get(store->reader, "nobody", NOW, &store->arena, &decision, &err), err, ERR_NOT_FOUND);
}

/* Not judged: printed. */
static void test_hundred_thousand(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(PERCENT, 1), PHASE_OF(REST, 0)};
    struct store *store = *state;
    int64_t count = 10000;
    struct db_rollout_plan plan;
    struct db_rollout_preview preview;
    int64_t begin_us, preview_us, begun_us, step_us, id;
    clock_t begin_cpu, begun_cpu, step_cpu;
    struct err err;

    if (getenv("PAWL_TEST_CROWD"))
        assert_true(text_to_int(getenv("PAWL_TEST_CROWD"), 1, 10000000, &count));
    plan = plan_of(store, (size_t)count, phases, 2);
    begin_us = clock_mono_us();
    assert_ok(db_rollout_preview(store->reader, &plan, &preview, &err), err);
    preview_us = clock_mono_us();
    begin_cpu = clock();
    assert_int_equal(preview.included, count);
    id = rollout_begin(store, &plan);
    begun_us = clock_mono_us();
    begun_cpu = clock();
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1);
    rollout_round(store, NOW + 3600, NULL);
    step_us = clock_mono_us();
    step_cpu = clock();
    assert_rollout(store, id, FLEET_ROLLOUT_PAUSED, 1);
    assert_int_equal(rollout_get(store, id).plan.phases[0].members[FLEET_MEMBER_TIMED_OUT] > 0, true);
    print_message("%lld devices: preview %lld ms, create to running %lld ms (CPU %ld), deadline of 1 %% %lld ms (CPU %ld)\n", (long long)count,
                  (long long)(preview_us - begin_us) / 1000, (long long)(begun_us - preview_us) / 1000,
                  (long)((begun_cpu - begin_cpu) / (CLOCKS_PER_SEC / 1000)), (long long)(step_us - begun_us) / 1000,
                  (long)((step_cpu - begun_cpu) / (CLOCKS_PER_SEC / 1000)));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_killed_while_choosing),
        TEST(test_killed_at_work),
        TEST(test_in_flight_limit),
        TEST(test_windows),
        TEST(test_continuous),
        TEST(test_newcomers_need_an_approval),
        TEST(test_explicit_list),
        TEST(test_preview),
        TEST(test_other_ways),
        TEST(test_withdrawn_release_pauses),
        TEST(test_decision),
        TEST(test_hundred_thousand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
