#include "server/listeners.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "server/auth.h"

static bool add_listener(struct listeners *listeners, const struct server_config *config, const char *text, const char *name,
                         const struct wire_listener *listener, struct err *err) {
    if (strcmp(text, "off") == 0)
        return true;
    size_t i = listeners->settings.listener_count;
    uint16_t port;
    char what[32];
    snprintf(what, sizeof(what), "%s %s%s", listener->role == API_TOKEN ? "[ddi]" : "[listen]", name, listener->role == API_TOKEN ? "_listen" : "");
    if (!server_config_address(text, what, listeners->hosts[i], &port, err))
        return false;
    struct wire_listener *out = &listeners->settings.listeners[i];
    *out = *listener;
    out->address = listeners->hosts[i];
    out->port = port;
    out->certificate_file = config->tls.certificate;
    out->key_file = config->tls.key;
    listeners->names[i] = name;
    listeners->settings.listener_count++;
    return true;
}

bool listeners_fill(const struct server_config *config, struct listeners *listeners, struct err *err) {
    const struct wire_listener device = {
        .role = API_DEVICE,
        .client_certificate = WIRE_CERTIFICATE_REQUIRED,
        .clients = {.ca = config->tls.device_ca, .crl = config->tls.device_crl},
        .identity_from_cn = config->tls.identity == SERVER_IDENTITY_CN,
        .proxied = true,
    };
    const struct wire_listener enrol = {
        .role = API_ENROL,
        .client_certificate = WIRE_CERTIFICATE_REQUESTED,
        .clients = {.ca = config->tls.device_ca, .crl = config->tls.device_crl},
        .identity_from_cn = config->tls.identity == SERVER_IDENTITY_CN,
        .proxied = true,
        .factories = {.ca = config->enrolment.factory_ca, .crl = config->enrolment.factory_crl},
        .factory_from_cn = config->enrolment.factory_identity == SERVER_IDENTITY_CN,
    };
    const struct wire_listener token = {
        .role = API_TOKEN,
        .client_certificate = WIRE_CERTIFICATE_NONE,
        .proxied = true,
    };
    const struct wire_listener admin = {
        .role = API_ADMIN,
        .client_certificate = config->tls.admin_ca != NULL ? WIRE_CERTIFICATE_REQUESTED : WIRE_CERTIFICATE_NONE,
        .clients = {.ca = config->tls.admin_ca, .crl = config->tls.admin_crl},
    };
    memset(listeners, 0, sizeof(*listeners));
    listeners->settings = (struct wire_settings){
        .workers = (int)config->listen.workers,
        .handshake_deadline_ms = config->limits.handshake_timeout * 1000,
        .head_deadline_ms = config->limits.head_timeout * 1000,
        .idle_deadline_ms = config->limits.idle_timeout * 1000,
        .body_min_bytes_per_s = config->limits.body_min_rate,
        .reply_min_bytes_per_s = config->limits.reply_min_rate,
        .max_connections = config->limits.connections,
        .reserved_admin_connections = config->limits.admin_connections,
        .max_connections_per_address = config->limits.connections_per_address,
        .max_connections_per_device = config->limits.connections_per_device,
        .max_handshakes = config->limits.handshakes,
        .max_downloads = config->limits.downloads,
        .max_rollout_downloads = config->limits.rollout_downloads,
        .download_rate = config->limits.download_rate,
        .device_download_rate = config->limits.device_download_rate,
        .admit = auth_may_connect,
    };
    if (!network_list_parse(config->listen.proxies, &listeners->settings.proxies, err))
        return err_prefix(err, "[listen] proxies");
    return add_listener(listeners, config, config->listen.device, "device", &device, err) &&
           add_listener(listeners, config, config->listen.enrol, "enrol", &enrol, err) &&
           add_listener(listeners, config, config->ddi.token_listen, "token", &token, err) &&
           add_listener(listeners, config, config->listen.admin, "admin", &admin, err);
}

void listeners_log_ready(const struct listeners *listeners, const struct wire *wire) {
    char places[LISTENERS_MAX][96];
    const char *device = NULL, *enrol = NULL, *token = NULL, *admin = NULL;
    for (size_t i = 0; i < listeners->settings.listener_count; i++) {
        const char *host = listeners->hosts[i];
        bool brackets = strchr(host, ':') != NULL;
        snprintf(places[i], sizeof(places[i]), "%s%s%s:%d", brackets ? "[" : "", host, brackets ? "]" : "", wire_port(wire, i));
        if (strcmp(listeners->names[i], "device") == 0)
            device = places[i];
        else if (strcmp(listeners->names[i], "enrol") == 0)
            enrol = places[i];
        else if (strcmp(listeners->names[i], "token") == 0)
            token = places[i];
        else
            admin = places[i];
    }
    log_event(LOG_INFO, "ready", "version", PAWL_VERSION, "device", device, "enrol", enrol, "token", token, "admin", admin, (char *)NULL);
}
