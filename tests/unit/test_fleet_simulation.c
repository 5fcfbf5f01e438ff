/* The promise of a staged rollout, by the pure rules: 10,000 devices, of which 3 % die silently after they have installed. It pauses itself in its
 * first phase, in 100 of 100 runs, and nobody behind that phase is touched; of a good release all get it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/phase.h"
#include "fleet/rollout.h"

enum {
    DEVICES = 10000,
    RUNS = 100,
    PHASES = 3,
    DYING_PER_MILLE = 30,
    POLL_S = 300,     /* how often a device comes */
    INSTALL_S = 1800, /* from the offer to the report */
    DEADLINE_S = 6 * 3600,
    SOAK_S = 3600,
    END_S = 7 * 86400,
};

struct device {
    uint64_t hash;
    size_t phase; /* from 1 */
    enum fleet_member_state member;
    int64_t first_poll;
    int64_t offered_at;
    bool dies; /* installs, and is never heard of again */
    bool dead;
};

struct world {
    struct device devices[DEVICES];
    struct fleet_rollout_phase phases[PHASES];
    struct fleet_rollout rollout;
    enum fleet_halt halt;
    uint64_t random;
};

/* SplitMix64: the same runs for ever. */
static uint64_t next_random(struct world *world) {
    uint64_t z = world->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int by_hash(const void *a, const void *b) {
    const struct device *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

/* 10 %, 30 %, the rest; 99 % to advance, 1 % failed to pause. */
static void begin(struct world *world, uint64_t salt, int dying_per_mille) {
    static const struct fleet_phase_size sizes[PHASES] = {{FLEET_PHASE_PERCENT, 10}, {FLEET_PHASE_PERCENT, 30}, {FLEET_PHASE_REST, 0}};
    struct err err;
    memset(world, 0, sizeof(*world));
    world->random = salt;
    for (size_t i = 0; i < PHASES; i++)
        world->phases[i] = (struct fleet_rollout_phase){
            .size = sizes[i], .success_percent = 99, .error = {FLEET_PHASE_PERCENT, 1}, .soak_s = SOAK_S, .deadline_s = DEADLINE_S};
    if (!fleet_rollout_check(world->phases, PHASES, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < DEVICES; i++) {
        char id[16];
        snprintf(id, sizeof(id), "gw-%05d", i);
        world->devices[i] = (struct device){.hash = fleet_phase_hash(id, salt),
                                            .first_poll = (int64_t)(next_random(world) % POLL_S),
                                            .dies = (int)(next_random(world) % 1000) < dying_per_mille};
    }
    qsort(world->devices, DEVICES, sizeof(world->devices[0]), by_hash);
    for (int i = 0; i < DEVICES; i++) {
        struct device *device = &world->devices[i];
        device->phase = fleet_phase_of(sizes, PHASES, i, DEVICES) + 1;
        world->phases[device->phase - 1].members[FLEET_MEMBER_WAITING]++;
    }
    world->rollout = (struct fleet_rollout){.state = FLEET_ROLLOUT_RUNNING, .phase = 1, .phase_count = PHASES, .phases = world->phases};
    world->phases[0].opened_clock = 1;
}

static void move(struct world *world, struct device *device, enum fleet_member_event event) {
    int64_t *members = world->phases[device->phase - 1].members;
    enum fleet_member_state to;
    if (!fleet_member_move(device->member, event, &to))
        return;
    members[device->member]--;
    members[to]++;
    device->member = to;
}

/* One device at its poll. */
static void poll(struct world *world, struct device *device, int64_t clock) {
    if (device->dead)
        return;
    if (device->member == FLEET_MEMBER_IN_FLIGHT && clock >= device->offered_at + INSTALL_S) {
        device->dead = device->dies;
        if (!device->dead)
            move(world, device, FLEET_MEMBER_CONFIRM);
    } else if (device->member == FLEET_MEMBER_WAITING && device->phase <= world->rollout.phase && world->rollout.state == FLEET_ROLLOUT_RUNNING) {
        move(world, device, FLEET_MEMBER_OFFER);
        device->offered_at = clock;
    }
}

static void time_out(struct world *world, size_t phase) {
    for (int i = 0; i < DEVICES; i++)
        if (world->devices[i].phase == phase && fleet_member_is_unsettled(world->devices[i].member))
            move(world, &world->devices[i], FLEET_MEMBER_TIME_OUT);
    world->phases[phase - 1].expired = true;
}

static void apply(struct world *world, const struct fleet_step *step, int64_t clock) {
    struct fleet_rollout *rollout = &world->rollout;
    switch (step->kind) {
    case FLEET_STEP_HALT:
        assert_int_equal(fleet_rollout_move(rollout->state, FLEET_ROLLOUT_HALT, &rollout->state), FLEET_ROLLOUT_TAKEN);
        world->halt = step->halt;
        break;
    case FLEET_STEP_TIME_OUT:
        time_out(world, step->phase);
        break;
    case FLEET_STEP_REACH:
        world->phases[step->phase - 1].reached_clock = clock;
        break;
    case FLEET_STEP_ADVANCE:
        world->phases[rollout->phase++].opened_clock = clock;
        break;
    case FLEET_STEP_COMPLETE:
        assert_int_equal(fleet_rollout_move(rollout->state, FLEET_ROLLOUT_COMPLETE, &rollout->state), FLEET_ROLLOUT_TAKEN);
        break;
    default:
        fail_msg("step %s", fleet_step_name(step->kind));
    }
}

/* Until nothing moves any more. */
static void run(struct world *world) {
    for (int64_t clock = 1; clock < END_S && world->rollout.state == FLEET_ROLLOUT_RUNNING; clock += POLL_S) {
        for (int i = 0; i < DEVICES; i++)
            poll(world, &world->devices[i], clock + world->devices[i].first_poll);
        for (struct fleet_step step; step = fleet_rollout_step(&world->rollout, clock), step.kind != FLEET_STEP_WAIT && step.kind != FLEET_STEP_NONE;)
            apply(world, &step, clock);
    }
}

static int count_touched(const struct world *world, size_t from_phase) {
    int count = 0;
    for (int i = 0; i < DEVICES; i++)
        count += world->devices[i].phase >= from_phase && (world->devices[i].dead || world->devices[i].member != FLEET_MEMBER_WAITING);
    return count;
}

static void test_dying_devices_stop_it_in_phase_1(void **state) {
    static struct world world;
    int paused = 0;
    (void)state;
    for (uint64_t salt = 1; salt <= RUNS; salt++) {
        begin(&world, salt, DYING_PER_MILLE);
        run(&world);
        paused += world.rollout.state == FLEET_ROLLOUT_PAUSED && world.rollout.phase == 1 && world.halt == FLEET_HALT_ERRORS;
        assert_int_equal(count_touched(&world, 2), 0);
        assert_true(fleet_rollout_errors(&world.phases[0]) >= DEVICES / 1000);
    }
    assert_int_equal(paused, RUNS);
}

/* The same world without the fault, so that the test above is about the fault. */
static void test_a_good_release_reaches_everybody(void **state) {
    static struct world world;
    (void)state;
    for (uint64_t salt = 1; salt <= 3; salt++) {
        begin(&world, salt, 0);
        run(&world);
        assert_int_equal(world.rollout.state, FLEET_ROLLOUT_COMPLETED);
        int64_t confirmed = 0;
        for (size_t i = 0; i < PHASES; i++)
            confirmed += world.phases[i].members[FLEET_MEMBER_CONFIRMED];
        assert_int_equal(confirmed, DEVICES);
    }
}

/* Three in a thousand are within what the plan allows: it goes on, and counts the silent ones. */
static void test_few_dying_devices_do_not(void **state) {
    static struct world world;
    (void)state;
    begin(&world, 7, 3);
    run(&world);
    assert_int_equal(world.rollout.phase, PHASES);
    assert_int_equal(world.halt, FLEET_HALT_NONE);
    int64_t timed_out = 0;
    for (size_t i = 0; i < PHASES; i++)
        timed_out += world.phases[i].members[FLEET_MEMBER_TIMED_OUT];
    assert_in_range(timed_out, 10, 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dying_devices_stop_it_in_phase_1),
        cmocka_unit_test(test_a_good_release_reaches_everybody),
        cmocka_unit_test(test_few_dying_devices_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
