#include "server/reload.h"

#include <stdlib.h>

#include "common/log.h"
#include "server/administrators.h"
#include "server/commands.h"
#include "server/expiry.h"
#include "server/issuing.h"
#include "server/listeners.h"

enum { ARENA_BYTES = 65536 };

/* One reading. All of them stay until the process ends: threads may be looking at any. */
struct reload {
    struct reload *before;
    struct server_config config;
    struct db_token grants; /* [admin] certificate_scopes */
    struct arena arena;     /* what grants points to */
};

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

/* ignored: "[listen] device, [store] data": keys that changed and need a restart; "": none. NULL: the reading is no good, *err says why. */
static struct reload *read_again(struct server *server, struct buf *ignored, struct err *err) {
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

/* Puts it in force, for every thread. */
static void take(struct server *server, struct reload *reload) {
    reload->before = server->reloads;
    server->reloads = reload;
    reload_settings(&reload->config, &server->env.settings);
    atomic_store(&server->certificate_grants, &reload->grants);
    atomic_store(&server->live, &reload->config);
    log_set_level((enum log_level)reload->config.log.level);
    auth_throttle_limit(&server->throttle, reload->config.limits.auth_failures);
    auth_throttle_limit(&server->enrolments, reload->config.enrolment.requests);
    server->env.wake_streams(server); /* what an administrator's certificate may do may be less now */
}

/* The files of [tls] and [enrolment] where the configuration says that they are: all of them, or none. */
static bool take_files(struct server *server, const struct server_config *config, struct err *err) {
    struct listeners listeners;
    struct certs_issuer *issuer CLEANUP(issuing_drop) = NULL;
    if (!administrators_check_authorities(config, err) || !issuing_open(config, &issuer, err) || !issuing_has_room(server, issuer, err) ||
        !listeners_fill(config, &listeners, err) || !wire_reload(server->wire, &listeners.settings, err))
        return false;
    issuing_take(server, &issuer);
    return true;
}

void reload_run(struct server *server) {
    struct buf ignored CLEANUP(buf_free) = BUF_INIT(4096);
    struct err err;
    struct reload *fresh = read_again(server, &ignored, &err);
    if (fresh == NULL)
        log_err(LOG_ERROR, "configuration not reloaded, the old one stays", &err);
    bool files = take_files(server, fresh != NULL ? &fresh->config : atomic_load(&server->live), &err);
    if (files)
        log_event(LOG_INFO, "certificates reloaded", (char *)NULL);
    else
        log_err(LOG_ERROR, "certificates not reloaded, the old ones stay", &err);
    if (files && fresh != NULL) {
        take(server, fresh);
        if (ignored.len > 0)
            log_event(LOG_WARN, "changes that need a restart are ignored", "keys", ignored.data, (char *)NULL);
        log_event(LOG_INFO, "configuration reloaded", (char *)NULL);
    } else {
        reload_free(fresh);
    }
    expiry_forget(server);
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
