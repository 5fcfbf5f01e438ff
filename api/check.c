#include <stdlib.h>
#include <string.h>

#include "api/call.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/notice.h"
#include "api/reply.h"
#include "common/hex.h"
#include "common/random.h"
#include "common/text.h"
#include "db/deployment.h"
#include "db/device.h"
#include "db/offer.h"
#include "trust/directive.h"

/* What the poll says, and what it is answered. */
struct poll {
    struct db_observation seen;
    const char *nonce; /* NULL: none */
    enum fleet_reason reason;
    int64_t deployment;
    const struct db_release *release; /* with FLEET_REASON_OFFERED */
};

static bool read_text(const struct api_call *call, const char *name, bool id, const char **ret_text, struct err *err) {
    const char *text = api_query(call, name);
    if (text == NULL || *text == '\0')
        return true;
    if (id ? !text_is_id(text) : strlen(text) >= DB_VERSION_SIZE)
        return err_set_field(err, ERR_INVALID, name, id ? "'%s' must be 1 to 64 of A-Z a-z 0-9 . _ : -" : "'%s' is longer than 64 bytes", name);
    *ret_text = text;
    return true;
}

static bool read_poll(const struct api_call *call, struct poll *poll, struct err *err) {
    if (!read_text(call, "product", true, &poll->seen.product, err) || !read_text(call, "hardware", true, &poll->seen.hardware, err) ||
        !read_text(call, "version", false, &poll->seen.version, err))
        return false;
    const char *sequence = api_query(call, "sequence");
    if (sequence != NULL && *sequence != '\0') {
        if (!text_to_int(sequence, 0, INT64_C(9007199254740991), &poll->seen.sequence))
            return err_set_field(err, ERR_INVALID, "sequence", "'sequence' must be a whole number");
        poll->seen.sequence_known = true;
    }
    poll->nonce = api_query(call, "nonce");
    if (poll->nonce != NULL && !directive_nonce_check(poll->nonce, err))
        return err_set_field(err, ERR_INVALID, "nonce", "'nonce' must be %d to %d lower-case hex digits, an even number", DIRECTIVE_NONCE_MIN,
                             DIRECTIVE_NONCE_MAX);
    return true;
}

struct newcomer {
    char id[DB_DEVICE_ID_SIZE];
    int64_t now;
};

static void note_newcomer(struct db *db, void *arg, bool committed) {
    const struct newcomer *newcomer = arg;
    const struct db_observation nothing = {0};
    bool must_write;
    if (committed && !db_registry_seen(db, newcomer->id, newcomer->now, &nothing, &must_write))
        must_write = false; /* it is gone again */
    free(arg);
}

/* A device that this very call registers is in the registry only after COMMIT: it is seen then. */
static bool see_newcomer(struct api_call *call, struct err *err) {
    struct db_device_hot hot;
    if (db_registry_get(call->env->db, call->identity.id, &hot))
        return true;
    struct newcomer *newcomer = calloc(1, sizeof(*newcomer));
    if (newcomer == NULL)
        return err_no_memory(err);
    memcpy(newcomer->id, call->identity.id, sizeof(newcomer->id));
    newcomer->now = call->now;
    if (db_on_commit(call->db, note_newcomer, newcomer, err))
        return true;
    free(newcomer);
    return false;
}

/* On the writer: what was seen becomes durable, and so does the offer. */
static bool decide_writing(struct api_call *call, struct poll *poll, struct err *err) {
    struct db_offered offered;
    if (!see_newcomer(call, err) || !api_notice_alternation(call, err) ||
        !db_device_observe(call->db, call->identity.id, &poll->seen, call->now, err) ||
        !db_deployment_offer(call->db, call->identity.id, call->now, &offered, err))
        return false;
    poll->reason = offered.reason;
    poll->deployment = offered.deployment;
    if (offered.reason != FLEET_REASON_OFFERED)
        return true;
    struct db_release *release = arena_alloc(call->arena, sizeof(*release));
    if (release == NULL)
        return err_no_memory(err);
    poll->release = release;
    return db_release_get(call->db, offered.release, call->arena, release, err);
}

/* On the worker: memory alone. Defers when there is something to write. */
static void decide_reading(struct api_call *call, const struct db_catalog *catalog, struct poll *poll) {
    struct db *db = call->env->db;
    bool must_write = false;
    if (!db_registry_seen(db, call->identity.id, call->now, &poll->seen, &must_write) || must_write ||
        !db_registry_get(db, call->identity.id, &call->device)) {
        call->defer_to_writer = true;
        return;
    }
    struct fleet_offer offer = db_offer_decide(db, catalog, &call->device, call->now);
    if (db_offer_needs_write(&offer, &call->device)) {
        call->defer_to_writer = true;
        return;
    }
    poll->reason = offer.reason;
    if (offer.reason == FLEET_REASON_OFFERED) {
        poll->deployment = call->device.open_deployment;
        poll->release = db_catalog_release(catalog, offer.release->id);
    }
}

static enum directive_action action_of(const struct poll *poll) {
    switch (poll->reason) {
    case FLEET_REASON_OFFERED:
        return DIRECTIVE_INSTALL;
    case FLEET_REASON_AWAITING_REPORT:
        return DIRECTIVE_HOLD;
    default:
        return DIRECTIVE_NONE;
    }
}

static bool reply_directive(struct api_call *call, const struct poll *poll, struct err *err) {
    char spki[2 * DB_PIN_SIZE + 1];
    hex_encode(call->identity.spki_sha256, DB_PIN_SIZE, spki);
    struct directive directive = {
        .device = call->identity.id,
        .spki_sha256 = spki,
        .nonce = poll->nonce,
        .issued_at = call->now,
        .expires_at = call->now + DIRECTIVE_LIFETIME_S,
        .timestamp_version = atomic_load(&call->env->served->roles[API_SERVED_TIMESTAMP].version),
        .action = action_of(poll),
    };
    if (directive.action == DIRECTIVE_INSTALL) {
        directive.deployment = arena_printf(call->arena, "%lld", (long long)poll->deployment);
        if (directive.deployment == NULL)
            return err_no_memory(err);
        directive.path = poll->release->path;
        directive.length = poll->release->length;
        directive.sha256 = poll->release->sha256;
        directive.version = poll->release->version;
        directive.sequence = poll->release->sequence;
        directive.security_version = poll->release->security_version;
    }
    struct buf text CLEANUP(buf_free) = BUF_INIT(DIRECTIVE_MAX);
    return directive_write(&text, &directive, atomic_load(&call->env->online->directive), err) &&
           api_reply_text(call, "application/json", &text, err);
}

bool api_check_get(struct api_call *call, struct err *err) {
    struct poll poll = {.seen.place = call->client_address, .reason = FLEET_REASON_REFUSED};
    if (!read_poll(call, &poll, err))
        return false;
    const struct db_catalog *catalog = db_catalog_get(call->env->db);
    bool done = true;
    if (call->writing)
        done = decide_writing(call, &poll, err);
    else
        decide_reading(call, catalog, &poll);
    if (done && !call->defer_to_writer) {
        call->reply.reason = fleet_reason_name(poll.reason);
        done = poll.reason == FLEET_REASON_OFFERED && poll.release == NULL ? err_set(err, ERR_INTERNAL, "the offered release left the catalog")
                                                                           : true;
        done = done && api_reply_poll_after(call, err);
        if (done && (poll.reason == FLEET_REASON_OFFERED || poll.nonce != NULL))
            done = reply_directive(call, &poll, err);
        else if (done)
            call->reply.status = 204;
    }
    db_catalog_put(catalog);
    return done;
}
