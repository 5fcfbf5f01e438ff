#include "fleet/member.h"

#include <string.h>

static const char *const names[FLEET_MEMBER_STATE_COUNT] = {
    [FLEET_MEMBER_WAITING] = "waiting",     [FLEET_MEMBER_IN_FLIGHT] = "in-flight", [FLEET_MEMBER_RETRYING] = "retrying",
    [FLEET_MEMBER_CONFIRMED] = "confirmed", [FLEET_MEMBER_FAILED] = "failed",       [FLEET_MEMBER_TIMED_OUT] = "timed-out",
    [FLEET_MEMBER_CANCELLED] = "cancelled", [FLEET_MEMBER_SKIPPED] = "skipped",
};

#define STAYS     0
#define TO(state) ((unsigned char)(FLEET_MEMBER_##state + 1))

/* Row: what happens; column: where the member stands. */
static const unsigned char moves[FLEET_MEMBER_EVENT_COUNT][FLEET_MEMBER_STATE_COUNT] = {
    /*                         waiting         in flight       retrying        confirmed failed          timed out       cancelled      skipped */
    [FLEET_MEMBER_OFFER] = {TO(IN_FLIGHT), STAYS, STAYS, STAYS, TO(RETRYING), TO(RETRYING), STAYS, STAYS},
    [FLEET_MEMBER_CONFIRM] = {TO(CONFIRMED), TO(CONFIRMED), TO(CONFIRMED), STAYS, TO(CONFIRMED), TO(CONFIRMED), TO(CONFIRMED), TO(CONFIRMED)},
    [FLEET_MEMBER_FAIL] = {STAYS, TO(FAILED), TO(FAILED), STAYS, STAYS, STAYS, STAYS, STAYS},
    [FLEET_MEMBER_REJECT] = {STAYS, TO(WAITING), TO(FAILED), STAYS, STAYS, STAYS, STAYS, STAYS},
    [FLEET_MEMBER_TIME_OUT] = {TO(TIMED_OUT), TO(TIMED_OUT), TO(TIMED_OUT), STAYS, STAYS, STAYS, STAYS, STAYS},
    [FLEET_MEMBER_CANCEL] = {STAYS, TO(CANCELLED), TO(CANCELLED), STAYS, STAYS, STAYS, STAYS, STAYS},
    [FLEET_MEMBER_SKIP] = {TO(SKIPPED), TO(SKIPPED), TO(SKIPPED), STAYS, TO(SKIPPED), TO(SKIPPED), STAYS, STAYS},
    [FLEET_MEMBER_RETRY] = {STAYS, STAYS, STAYS, STAYS, TO(WAITING), TO(WAITING), TO(WAITING), STAYS},
};

const char *fleet_member_state_name(enum fleet_member_state state) {
    return (unsigned)state < FLEET_MEMBER_STATE_COUNT ? names[state] : "unknown";
}

bool fleet_member_state_parse(const char *name, enum fleet_member_state *ret_state) {
    for (unsigned i = 0; i < FLEET_MEMBER_STATE_COUNT; i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret_state = (enum fleet_member_state)i;
            return true;
        }
    }
    return false;
}

bool fleet_member_move(enum fleet_member_state from, enum fleet_member_event event, enum fleet_member_state *ret_to) {
    unsigned char to;

    if ((unsigned)from >= FLEET_MEMBER_STATE_COUNT || (unsigned)event >= FLEET_MEMBER_EVENT_COUNT)
        return false;
    to = moves[event][from];
    if (to == STAYS)
        return false;
    *ret_to = (enum fleet_member_state)(to - 1);
    return true;
}

bool fleet_member_event_of(enum fleet_event event, enum fleet_member_event *ret_event) {
    static const struct {
        enum fleet_event event;
        enum fleet_member_event means;
    } ends[] = {
        {FLEET_REPORT_CONFIRMED, FLEET_MEMBER_CONFIRM}, {FLEET_REPORT_FAILED, FLEET_MEMBER_FAIL}, {FLEET_REPORT_REJECTED, FLEET_MEMBER_REJECT},
        {FLEET_SUPERSEDE, FLEET_MEMBER_SKIP},           {FLEET_TIME_OUT, FLEET_MEMBER_TIME_OUT},  {FLEET_CANCEL, FLEET_MEMBER_CANCEL},
        {FLEET_CANCEL_FETCHED, FLEET_MEMBER_CANCEL},    {FLEET_FORCE_CLOSE, FLEET_MEMBER_CANCEL},
    };

    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        if (ends[i].event == event) {
            *ret_event = ends[i].means;
            return true;
        }
    }
    return false;
}

bool fleet_member_is_unsettled(enum fleet_member_state state) {
    return state == FLEET_MEMBER_WAITING || state == FLEET_MEMBER_IN_FLIGHT || state == FLEET_MEMBER_RETRYING;
}
