#include "agent/check.h"

#include <string.h>

#include "common/hash.h"
#include "common/hex.h"
#include "common/random.h"
#include "common/text.h"

enum { NONCE_BYTES = 16, PATH_MAX_BYTES = 1024, REPAIR_EVERY_S = 86400 };

static bool get_metadata(void *context, const char *name, size_t max_bytes, struct buf *out, struct err *err) {
    CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX_BYTES);
    CLEANUP(buf_free) struct buf body = BUF_INIT(max_bytes > AGENT_PROBLEM_MAX ? max_bytes : AGENT_PROBLEM_MAX);
    struct agent_response response;
    buf_printf(&path, "/tuf/%s", name);
    if (!buf_ok(&path, "a metadata file's path", err) || !agent_transport_get(context, path.data, &body, &response, err))
        return err_prefix(err, "%s", name);
    if (response.status == 404)
        return err_set(err, ERR_NOT_FOUND, "%s: the server does not have it", name);
    if (response.status != 200)
        return agent_transport_refused(&response, &body, name, err);
    if (body.len > max_bytes)
        return err_set(err, ERR_TOO_LARGE, "%s: more than %zu bytes", name, max_bytes);
    buf_append(out, body.data, body.len);
    return buf_ok(out, name, err);
}

struct tuf_fetch agent_check_fetch(struct agent_transport *transport) {
    return (struct tuf_fetch){.get = get_metadata, .context = transport};
}

static bool write_query(const struct agent_settings *settings, const struct agent_state *state, const char *nonce, struct buf *path,
                        struct err *err) {
    buf_text(path, "/check?product=");
    agent_transport_escape(path, settings->product);
    buf_text(path, "&hardware=");
    agent_transport_escape(path, settings->hardware);
    if (state->installed != NULL && text_equal(state->installed->product, settings->product)) {
        buf_text(path, "&version=");
        agent_transport_escape(path, state->installed->version);
        buf_printf(path, "&sequence=%lld", (long long)state->installed->sequence);
    }
    buf_printf(path, "&nonce=%s", nonce);
    return buf_ok(path, "the query", err);
}

/* What a later step puts into state and URLs. */
static bool check_deployment(const struct directive *directive, struct err *err) {
    if (directive->action == DIRECTIVE_INSTALL && (directive->deployment == NULL || !text_is_id(directive->deployment)))
        return err_set(err, ERR_DIRECTIVE, "the directive's deployment is no id");
    return true;
}

/* Says which keys these are, for the state. */
static const char *digest_of(const struct signers *signers, struct arena *arena, struct err *err) {
    CLEANUP(hash_free) struct hash hash = {0};
    uint8_t digest[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];
    bool ok = hash_sha256_begin(&hash, err);
    for (size_t i = 0; ok && i < signers->count; i++)
        ok = hash_update(&hash, signers->items[i]->id, strlen(signers->items[i]->id) + 1, err);
    if (!ok || !hash_sha256_end(&hash, digest, err))
        return NULL;
    hex_encode(digest, sizeof(digest), hex);
    const char *copy = arena_strdup(arena, hex);
    if (copy == NULL)
        (void)err_no_memory(err);
    return copy;
}

/* Whoever stole a directive key could issue in the year 9999, and nothing would be as new again. New keys begin anew. */
static int64_t issued_floor(const struct agent_state *state, const char *keys) {
    return text_equal(state->directive_keys, keys) ? state->directive_issued_at : 0;
}

static bool keep_issued(struct agent_state *state, const char *keys, int64_t issued_at, struct err *err) {
    if (text_equal(state->directive_keys, keys) && issued_at <= state->directive_issued_at)
        return true;
    state->directive_keys = keys;
    state->directive_issued_at = issued_at;
    return agent_state_save(state, err);
}

bool agent_check_directive(const struct agent_settings *settings, const struct certs_pem_identity *identity, struct agent_state *state,
                           struct agent_transport *transport, const struct signers *signers, int64_t now, struct arena *arena,
                           struct directive *ret_directive, struct err *err) {
    CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX_BYTES);
    CLEANUP(buf_free) struct buf body = BUF_INIT(DIRECTIVE_MAX);
    char nonce[2 * NONCE_BYTES + 1];
    struct agent_response response;
    random_hex(nonce, NONCE_BYTES);
    const char *keys = digest_of(signers, state->arena, err);
    if (keys == NULL || !write_query(settings, state, nonce, &path, err) || !agent_transport_get(transport, path.data, &body, &response, err))
        return false;
    if (response.status == 204)
        return err_set(err, ERR_FREEZE, "check: the server answered a nonce without a signed directive");
    if (response.status != 200)
        return agent_transport_refused(&response, &body, "check", err);
    const struct directive_expect expect = {
        .signers = signers,
        .device = identity->id,
        .spki_sha256 = identity->spki_sha256,
        .nonce = nonce,
        .has_clock = settings->clock == AGENT_CLOCK_SYSTEM,
        .now = now,
        .issued_floor = issued_floor(state, keys),
    };
    struct directive directive;
    if (!directive_verify(arena, body.data, body.len, &expect, &directive, err) || !check_deployment(&directive, err))
        return err_prefix(err, "check");
    if (!keep_issued(state, keys, directive.issued_at, err))
        return false;
    *ret_directive = directive;
    return true;
}

bool agent_check_is_repair(const struct agent_state *state, const struct release *release) {
    return state->installed != NULL && text_equal(state->installed->sha256, release->sha256);
}

bool agent_check_repair(const struct agent_state *state, const struct release *release, int64_t now, struct err *err) {
    int64_t ago_s = now - state->repaired_at;
    if (!agent_check_is_repair(state, release) || state->repaired_at == 0 || ago_s < 0 || ago_s >= REPAIR_EVERY_S)
        return true;
    return err_set(err, ERR_TARGET, "%s is confirmed here and was installed once more %lld seconds ago; not again within a day", release->path,
                   (long long)ago_s);
}

static bool above_floor(const struct agent_state *state, const struct release *release, struct err *err) {
    struct agent_floor floor = agent_state_floor(state, release->product);
    bool repair = release->sequence == floor.sequence && agent_check_is_repair(state, release);
    if (release->sequence < floor.sequence || (release->sequence == floor.sequence && !repair))
        return err_set(err, ERR_ROLLBACK, "%s has sequence %lld, this device has confirmed %lld", release->path, (long long)release->sequence,
                       (long long)floor.sequence);
    if (release->security_version < floor.security_version)
        return err_set(err, ERR_ROLLBACK, "%s has security version %lld, this device has confirmed %lld", release->path,
                       (long long)release->security_version, (long long)floor.security_version);
    return true;
}

static bool attempts_left(const struct agent_settings *settings, const struct agent_state *state, const struct release *release, struct err *err) {
    const char *error = NULL;
    int64_t attempts = agent_state_attempts(state, release->path, &error);
    if (attempts < settings->max_attempts)
        return true;
    return err_set(err, ERR_SELFTEST, "%s failed %lld times on this device, last with %s", release->path, (long long)attempts, error);
}

bool agent_check_eligible(const struct agent_settings *settings, const struct agent_state *state, const struct release *release, struct err *err) {
    if (!text_equal(release->product, settings->product))
        return err_set(err, ERR_TARGET, "%s is for product '%s', this device follows '%s'", release->path, release->product, settings->product);
    if (release->withdrawn)
        return err_set(err, ERR_TARGET, "%s was withdrawn by those who signed it", release->path);
    if (!release_runs_on(release, settings->hardware))
        return err_set(err, ERR_HARDWARE, "%s does not run on hardware '%s'", release->path, settings->hardware);
    int64_t installed = agent_state_floor(state, release->product).sequence;
    if (installed < release->requires_sequence)
        return err_set(err, ERR_STEPPING_STONE, "%s needs sequence %lld first, this device has %lld", release->path,
                       (long long)release->requires_sequence, (long long)installed);
    if (!above_floor(state, release, err))
        return false;
    if (release->encryption != RELEASE_PLAIN && settings->seal_identity == NULL)
        return err_set(err, ERR_DECRYPT, "%s is sealed, and this device has no identity to open it ([device] seal_identity)", release->path);
    return attempts_left(settings, state, release, err);
}
