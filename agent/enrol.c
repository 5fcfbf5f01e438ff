#include "agent/enrol.h"

#include <stdio.h>
#include <string.h>

#include "agent/est.h"
#include "agent/identity.h"
#include "agent/state.h"
#include "certs/request.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/text.h"

enum { CLAIM_MAX = 512, ARENA_MAX = 16 << 20, PATH_MAX_BYTES = 4096 };

static void free_transport(struct agent_transport **transport) {
    agent_transport_free(*transport);
}

/* The settings for another listener, or with another certificate; everything in it is borrowed. NULL: none is shown. */
static struct agent_settings settings_for(const struct agent_settings *settings, const char *url, char *certificate, char *key) {
    struct agent_settings other = *settings;
    other.server_url = (char *)(uintptr_t)url;
    other.certificate = certificate;
    other.key = key;
    return other;
}

/* The key that waits for its certificate, made now if there is none. */
static bool next_key(const struct agent_settings *settings, struct buf *ret_key, struct err *err) {
    if (agent_identity_exists(settings->state, AGENT_IDENTITY_NEXT_KEY))
        return agent_identity_read(settings->state, AGENT_IDENTITY_NEXT_KEY, ret_key, err);
    return certs_request_new_key(ret_key, err) && agent_identity_write(settings->state, AGENT_IDENTITY_NEXT_KEY, ret_key, NULL, err);
}

static void say(const char *message, const struct buf *certificate, const struct agent_settings *settings) {
    struct certs_pem_identity identity;
    struct err ignored;
    char until[CLOCK_RFC3339_SIZE];
    if (!certs_pem_device(certificate->data, certificate->len, "it", settings->identity == AGENT_IDENTITY_CN, &identity, &ignored))
        return;
    clock_rfc3339(identity.not_after, until);
    log_event(LOG_INFO, message, "device", identity.id, "until", until, (char *)NULL);
}

/* ---- the first one ---- */

static bool read_claim(const struct agent_settings *settings, struct buf *ret_claim, struct err *err) {
    if (settings->enrolment_claim == NULL)
        return true;
    if (!agent_settings_read("[enrolment] claim", settings->enrolment_claim, true, ret_claim, err))
        return false;
    size_t len = strcspn(ret_claim->data, "\r\n \t");
    if (len == 0)
        return err_set(err, ERR_CONFIG, "[enrolment] claim: %s is empty", settings->enrolment_claim);
    ret_claim->data[len] = '\0';
    ret_claim->len = len;
    return true;
}

/* A claim that was spent for this key more than an hour ago, while the answer was lost, is no use any more; the key alone brings the certificate. */
static bool ask_first(struct agent_est *est, struct buf *ret_certificate, struct err *err) {
    if (agent_est_ask(est, ret_certificate, err))
        return true;
    if (est->claim == NULL || err->code != ERR_GONE)
        return false;
    log_err(LOG_WARN, "asking without the claim", err);
    est->claim = NULL;
    return agent_est_ask(est, ret_certificate, err);
}

static bool enrol(const struct agent_settings *settings, const volatile sig_atomic_t *stop, int64_t *ret_retry_after_s, struct err *err) {
    CLEANUP(buf_wipe) struct buf claim = BUF_INIT(CLAIM_MAX);
    CLEANUP(buf_wipe) struct buf key = BUF_INIT(AGENT_IDENTITY_MAX);
    CLEANUP(buf_free) struct buf certificate = BUF_INIT(AGENT_IDENTITY_MAX);
    CLEANUP(free_transport) struct agent_transport *transport = NULL;
    const struct agent_settings est_settings = settings_for(settings, settings->enrolment_url, settings->factory_certificate, settings->factory_key);
    if (!read_claim(settings, &claim, err) || !next_key(settings, &key, err) || !agent_transport_open(&est_settings, stop, &transport, err))
        return false;
    struct agent_est est = {.transport = transport,
                            .path = AGENT_EST_ENROL,
                            .id = settings->enrolment_id,
                            .claim = claim.data,
                            .key = &key,
                            .by_common_name = settings->identity == AGENT_IDENTITY_CN};
    if (!ask_first(&est, &certificate, err)) {
        *ret_retry_after_s = agent_transport_last(transport)->retry_after_s;
        return false;
    }
    if (!agent_identity_write(settings->state, AGENT_IDENTITY_CURRENT, &key, &certificate, err))
        return false;
    say("enrolled", &certificate, settings);
    return agent_identity_drop(settings->state, AGENT_IDENTITY_NEXT_KEY, err);
}

/* Killed between two files: a key that has its certificate waits for none any more. */
static bool drop_used_key(const struct agent_settings *settings, struct err *err) {
    CLEANUP(buf_wipe) struct buf key = BUF_INIT(AGENT_IDENTITY_MAX);
    CLEANUP(buf_wipe) struct buf used = BUF_INIT(AGENT_IDENTITY_MAX);
    struct err ignored; /* what cannot be read is the next renewal's trouble */
    bool same = agent_identity_exists(settings->state, AGENT_IDENTITY_NEXT_KEY) &&
                agent_identity_read(settings->state, AGENT_IDENTITY_NEXT_KEY, &key, &ignored) &&
                agent_identity_read_key(settings->state, &used, &ignored) && key.len == used.len && key.len > 0 &&
                memcmp(key.data, used.data, key.len) == 0;
    return !same || agent_identity_drop(settings->state, AGENT_IDENTITY_NEXT_KEY, err);
}

bool agent_enrol_due(const struct agent_settings *settings) {
    return settings->enrolment_url != NULL && !agent_identity_exists(settings->state, AGENT_IDENTITY_CURRENT);
}

bool agent_enrol_ensure(const struct agent_settings *settings, const volatile sig_atomic_t *stop, int64_t *ret_retry_after_s, struct err *err) {
    *ret_retry_after_s = 0;
    if (settings->enrolment_url == NULL)
        return true;
    return agent_identity_open(settings->state, err) &&
           (agent_enrol_due(settings) ? enrol(settings, stop, ret_retry_after_s, err) : drop_used_key(settings, err));
}

/* ---- the next ones ---- */

/* Does the server take the certificate that waits? *ret_verdict is its word, ERR_NONE for yes; false when it said nothing. */
static bool try_next(const struct agent *agent, enum err_code *ret_verdict, struct err *err) {
    CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX_BYTES);
    CLEANUP(buf_free) struct buf body = BUF_INIT(AGENT_PROBLEM_MAX);
    CLEANUP(free_transport) struct agent_transport *transport = NULL;
    struct agent_response response;
    if (!agent_identity_path(agent->settings->state, AGENT_IDENTITY_NEXT, &path, err))
        return false;
    const struct agent_settings settings = settings_for(agent->settings, agent->settings->server_url, path.data, path.data);
    if (!agent_transport_open(&settings, agent->stop, &transport, err) || !agent_transport_get(transport, "/whoami", &body, &response, err)) {
        *ret_verdict = err->code;
        return err->code == ERR_TLS || err->code == ERR_KEY; /* how TLS says no; and what no server can be asked with */
    }
    *ret_verdict = ERR_NONE;
    if (response.status != 200) {
        (void)agent_transport_refused(&response, &body, "the new certificate", err);
        *ret_verdict = err->code;
    }
    return response.status == 200 || response.status == 401 || response.status == 403;
}

/* Only what the server has accepted takes the old one's place; what it refuses is forgotten, and asked for anew. */
static bool settle_next(struct agent *agent, struct err *err) {
    const char *state = agent->settings->state;
    enum err_code verdict;
    if (!agent_identity_exists(state, AGENT_IDENTITY_NEXT))
        return true;
    if (!agent_identity_drop(state, AGENT_IDENTITY_NEXT_KEY, err) || !try_next(agent, &verdict, err)) /* its key is in it */
        return false;
    if (verdict == ERR_NONE)
        return agent_identity_take_next(state, err) && agent_update_follow_certificate(agent, err);
    log_err(LOG_WARN, "the new certificate is not accepted", err);
    return agent_identity_drop(state, AGENT_IDENTITY_NEXT, err);
}

static bool is_due(const struct certs_pem_identity *identity, int64_t now) {
    return now >= identity->not_after - (identity->not_after - identity->not_before) / 3;
}

/* With a new key. When the old certificate has expired that is too late: then with the old key, and where such a certificate still counts. */
static bool ask_next(struct agent *agent, bool expired, struct err *err) {
    const struct agent_settings *settings = agent->settings;
    CLEANUP(buf_wipe) struct buf key = BUF_INIT(AGENT_IDENTITY_MAX);
    CLEANUP(buf_free) struct buf certificate = BUF_INIT(AGENT_IDENTITY_MAX);
    CLEANUP(free_transport) struct agent_transport *there = NULL;
    const struct agent_settings there_settings = settings_for(settings, settings->enrolment_url, settings->certificate, settings->key);
    if (expired && !agent_transport_open(&there_settings, agent->stop, &there, err))
        return false;
    if (!(expired ? agent_identity_read_key(settings->state, &key, err) : next_key(settings, &key, err)))
        return false;
    const struct agent_est est = {.transport = expired ? there : agent->transport,
                                  .path = AGENT_EST_RENEW,
                                  .id = agent->identity.id,
                                  .key = &key,
                                  .by_common_name = settings->identity == AGENT_IDENTITY_CN};
    return agent_est_ask(&est, &certificate, err) && agent_identity_write(settings->state, AGENT_IDENTITY_NEXT, &key, &certificate, err) &&
           agent_identity_drop(settings->state, AGENT_IDENTITY_NEXT_KEY, err);
}

/* Without a clock: when the server last spoke. */
static int64_t time_of(const struct agent *agent) {
    CLEANUP(arena_clear) struct arena arena;
    struct agent_state state;
    struct err ignored;
    arena_init(&arena, ARENA_MAX);
    if (agent->settings->clock == AGENT_CLOCK_SYSTEM)
        return clock_now();
    return agent_state_load(&arena, agent->settings->state, &state, &ignored) ? state.directive_issued_at : 0;
}

void agent_enrol_renew(struct agent *agent) {
    struct err err = {0};
    if (agent->settings->enrolment_url == NULL)
        return;
    if (!settle_next(agent, &err)) {
        log_err(LOG_WARN, "the new certificate could not be tried", &err);
        return;
    }
    int64_t now = time_of(agent);
    if (is_due(&agent->identity, now) && (!ask_next(agent, now >= agent->identity.not_after, &err) || !settle_next(agent, &err)))
        log_err(LOG_WARN, "the certificate could not be renewed", &err);
}
