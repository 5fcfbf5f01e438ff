#include "tests/unit/rollout_fixture.h"

/* Ten devices of a product whose policy is "rollout", and its release 2. */
static struct db_rollout_plan ten_devices(struct store *store, struct fleet_rollout_phase *phases, size_t phase_count) {
    make_product(store, "hub", FLEET_POLICY_ROLLOUT);
    make_crowd(store, "hub", 10);
    return (struct db_rollout_plan){
        .product = "hub", .release = make_release(store, "hub", 2), .name = "spring", .filter = "", .phases = phases, .phase_count = phase_count};
}

static void confirm_phase(struct store *store, int64_t id, int64_t phase, int64_t now) {
    struct db_rollout_members members = members_of(store, id, phase);

    for (size_t i = 0; i < members.count; i++) {
        struct db_offered offered = rollout_poll(store, members.items[i].device, now);

        assert_int_equal(offered.reason, FLEET_REASON_OFFERED);
        assert_int_equal(offered.rollout, id);
        rollout_report(store, members.items[i].device, offered.deployment, 1, FLEET_REPORT_CONFIRMED, 2, now);
    }
}

static void test_from_draft_to_completed(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(PERCENT, 20), PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = ten_devices(store, phases, 2);
    struct db_rollout_members canaries, others;
    struct db_deployment deployment;
    struct db_rollout rollout;
    struct db_offered offered;
    struct err err;
    int64_t id;

    phases[0].soak_s = 60;
    id = rollout_create(store, &plan);
    assert_int_equal(id, 1);
    assert_rollout(store, id, FLEET_ROLLOUT_DRAFT, 0);
    rollout_round(store, NOW, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_DRAFT, 0);
    assert_true(rollout_move(store, id, FLEET_ROLLOUT_START, NOW));
    assert_rollout(store, id, FLEET_ROLLOUT_SCHEDULED, 0);
    rollout_round(store, NOW, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1);
    assert_int_equal(rollout_get(store, id).matched, 10);

    canaries = members_of(store, id, 1);
    others = members_of(store, id, 2);
    assert_int_equal(canaries.count, 2);
    assert_int_equal(others.count, 8);
    assert_int_equal(rollout_poll(store, others.items[0].device, NOW).reason, FLEET_REASON_PHASE_NOT_OPEN);
    offered = rollout_poll(store, canaries.items[0].device, NOW);
    assert_int_equal(offered.rollout, id);
    assert_ok(db_deployment_get(store->reader, offered.deployment, &store->arena, &deployment, &err), err);
    assert_string_equal(deployment.origin, "rollout");
    assert_int_equal(deployment.rollout, id);
    assert_int_equal(deployment.phase, 1);
    assert_int_equal(deployment.state, FLEET_OFFERED);
    assert_int_equal(members_of(store, id, 1).items[0].deployment, offered.deployment);
    assert_int_equal(members_of(store, id, 1).items[0].state, FLEET_MEMBER_IN_FLIGHT);
    assert_int_equal(rollout_poll(store, canaries.items[0].device, NOW).deployment, offered.deployment);

    confirm_phase(store, id, 1, NOW + 10);
    assert_counts(store, id);
    rollout_round(store, NOW + 10, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1); /* soaks */
    rollout_round(store, NOW + 69, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1);
    rollout_round(store, NOW + 70, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 2);
    assert_int_equal(rollout_poll(store, canaries.items[0].device, NOW + 70).reason, FLEET_REASON_UP_TO_DATE);
    confirm_phase(store, id, 2, NOW + 80);
    rollout_round(store, NOW + 80, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_COMPLETED, 2);
    rollout = rollout_get(store, id);
    assert_int_equal(rollout.ended_at, NOW + 80);
    assert_int_equal(rollout.plan.phases[1].members[FLEET_MEMBER_CONFIRMED], 8);
    assert_int_equal(rollout.plan.phases[1].opened_at, NOW + 70);
    assert_int_equal(rollout.plan.phases[0].reached_at, NOW + 10);
    assert_int_equal(rollout_poll(store, canaries.items[0].device, NOW + 90).reason, FLEET_REASON_POLICY_HOLDS);
    assert_int_equal(events_of(store, "rollout-scheduled", NULL), 1);
    assert_int_equal(events_of(store, "rollout-running", NULL), 1);
    assert_int_equal(events_of(store, "rollout-phase-reached", NULL), 2);
    assert_int_equal(events_of(store, "rollout-phase-opened", NULL), 1);
    assert_int_equal(events_of(store, "rollout-completed", NULL), 1);
}

static void test_errors_pause(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(DEVICES, 3), PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = ten_devices(store, phases, 2);
    struct db_rollout_members canaries;
    struct db_offered offered, told;
    struct rollout_args args;
    struct err err;
    int64_t id;

    phases[0].error.amount = 2;
    id = rollout_begin(store, &plan);
    canaries = members_of(store, id, 1);
    told = rollout_poll(store, canaries.items[2].device, NOW);
    for (int i = 0; i < 2; i++) {
        offered = rollout_poll(store, canaries.items[i].device, NOW);
        rollout_report(store, canaries.items[i].device, offered.deployment, 1, FLEET_REPORT_FAILED, 0, NOW);
        rollout_round(store, NOW, NULL);
        assert_rollout(store, id, i == 0 ? FLEET_ROLLOUT_RUNNING : FLEET_ROLLOUT_PAUSED, 1);
    }
    assert_int_equal(rollout_get(store, id).halt, FLEET_HALT_ERRORS);
    assert_int_equal(events_of(store, "rollout-paused", NULL), 1);
    assert_int_equal(rollout_poll(store, canaries.items[0].device, NOW).reason, FLEET_REASON_ROLLOUT_PAUSED);
    assert_int_equal(rollout_poll(store, canaries.items[2].device, NOW).reason, FLEET_REASON_ROLLOUT_PAUSED); /* told, not begun */
    rollout_report(store, canaries.items[2].device, told.deployment, 1, FLEET_REPORT_DOWNLOADING, 0, NOW);
    assert_int_equal(rollout_poll(store, canaries.items[2].device, NOW).reason, FLEET_REASON_OFFERED); /* what has begun goes on */

    /* The failures so far are accepted; the clock goes on where it stood. */
    assert_true(rollout_move(store, id, FLEET_ROLLOUT_RESUME, NOW + 5000));
    assert_false(rollout_move(store, id, FLEET_ROLLOUT_RESUME, NOW + 5000));
    rollout_round(store, NOW + 5000, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1);
    offered = rollout_poll(store, canaries.items[0].device, NOW + 5000);
    assert_int_equal(offered.reason, FLEET_REASON_OFFERED);
    assert_int_equal(members_of(store, id, 1).items[0].state, FLEET_MEMBER_RETRYING);
    rollout_report(store, canaries.items[0].device, offered.deployment, 1, FLEET_REPORT_FAILED, 0, NOW + 5000);
    offered = rollout_poll(store, canaries.items[0].device, NOW + 5000);
    rollout_report(store, canaries.items[0].device, offered.deployment, 1, FLEET_REPORT_FAILED, 0, NOW + 5000);
    assert_int_equal(rollout_poll(store, canaries.items[0].device, NOW + 5000).reason, FLEET_REASON_QUARANTINED); /* the third time */
    rollout_round(store, NOW + 5000, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1); /* the same two devices as before */

    /* All of them once more, out of quarantine. */
    args = (struct rollout_args){.id = id, .now = NOW + 5001};
    assert_ok(db_write(store->db, rollout_retry_job, &args, &err), err);
    assert_true(rollout_get(store, id).working);
    rollout_round(store, NOW + 5001, NULL);
    assert_false(rollout_get(store, id).working);
    assert_int_equal(rollout_get(store, id).plan.phases[0].members[FLEET_MEMBER_WAITING], 2);
    assert_int_equal(rollout_get(store, id).plan.phases[0].pardoned, 0);
    assert_int_equal(members_of(store, id, 1).items[0].due_at, NOW + 5001 + 3600);
    assert_int_equal(rollout_poll(store, canaries.items[0].device, NOW + 5002).reason, FLEET_REASON_OFFERED);
    assert_counts(store, id);
}

static void test_silence_is_a_failure(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = ten_devices(store, phases, 1);
    struct db_rollout_members members;
    struct db_deployment deployment;
    struct db_rollout rollout;
    struct db_offered offered;
    struct err err;
    int64_t id;

    phases[0].error.amount = 10;
    phases[0].success_percent = 10;
    id = rollout_begin(store, &plan);
    members = members_of(store, id, 1);
    offered = rollout_poll(store, members.items[0].device, NOW);
    rollout_report(store, members.items[0].device, offered.deployment, 1, FLEET_REPORT_INSTALLING, 0, NOW);
    rollout_round(store, NOW + 3599, NULL);
    assert_int_equal(rollout_get(store, id).plan.phases[0].members[FLEET_MEMBER_TIMED_OUT], 0);
    rollout_round(store, NOW + 3600, NULL);
    rollout = rollout_get(store, id);
    assert_int_equal(rollout.state, FLEET_ROLLOUT_PAUSED);
    assert_int_equal(rollout.halt, FLEET_HALT_ERRORS);
    assert_int_equal(rollout.plan.phases[0].members[FLEET_MEMBER_TIMED_OUT], 10);
    assert_true(rollout.plan.phases[0].expired);
    assert_ok(db_deployment_get(store->reader, offered.deployment, &store->arena, &deployment, &err), err);
    assert_int_equal(deployment.state, FLEET_TIMED_OUT);
    assert_counts(store, id);

    /* It was only slow. */
    rollout_report(store, members.items[0].device, offered.deployment, 2, FLEET_REPORT_CONFIRMED, 2, NOW + 4000);
    rollout = rollout_get(store, id);
    assert_int_equal(rollout.plan.phases[0].members[FLEET_MEMBER_CONFIRMED], 1);
    assert_int_equal(rollout.plan.phases[0].members[FLEET_MEMBER_TIMED_OUT], 9);
    assert_true(rollout_move(store, id, FLEET_ROLLOUT_RESUME, NOW + 4000));
    rollout_round(store, NOW + 4000, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_COMPLETED, 1);
}

/* A pause does not eat up the deadline; too few confirmed at its end is a pause with its own name. */
static void test_pause_stops_the_clock(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = ten_devices(store, phases, 1);
    int64_t id;

    phases[0].error.amount = 100;
    id = rollout_begin(store, &plan);
    assert_true(rollout_move(store, id, FLEET_ROLLOUT_PAUSE, NOW + 600));
    assert_false(rollout_move(store, id, FLEET_ROLLOUT_PAUSE, NOW + 700));
    rollout_round(store, NOW + 9000, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_PAUSED, 1);
    assert_true(rollout_move(store, id, FLEET_ROLLOUT_RESUME, NOW + 9600));
    rollout_round(store, NOW + 9600 + 2999, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1);
    rollout_round(store, NOW + 9600 + 3000, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_PAUSED, 1);
    assert_int_equal(rollout_get(store, id).halt, FLEET_HALT_SUCCESS);
    assert_true(rollout_move(store, id, FLEET_ROLLOUT_RESUME, NOW + 20000)); /* the operator takes what there is */
    rollout_round(store, NOW + 20000, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_COMPLETED, 1);
}

static void test_stop_cancels(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = ten_devices(store, phases, 1);
    struct db_rollout_members members;
    struct db_deployment deployment;
    struct db_offered offered;
    struct rollout_args args;
    struct err err;
    int64_t id = rollout_begin(store, &plan);

    members = members_of(store, id, 0);
    offered = rollout_poll(store, members.items[3].device, NOW);
    assert_true(rollout_move(store, id, FLEET_ROLLOUT_STOP, NOW + 1));
    assert_false(rollout_move(store, id, FLEET_ROLLOUT_STOP, NOW + 1));
    assert_true(rollout_get(store, id).working);
    rollout_round(store, NOW + 1, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_STOPPED, 1);
    assert_false(rollout_get(store, id).working);
    assert_ok(db_deployment_get(store->reader, offered.deployment, &store->arena, &deployment, &err), err);
    assert_int_equal(deployment.state, FLEET_CANCELLED);
    assert_string_equal(deployment.reason, "the rollout was stopped");
    assert_int_equal(rollout_poll(store, members.items[3].device, NOW + 2).reason, FLEET_REASON_POLICY_HOLDS);
    assert_counts(store, id);
    args = (struct rollout_args){.id = id, .event = FLEET_ROLLOUT_RESUME, .now = NOW + 2};
    assert_fails(db_write(store->db, rollout_move_job, &args, &err), err, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "stopped"));
    assert_fails(db_write(store->db, rollout_retry_job, &args, &err), err, ERR_CONFLICT);
    assert_fails(db_write(store->db, rollout_delete_job, &args, &err), err, ERR_CONFLICT);
}

/* However often a start is sent, it is one. */
static void test_ten_starts(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = ten_devices(store, phases, 1);
    int64_t id = rollout_create(store, &plan);
    int changed = 0;

    for (int i = 0; i < 10; i++) {
        changed += rollout_move(store, id, FLEET_ROLLOUT_START, NOW + i);
        if (i % 3 == 2)
            rollout_round(store, NOW + i, NULL);
    }
    assert_int_equal(changed, 1);
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1);
    assert_int_equal(members_of(store, id, 0).count, 10);
    assert_int_equal(rollout_get(store, id).plan.phases[0].members[FLEET_MEMBER_WAITING], 10);
    assert_int_equal(events_of(store, "rollout-running", NULL), 1);
    assert_int_equal(rollout_get(store, id).started_at, NOW + 2);
}

static void test_schedule(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = ten_devices(store, phases, 1);
    struct rollout_args args = {.id = rollout_create(store, &plan), .event = FLEET_ROLLOUT_SCHEDULE, .now = NOW};
    struct err err;
    int64_t id;

    assert_fails(db_write(store->db, rollout_move_job, &args, &err), err, ERR_INVALID);
    assert_string_equal(err.field, "start_at");
    plan.start_at = NOW + 100;
    id = rollout_create(store, &plan);
    assert_true(rollout_move(store, id, FLEET_ROLLOUT_SCHEDULE, NOW));
    assert_false(rollout_move(store, id, FLEET_ROLLOUT_SCHEDULE, NOW));
    rollout_round(store, NOW + 99, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_SCHEDULED, 0);
    rollout_round(store, NOW + 100, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1);
    id = rollout_create(store, &plan);
    assert_true(rollout_move(store, id, FLEET_ROLLOUT_SCHEDULE, NOW));
    assert_true(rollout_move(store, id, FLEET_ROLLOUT_START, NOW + 1)); /* sooner than planned */
    assert_false(rollout_move(store, id, FLEET_ROLLOUT_START, NOW + 2));
    rollout_round(store, NOW + 2, NULL);
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1);
}

static void test_approval(void **state) {
    const struct db_rollout_rules above_nine = {.approval_above = 9}, above_ten = {.approval_above = 10};
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = ten_devices(store, phases, 1);
    int64_t id = rollout_create(store, &plan), other = rollout_create(store, &plan);
    struct rollout_args args = {.id = id, .actor = "token:maker", .now = NOW, .plan = &plan, .revision = 1};
    struct err err;

    assert_fails(db_write(store->db, rollout_approve_job, &args, &err), err, ERR_CONFLICT);
    args.actor = "token:editor";
    assert_ok(db_write(store->db, rollout_update_job, &args, &err), err);
    assert_fails(db_write(store->db, rollout_approve_job, &args, &err), err, ERR_CONFLICT);
    rollout_move(store, id, FLEET_ROLLOUT_START, NOW);
    for (int i = 0; i < 3; i++)
        rollout_round(store, NOW, &above_nine);
    assert_rollout(store, id, FLEET_ROLLOUT_SCHEDULED, 0);
    assert_true(rollout_get(store, id).awaits_approval);
    assert_int_equal(rollout_get(store, id).matched, 10);
    assert_int_equal(members_of(store, id, 0).count, 0);
    assert_int_equal(events_of(store, "rollout-awaiting-approval", NULL), 1);
    args.actor = "token:boss";
    assert_ok(db_write(store->db, rollout_approve_job, &args, &err), err);
    assert_true(args.changed);
    assert_ok(db_write(store->db, rollout_approve_job, &args, &err), err);
    assert_false(args.changed);
    rollout_round(store, NOW, &above_nine);
    assert_rollout(store, id, FLEET_ROLLOUT_RUNNING, 1);
    assert_string_equal(rollout_get(store, id).approved_by, "token:boss");
    assert_ok(db_write(store->db, rollout_approve_job, &args, &err), err);
    args.actor = "token:late";
    assert_fails(db_write(store->db, rollout_approve_job, &args, &err), err, ERR_CONFLICT);
    rollout_move(store, other, FLEET_ROLLOUT_START, NOW);
    rollout_round(store, NOW, &above_ten); /* not above */
    assert_rollout(store, other, FLEET_ROLLOUT_RUNNING, 1);
}

static bool run_token(struct db_conn *tx, void *arg, struct err *err) {
    return db_token_insert(tx, arg, err);
}

static void make_token(struct store *store, const char *id, const char *maker) {
    struct db_token token = {.id = id, .created_by = maker, .created_at = NOW, .expires_at = NOW + 60};
    struct err err;

    assert_ok(db_write(store->db, run_token, &token, &err), err);
}

/* Who comes from the planner cannot approve, over however many tokens; whom the planner comes from can. */
static void test_makers_of_the_approver(void **state) {
    static const struct {
        const char *token, *maker;
        bool may;
    } tokens[] = {
        {"first", "system", true},          {"maker", "token:first", false},    {"straw", "token:maker", false},    {"straws", "token:straw", false},
        {"strawss", "token:straws", false}, {"colleague", "token:first", true}, {"guest", "token:colleague", true},
    };
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = ten_devices(store, phases, 1);
    struct rollout_args args = {.id = rollout_create(store, &plan), .now = NOW};
    char id[DB_TOKEN_ID_SIZE], actor[64];
    struct err err;

    args.actor = actor;
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        make_token(store, tokens[i].token, tokens[i].maker);
        snprintf(actor, sizeof actor, "token:%s", tokens[i].token);
        if (tokens[i].may)
            assert_ok(db_write(store->db, rollout_approve_job, &args, &err), err);
        else
            assert_fails(db_write(store->db, rollout_approve_job, &args, &err), err, ERR_CONFLICT);
    }
    snprintf(actor, sizeof actor, "system");
    for (int i = 1; i <= 65; i++) {
        snprintf(id, sizeof id, "line%d", i);
        make_token(store, id, actor);
        snprintf(actor, sizeof actor, "token:%s", id);
        if (i == 64)
            assert_ok(db_write(store->db, rollout_approve_job, &args, &err), err);
    }
    assert_fails(db_write(store->db, rollout_approve_job, &args, &err), err, ERR_CONFLICT);
}

/* Another plan, another approval. */
static void test_update_and_delete(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)}, two[] = {PHASE_OF(PERCENT, 10), PHASE_OF(PERCENT, 90)};
    const char *ids[] = {"dev-000007", "dev-000001", "dev-000007"};
    struct store *store = *state;
    struct db_rollout_plan plan = ten_devices(store, phases, 1), changed = plan;
    struct db_rollout_window window = {.days = 127, .from_minute = 60, .to_minute = 120, .zone = "Europe/Berlin", .tag = "night"};
    struct rollout_args args = {.id = rollout_create(store, &plan), .actor = "token:boss", .now = NOW, .plan = &changed, .revision = 1};
    struct db_rollout rollout;
    struct err err;

    assert_ok(db_write(store->db, rollout_approve_job, &args, &err), err);
    changed.phases = two;
    changed.phase_count = 2;
    changed.ids = (struct db_texts){.count = 3, .items = ids};
    changed.name = "summer";
    changed.mode = FLEET_MODE_OPTIONAL;
    changed.continuous = true;
    changed.max_in_flight = 5;
    changed.start_at = NOW + 5;
    changed.windows = &window;
    changed.window_count = 1;
    assert_fails(db_write(store->db, rollout_update_job, &args, &err), err, ERR_PRECONDITION);
    args.revision = 2;
    assert_ok(db_write(store->db, rollout_update_job, &args, &err), err);
    rollout = rollout_get(store, args.id);
    assert_string_equal(rollout.plan.name, "summer");
    assert_string_equal(rollout.approved_by, "");
    assert_string_equal(rollout.created_by, "token:maker");
    assert_string_equal(rollout.changed_by, "token:boss");
    assert_int_equal(rollout.plan.phase_count, 2);
    assert_int_equal(rollout.plan.ids.count, 2); /* sorted, each once */
    assert_string_equal(rollout.plan.ids.items[0], "dev-000001");
    assert_true(rollout.by_ids && rollout.plan.continuous);
    assert_int_equal(rollout.plan.mode, FLEET_MODE_OPTIONAL);
    assert_int_equal(rollout.plan.max_in_flight, 5);
    assert_int_equal(rollout.plan.start_at, NOW + 5);
    assert_int_equal(rollout.plan.window_count, 1);
    assert_string_equal(rollout.plan.windows[0].zone, "Europe/Berlin");
    assert_string_equal(rollout.plan.windows[0].tag, "night");
    assert_int_equal(rollout.revision, 3);
    make_product(store, "toaster", FLEET_POLICY_ROLLOUT);
    changed.product = "toaster";
    args.revision = 3;
    assert_fails(db_write(store->db, rollout_update_job, &args, &err), err, ERR_CONFLICT);
    args.revision = 2;
    assert_fails(db_write(store->db, rollout_delete_job, &args, &err), err, ERR_PRECONDITION);
    assert_int_equal(rollout_get(store, args.id).plan.phase_count, 2); /* nothing is gone */
    args.revision = 3;
    assert_ok(db_write(store->db, rollout_delete_job, &args, &err), err);
    assert_fails(db_rollout_get(store->reader, args.id, &store->arena, &rollout, &err), err, ERR_NOT_FOUND);
}

/* One thing a row is wrong. */
static void test_bad_plans(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)}, bad[] = {PHASE_OF(PERCENT, 99)};
    const char *ids[] = {"dev-000001", "dev 2"};
    struct store *store = *state;
    const struct db_rollout_plan good = ten_devices(store, phases, 1);
    struct db_rollout_window nowhere = {.days = 1, .from_minute = 60, .to_minute = 120, .zone = "Europe/Atlantis", .tag = ""};
    struct db_rollout_window never = {.days = 0, .from_minute = 60, .to_minute = 120, .zone = "UTC", .tag = ""};
    char long_name[DB_ROLLOUT_NAME_MAX + 2];
    int64_t toast;
    struct err err;

    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    make_product(store, "toaster", FLEET_POLICY_ROLLOUT);
    toast = make_release(store, "toaster", 1);
#define REFUSED(expected, name, ...)                                                                                                                 \
    do {                                                                                                                                             \
        struct db_rollout_plan plan = good;                                                                                                          \
        __VA_ARGS__;                                                                                                                                 \
        err.field[0] = '\0';                                                                                                                         \
        assert_fails(db_rollout_check(store->reader, &plan, &err), err, expected);                                                                   \
        assert_string_equal(err.field, name);                                                                                                        \
    } while (0)
    assert_ok(db_rollout_check(store->reader, &good, &err), err);
    REFUSED(ERR_INVALID, "name", plan.name = "");
    REFUSED(ERR_INVALID, "name", plan.name = long_name);
    REFUSED(ERR_INVALID, "name", plan.name = "two\nlines");
    REFUSED(ERR_INVALID, "filter", plan.filter = "tag ==");
    REFUSED(ERR_INVALID, "ids", plan.ids.count = 1; plan.ids.items = ids; plan.filter = "tag == x");
    REFUSED(ERR_INVALID, "ids[1]", plan.ids.count = 2; plan.ids.items = ids);
    REFUSED(ERR_INVALID, "phases", plan.phases = bad);
    REFUSED(ERR_INVALID, "windows[0].zone", plan.windows = &nowhere; plan.window_count = 1);
    REFUSED(ERR_INVALID, "windows[0]", plan.windows = &never; plan.window_count = 1);
    REFUSED(ERR_INVALID, "max_in_flight", plan.max_in_flight = -1);
    REFUSED(ERR_INVALID, "start_at", plan.start_at = -1);
    REFUSED(ERR_NOT_FOUND, "", plan.product = "none");
    REFUSED(ERR_NOT_FOUND, "", plan.release = 99);
    REFUSED(ERR_CONFLICT, "release", plan.release = toast);
}

static void test_lists(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = ten_devices(store, phases, 1);
    struct db_rollout_filter filter = {.product = NULL};
    struct db_rollouts page;
    struct db_rollout_members members;
    struct db_rollout_member_filter which = {.by_state = true, .state = FLEET_MEMBER_WAITING};
    struct err err;
    int64_t id = 0;

    for (int i = 0; i < 3; i++)
        id = rollout_create(store, &plan);
    assert_ok(db_rollout_list(store->reader, &filter, PAGE(2), &store->arena, &page, &err), err);
    assert_true(page.count == 2 && page.next && page.items[0].id == 3 && page.items[1].id == 2);
    assert_ok(db_rollout_list(store->reader, &filter, PAGE_AFTER(page.next, 2), &store->arena, &page, &err), err);
    assert_true(page.count == 1 && !page.next && page.items[0].id == 1);
    filter.product = "hub";
    assert_ok(db_rollout_list(store->reader, &filter, (&(struct db_list){.sort = "created_at", .after = "created_at/1", .limit = 5}), &store->arena,
                              &page, &err),
              err);
    assert_true(page.count == 2 && page.items[0].id == 2 && page.items[1].id == 3);
    filter.product = "toaster";
    assert_ok(db_rollout_list(store->reader, &filter, PAGE(5), &store->arena, &page, &err), err);
    assert_int_equal(page.count, 0);
    rollout_move(store, id, FLEET_ROLLOUT_START, NOW);
    rollout_round(store, NOW, NULL);
    filter = (struct db_rollout_filter){.by_state = true, .state = FLEET_ROLLOUT_RUNNING};
    assert_ok(db_rollout_list(store->reader, &filter, PAGE(5), &store->arena, &page, &err), err);
    assert_true(page.count == 1 && page.items[0].id == id);

    assert_ok(db_rollout_member_list(store->reader, id, &which, PAGE(7), &store->arena, &members, &err), err);
    assert_true(members.count == 7 && members.more);
    assert_ok(db_rollout_member_list(store->reader, id, &which, PAGE_AFTER(members.next, 7), &store->arena, &members, &err), err);
    assert_true(members.count == 3 && !members.more);
    assert_string_equal(members.items[2].device, "dev-000009");
    which.phase = 1;
    assert_ok(db_rollout_member_list(store->reader, id, &which, PAGE_AFTER("device/dev-000003", 7), &store->arena, &members, &err), err);
    assert_true(members.count == 6 && !members.more);
    which.state = FLEET_MEMBER_FAILED;
    assert_ok(db_rollout_member_list(store->reader, id, &which, PAGE(7), &store->arena, &members, &err), err);
    assert_int_equal(members.count, 0);
    assert_fails(db_rollout_member_list(store->reader, 77, &which, PAGE(7), &store->arena, &members, &err), err, ERR_NOT_FOUND);
}

/* A product can have only so many under way. */
static void test_too_many_active(void **state) {
    struct fleet_rollout_phase phases[] = {PHASE_OF(REST, 0)};
    struct store *store = *state;
    struct db_rollout_plan plan = ten_devices(store, phases, 1);
    struct rollout_args args = {.event = FLEET_ROLLOUT_START, .now = NOW};
    struct err err;

    for (int i = 0; i < DB_ROLLOUT_MAX_ACTIVE; i++)
        rollout_move(store, rollout_create(store, &plan), FLEET_ROLLOUT_START, NOW);
    args.id = rollout_create(store, &plan);
    assert_fails(db_write(store->db, rollout_move_job, &args, &err), err, ERR_CONFLICT);
    rollout_move(store, 1, FLEET_ROLLOUT_STOP, NOW);
    assert_ok(db_write(store->db, rollout_move_job, &args, &err), err);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_from_draft_to_completed),
        TEST(test_errors_pause),
        TEST(test_silence_is_a_failure),
        TEST(test_pause_stops_the_clock),
        TEST(test_stop_cancels),
        TEST(test_ten_starts),
        TEST(test_schedule),
        TEST(test_approval),
        TEST(test_makers_of_the_approver),
        TEST(test_update_and_delete),
        TEST(test_bad_plans),
        TEST(test_lists),
        TEST(test_too_many_active),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
