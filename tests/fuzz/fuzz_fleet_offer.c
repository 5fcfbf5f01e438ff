/* Any device, any line of releases, any open deployment: what is offered obeys the ratchet, and nothing is offered without a reason's name. */
#include <stdlib.h>
#include <string.h>

#include "fleet/offer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_RELEASES = 16 };

static void require(bool holds) {
    if (!holds)
        abort();
}

struct input {
    const uint8_t *data;
    size_t left;
};

static uint8_t take(struct input *input) {
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->data++;
}

static void check_offer(const struct fleet_facts *facts, const struct fleet_offer *offer) {
    const struct fleet_release *release = offer->release;

    require(offer->reason != FLEET_REASON_REFUSED && offer->reason < FLEET_REASON_COUNT);
    require((offer->reason == FLEET_REASON_OFFERED) == (release != NULL));
    if (!release) {
        require(!offer->creates_deployment && !offer->supersedes_open);
        return;
    }
    require(facts->state == FLEET_DEVICE_ACTIVE && !release->withdrawn);
    require(release->sequence >= facts->floor.sequence && release->security_version >= facts->floor.security_version);
    require(release->sequence > facts->floor.sequence || memcmp(release->sha256, facts->floor.sha256, FLEET_SHA256_SIZE) == 0);
    require(strcmp(release->product, facts->product) == 0 && strcmp(release->hardware[0], facts->hardware) == 0);
    if (release->requires_sequence)
        require(facts->installed_known && facts->installed_sequence >= release->requires_sequence);
    if (offer->creates_deployment)
        require(release->sequence > facts->floor.sequence && (!facts->installed_known || release->sequence > facts->installed_sequence));
    require(fleet_offer_check_release(facts, release) == FLEET_REASON_OFFERED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const boards[] = {"board", "kettle", ""};
    static const char *const products[] = {"hub", "lamp", ""};
    struct input input = {data, size};
    struct fleet_release releases[MAX_RELEASES];
    struct fleet_facts facts = {.state = (enum fleet_device_state)(take(&input) % (FLEET_DEVICE_STATE_COUNT + 1)),
                                .product = products[take(&input) % 3],
                                .hardware = boards[take(&input) % 3],
                                .installed_known = take(&input) & 1,
                                .installed_sequence = take(&input),
                                .floor = {.sequence = take(&input), .security_version = take(&input) % 4, .sha256 = {take(&input) % 4}}};
    struct fleet_line line = {.exists = take(&input) % 8 != 0, .policy = (enum fleet_policy)(take(&input) % 2), .releases = releases};
    uint8_t open = take(&input);
    int64_t quarantined[FLEET_MAX_QUARANTINED], sequence = 0;
    struct fleet_offer offer;

    facts.quarantined = quarantined;
    facts.quarantined_count = take(&input) % (FLEET_MAX_QUARANTINED + 1);
    for (size_t i = 0; i < facts.quarantined_count; i++)
        quarantined[i] = take(&input) % MAX_RELEASES;
    while (line.release_count < MAX_RELEASES && input.left >= 5) {
        struct fleet_release *release = &releases[line.release_count];

        sequence += 1 + take(&input) % 32;
        *release = (struct fleet_release){.id = (int64_t)line.release_count,
                                          .product = "hub",
                                          .sequence = sequence,
                                          .security_version = take(&input) % 4,
                                          .requires_sequence = take(&input) % 16,
                                          .sha256 = {take(&input) % 4},
                                          .hardware_count = 1};
        release->hardware = &boards[take(&input) % 2];
        release->withdrawn = sequence % 5 == 0;
        line.release_count++;
    }
    facts.has_open = open & 1;
    facts.open_by_policy = open & 2;
    facts.open_state = (enum fleet_deployment_state)((open >> 2) % FLEET_CONFIRMED);
    if (line.release_count > 0 && open & 128)
        facts.open_release = &releases[open % line.release_count];
    offer = fleet_offer_decide(&facts, &line);
    check_offer(&facts, &offer);
    return 0;
}
