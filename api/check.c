#include <string.h>

#include "api/call.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/poll.h"
#include "api/reply.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/text.h"
#include "trust/directive.h"

/* What a native poll says beside. */
struct check {
    struct api_poll poll;
    const char *nonce; /* NULL: none */
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

static bool read_check(const struct api_call *call, struct check *check, struct err *err) {
    struct db_observation *seen = &check->poll.seen;
    if (!read_text(call, "product", true, &seen->product, err) || !read_text(call, "hardware", true, &seen->hardware, err) ||
        !read_text(call, "version", false, &seen->version, err))
        return false;
    const char *sequence = api_query(call, "sequence");
    if (sequence != NULL && *sequence != '\0') {
        if (!text_to_int(sequence, 0, JSON_INT_MAX, &seen->sequence))
            return err_set_field(err, ERR_INVALID, "sequence", "'sequence' must be a whole number");
        seen->sequence_known = true;
    }
    check->nonce = api_query(call, "nonce");
    if (check->nonce != NULL && !directive_nonce_check(check->nonce, err))
        return err_set_field(err, ERR_INVALID, "nonce", "'nonce' must be %d to %d lower-case hex digits, an even number", DIRECTIVE_NONCE_MIN,
                             DIRECTIVE_NONCE_MAX);
    return true;
}

static enum directive_action action_of(const struct api_poll *poll) {
    switch (poll->reason) {
    case FLEET_REASON_OFFERED:
        return DIRECTIVE_INSTALL;
    case FLEET_REASON_AWAITING_REPORT:
        return DIRECTIVE_HOLD;
    default:
        return DIRECTIVE_NONE;
    }
}

static bool reply_directive(struct api_call *call, const struct check *check, struct err *err) {
    const struct api_poll *poll = &check->poll;
    char spki[2 * DB_PIN_SIZE + 1];
    hex_encode(call->identity.spki_sha256, DB_PIN_SIZE, spki);
    struct directive directive = {
        .device = call->identity.id,
        .spki_sha256 = spki,
        .nonce = check->nonce,
        .issued_at = call->now,
        .expires_at = call->now + DIRECTIVE_LIFETIME_S,
        .timestamp_version = atomic_load(&call->env->served->roles[API_SERVED_TIMESTAMP].version),
        .action = action_of(poll),
    };
    if (directive.action == DIRECTIVE_INSTALL) {
        directive.deployment = arena_printf(call->arena, "%lld", (long long)poll->deployment);
        if (directive.deployment == NULL)
            return err_no_memory(err);
        directive.optional = poll->optional;
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
    struct check check = {.poll.reason = FLEET_REASON_REFUSED};
    if (!read_check(call, &check, err))
        return false;
    const struct db_catalog *catalog = db_catalog_get(call->env->db);
    bool done = api_poll_decide(call, catalog, &check.poll, err);
    if (done && !call->defer_to_writer) {
        done = api_reply_poll_after(call, err);
        if (done && (check.poll.reason == FLEET_REASON_OFFERED || check.nonce != NULL))
            done = reply_directive(call, &check, err);
        else if (done)
            call->reply.status = 204;
    }
    db_catalog_put(catalog);
    return done;
}
