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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
