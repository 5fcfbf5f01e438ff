#include "trust/directive.h"

#include <jansson.h>
#include <string.h>

#include "common/clock.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/text.h"

static const char *const action_names[] = {[DIRECTIVE_NONE] = "none", [DIRECTIVE_HOLD] = "hold", [DIRECTIVE_INSTALL] = "install"};

const char *directive_action_name(enum directive_action action) {
    return (size_t)action < ARRAY_LEN(action_names) ? action_names[action] : "none";
}

bool directive_nonce_check(const char *nonce, struct err *err) {
    size_t len = strlen(nonce);
    bool fine = len >= DIRECTIVE_NONCE_MIN && len <= DIRECTIVE_NONCE_MAX && len % 2 == 0 && strspn(nonce, "0123456789abcdef") == len;
    return fine || err_set_field(err, ERR_INVALID, "nonce", "a nonce is %d to %d lower-case hex digits, an even number of them", DIRECTIVE_NONCE_MIN,
                                 DIRECTIVE_NONCE_MAX);
}

/* What every directive, written or read, fulfils. */
static bool check(const struct directive *directive, enum err_code code, struct err *err) {
    struct err ignored;
    if (directive->device == NULL || !text_is_id(directive->device))
        return err_set(err, code, "directive: 'device' is no device id");
    if (directive->spki_sha256 == NULL || !hex_is_digest(directive->spki_sha256))
        return err_set(err, code, "directive: 'spki_sha256' is not 64 hex digits");
    if (directive->nonce != NULL && !directive_nonce_check(directive->nonce, &ignored))
        return err_set(err, code, "directive: 'nonce' is none");
    if (directive->issued_at < 1 || directive->expires_at <= directive->issued_at ||
        directive->expires_at - directive->issued_at > DIRECTIVE_LIFETIME_S)
        return err_set(err, code, "directive: 'expires' is not within %d seconds after 'issued'", DIRECTIVE_LIFETIME_S);
    if (directive->timestamp_version < 0 || directive->timestamp_version > JSON_INT_MAX)
        return err_set(err, code, "directive: 'timestamp_version' is out of range");
    if (directive->action != DIRECTIVE_INSTALL) {
        return (directive->path == NULL && directive->deployment == NULL && !directive->optional) ||
               err_set(err, code, "directive: a release, a deployment or 'optional' without the action 'install'");
    }
    bool complete = directive->deployment != NULL && text_is_id(directive->deployment) && directive->path != NULL && directive->version != NULL &&
                    directive->sha256 != NULL && hex_is_digest(directive->sha256) && directive->length >= 1 &&
                    directive->length <= RELEASE_LENGTH_MAX && directive->sequence >= 1 && directive->security_version >= 0;
    return complete || err_set(err, code, "directive: 'install' without a whole release and deployment");
}

static json_t *write_release(const struct directive *directive) {
    return json_pack("{s:I, s:s, s:I, s:I, s:s, s:s}", "length", (json_int_t)directive->length, "path", directive->path, "security_version",
                     (json_int_t)directive->security_version, "sequence", (json_int_t)directive->sequence, "sha256", directive->sha256, "version",
                     directive->version);
}

static json_t *write_signed(const struct directive *directive) {
    char issued[CLOCK_RFC3339_SIZE], expires[CLOCK_RFC3339_SIZE];
    clock_rfc3339(directive->issued_at, issued);
    clock_rfc3339(directive->expires_at, expires);
    json_t *body = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "_type", "directive", "action", directive_action_name(directive->action),
                             "device", directive->device, "expires", expires, "issued", issued, "spki_sha256", directive->spki_sha256,
                             "timestamp_version", (json_int_t)directive->timestamp_version);
    int failed = 0;
    if (directive->nonce != NULL)
        failed |= json_object_set_new(body, "nonce", json_string(directive->nonce));
    if (directive->action == DIRECTIVE_INSTALL) {
        failed |= json_object_set_new(body, "deployment", json_string(directive->deployment));
        failed |= json_object_set_new(body, "release", write_release(directive));
        if (directive->optional)
            failed |= json_object_set_new(body, "optional", json_true());
    }
    if (failed != 0) {
        json_decref(body);
        return NULL;
    }
    return body;
}

bool directive_write(struct buf *out, const struct directive *directive, const struct key *key, struct err *err) {
    if (!check(directive, ERR_INTERNAL, err))
        return false;
    json_t *body = write_signed(directive);
    if (body == NULL)
        return err_no_memory(err);
    bool fine = envelope_write(out, body, &key, 1, err);
    json_decref(body);
    return fine;
}

/* Missing or of another type: NULL, −1, which check() refuses. */
static const char *text_of(struct arena *arena, const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? arena_strdup(arena, text) : NULL;
}

static int64_t number_of(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

static int64_t time_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    int64_t time = -1;
    return text != NULL && clock_parse_rfc3339(text, &time) ? time : -1;
}

static bool read_action(const json_t *body, enum directive_action *ret_action, struct err *err) {
    const char *name = json_string_value(json_object_get(body, "action"));
    for (size_t i = 0; i < ARRAY_LEN(action_names); i++) {
        if (text_equal(name, action_names[i])) {
            *ret_action = (enum directive_action)i;
            return true;
        }
    }
    return err_set(err, ERR_FORMAT, "directive: 'action' is none that is known here");
}

static bool read_signed(struct arena *arena, const json_t *body, struct directive *ret_directive, struct err *err) {
    const json_t *release = json_object_get(body, "release");
    struct directive directive = {
        .device = text_of(arena, body, "device"),
        .spki_sha256 = text_of(arena, body, "spki_sha256"),
        .nonce = text_of(arena, body, "nonce"),
        .issued_at = time_of(body, "issued"),
        .expires_at = time_of(body, "expires"),
        .timestamp_version = number_of(body, "timestamp_version"),
        .deployment = text_of(arena, body, "deployment"),
        .optional = json_is_true(json_object_get(body, "optional")),
    };
    if (release != NULL) {
        directive.path = text_of(arena, release, "path");
        directive.length = number_of(release, "length");
        directive.sha256 = text_of(arena, release, "sha256");
        directive.version = text_of(arena, release, "version");
        directive.sequence = number_of(release, "sequence");
        directive.security_version = number_of(release, "security_version");
    }
    if (!read_action(body, &directive.action, err) || !check(&directive, ERR_FORMAT, err))
        return false;
    *ret_directive = directive;
    return true;
}

static bool check_expected(const struct directive *directive, const struct directive_expect *expect, struct err *err) {
    if (!text_equal(directive->device, expect->device))
        return err_set(err, ERR_DIRECTIVE, "directive: it is for device '%s'", directive->device);
    if (!text_equal(directive->spki_sha256, expect->spki_sha256))
        return err_set(err, ERR_DIRECTIVE, "directive: it is for another key of this device");
    if (expect->nonce == NULL && !expect->has_clock)
        return err_set(err, ERR_FREEZE, "directive: without a clock only an answer to a nonce is fresh");
    if (expect->nonce != NULL && !text_equal(directive->nonce, expect->nonce))
        return err_set(err, ERR_FREEZE, "directive: it does not answer the nonce that was sent");
    if (!expect->has_clock && directive->issued_at < expect->issued_floor) {
        return err_set(err, ERR_FREEZE, "directive: issued %lld seconds before one that was accepted",
                       (long long)(expect->issued_floor - directive->issued_at));
    }
    if (expect->has_clock && directive->issued_at > expect->now && directive->issued_at - expect->now > DIRECTIVE_AHEAD_MAX_S) {
        return err_set(err, ERR_FREEZE, "directive: issued %lld seconds in the future; this device's clock or the server's is wrong",
                       (long long)(directive->issued_at - expect->now));
    }
    if (expect->has_clock && expect->now >= directive->expires_at)
        return err_set(err, ERR_EXPIRED, "directive: expired %lld seconds ago", (long long)(expect->now - directive->expires_at));
    return true;
}

bool directive_verify(struct arena *arena, const void *data, size_t len, const struct directive_expect *expect, struct directive *ret_directive,
                      struct err *err) {
    struct envelope envelope = {0};
    struct directive directive = {0};
    if (!envelope_parse(arena, data, len, DIRECTIVE_MAX, "directive", &envelope, err))
        return false;
    bool fine = envelope_verify(&envelope, expect->signers, "directive", "directive", err) == VERDICT_VERIFIED;
    if (fine && !text_equal(envelope.type, "directive"))
        fine = err_set(err, ERR_FORMAT, "directive: '_type' is not 'directive'");
    fine = fine && read_signed(arena, envelope.signed_, &directive, err) && check_expected(&directive, expect, err);
    envelope_free(&envelope);
    if (fine)
        *ret_directive = directive;
    return fine;
}

bool directive_check_release(const struct directive *directive, const struct release *release, struct err *err) {
    bool same = text_equal(directive->path, release->path) && directive->length == release->length &&
                text_equal(directive->sha256, release->sha256) && text_equal(directive->version, release->version) &&
                directive->sequence == release->sequence && directive->security_version == release->security_version;
    return same || err_set(err, ERR_TARGET, "directive: its release '%.200s' is not what the signed targets metadata says",
                           directive->path != NULL ? directive->path : "(none)");
}
