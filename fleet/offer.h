/* Which release a device gets, and the named reason when it gets none: pure, without clock, SQL or HTTP (trust.md §2, fleet.md §3). */
#ifndef PAWL_FLEET_OFFER_H
#define PAWL_FLEET_OFFER_H

#include "fleet/deployment.h"
#include "fleet/device.h"
#include "fleet/floor.h"
#include "fleet/member.h"
#include "fleet/rollout.h"

/* What a product does by itself. The zero value offers nothing. */
enum fleet_policy {
    FLEET_POLICY_ROLLOUT = 0, /* only what an operator assigned */
    FLEET_POLICY_LATEST,      /* the newest release that fits */
    FLEET_POLICY_COUNT
};

const char *fleet_policy_name(enum fleet_policy policy); /* "rollout", "latest" */
bool fleet_policy_parse(const char *name, enum fleet_policy *ret_policy) MUST_USE;

/* Why the answer is what it is; names are part of the API, the metrics and the dashboard. The zero value is "refused". */
enum fleet_reason {
    FLEET_REASON_REFUSED = 0,        /* refused: never the result of a decision */
    FLEET_REASON_OFFERED,            /* offered: there is a release */
    FLEET_REASON_UP_TO_DATE,         /* up-to-date */
    FLEET_REASON_PENDING,            /* pending: the device waits for an administrator */
    FLEET_REASON_REVOKED,            /* revoked */
    FLEET_REASON_RETIRED,            /* retired */
    FLEET_REASON_NO_PRODUCT,         /* no-product: the device has no product, or one that does not exist */
    FLEET_REASON_NO_RELEASE,         /* no-release: the product has none (or only withdrawn ones) */
    FLEET_REASON_POLICY_HOLDS,       /* policy-rollout: the product offers nothing by itself */
    FLEET_REASON_HARDWARE_UNKNOWN,   /* hardware-unknown: the device never said what it is */
    FLEET_REASON_WRONG_HARDWARE,     /* wrong-hardware */
    FLEET_REASON_WRONG_PRODUCT,      /* wrong-product: an assigned release of another product */
    FLEET_REASON_BELOW_FLOOR,        /* below-floor: would be a downgrade */
    FLEET_REASON_SECURITY_FLOOR,     /* security-floor: older code that must never run again */
    FLEET_REASON_DIFFERENT_BITS,     /* different-bits: the floor's sequence with another sha256 is no repair */
    FLEET_REASON_INSTALLED_UNKNOWN,  /* installed-unknown: a stepping stone is required and the device never said what it runs */
    FLEET_REASON_STEPPING_STONE,     /* needs-stepping-stone */
    FLEET_REASON_QUARANTINED,        /* quarantined: failed too often, or an operator cancelled it */
    FLEET_REASON_WITHDRAWN,          /* withdrawn */
    FLEET_REASON_AWAITING_REPORT,    /* awaiting-report: it runs the new release and has yet to confirm it */
    FLEET_REASON_ROLLOUT_PAUSED,     /* rollout-paused */
    FLEET_REASON_PHASE_NOT_OPEN,     /* rollout-phase-not-open: the device belongs to a later phase */
    FLEET_REASON_OUTSIDE_WINDOW,     /* outside-window: of maintenance */
    FLEET_REASON_IN_FLIGHT_LIMIT,    /* in-flight-limit: as many devices as the rollout allows at a time are busy with it */
    FLEET_REASON_ROLLOUT_SCHEDULED,  /* rollout-scheduled: it has not begun */
    FLEET_REASON_AWAITING_APPROVAL,  /* awaiting-approval: the same, and another token has to approve */
    FLEET_REASON_NOT_IN_ROLLOUT,     /* not-in-rollout: the device was not chosen */
    FLEET_REASON_ROLLOUT_SETTLED,    /* rollout-settled: cancelled or skipped for this device */
    FLEET_REASON_SEALED_UNSUPPORTED, /* sealed-unsupported: the image is sealed and the device's client cannot open it */
    FLEET_REASON_COUNT
};

const char *fleet_reason_name(enum fleet_reason reason); /* kebab-case, never NULL */
const char *fleet_reason_text(enum fleet_reason reason); /* one plain sentence for people */
/* What the same reason is as an error of an assignment or a download (ERR_DOWNGRADE, ERR_HARDWARE, ERR_STEPPING_STONE, ERR_GONE …). */
enum err_code fleet_reason_error(enum fleet_reason reason);

/* The signed facts of a release that the rules look at. */
struct fleet_release {
    int64_t id;
    const char *product;
    int64_t sequence;
    int64_t security_version;
    int64_t requires_sequence; /* 0: none */
    uint8_t sha256[FLEET_SHA256_SIZE];
    const char *const *hardware; /* compared exactly */
    size_t hardware_count;
    bool withdrawn;
    bool sealed; /* encrypted for its devices' keys */
};

/* At this many quarantined releases a device is offered nothing by itself until an operator looks. */
enum { FLEET_MAX_QUARANTINED = 8 };

/* A rollout that the device is a member of, as it stands now. */
struct fleet_offer_rollout {
    int64_t id;
    const struct fleet_release *release; /* NULL: gone */
    enum fleet_rollout_state state;
    size_t open_phase; /* phases 1 … open_phase are open */
    size_t phase;      /* the device's */
    enum fleet_member_state member;
    bool has_room;        /* fewer devices in flight than it allows */
    bool window_open;     /* a maintenance window, or it has none */
    int64_t window_until; /* the answer stands before this */
};

/* What is known of the device: recorded values, never what it claims at this moment (except installed, which can only hold it back). */
struct fleet_facts {
    enum fleet_device_state state;
    const char *product;  /* "": unknown */
    const char *hardware; /* "": unknown */
    bool installed_known;
    int64_t installed_sequence;
    struct fleet_floor floor;
    bool has_open; /* an open deployment */
    enum fleet_deployment_state open_state;
    bool open_by_policy;                      /* made by the product's policy, not by an operator, who may mean a repair */
    const struct fleet_release *open_release; /* NULL: its release is gone; treated as withdrawn */
    const int64_t *quarantined;               /* release ids */
    size_t quarantined_count;
    bool plain_only;                            /* its client cannot open sealed images */
    int64_t open_rollout;                       /* that made the open deployment; 0: none */
    const struct fleet_offer_rollout *rollouts; /* that it is a member of, in the order in which they are asked */
    size_t rollout_count;
};

/* The product's side. releases sorted by sequence, ascending, all of this product. */
struct fleet_line {
    bool exists; /* false: no such product */
    enum fleet_policy policy;
    const struct fleet_release *releases;
    size_t release_count;
};

struct fleet_offer {
    enum fleet_reason reason;
    const struct fleet_release *release;       /* only with FLEET_REASON_OFFERED */
    const struct fleet_offer_rollout *rollout; /* that offers it, or that holds the device back; NULL: none */
    int64_t until;           /* a "nothing" stands before this if nothing about device, catalog and rollouts changes; INT64_MAX: for ever */
    bool creates_deployment; /* a rollout's or the policy's offer, not an open deployment: must be made durable before it is told */
    bool supersedes_open;    /* the open deployment (of a withdrawn release) must be superseded then */
};

/* First the open deployment, then the rollouts in their order, then the product's policy. A rollout that only holds its member back for now (a later
 * phase, no window, its limit, a pause) keeps it from the policy and the rollouts behind; one that has nothing for it does not. */
struct fleet_offer fleet_offer_decide(const struct fleet_facts *facts, const struct fleet_line *line);

/* May this release go onto this device at all? Asked at assignment and at every download, independent of policy and quarantine.
 * A repair (the floor's own sequence with the same sha256) passes. Returns FLEET_REASON_OFFERED or what stands against it. */
enum fleet_reason fleet_offer_check_release(const struct fleet_facts *facts, const struct fleet_release *release) MUST_USE;

/* Would a rollout of this release be for this device? Like the above, but what it runs already and what is quarantined is not. */
enum fleet_reason fleet_offer_check_fit(const struct fleet_facts *facts, const struct fleet_release *release) MUST_USE;

/* What this rollout has for the device at this moment. */
enum fleet_reason fleet_offer_check_rollout(const struct fleet_facts *facts, const struct fleet_offer_rollout *rollout) MUST_USE;

/* For a download in progress: like the above, but what the device runs (stepping stone) is not asked again. */
enum fleet_reason fleet_offer_check_download(const struct fleet_facts *facts, const struct fleet_release *release) MUST_USE;

/* The publish gate's ordering rule: sequence above every one published for the product, security_version not below the highest. */
enum fleet_reason fleet_offer_check_publish(int64_t highest_sequence, int64_t highest_security_version, const struct fleet_release *release) MUST_USE;

#endif
