#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/offer.h"

static const char *const boards[] = {"board"};
static const char *const both[] = {"board", "board-2"};
static const char *const others[] = {"toaster"};

#define RELEASE(number, seq, security, requires_seq, hardware_list, gone)                                                                            \
    {                                                                                                                                                \
        .id = (number), .product = "hub", .sequence = (seq), .security_version = (security), .requires_sequence = (requires_seq),                    \
        .sha256 = {(number)}, .hardware = (hardware_list), .hardware_count = ARRAY_LEN(hardware_list), .withdrawn = (gone)                           \
    }

static struct fleet_facts device(void) {
    return (struct fleet_facts){.state = FLEET_DEVICE_ACTIVE,
                                .product = "hub",
                                .hardware = "board",
                                .installed_known = true,
                                .installed_sequence = 3,
                                .floor = {.sequence = 3, .security_version = 1, .sha256 = {3}}};
}

static void expect(const struct fleet_facts *facts, const struct fleet_line *line, enum fleet_reason reason, int64_t release, const char *what) {
    struct fleet_offer offer = fleet_offer_decide(facts, line);

    if (offer.reason != reason)
        fail_msg("%s: %s where %s is expected", what, fleet_reason_name(offer.reason), fleet_reason_name(reason));
    assert_int_equal(offer.release ? offer.release->id : 0, release);
    if (reason != FLEET_REASON_OFFERED) {
        assert_null(offer.release);
        assert_false(offer.creates_deployment);
        assert_false(offer.supersedes_open);
    }
}

/* The device's standing comes before everything else. */
static void test_states(void **state) {
    static const struct fleet_release releases[] = {RELEASE(4, 4, 1, 0, boards, false)};
    static const struct fleet_line line = {.exists = true, .policy = FLEET_POLICY_LATEST, .releases = releases, .release_count = 1};
    static const struct {
        enum fleet_device_state state;
        enum fleet_reason reason;
    } rows[] = {{FLEET_DEVICE_PENDING, FLEET_REASON_PENDING},
                {FLEET_DEVICE_REVOKED, FLEET_REASON_REVOKED},
                {FLEET_DEVICE_RETIRED, FLEET_REASON_RETIRED},
                {FLEET_DEVICE_STATE_COUNT, FLEET_REASON_REVOKED}};
    struct fleet_facts facts = device();

    (void)state;
    expect(&facts, &line, FLEET_REASON_OFFERED, 4, "active");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        facts.state = rows[i].state;
        facts.has_open = true;
        facts.open_release = &releases[0];
        expect(&facts, &line, rows[i].reason, 0, fleet_device_state_name(rows[i].state));
        assert_int_equal(fleet_offer_check_release(&facts, &releases[0]), rows[i].reason);
        assert_int_equal(fleet_offer_check_download(&facts, &releases[0]), rows[i].reason);
    }
}

static void test_lines(void **state) {
    static const struct fleet_release releases[] = {RELEASE(4, 4, 1, 0, boards, false)};
    static const struct fleet_release withdrawn[] = {RELEASE(4, 4, 1, 0, boards, true)};
    struct fleet_line line = {.exists = true, .policy = FLEET_POLICY_LATEST};
    struct fleet_facts facts = device();

    (void)state;
    expect(&facts, &line, FLEET_REASON_NO_RELEASE, 0, "no release");
    line.releases = withdrawn;
    line.release_count = 1;
    expect(&facts, &line, FLEET_REASON_NO_RELEASE, 0, "only a withdrawn one");
    line.releases = releases;
    line.policy = FLEET_POLICY_ROLLOUT;
    expect(&facts, &line, FLEET_REASON_POLICY_HOLDS, 0, "policy rollout");
    line.policy = FLEET_POLICY_LATEST;
    line.exists = false;
    expect(&facts, &line, FLEET_REASON_NO_PRODUCT, 0, "no such product");
    line.exists = true;
    facts.product = "";
    expect(&facts, &line, FLEET_REASON_NO_PRODUCT, 0, "product unknown");
}

/* Sequences 4 to 8: each a different obstacle. */
static void test_latest(void **state) {
    static const struct fleet_release releases[] = {
        RELEASE(4, 4, 1, 0, boards, false), RELEASE(5, 5, 1, 4, both, false),   RELEASE(6, 6, 1, 0, others, false),
        RELEASE(7, 7, 1, 0, boards, true),  RELEASE(8, 8, 1, 6, boards, false),
    };
    struct fleet_line line = {.exists = true, .policy = FLEET_POLICY_LATEST, .releases = releases, .release_count = ARRAY_LEN(releases)};
    struct fleet_facts facts = device();
    static const int64_t four[] = {4};

    (void)state;
    expect(&facts, &line, FLEET_REASON_OFFERED, 4, "8 and 5 need a stone, 7 is withdrawn, 6 is for another board");
    facts.installed_sequence = 4;
    expect(&facts, &line, FLEET_REASON_OFFERED, 5, "from the stone on");
    facts.installed_sequence = 5;
    expect(&facts, &line, FLEET_REASON_STEPPING_STONE, 0, "8 needs 6, which it cannot have");
    facts.installed_sequence = 6;
    expect(&facts, &line, FLEET_REASON_OFFERED, 8, "newest");
    facts.installed_sequence = 8;
    expect(&facts, &line, FLEET_REASON_UP_TO_DATE, 0, "newest is installed");
    facts.installed_sequence = 900;
    expect(&facts, &line, FLEET_REASON_UP_TO_DATE, 0, "says it runs a newer one");
    facts.installed_known = false;
    expect(&facts, &line, FLEET_REASON_OFFERED, 4, "unknown: what needs no stone");
    facts.quarantined = four;
    facts.quarantined_count = 1;
    expect(&facts, &line, FLEET_REASON_INSTALLED_UNKNOWN, 0, "unknown, and 4 is quarantined");
    facts = device();
    facts.quarantined = four;
    facts.quarantined_count = 1;
    line.release_count = 1;
    expect(&facts, &line, FLEET_REASON_QUARANTINED, 0, "the only one is quarantined");
    facts = device();
    facts.hardware = "toaster";
    line.release_count = ARRAY_LEN(releases);
    expect(&facts, &line, FLEET_REASON_OFFERED, 6, "the other board");
    facts.installed_sequence = 6;
    expect(&facts, &line, FLEET_REASON_UP_TO_DATE, 0, "newest for the other board");
    facts.hardware = "board-";
    expect(&facts, &line, FLEET_REASON_WRONG_HARDWARE, 0, "a prefix is no match");
    facts.hardware = "";
    expect(&facts, &line, FLEET_REASON_HARDWARE_UNKNOWN, 0, "never said");
}

static void test_policy_never_goes_down(void **state) {
    static const struct fleet_release releases[] = {RELEASE(2, 2, 9, 0, boards, false), RELEASE(3, 3, 1, 0, boards, false)};
    static const struct fleet_release weak[] = {RELEASE(4, 4, 0, 0, boards, false)};
    struct fleet_line line = {.exists = true, .policy = FLEET_POLICY_LATEST, .releases = releases, .release_count = 2};
    struct fleet_facts facts = device();

    (void)state;
    facts.installed_sequence = 1; /* a lie, or a fall: the floor stays */
    expect(&facts, &line, FLEET_REASON_UP_TO_DATE, 0, "floor 3, says 1");
    line.releases = weak;
    line.release_count = 1;
    expect(&facts, &line, FLEET_REASON_SECURITY_FLOOR, 0, "security_version below the floor");
}

static void test_too_many_quarantined(void **state) {
    static const struct fleet_release releases[] = {
        RELEASE(81, 81, 1, 0, boards, false), RELEASE(82, 82, 1, 0, boards, false), RELEASE(83, 83, 1, 0, boards, false),
        RELEASE(84, 84, 1, 0, boards, false), RELEASE(85, 85, 1, 0, boards, false), RELEASE(86, 86, 1, 0, boards, false),
        RELEASE(87, 87, 1, 0, boards, false), RELEASE(88, 88, 1, 0, boards, false), RELEASE(99, 99, 1, 0, boards, false)};
    static const struct fleet_line line = {.exists = true, .policy = FLEET_POLICY_LATEST, .releases = releases, .release_count = ARRAY_LEN(releases)};
    static const int64_t eight[FLEET_MAX_QUARANTINED] = {81, 82, 83, 84, 85, 86, 87, 88};
    struct fleet_facts facts = device();

    (void)state;
    facts.quarantined = eight;
    facts.quarantined_count = FLEET_MAX_QUARANTINED - 1;
    expect(&facts, &line, FLEET_REASON_OFFERED, 99, "seven others");
    facts.quarantined_count = FLEET_MAX_QUARANTINED;
    expect(&facts, &line, FLEET_REASON_QUARANTINED, 0, "eight: nothing by itself");
    facts.installed_known = true;
    facts.installed_sequence = 81;
    facts.floor.sequence = 81;
    expect(&facts, &line, FLEET_REASON_OFFERED, 99, "one of the eight is what it runs");
}

/* May this release go onto this device: each row changes one thing. */
static void test_check(void **state) {
    static const uint8_t same[FLEET_SHA256_SIZE] = {3}, zero[FLEET_SHA256_SIZE] = {0};
    static const struct {
        const char *what;
        const char *product;
        int64_t sequence, security, requires_sequence;
        const uint8_t *sha256;
        bool withdrawn;
        enum fleet_reason assign, download;
    } rows[] = {
        {"newer", "hub", 4, 1, 0, zero, false, FLEET_REASON_OFFERED, FLEET_REASON_OFFERED},
        {"repair", "hub", 3, 1, 0, same, false, FLEET_REASON_OFFERED, FLEET_REASON_OFFERED},
        {"other bits", "hub", 3, 1, 0, zero, false, FLEET_REASON_DIFFERENT_BITS, FLEET_REASON_DIFFERENT_BITS},
        {"older", "hub", 2, 1, 0, same, false, FLEET_REASON_BELOW_FLOOR, FLEET_REASON_BELOW_FLOOR},
        {"security", "hub", 4, 0, 0, zero, false, FLEET_REASON_SECURITY_FLOOR, FLEET_REASON_SECURITY_FLOOR},
        {"repair below security", "hub", 3, 0, 0, same, false, FLEET_REASON_SECURITY_FLOOR, FLEET_REASON_SECURITY_FLOOR},
        {"stone there", "hub", 4, 1, 3, zero, false, FLEET_REASON_OFFERED, FLEET_REASON_OFFERED},
        {"stone missing", "hub", 5, 1, 4, zero, false, FLEET_REASON_STEPPING_STONE, FLEET_REASON_OFFERED},
        {"withdrawn", "hub", 4, 1, 0, zero, true, FLEET_REASON_WITHDRAWN, FLEET_REASON_WITHDRAWN},
        {"product", "lamp", 4, 1, 0, zero, false, FLEET_REASON_WRONG_PRODUCT, FLEET_REASON_WRONG_PRODUCT},
    };
    struct fleet_facts facts = device();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fleet_release release = {.id = 1,
                                        .product = rows[i].product,
                                        .sequence = rows[i].sequence,
                                        .security_version = rows[i].security,
                                        .requires_sequence = rows[i].requires_sequence,
                                        .hardware = boards,
                                        .hardware_count = 1,
                                        .withdrawn = rows[i].withdrawn};

        memcpy(release.sha256, rows[i].sha256, sizeof release.sha256);
        if (fleet_offer_check_release(&facts, &release) != rows[i].assign || fleet_offer_check_download(&facts, &release) != rows[i].download)
            fail_msg("%s: %s, %s", rows[i].what, fleet_reason_name(fleet_offer_check_release(&facts, &release)),
                     fleet_reason_name(fleet_offer_check_download(&facts, &release)));
    }
    /* A floor without a hash (an older database) lets nothing of its own sequence through. */
    memset(facts.floor.sha256, 0, sizeof facts.floor.sha256);
    {
        struct fleet_release release = RELEASE(0, 3, 1, 0, boards, false);

        assert_int_equal(fleet_offer_check_release(&facts, &release), FLEET_REASON_DIFFERENT_BITS);
    }
}

static void test_publish(void **state) {
    struct fleet_release release = RELEASE(1, 5, 2, 0, boards, false);

    (void)state;
    assert_int_equal(fleet_offer_check_publish(4, 2, &release), FLEET_REASON_OFFERED);
    assert_int_equal(fleet_offer_check_publish(5, 2, &release), FLEET_REASON_BELOW_FLOOR);
    assert_int_equal(fleet_offer_check_publish(6, 0, &release), FLEET_REASON_BELOW_FLOOR);
    assert_int_equal(fleet_offer_check_publish(4, 3, &release), FLEET_REASON_SECURITY_FLOOR);
}

/* An open deployment decides alone; each row is one of its states. */
static void test_open(void **state) {
    static const struct fleet_release releases[] = {RELEASE(4, 4, 1, 0, boards, false), RELEASE(5, 5, 1, 0, boards, false)};
    static const struct fleet_line line = {.exists = true, .policy = FLEET_POLICY_LATEST, .releases = releases, .release_count = 2};
    static const struct {
        enum fleet_deployment_state state;
        bool runs_it, by_policy;
        enum fleet_reason reason;
    } rows[] = {
        {FLEET_ASSIGNED, false, false, FLEET_REASON_OFFERED},
        {FLEET_OFFERED, false, true, FLEET_REASON_OFFERED},
        {FLEET_DOWNLOADING, false, true, FLEET_REASON_OFFERED},
        {FLEET_INSTALLING, false, true, FLEET_REASON_OFFERED},
        {FLEET_REBOOTING, false, true, FLEET_REASON_OFFERED},
        {FLEET_REBOOTING, true, false, FLEET_REASON_AWAITING_REPORT},
        {FLEET_INSTALLING, true, false, FLEET_REASON_AWAITING_REPORT},
        {FLEET_OFFERED, true, true, FLEET_REASON_AWAITING_REPORT}, /* a client that never reports does not install for ever */
        {FLEET_OFFERED, true, false, FLEET_REASON_OFFERED},        /* an operator may mean a repair */
        {FLEET_CANCELLING, false, false, FLEET_REASON_AWAITING_REPORT},
    };
    struct fleet_facts facts = device();

    (void)state;
    facts.has_open = true;
    facts.open_release = &releases[0];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        facts.open_state = rows[i].state;
        facts.open_by_policy = rows[i].by_policy;
        facts.installed_sequence = rows[i].runs_it ? 4 : 3;
        expect(&facts, &line, rows[i].reason, rows[i].reason == FLEET_REASON_OFFERED ? 4 : 0, fleet_deployment_state_name(rows[i].state));
        assert_false(fleet_offer_decide(&facts, &line).creates_deployment);
    }
    facts.open_state = FLEET_OFFERED;
    facts.floor.sequence = 5; /* risen meanwhile */
    expect(&facts, &line, FLEET_REASON_BELOW_FLOOR, 0, "open, below the floor");
}

static void test_open_withdrawn(void **state) {
    static const struct fleet_release releases[] = {RELEASE(4, 4, 1, 0, boards, false), RELEASE(5, 5, 1, 0, boards, true)};
    struct fleet_line line = {.exists = true, .policy = FLEET_POLICY_LATEST, .releases = releases, .release_count = 2};
    struct fleet_facts facts = device();
    struct fleet_offer offer;

    (void)state;
    facts.has_open = true;
    facts.open_state = FLEET_DOWNLOADING;
    facts.open_release = &releases[1];
    offer = fleet_offer_decide(&facts, &line);
    assert_int_equal(offer.reason, FLEET_REASON_OFFERED);
    assert_int_equal(offer.release->id, 4);
    assert_true(offer.creates_deployment);
    assert_true(offer.supersedes_open);
    line.policy = FLEET_POLICY_ROLLOUT;
    expect(&facts, &line, FLEET_REASON_WITHDRAWN, 0, "no policy to fall back to");
    line.policy = FLEET_POLICY_LATEST;
    facts.open_state = FLEET_INSTALLING;
    expect(&facts, &line, FLEET_REASON_WITHDRAWN, 0, "past the point of return");
    facts.open_state = FLEET_DOWNLOADING;
    facts.open_release = NULL;
    offer = fleet_offer_decide(&facts, &line);
    assert_true(offer.supersedes_open);
}

/* 10,000 random devices and lines: whatever is offered obeys the rules, looked at from outside. */
static void test_random(void **state) {
    (void)state;
    srand(7);
    for (int round = 0; round < 10000; round++) {
        struct fleet_release releases[6];
        struct fleet_line line = {.exists = true, .policy = FLEET_POLICY_LATEST, .releases = releases, .release_count = (size_t)(rand() % 7)};
        struct fleet_facts facts = device();
        struct fleet_offer offer;
        int64_t sequence = 0;

        facts.installed_known = rand() % 4 != 0;
        facts.installed_sequence = rand() % 12;
        facts.floor.sequence = rand() % 12;
        facts.floor.security_version = rand() % 3;
        for (size_t i = 0; i < line.release_count; i++) {
            sequence += 1 + rand() % 3;
            releases[i] = (struct fleet_release)RELEASE((uint8_t)(i + 1), sequence, rand() % 4, rand() % 3 ? 0 : sequence - 1, boards, false);
            releases[i].withdrawn = rand() % 5 == 0;
            if (rand() % 4 == 0)
                releases[i].hardware = others;
        }
        offer = fleet_offer_decide(&facts, &line);
        assert_int_not_equal(offer.reason, FLEET_REASON_REFUSED);
        if (offer.reason != FLEET_REASON_OFFERED)
            continue;
        assert_true(offer.release->sequence > facts.floor.sequence);
        assert_true(offer.release->security_version >= facts.floor.security_version);
        assert_false(offer.release->withdrawn);
        assert_ptr_equal(offer.release->hardware, boards);
        if (facts.installed_known)
            assert_true(offer.release->sequence > facts.installed_sequence);
        if (offer.release->requires_sequence)
            assert_true(facts.installed_known && facts.installed_sequence >= offer.release->requires_sequence);
    }
}

static void test_names(void **state) {
    (void)state;
    for (unsigned i = 0; i < FLEET_REASON_COUNT; i++) {
        const char *name = fleet_reason_name((enum fleet_reason)i);

        assert_true(name[0] != '\0' && strspn(name, "abcdefghijklmnopqrstuvwxyz-") == strlen(name));
        assert_true(strlen(fleet_reason_text((enum fleet_reason)i)) > 10);
        assert_int_equal(fleet_reason_error((enum fleet_reason)i) == ERR_NONE, i == FLEET_REASON_OFFERED);
        for (unsigned other = 0; other < i; other++)
            assert_string_not_equal(name, fleet_reason_name((enum fleet_reason)other));
    }
    assert_int_equal(fleet_reason_error(FLEET_REASON_BELOW_FLOOR), ERR_DOWNGRADE);
    assert_string_equal(fleet_reason_name(FLEET_REASON_COUNT), "refused");
    {
        enum fleet_policy policy;

        assert_true(fleet_policy_parse("latest", &policy));
        assert_int_equal(policy, FLEET_POLICY_LATEST);
        assert_false(fleet_policy_parse("newest", &policy));
        assert_string_equal(fleet_policy_name(FLEET_POLICY_ROLLOUT), "rollout");
    }
}

/* A running rollout of release 4, whose first phase is open, with a device of that phase that waits. */
static struct fleet_offer_rollout rollout_of(const struct fleet_release *release) {
    return (struct fleet_offer_rollout){.id = 7,
                                        .release = release,
                                        .state = FLEET_ROLLOUT_RUNNING,
                                        .open_phase = 1,
                                        .phase = 1,
                                        .member = FLEET_MEMBER_WAITING,
                                        .has_room = true,
                                        .window_open = true,
                                        .window_until = 900};
}

/* One obstacle a row: what the rollout says, and whether it keeps the device from the policy's offer of 5. */
static void test_rollouts(void **state) {
    static const struct fleet_release releases[] = {RELEASE(4, 4, 1, 0, boards, false), RELEASE(5, 5, 1, 0, boards, false)};
    static const struct fleet_release withdrawn = RELEASE(4, 4, 1, 0, boards, true), other_board = RELEASE(4, 4, 1, 0, others, false),
                                      below = RELEASE(2, 2, 1, 0, boards, false), weak = RELEASE(4, 4, 0, 0, boards, false),
                                      installed = RELEASE(3, 3, 1, 0, boards, false), stone = RELEASE(4, 4, 1, 9, boards, false);
    static const struct {
        const char *what;
        struct fleet_offer_rollout rollout;
        enum fleet_reason reason;
        bool holds;
        int64_t until;
    } rows[] = {
#define ROLLOUT(release_, state_, open_, phase_, member_, room_, window_)                                                                            \
    {.id = 7,                                                                                                                                        \
     .release = (release_),                                                                                                                          \
     .state = FLEET_ROLLOUT_##state_,                                                                                                                \
     .open_phase = (open_),                                                                                                                          \
     .phase = (phase_),                                                                                                                              \
     .member = FLEET_MEMBER_##member_,                                                                                                               \
     .has_room = (room_),                                                                                                                            \
     .window_open = (window_),                                                                                                                       \
     .window_until = 900}
        {"nothing stands against it", ROLLOUT(&releases[0], RUNNING, 1, 1, WAITING, true, true), FLEET_REASON_OFFERED, true, INT64_MAX},
        {"failed before", ROLLOUT(&releases[0], RUNNING, 1, 1, FAILED, true, true), FLEET_REASON_OFFERED, true, INT64_MAX},
        {"timed out before", ROLLOUT(&releases[0], RUNNING, 1, 1, TIMED_OUT, true, true), FLEET_REASON_OFFERED, true, INT64_MAX},
        {"an earlier phase", ROLLOUT(&releases[0], RUNNING, 3, 2, WAITING, true, true), FLEET_REASON_OFFERED, true, INT64_MAX},
        {"paused", ROLLOUT(&releases[0], PAUSED, 1, 1, WAITING, true, true), FLEET_REASON_ROLLOUT_PAUSED, true, INT64_MAX},
        {"a later phase", ROLLOUT(&releases[0], RUNNING, 1, 2, WAITING, true, true), FLEET_REASON_PHASE_NOT_OPEN, true, INT64_MAX},
        {"no phase", ROLLOUT(&releases[0], RUNNING, 1, 0, WAITING, true, true), FLEET_REASON_PHASE_NOT_OPEN, true, INT64_MAX},
        {"no window", ROLLOUT(&releases[0], RUNNING, 1, 1, WAITING, true, false), FLEET_REASON_OUTSIDE_WINDOW, true, 900},
        {"too many in flight", ROLLOUT(&releases[0], RUNNING, 1, 1, WAITING, false, true), FLEET_REASON_IN_FLIGHT_LIMIT, true, 0},
        {"no window, too many in flight", ROLLOUT(&releases[0], RUNNING, 1, 1, WAITING, false, false), FLEET_REASON_OUTSIDE_WINDOW, true, 900},
        {"confirmed", ROLLOUT(&releases[0], RUNNING, 1, 1, CONFIRMED, true, true), FLEET_REASON_UP_TO_DATE, false, INT64_MAX},
        {"cancelled", ROLLOUT(&releases[0], RUNNING, 1, 1, CANCELLED, true, true), FLEET_REASON_ROLLOUT_SETTLED, false, INT64_MAX},
        {"skipped", ROLLOUT(&releases[0], RUNNING, 1, 1, SKIPPED, true, true), FLEET_REASON_ROLLOUT_SETTLED, false, INT64_MAX},
        {"stopped", ROLLOUT(&releases[0], STOPPED, 1, 1, WAITING, true, true), FLEET_REASON_ROLLOUT_SETTLED, false, INT64_MAX},
        {"scheduled", ROLLOUT(&releases[0], SCHEDULED, 1, 1, WAITING, true, true), FLEET_REASON_ROLLOUT_SETTLED, false, INT64_MAX},
        {"its release is gone", ROLLOUT(NULL, RUNNING, 1, 1, WAITING, true, true), FLEET_REASON_NO_RELEASE, false, INT64_MAX},
        {"withdrawn", ROLLOUT(&withdrawn, RUNNING, 1, 1, WAITING, true, true), FLEET_REASON_WITHDRAWN, false, INT64_MAX},
        {"another board", ROLLOUT(&other_board, RUNNING, 1, 1, WAITING, true, true), FLEET_REASON_WRONG_HARDWARE, false, INT64_MAX},
        {"below the floor", ROLLOUT(&below, RUNNING, 1, 1, WAITING, true, true), FLEET_REASON_BELOW_FLOOR, false, INT64_MAX},
        {"security version", ROLLOUT(&weak, RUNNING, 1, 1, WAITING, true, true), FLEET_REASON_SECURITY_FLOOR, false, INT64_MAX},
        {"installed by other means", ROLLOUT(&installed, RUNNING, 1, 1, WAITING, true, true), FLEET_REASON_UP_TO_DATE, false, INT64_MAX},
        {"needs a stone", ROLLOUT(&stone, RUNNING, 1, 1, WAITING, true, true), FLEET_REASON_STEPPING_STONE, false, INT64_MAX},
        {"paused, and not for it", ROLLOUT(&other_board, PAUSED, 1, 1, WAITING, true, true), FLEET_REASON_WRONG_HARDWARE, false, INT64_MAX},
#undef ROLLOUT
    };
    struct fleet_line line = {.exists = true, .releases = releases, .release_count = 2};
    struct fleet_facts facts = device();
    struct fleet_offer offer;

    (void)state;
    facts.rollout_count = 1;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        facts.rollouts = &rows[i].rollout;
        assert_int_equal(fleet_offer_check_rollout(&facts, &rows[i].rollout), rows[i].reason);
        line.policy = FLEET_POLICY_ROLLOUT;
        offer = fleet_offer_decide(&facts, &line);
        if (offer.reason != rows[i].reason || offer.until != rows[i].until)
            fail_msg("%s: %s until %lld", rows[i].what, fleet_reason_name(offer.reason), (long long)offer.until);
        assert_ptr_equal(offer.rollout, rows[i].holds ? &rows[i].rollout : NULL);
        assert_int_equal(offer.creates_deployment, rows[i].reason == FLEET_REASON_OFFERED);
        assert_ptr_equal(offer.release, rows[i].reason == FLEET_REASON_OFFERED ? rows[i].rollout.release : NULL);
        line.policy = FLEET_POLICY_LATEST;
        offer = fleet_offer_decide(&facts, &line);
        if (rows[i].holds)
            assert_int_equal(offer.reason, rows[i].reason);
        else
            assert_int_equal(offer.release->id, 5);
    }
}

static void test_fit(void **state) {
    static const struct fleet_release four = RELEASE(4, 4, 1, 0, boards, false), three = RELEASE(3, 3, 1, 0, boards, false);
    static const int64_t quarantined[FLEET_MAX_QUARANTINED] = {4, 11, 12, 13, 14, 15, 16, 17};
    struct fleet_facts facts = device();

    (void)state;
    assert_int_equal(fleet_offer_check_fit(&facts, &four), FLEET_REASON_OFFERED);
    assert_int_equal(fleet_offer_check_fit(&facts, &three), FLEET_REASON_UP_TO_DATE);
    facts.installed_sequence = 2; /* it fell back after it had confirmed: a repair */
    assert_int_equal(fleet_offer_check_fit(&facts, &three), FLEET_REASON_OFFERED);
    facts.installed_known = false;
    assert_int_equal(fleet_offer_check_fit(&facts, &three), FLEET_REASON_UP_TO_DATE);
    facts = device();
    facts.installed_sequence = 5;
    assert_int_equal(fleet_offer_check_fit(&facts, &four), FLEET_REASON_BELOW_FLOOR);
    facts = device();
    facts.quarantined = quarantined;
    facts.quarantined_count = 1;
    assert_int_equal(fleet_offer_check_fit(&facts, &four), FLEET_REASON_QUARANTINED);
    facts.quarantined = quarantined + 1;
    assert_int_equal(fleet_offer_check_fit(&facts, &four), FLEET_REASON_OFFERED);
    facts.quarantined_count = FLEET_MAX_QUARANTINED; /* more than the list holds */
    facts.quarantined = (int64_t[FLEET_MAX_QUARANTINED]){11, 12, 13, 14, 15, 16, 17, 18};
    assert_int_equal(fleet_offer_check_fit(&facts, &four), FLEET_REASON_QUARANTINED);
    facts = device();
    facts.state = FLEET_DEVICE_REVOKED;
    assert_int_equal(fleet_offer_check_fit(&facts, &four), FLEET_REASON_REVOKED);
}

/* The first that offers or holds; one that has nothing for the device is passed over; without any the first one's reason is told. */
static void test_order_of_rollouts(void **state) {
    static const struct fleet_release four = RELEASE(4, 4, 1, 0, boards, false), five = RELEASE(5, 5, 1, 0, boards, false);
    const struct fleet_line line = {.exists = true, .policy = FLEET_POLICY_ROLLOUT};
    struct fleet_offer_rollout rollouts[3] = {rollout_of(&five), rollout_of(&four), rollout_of(&four)};
    struct fleet_facts facts = device();

    (void)state;
    facts.rollouts = rollouts;
    facts.rollout_count = 3;
    expect(&facts, &line, FLEET_REASON_OFFERED, 5, "the first");
    rollouts[0].member = FLEET_MEMBER_SKIPPED;
    expect(&facts, &line, FLEET_REASON_OFFERED, 4, "the second, as the first is settled");
    rollouts[1].state = FLEET_ROLLOUT_PAUSED;
    expect(&facts, &line, FLEET_REASON_ROLLOUT_PAUSED, 0, "the second holds the third back");
    rollouts[1].member = rollouts[2].member = FLEET_MEMBER_CONFIRMED;
    expect(&facts, &line, FLEET_REASON_ROLLOUT_SETTLED, 0, "nobody has anything: the first one's reason");
    facts.rollout_count = 0;
    expect(&facts, &line, FLEET_REASON_POLICY_HOLDS, 0, "none at all");
}

/* What was told and not begun is held by its rollout; what has begun goes on. The limit in flight does not count: it is one of them. */
static void test_open_of_rollout(void **state) {
    static const struct fleet_release four = RELEASE(4, 4, 1, 0, boards, false);
    const struct fleet_line line = {.exists = true, .policy = FLEET_POLICY_ROLLOUT};
    struct fleet_offer_rollout rollout = rollout_of(&four);
    struct fleet_facts facts = device();

    (void)state;
    rollout.member = FLEET_MEMBER_IN_FLIGHT;
    rollout.has_room = false;
    facts.rollouts = &rollout;
    facts.rollout_count = 1;
    facts.has_open = facts.open_by_policy = true;
    facts.open_release = &four;
    facts.open_rollout = 7;
    for (int i = FLEET_ASSIGNED; i <= FLEET_REBOOTING; i++) {
        bool begun = i != FLEET_ASSIGNED && i != FLEET_OFFERED;

        facts.open_state = (enum fleet_deployment_state)i;
        rollout.state = FLEET_ROLLOUT_RUNNING;
        rollout.window_open = true;
        expect(&facts, &line, FLEET_REASON_OFFERED, 4, "running");
        rollout.window_open = false;
        expect(&facts, &line, begun ? FLEET_REASON_OFFERED : FLEET_REASON_OUTSIDE_WINDOW, begun ? 4 : 0, "no window");
        rollout.state = FLEET_ROLLOUT_PAUSED;
        expect(&facts, &line, begun ? FLEET_REASON_OFFERED : FLEET_REASON_ROLLOUT_PAUSED, begun ? 4 : 0, "paused");
        facts.open_rollout = 8;
        expect(&facts, &line, FLEET_REASON_OFFERED, 4, "of another one, which has ended");
        facts.open_rollout = 7;
    }
    facts.installed_sequence = 4;
    facts.open_state = FLEET_OFFERED;
    expect(&facts, &line, FLEET_REASON_AWAITING_REPORT, 0, "it runs it, and has yet to say so");
}

/* A client that cannot open sealed images gets none, by whatever way. */
static void test_sealed(void **state) {
    struct fleet_release release = RELEASE(4, 4, 1, 0, boards, false);
    const struct fleet_line line = {.exists = true, .policy = FLEET_POLICY_LATEST, .releases = &release, .release_count = 1};
    struct fleet_facts facts = device();

    (void)state;
    release.sealed = true;
    expect(&facts, &line, FLEET_REASON_OFFERED, 4, "a device that may open it");
    facts.plain_only = true;
    expect(&facts, &line, FLEET_REASON_SEALED_UNSUPPORTED, 0, "sealed");
    assert_int_equal(fleet_offer_check_release(&facts, &release), FLEET_REASON_SEALED_UNSUPPORTED);
    assert_int_equal(fleet_offer_check_download(&facts, &release), FLEET_REASON_SEALED_UNSUPPORTED);
    release.sealed = false;
    expect(&facts, &line, FLEET_REASON_OFFERED, 4, "plain");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_latest),
        cmocka_unit_test(test_policy_never_goes_down),
        cmocka_unit_test(test_too_many_quarantined),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_open_withdrawn),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_rollouts),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_sealed),
        cmocka_unit_test(test_order_of_rollouts),
        cmocka_unit_test(test_open_of_rollout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
