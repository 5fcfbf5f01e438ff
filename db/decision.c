#include "db/decision.h"

#include <string.h>

#include "db/deployment_row.h"
#include "db/offer.h"
#include "db/rollout_cells.h"

/* What the parts below look at. */
struct question {
    struct db *db;
    const struct db_catalog *catalog;
    const struct db_catalog_line *line; /* NULL: no product */
    int64_t now;
    struct db_device_hot hot;
    struct fleet_facts facts;
    struct fleet_offer_rollout rollouts[DB_ROLLOUT_MAX_ACTIVE];
    struct fleet_offer offer;
};

static const struct fleet_offer_rollout *find_membership(const struct question *question, int64_t id) {
    for (size_t i = 0; i < question->facts.rollout_count; i++)
        if (question->rollouts[i].id == id)
            return &question->rollouts[i];
    return NULL;
}

/* The one that gave, or would give, what the device gets is told apart from those that are only asked. */
static enum fleet_reason reason_of(const struct question *question, const struct db_catalog_rollout *head,
                                   const struct fleet_offer_rollout *membership) {
    if (head->state == FLEET_ROLLOUT_SCHEDULED)
        return head->awaits_approval ? FLEET_REASON_AWAITING_APPROVAL : FLEET_REASON_ROLLOUT_SCHEDULED;
    if (!membership)
        return FLEET_REASON_NOT_IN_ROLLOUT;
    if (question->facts.has_open && question->facts.open_rollout == head->id)
        return question->offer.reason;
    return fleet_offer_check_rollout(&question->facts, membership);
}

static int64_t until_of(const struct db_catalog_rollout *head, const struct fleet_offer_rollout *membership, enum fleet_reason reason) {
    if (reason == FLEET_REASON_ROLLOUT_SCHEDULED)
        return head->start_at;
    return reason == FLEET_REASON_OUTSIDE_WINDOW && membership->window_until != INT64_MAX ? membership->window_until : 0;
}

static bool list_rollouts(const struct question *question, struct arena *arena, struct db_decision *decision, struct err *err) {
    size_t count = question->line ? question->line->rollout_count : 0;

    decision->rollouts = arena_array(arena, count + 1, sizeof *decision->rollouts);
    if (!decision->rollouts)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        const struct db_catalog_rollout *head = &question->line->rollouts[i];
        const struct db_release *release = db_catalog_release(question->catalog, head->release);
        const struct fleet_offer_rollout *membership = find_membership(question, head->id);
        struct db_decision_rollout *item = &decision->rollouts[decision->rollout_count];
        enum fleet_reason reason = reason_of(question, head, membership);

        if (head->state != FLEET_ROLLOUT_SCHEDULED && !fleet_rollout_is_active(head->state))
            continue;
        *item = (struct db_decision_rollout){
            .id = head->id,
            .name = arena_strdup(arena, head->name),
            .state = head->state,
            .version = arena_strdup(arena, release ? release->version : ""),
            .sequence = release ? release->sequence : 0,
            .is_member = membership != NULL,
            .phase = membership ? (int64_t)membership->phase : 0,
            .member = membership ? membership->member : FLEET_MEMBER_WAITING,
            .reason = reason,
            .until = until_of(head, membership, reason),
        };
        if (!item->name || !item->version)
            return err_no_memory(err);
        decision->rollout_count++;
    }
    return true;
}

static const char *origin_of(const struct question *question) {
    if (question->facts.has_open && !question->offer.creates_deployment)
        return question->hot.open_rollout ? "rollout" : question->hot.open_by_policy ? "latest" : "manual";
    if (question->offer.rollout)
        return "rollout";
    return question->offer.creates_deployment ? "latest" : "";
}

static bool answer(const struct question *question, struct arena *arena, struct db_decision *ret_decision, struct err *err) {
    const struct fleet_offer *offer = &question->offer;
    const struct db_release *release = offer->release ? db_catalog_release(question->catalog, offer->release->id) : NULL;
    struct db_decision decision = {
        .reason = offer->reason,
        .release = release ? release->id : 0,
        .version = arena_strdup(arena, release ? release->version : ""),
        .open_deployment = question->hot.open_deployment,
        .origin = origin_of(question),
        .policy = question->line ? question->line->product.policy : FLEET_POLICY_ROLLOUT,
        .until = offer->until == INT64_MAX || offer->until <= question->now ? 0 : offer->until,
    };

    if (strcmp(decision.origin, "rollout") == 0)
        decision.rollout = question->hot.open_rollout && !offer->creates_deployment ? question->hot.open_rollout : offer->rollout->id;
    if (!decision.version || !list_rollouts(question, arena, &decision, err))
        return decision.version ? false : err_no_memory(err);
    *ret_decision = decision;
    return true;
}

bool db_decision_get(struct db_conn *conn, const char *device, int64_t now, struct arena *arena, struct db_decision *ret_decision, struct err *err) {
    struct question question = {.db = db_conn_db(conn), .now = now};
    struct fleet_line line;
    bool ok;

    if (!db_registry_get(question.db, device, &question.hot))
        return err_set(err, ERR_NOT_FOUND, "device '%s' does not exist", device);
    question.catalog = db_catalog_get(question.db);
    question.line = db_catalog_find(question.catalog, question.hot.product);
    db_offer_facts(&question.hot, question.catalog, &question.facts);
    question.facts.rollouts = question.rollouts;
    question.facts.rollout_count = db_offer_rollouts(question.db, question.catalog, &question.hot, now, question.rollouts);
    line = db_offer_line(question.catalog, question.hot.product);
    question.offer = fleet_offer_decide(&question.facts, &line);
    ok = answer(&question, arena, ret_decision, err) && db_deployment_waiting_get(conn, device, &ret_decision->waiting, err);
    db_catalog_put(question.catalog);
    return ok;
}
