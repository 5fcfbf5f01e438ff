#include "server/administrators.h"

#include <stdio.h>
#include <string.h>

#include "api/shapes.h"
#include "certs/bundle.h"
#include "common/text.h"

bool administrators_scopes(struct arena *arena, const char *text, struct db_token *ret_grants, struct err *err) {
    const char *words[ADMINISTRATORS_MAX_SCOPES];
    struct json_texts scopes = {.items = words};
    for (const char *at = text != NULL ? text + strspn(text, " \t") : ""; *at != '\0'; at += strspn(at, " \t")) {
        size_t len = strcspn(at, " \t");
        if (scopes.count == ARRAY_LEN(words))
            return err_set(err, ERR_CONFIG, "[admin] certificate_scopes: more than %d scopes", ADMINISTRATORS_MAX_SCOPES);
        words[scopes.count] = arena_strndup(arena, at, len);
        if (words[scopes.count++] == NULL)
            return err_no_memory(err);
        at += len;
    }
    *ret_grants = (struct db_token){.id = "", .name = ""};
    if (api_scopes_read(arena, &scopes, ret_grants, err))
        return true;
    err->code = err->code == ERR_INVALID ? ERR_CONFIG : err->code;
    return err_prefix(err, "[admin] certificate_scopes");
}

bool administrators_check_authorities(const struct server_config *config, struct err *err) {
    const struct {
        const char *what, *one, *other;
    } pairs[] = {
        {"[tls] device_ca and admin_ca", config->tls.device_ca, config->tls.admin_ca},
        {"[tls] device_ca and [enrolment] factory_ca", config->tls.device_ca, config->enrolment.factory_ca},
        {"[tls] admin_ca and [enrolment] factory_ca", config->tls.admin_ca, config->enrolment.factory_ca},
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (pairs[i].one != NULL && pairs[i].other != NULL && !certs_bundle_disjoint(pairs[i].one, pairs[i].other, err))
            return err_prefix(err, "%s", pairs[i].what);
    return true;
}

/* True for a request that a page of another origin may have caused. */
static bool is_from_elsewhere(const struct api_call *call) {
    const char *origin = api_header(call, "Origin");
    const char *host = api_header(call, "Host");
    return origin != NULL && (host == NULL || !text_starts(origin, "https://") || strcmp(origin + strlen("https://"), host) != 0);
}

bool administrators_admit(struct api_call *call, const struct db_token *grants, struct err *err) {
    const struct api_identity *certificate = call->operator_.certificate;
    if (call->now >= certificate->not_after)
        return err_set(err, ERR_UNAUTHENTICATED, "the administrator's certificate has expired");
    if (strcmp(call->method, "GET") != 0 && is_from_elsewhere(call))
        return err_set(err, ERR_FORBIDDEN, "a change from a page of another origin needs a bearer token");
    struct db_token *held = arena_alloc(call->arena, sizeof(*held));
    if (held == NULL)
        return err_no_memory(err);
    *held = *grants;
    held->name = certificate->id;
    held->expires_at = certificate->not_after;
    call->operator_.token = held;
    snprintf(call->operator_.actor, sizeof(call->operator_.actor), "cert:%s", certificate->id);
    return true;
}
