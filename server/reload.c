#include "server/reload.h"

#include <stdlib.h>

#include "common/log.h"
#include "server/administrators.h"
#include "server/commands.h"

enum { ARENA_BYTES = 65536 };

/* Keys that need a restart keep what they have; their names are collected. */
static bool keep_fixed(struct server_config *fresh, const struct server_config *live, struct buf *ignored, struct err *err) {
    for (size_t i = 0; i < server_config_table.count; i++) {
        const struct config_key *key = &server_config_table.keys[i];
        if ((key->flags & CONFIG_RELOADABLE) != 0 || !config_differs(key, fresh, live))
            continue;
        buf_printf(ignored, "%s[%s] %s", ignored->len > 0 ? ", " : "", key->section, key->name);
        if (!config_keep(key, fresh, live, err))
            return false;
    }
    return true;
}

struct reload *reload_read(struct server *server, struct buf *ignored, struct err *err) {
    struct reload *reload = calloc(1, sizeof(*reload));
    if (reload == NULL) {
        err_no_memory(err);
        return NULL;
    }
    arena_init(&reload->arena, ARENA_BYTES);
    if (commands_config(server->config_file, &reload->config, err) && keep_fixed(&reload->config, atomic_load(&server->live), ignored, err) &&
        server_config_check(&reload->config, err) &&
        administrators_scopes(&reload->arena, reload->config.admin.certificate_scopes, &reload->grants, err))
        return reload;
    reload_free(reload);
    return NULL;
}

void reload_settings(const struct server_config *config, struct api_settings *settings) {
    settings->poll_after_s = config->fleet.poll_after;
    settings->poll_jitter = config->fleet.poll_jitter;
    settings->image_bytes = config->limits.image_bytes;
    settings->firmware_grace_s = config->fleet.firmware_grace;
    settings->auto_accept = config->enrolment.auto_accept;
    settings->pending_max = config->enrolment.pending_max;
    settings->approval_above = config->fleet.approval_above;
    settings->expiry_warning_s = config->tls.expiry_warning;
    settings->certificate_lifetime_s = config->enrolment.lifetime;
    settings->renew_expired_s = config->enrolment.renew_expired;
}

void reload_take(struct server *server, struct reload *reload) {
    reload->before = server->reloads;
    server->reloads = reload;
    reload_settings(&reload->config, &server->env.settings);
    atomic_store(&server->certificate_grants, &reload->grants);
    atomic_store(&server->live, &reload->config);
    log_set_level((enum log_level)reload->config.log.level);
    auth_throttle_limit(&server->throttle, reload->config.limits.auth_failures);
    auth_throttle_limit(&server->enrolments, reload->config.enrolment.requests);
}

void reload_free(struct reload *reload) {
    while (reload != NULL) {
        struct reload *before = reload->before;
        server_config_free(&reload->config);
        arena_clear(&reload->arena);
        free(reload);
        reload = before;
    }
}
