#include "fleet/offer.h"

#include <string.h>

static const char *const policy_names[FLEET_POLICY_COUNT] = {[FLEET_POLICY_ROLLOUT] = "rollout", [FLEET_POLICY_LATEST] = "latest"};

static const struct {
    const char *name;
    enum err_code error;
    const char *text;
} reasons[FLEET_REASON_COUNT] = {
    [FLEET_REASON_REFUSED] = {"refused", ERR_INTERNAL, "nothing was decided"},
    [FLEET_REASON_OFFERED] = {"offered", ERR_NONE, "there is a release for this device"},
    [FLEET_REASON_UP_TO_DATE] = {"up-to-date", ERR_CONFLICT, "the device runs the newest release for it"},
    [FLEET_REASON_PENDING] = {"pending", ERR_DEVICE_PENDING, "the device waits for an administrator to accept it"},
    [FLEET_REASON_REVOKED] = {"revoked", ERR_DEVICE_REVOKED, "the device is revoked"},
    [FLEET_REASON_RETIRED] = {"retired", ERR_DEVICE_RETIRED, "the device is retired"},
    [FLEET_REASON_NO_PRODUCT] = {"no-product", ERR_CONFLICT, "the device belongs to no known product"},
    [FLEET_REASON_NO_RELEASE] = {"no-release", ERR_NOT_FOUND, "the product has no release"},
    [FLEET_REASON_POLICY_HOLDS] = {"policy-rollout", ERR_CONFLICT, "the product's policy offers nothing by itself"},
    [FLEET_REASON_HARDWARE_UNKNOWN] = {"hardware-unknown", ERR_HARDWARE, "the device never said which hardware it is"},
    [FLEET_REASON_WRONG_HARDWARE] = {"wrong-hardware", ERR_HARDWARE, "the release is not for the device's hardware"},
    [FLEET_REASON_WRONG_PRODUCT] = {"wrong-product", ERR_CONFLICT, "the release belongs to another product"},
    [FLEET_REASON_BELOW_FLOOR] = {"below-floor", ERR_DOWNGRADE, "the release is older than what the device has confirmed"},
    [FLEET_REASON_SECURITY_FLOOR] = {"security-floor", ERR_DOWNGRADE, "the release's security version is below what the device has confirmed"},
    [FLEET_REASON_DIFFERENT_BITS] = {"different-bits", ERR_DOWNGRADE, "the release has the confirmed sequence but another image"},
    [FLEET_REASON_INSTALLED_UNKNOWN] = {"installed-unknown", ERR_STEPPING_STONE,
                                        "the release needs a stepping stone and the device never said what it runs"},
    [FLEET_REASON_STEPPING_STONE] = {"needs-stepping-stone", ERR_STEPPING_STONE, "the device must first install an older release"},
    [FLEET_REASON_QUARANTINED] = {"quarantined", ERR_CONFLICT, "the release failed on this device too often, or was cancelled for it"},
    [FLEET_REASON_WITHDRAWN] = {"withdrawn", ERR_GONE, "the release was withdrawn"},
    [FLEET_REASON_AWAITING_REPORT] = {"awaiting-report", ERR_CONFLICT, "the device runs the new release and has yet to confirm it"},
    [FLEET_REASON_ROLLOUT_PAUSED] = {"rollout-paused", ERR_CONFLICT, "the rollout is paused"},
    [FLEET_REASON_PHASE_NOT_OPEN] = {"rollout-phase-not-open", ERR_CONFLICT, "the device's phase of the rollout is not open yet"},
    [FLEET_REASON_OUTSIDE_WINDOW] = {"outside-window", ERR_CONFLICT, "no maintenance window is open for the device"},
    [FLEET_REASON_IN_FLIGHT_LIMIT] = {"in-flight-limit", ERR_CONFLICT, "as many devices as the rollout allows are at it already"},
    [FLEET_REASON_ROLLOUT_SCHEDULED] = {"rollout-scheduled", ERR_CONFLICT, "the rollout has not begun yet"},
    [FLEET_REASON_AWAITING_APPROVAL] = {"awaiting-approval", ERR_CONFLICT, "the rollout waits for its approval by another token"},
    [FLEET_REASON_NOT_IN_ROLLOUT] = {"not-in-rollout", ERR_CONFLICT, "the device is not among those that were chosen"},
    [FLEET_REASON_ROLLOUT_SETTLED] = {"rollout-settled", ERR_CONFLICT, "the rollout has nothing more for the device"},
    [FLEET_REASON_SEALED_UNSUPPORTED] = {"sealed-unsupported", ERR_CONFLICT, "the image is sealed and the device's client cannot open it"},
};

const char *fleet_policy_name(enum fleet_policy policy) {
    return (unsigned)policy < FLEET_POLICY_COUNT ? policy_names[policy] : "unknown";
}

bool fleet_policy_parse(const char *name, enum fleet_policy *ret_policy) {
    for (unsigned i = 0; i < FLEET_POLICY_COUNT; i++) {
        if (strcmp(name, policy_names[i]) == 0) {
            *ret_policy = (enum fleet_policy)i;
            return true;
        }
    }
    return false;
}

const char *fleet_reason_name(enum fleet_reason reason) {
    return reasons[(unsigned)reason < FLEET_REASON_COUNT ? reason : FLEET_REASON_REFUSED].name;
}

const char *fleet_reason_text(enum fleet_reason reason) {
    return reasons[(unsigned)reason < FLEET_REASON_COUNT ? reason : FLEET_REASON_REFUSED].text;
}

enum err_code fleet_reason_error(enum fleet_reason reason) {
    return reasons[(unsigned)reason < FLEET_REASON_COUNT ? reason : FLEET_REASON_REFUSED].error;
}

/* The device's standing; FLEET_REASON_OFFERED when it may be offered something. */
static enum fleet_reason check_state(enum fleet_device_state state) {
    switch (state) {
    case FLEET_DEVICE_ACTIVE:
        return FLEET_REASON_OFFERED;
    case FLEET_DEVICE_PENDING:
        return FLEET_REASON_PENDING;
    case FLEET_DEVICE_RETIRED:
        return FLEET_REASON_RETIRED;
    default:
        return FLEET_REASON_REVOKED;
    }
}

static enum fleet_reason check_hardware(const struct fleet_facts *facts, const struct fleet_release *release) {
    if (!facts->hardware || !facts->hardware[0])
        return FLEET_REASON_HARDWARE_UNKNOWN;
    for (size_t i = 0; i < release->hardware_count; i++)
        if (strcmp(facts->hardware, release->hardware[i]) == 0)
            return FLEET_REASON_OFFERED;
    return FLEET_REASON_WRONG_HARDWARE;
}

/* The ratchet. Equal to the floor's sequence only for the same bits; a floor of zero holds nothing back. */
static enum fleet_reason check_floor(const struct fleet_floor *floor, const struct fleet_release *release) {
    static const uint8_t unknown[FLEET_SHA256_SIZE];

    if (release->security_version < floor->security_version)
        return FLEET_REASON_SECURITY_FLOOR;
    if (release->sequence < floor->sequence)
        return FLEET_REASON_BELOW_FLOOR;
    if (release->sequence == floor->sequence &&
        (memcmp(floor->sha256, unknown, sizeof unknown) == 0 || memcmp(floor->sha256, release->sha256, sizeof unknown) != 0))
        return FLEET_REASON_DIFFERENT_BITS;
    return FLEET_REASON_OFFERED;
}

static enum fleet_reason check_stepping_stone(const struct fleet_facts *facts, const struct fleet_release *release) {
    if (release->requires_sequence == 0)
        return FLEET_REASON_OFFERED;
    if (!facts->installed_known)
        return FLEET_REASON_INSTALLED_UNKNOWN;
    return facts->installed_sequence >= release->requires_sequence ? FLEET_REASON_OFFERED : FLEET_REASON_STEPPING_STONE;
}

enum fleet_reason fleet_offer_check_download(const struct fleet_facts *facts, const struct fleet_release *release) {
    enum fleet_reason reason = check_state(facts->state);

    if (reason != FLEET_REASON_OFFERED)
        return reason;
    if (!facts->product || !facts->product[0])
        return FLEET_REASON_NO_PRODUCT;
    if (strcmp(facts->product, release->product) != 0)
        return FLEET_REASON_WRONG_PRODUCT;
    if (release->withdrawn)
        return FLEET_REASON_WITHDRAWN;
    if (release->sealed && facts->plain_only)
        return FLEET_REASON_SEALED_UNSUPPORTED;
    reason = check_hardware(facts, release);
    return reason == FLEET_REASON_OFFERED ? check_floor(&facts->floor, release) : reason;
}

enum fleet_reason fleet_offer_check_release(const struct fleet_facts *facts, const struct fleet_release *release) {
    enum fleet_reason reason = fleet_offer_check_download(facts, release);

    return reason == FLEET_REASON_OFFERED ? check_stepping_stone(facts, release) : reason;
}

enum fleet_reason fleet_offer_check_publish(int64_t highest_sequence, int64_t highest_security_version, const struct fleet_release *release) {
    if (release->sequence <= highest_sequence)
        return FLEET_REASON_BELOW_FLOOR;
    if (release->security_version < highest_security_version)
        return FLEET_REASON_SECURITY_FLOOR;
    return FLEET_REASON_OFFERED;
}

static bool is_held(const struct fleet_facts *facts, int64_t release) {
    for (size_t i = 0; i < facts->quarantined_count; i++)
        if (facts->quarantined[i] == release)
            return true;
    return false;
}

enum fleet_reason fleet_offer_check_fit(const struct fleet_facts *facts, const struct fleet_release *release) {
    enum fleet_reason reason = fleet_offer_check_release(facts, release);

    if (reason != FLEET_REASON_OFFERED)
        return reason;
    if (facts->installed_known ? facts->installed_sequence == release->sequence : facts->floor.sequence == release->sequence)
        return FLEET_REASON_UP_TO_DATE;
    if (facts->installed_known && facts->installed_sequence > release->sequence)
        return FLEET_REASON_BELOW_FLOOR;
    /* The list holds no more than so many: whether this one would be on it is not known then. */
    return facts->quarantined_count >= FLEET_MAX_QUARANTINED || is_held(facts, release->id) ? FLEET_REASON_QUARANTINED : FLEET_REASON_OFFERED;
}

/* May the rollout tell a device anything now? Asked of a deployment that was told and not begun, too. */
static enum fleet_reason check_gates(const struct fleet_offer_rollout *rollout) {
    if (rollout->state == FLEET_ROLLOUT_PAUSED)
        return FLEET_REASON_ROLLOUT_PAUSED;
    if (rollout->state != FLEET_ROLLOUT_RUNNING)
        return FLEET_REASON_ROLLOUT_SETTLED;
    if (rollout->phase < 1 || rollout->phase > rollout->open_phase)
        return FLEET_REASON_PHASE_NOT_OPEN;
    return rollout->window_open ? FLEET_REASON_OFFERED : FLEET_REASON_OUTSIDE_WINDOW;
}

enum fleet_reason fleet_offer_check_rollout(const struct fleet_facts *facts, const struct fleet_offer_rollout *rollout) {
    enum fleet_reason reason;

    if (rollout->member == FLEET_MEMBER_CONFIRMED)
        return FLEET_REASON_UP_TO_DATE;
    if (rollout->member == FLEET_MEMBER_CANCELLED || rollout->member == FLEET_MEMBER_SKIPPED)
        return FLEET_REASON_ROLLOUT_SETTLED;
    if (!rollout->release)
        return FLEET_REASON_NO_RELEASE;
    reason = fleet_offer_check_fit(facts, rollout->release);
    if (reason == FLEET_REASON_OFFERED)
        reason = check_gates(rollout);
    if (reason == FLEET_REASON_OFFERED && !rollout->has_room)
        reason = FLEET_REASON_IN_FLIGHT_LIMIT;
    return reason;
}

/* The reasons for which a rollout keeps its member for itself. */
static bool holds_back(enum fleet_reason reason) {
    return reason == FLEET_REASON_ROLLOUT_PAUSED || reason == FLEET_REASON_PHASE_NOT_OPEN || reason == FLEET_REASON_OUTSIDE_WINDOW ||
           reason == FLEET_REASON_IN_FLIGHT_LIMIT;
}

static int64_t stands_until(enum fleet_reason reason, const struct fleet_offer_rollout *rollout) {
    switch (reason) {
    case FLEET_REASON_OUTSIDE_WINDOW:
        return rollout->window_until;
    case FLEET_REASON_IN_FLIGHT_LIMIT:
        return 0; /* any device that is done makes room */
    default:
        return INT64_MAX;
    }
}

/* The first rollout that offers or holds back. Without one .rollout is NULL and the reason is the first one's, or FLEET_REASON_POLICY_HOLDS. */
static struct fleet_offer decide_rollouts(const struct fleet_facts *facts) {
    struct fleet_offer offer = {.reason = FLEET_REASON_POLICY_HOLDS, .until = INT64_MAX};

    for (size_t i = 0; i < facts->rollout_count; i++) {
        const struct fleet_offer_rollout *rollout = &facts->rollouts[i];
        enum fleet_reason reason = fleet_offer_check_rollout(facts, rollout);

        if (reason == FLEET_REASON_OFFERED)
            return (struct fleet_offer){
                .reason = reason, .release = rollout->release, .rollout = rollout, .until = INT64_MAX, .creates_deployment = true};
        if (holds_back(reason))
            return (struct fleet_offer){.reason = reason, .rollout = rollout, .until = stands_until(reason, rollout)};
        if (i == 0)
            offer.reason = reason;
    }
    return offer;
}

/* Releases that are held back and could otherwise be offered; what the device is past, or what was withdrawn, does not count. */
static size_t count_held(const struct fleet_facts *facts, const struct fleet_line *line, int64_t above) {
    size_t count = 0;

    for (size_t i = line->release_count; i-- > 0 && line->releases[i].sequence > above;)
        count += !line->releases[i].withdrawn && is_held(facts, line->releases[i].id);
    return count;
}

/* What the product offers by itself: the newest release that fits. When none does, the reason is that of the newest one for this hardware. */
static struct fleet_offer decide_latest(const struct fleet_facts *facts, const struct fleet_line *line) {
    struct fleet_offer offer = {.reason = FLEET_REASON_NO_RELEASE, .until = INT64_MAX};
    int64_t above = facts->floor.sequence;
    size_t held;

    if (facts->installed_known && facts->installed_sequence > above)
        above = facts->installed_sequence;
    held = facts->quarantined_count >= FLEET_MAX_QUARANTINED ? count_held(facts, line, above) : 0;
    for (size_t i = line->release_count; i-- > 0;) {
        const struct fleet_release *release = &line->releases[i];
        enum fleet_reason reason;

        if (release->withdrawn)
            continue;
        reason = fleet_offer_check_release(facts, release);
        if (release->sequence <= above && reason != FLEET_REASON_WRONG_HARDWARE && reason != FLEET_REASON_HARDWARE_UNKNOWN)
            reason = FLEET_REASON_UP_TO_DATE;
        else if (reason == FLEET_REASON_OFFERED && (held >= FLEET_MAX_QUARANTINED || is_held(facts, release->id)))
            reason = FLEET_REASON_QUARANTINED;
        if (reason == FLEET_REASON_OFFERED)
            return (struct fleet_offer){.reason = reason, .release = release, .until = INT64_MAX, .creates_deployment = true};
        if (offer.reason == FLEET_REASON_NO_RELEASE || offer.reason == FLEET_REASON_WRONG_HARDWARE)
            offer.reason = reason;
        if (reason == FLEET_REASON_UP_TO_DATE)
            break; /* the rest is older still */
    }
    return offer;
}

/* The rollout that made the open deployment, if it is among those that are looked at; NULL: it has ended, or there was none. */
static const struct fleet_offer_rollout *open_rollout(const struct fleet_facts *facts) {
    for (size_t i = 0; facts->open_rollout != 0 && i < facts->rollout_count; i++)
        if (facts->rollouts[i].id == facts->open_rollout)
            return &facts->rollouts[i];
    return NULL;
}

static struct fleet_offer decide_open(const struct fleet_facts *facts) {
    struct fleet_offer offer = {.reason = fleet_offer_check_release(facts, facts->open_release), .until = INT64_MAX};
    bool runs_it = facts->installed_known && facts->installed_sequence == facts->open_release->sequence;
    bool past_install = facts->open_state == FLEET_INSTALLING || facts->open_state == FLEET_REBOOTING;
    bool begun = facts->open_state != FLEET_ASSIGNED && facts->open_state != FLEET_OFFERED;

    offer.rollout = open_rollout(facts);
    if (facts->open_state == FLEET_CANCELLING)
        offer.reason = FLEET_REASON_AWAITING_REPORT;
    else if (runs_it && (past_install || facts->open_by_policy))
        offer.reason = FLEET_REASON_AWAITING_REPORT;
    if (offer.reason == FLEET_REASON_OFFERED && offer.rollout && !begun) {
        offer.reason = check_gates(offer.rollout);
        offer.until = stands_until(offer.reason, offer.rollout);
    }
    if (offer.reason == FLEET_REASON_OFFERED)
        offer.release = facts->open_release;
    return offer;
}

struct fleet_offer fleet_offer_decide(const struct fleet_facts *facts, const struct fleet_line *line) {
    struct fleet_offer offer = {.reason = check_state(facts->state), .until = INT64_MAX};
    bool withdrawn = facts->has_open && (!facts->open_release || facts->open_release->withdrawn);

    if (offer.reason != FLEET_REASON_OFFERED)
        return offer;
    offer.reason = FLEET_REASON_NO_PRODUCT;
    if (!facts->product || !facts->product[0] || !line->exists)
        return offer;
    if (facts->has_open && !withdrawn)
        return decide_open(facts);
    if (withdrawn && (facts->open_state == FLEET_INSTALLING || facts->open_state == FLEET_REBOOTING || facts->open_state == FLEET_CANCELLING)) {
        offer.reason = FLEET_REASON_WITHDRAWN; /* it is past the point of return: let it finish */
        return offer;
    }
    offer = decide_rollouts(facts);
    if (!offer.rollout && line->policy == FLEET_POLICY_LATEST)
        offer = decide_latest(facts, line);
    else if (!offer.rollout && withdrawn)
        offer.reason = FLEET_REASON_WITHDRAWN;
    offer.supersedes_open = withdrawn && offer.reason == FLEET_REASON_OFFERED;
    return offer;
}
