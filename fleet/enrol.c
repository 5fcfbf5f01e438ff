#include "fleet/enrol.h"

#include <string.h>

static const char *const origins[FLEET_PIN_ORIGIN_COUNT] = {
    [FLEET_PIN_REQUESTED] = "requested", [FLEET_PIN_CERTIFICATE] = "certificate", [FLEET_PIN_FACTORY] = "factory",
    [FLEET_PIN_CLAIM] = "claim",         [FLEET_PIN_OPERATOR] = "operator",
};

const char *fleet_pin_origin_name(enum fleet_pin_origin origin) {
    return (unsigned)origin < FLEET_PIN_ORIGIN_COUNT ? origins[origin] : "unknown";
}

bool fleet_pin_origin_parse(const char *name, enum fleet_pin_origin *ret_origin) {
    for (unsigned i = 0; i < FLEET_PIN_ORIGIN_COUNT; i++) {
        if (strcmp(name, origins[i]) == 0) {
            *ret_origin = (enum fleet_pin_origin)i;
            return true;
        }
    }
    return false;
}

bool fleet_pin_yields(enum fleet_device_state state, enum fleet_pin_origin origin) {
    return state == FLEET_DEVICE_PENDING && origin == FLEET_PIN_REQUESTED;
}

enum {
    OPEN = 1 << FLEET_ENROL_OPEN,
    DEVICE_CLAIM = 1 << FLEET_ENROL_DEVICE_CLAIM,
    PRODUCT_CLAIM = 1 << FLEET_ENROL_PRODUCT_CLAIM,
    FACTORY = 1 << FLEET_ENROL_FACTORY,
    RENEWAL = 1 << FLEET_ENROL_RENEWAL,
    ANY_WAY = OPEN | DEVICE_CLAIM | PRODUCT_CLAIM | FACTORY | RENEWAL,

    NEW = 1,
    PENDING = 2 << FLEET_DEVICE_PENDING,
    ACTIVE = 2 << FLEET_DEVICE_ACTIVE,
    REVOKED = 2 << FLEET_DEVICE_REVOKED,
    RETIRED = 2 << FLEET_DEVICE_RETIRED,

    OTHER = 1 << FLEET_ENROL_OTHER_KEY,
    YIELDING = 1 << FLEET_ENROL_YIELDING_KEY,
    FIRST = 1 << FLEET_ENROL_FIRST_KEY,
    SAME = 1 << FLEET_ENROL_SAME_KEY,
    ANY_KEY = OTHER | YIELDING | FIRST | SAME,
};

/* Read from the top: the first row that fits decides; when none does, the key is refused. */
static const struct {
    int ways, states, keys;
    enum fleet_enrol_verdict verdict;
} rows[] = {
    {ANY_WAY, REVOKED, ANY_KEY, FLEET_ENROL_REFUSE_REVOKED},
    {ANY_WAY, RETIRED, ANY_KEY, FLEET_ENROL_REFUSE_RETIRED},

    /* A claim for an id says who the device is, and brings it another key. */
    {DEVICE_CLAIM, NEW, ANY_KEY, FLEET_ENROL_ADMIT},
    {DEVICE_CLAIM, PENDING, ANY_KEY, FLEET_ENROL_ACCEPT},
    {DEVICE_CLAIM, ACTIVE, ANY_KEY, FLEET_ENROL_ISSUE},

    /* A factory's certificate lives for decades and may be in other hands by then, a claim for a product is for devices to come: neither takes over a
     * device that is there. One whose id somebody else has registered without any right is not there. */
    {FACTORY | PRODUCT_CLAIM, NEW, ANY_KEY, FLEET_ENROL_ADMIT},
    {FACTORY | PRODUCT_CLAIM, PENDING, FIRST | SAME | YIELDING, FLEET_ENROL_ACCEPT},
    {FACTORY | PRODUCT_CLAIM, ACTIVE, FIRST | SAME, FLEET_ENROL_ISSUE},

    {OPEN, NEW, ANY_KEY, FLEET_ENROL_REGISTER},
    {OPEN, PENDING, SAME, FLEET_ENROL_WAIT},
    {OPEN, ACTIVE, SAME, FLEET_ENROL_SHOW},

    /* Whoever renews has shown a key of the device already. */
    {RENEWAL, ACTIVE, ANY_KEY, FLEET_ENROL_ISSUE},
    {RENEWAL, NEW, ANY_KEY, FLEET_ENROL_REFUSE_UNKNOWN},
};

enum fleet_enrol_verdict fleet_enrol_decide(enum fleet_enrol_way way, bool known, enum fleet_device_state state, enum fleet_enrol_key key) {
    int its_state = known ? 2 << state : NEW;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if ((rows[i].ways & 1 << way) != 0 && (rows[i].states & its_state) != 0 && (rows[i].keys & 1 << key) != 0)
            return rows[i].verdict;
    return FLEET_ENROL_REFUSE_KEY;
}
