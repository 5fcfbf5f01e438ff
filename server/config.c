#include "server/config.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/log.h"
#include "common/network.h"
#include "common/text.h"
#include "server/administrators.h"

static const char *const identities[] = {"san", "cn", NULL};
static const char *const confirms[] = {"version", "report", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const formats[] = {"logfmt", "json", NULL};

#define KEY(section_, name_, type_, fallback_, ...)                                                                                                  \
    {                                                                                                                                                \
        .section = #section_, .name = #name_, .type = type_, .offset = offsetof(struct server_config, section_.name_), .fallback = fallback_,        \
        __VA_ARGS__                                                                                                                                  \
    }

static const struct config_key keys[] = {
    KEY(listen, device, CONFIG_TEXT, "0.0.0.0:8443",
        .help = "Where devices connect: ADDRESS:PORT, [IPv6]:PORT, or off. A client certificate is required."),
    KEY(listen, enrol, CONFIG_TEXT, "off",
        .help = "Where devices without a certificate, or with one that has expired, ask for one (EST, RFC 7030): as device, usually port 8444."),
    KEY(listen, admin, CONFIG_TEXT, "127.0.0.1:9443", .help = "Where operators connect: bearer tokens, or certificates, over TLS; or off."),
    KEY(listen, proxies, CONFIG_TEXT, NULL,
        .help =
            "TCP load balancers before the device and the enrolment listener, addresses and networks: 192.0.2.7 10.0.0.0/8. From there, and only\n"
            "from there, each connection must begin with a PROXY header (version 1 or 2), and the address in it is the client's."),
    KEY(listen, workers, CONFIG_INT, "0", .min = 0, .max = 64, .help = "Threads that serve connections; 0 is one for each core."),

    KEY(tls, certificate, CONFIG_PATH, "server.crt", .flags = CONFIG_RELOADABLE, .help = "The server's certificate and its intermediates, PEM."),
    KEY(tls, key, CONFIG_PATH, "server.key", .flags = CONFIG_RELOADABLE, .help = "Its private key, PEM, readable by the server's user alone."),
    KEY(tls, device_ca, CONFIG_PATH, "device-ca.crt", .flags = CONFIG_RELOADABLE, .help = "The CAs that may sign device certificates, PEM."),
    KEY(tls, device_crl, CONFIG_PATH, NULL, .flags = CONFIG_RELOADABLE,
        .help =
            "What these CAs have revoked: CRLs in PEM, as many as there are, or one in DER. Each must be signed by a CA of device_ca. One that is\n"
            "past its next update still counts, with an alarm."),
    KEY(tls, admin_ca, CONFIG_PATH, NULL, .flags = CONFIG_RELOADABLE,
        .help = "The CAs of administrators' certificates, PEM, none of them among device_ca: one that is sent must verify. Without it none is asked "
                "for."),
    KEY(tls, admin_crl, CONFIG_PATH, NULL, .flags = CONFIG_RELOADABLE, .help = "What the CAs of admin_ca have revoked; as device_crl."),
    KEY(tls, identity, CONFIG_CHOICE, "san", .choices = identities,
        .help = "Where a device certificate says its id: san (the URI urn:pawl:device:<id>) or cn (the subject's common name)."),
    KEY(tls, expiry_warning, CONFIG_DURATION, "21d", .flags = CONFIG_RELOADABLE, .min = 0, .max = 315360000,
        .help = "A certificate that ends sooner, a device's, a CA's or the server's, is told of: event certificate-expiring, metrics, log."),

    KEY(admin, certificate_scopes, CONFIG_TEXT, NULL, .flags = CONFIG_RELOADABLE,
        .help =
            "What an administrator's certificate (one SAN URI urn:pawl:admin:<name>) may do: scopes as a token's, separated by spaces, each for all\n"
            "products or, behind @, for one (device:read release:publish@router). Without it a certificate may do nothing."),

    KEY(store, data, CONFIG_PATH, "data", .help = "Folder of the database and the images; made with mode 0700."),
    KEY(store, backups, CONFIG_PATH, NULL,
        .help = "Folder where `pawl backup create` has backups made (mode 0700, best on another disk). Without it none are made by request."),
    KEY(store, free_min, CONFIG_SIZE, "64M", .flags = CONFIG_RELOADABLE, .min = 0, .max = 1125899906842624,
        .help = "With less free space for it the server goes on, but /readyz says 503: time to make room before writing fails."),

    KEY(trust, timestamp_key, CONFIG_PATH, "keys/timestamp.pem", .help = "The online timestamp key: encrypted PKCS#8, mode 0400."),
    KEY(trust, directive_key, CONFIG_PATH, "keys/directive.pem", .help = "The online directive key: encrypted PKCS#8, mode 0400."),
    KEY(trust, audit_key, CONFIG_PATH, "keys/audit.pem", .help = "The key that signs checkpoints of the audit: encrypted PKCS#8, mode 0400."),
    KEY(trust, audit_interval, CONFIG_DURATION, "60s", .min = 1, .max = 3600,
        .help = "An audit row is covered by a signed checkpoint after that long, or after 100 rows."),
    KEY(trust, next_keys, CONFIG_PATH, NULL,
        .help = "Folder where a new root's online keys are looked for (*.pem), when it is published and at start. Without it they never change."),
    KEY(trust, passphrase_file, CONFIG_PATH, "keys/passphrase", .help = "File with the passphrase of them all, mode 0400 or 0600."),

    KEY(limits, handshake_timeout, CONFIG_DURATION, "8s", .min = 1, .max = 300, .help = "A TLS handshake must be complete by then."),
    KEY(limits, head_timeout, CONFIG_DURATION, "8s", .min = 1, .max = 300, .help = "A request's head must be complete by then."),
    KEY(limits, idle_timeout, CONFIG_DURATION, "30s", .min = 1, .max = 3600, .help = "A connection without a request is closed after that."),
    KEY(limits, drain_timeout, CONFIG_DURATION, "10s", .flags = CONFIG_RELOADABLE, .min = 0, .max = 600,
        .help = "On SIGTERM, requests may go on for that long."),
    KEY(limits, body_min_rate, CONFIG_SIZE, "1k", .min = 1, .max = 1073741824, .help = "Bytes a second that a request body must reach."),
    KEY(limits, reply_min_rate, CONFIG_SIZE, "256", .min = 1, .max = 1073741824, .help = "Bytes a second that a client must take of a reply."),
    KEY(limits, connections, CONFIG_INT, "20000", .min = 16, .max = 1000000, .help = "Open connections over all listeners."),
    KEY(limits, connections_per_address, CONFIG_INT, "4000", .min = 1, .max = 1000000, .help = "Of these from one address: devices share NAT."),
    KEY(limits, connections_per_device, CONFIG_INT, "8", .min = 1, .max = 1000, .help = "Of these by one device."),
    KEY(limits, admin_connections, CONFIG_INT, "32", .min = 1, .max = 1000, .help = "Of all connections, kept free for administration."),
    KEY(limits, handshakes, CONFIG_INT, "256", .min = 1, .max = 100000,
        .help = "TLS handshakes at one time, as many again for administration; further clients wait."),
    KEY(limits, downloads, CONFIG_INT, "0", .min = 0, .max = 1000000,
        .help = "Images on their way at one time; beyond it 503 with Retry-After, DDI clients wait. 0: any number."),
    KEY(limits, rollout_downloads, CONFIG_INT, "0", .min = 0, .max = 1000000, .help = "Of these, for one rollout; 0: any number."),
    KEY(limits, download_rate, CONFIG_SIZE, "0", .min = 0, .max = 1099511627776, .help = "Bytes a second of images, all together; 0: no limit."),
    KEY(limits, device_download_rate, CONFIG_SIZE, "0", .min = 0, .max = 1099511627776,
        .help = "Bytes a second of images to one device, over all its connections; 0: no limit."),
    KEY(limits, image_bytes, CONFIG_SIZE, "4G", .flags = CONFIG_RELOADABLE, .min = 1024, .max = 1099511627776,
        .help = "Greatest image that is taken."),
    KEY(limits, writer_queue, CONFIG_INT, "4096", .min = 16, .max = 1000000, .help = "Requests waiting to be written; beyond it 503."),
    KEY(limits, event_streams, CONFIG_INT, "64", .min = 0, .max = 100000, .help = "Event streams open at one time; beyond it 503."),
    KEY(limits, auth_failures, CONFIG_INT, "10", .flags = CONFIG_RELOADABLE, .min = 1, .max = 100000,
        .help = "Failed token attempts a minute from one address; beyond it 429."),

    KEY(enrolment, auto_accept, CONFIG_BOOL, "no", .flags = CONFIG_RELOADABLE,
        .help = "yes: an unknown device with a good certificate is active at once; no: it is pending until an administrator accepts it."),
    KEY(enrolment, pending_max, CONFIG_INT, "10000", .flags = CONFIG_RELOADABLE, .min = 1, .max = 10000000, .help = "Pending devices at most."),
    KEY(enrolment, ca_certificate, CONFIG_PATH, NULL, .flags = CONFIG_RELOADABLE,
        .help = "The CA that issues device certificates, PEM, one of those in [tls] device_ca. Without it the server verifies and does not issue."),
    KEY(enrolment, ca_key, CONFIG_PATH, NULL, .flags = CONFIG_RELOADABLE, .help = "Its private key: encrypted PKCS#8, mode 0400."),
    KEY(enrolment, ca_passphrase_file, CONFIG_PATH, NULL, .flags = CONFIG_RELOADABLE,
        .help = "File with that key's passphrase, mode 0400 or 0600. Without it [trust] passphrase_file."),
    KEY(enrolment, lifetime, CONFIG_DURATION, "90d", .flags = CONFIG_RELOADABLE, .min = 60, .max = 315360000,
        .help = "How long a certificate that is issued here lives."),
    KEY(enrolment, renew_expired, CONFIG_DURATION, "365d", .flags = CONFIG_RELOADABLE, .min = 0, .max = 315360000,
        .help = "How long after its expiry an active device may still renew its certificate, with the same key."),
    KEY(enrolment, factory_ca, CONFIG_PATH, NULL, .flags = CONFIG_RELOADABLE,
        .help = "CAs of factories, PEM, none of them among the other CAs: a certificate of theirs is a device's ticket for its first enrolment."),
    KEY(enrolment, factory_crl, CONFIG_PATH, NULL, .flags = CONFIG_RELOADABLE,
        .help = "What the CAs of factory_ca have revoked; as [tls] device_crl."),
    KEY(enrolment, factory_identity, CONFIG_CHOICE, "san", .choices = identities,
        .help = "Where a factory's certificate says the id; as [tls] identity."),
    KEY(enrolment, requests, CONFIG_INT, "300", .flags = CONFIG_RELOADABLE, .min = 1, .max = 10000000,
        .help = "Enrolment requests a minute from one address (IPv6: one /64); beyond it 429."),

    KEY(fleet, poll_after, CONFIG_DURATION, "5m", .flags = CONFIG_RELOADABLE, .min = 1, .max = 604800,
        .help = "How often devices are asked to poll."),
    KEY(fleet, poll_jitter, CONFIG_INT, "10", .flags = CONFIG_RELOADABLE, .min = 0, .max = 90,
        .help = "Percent by which that varies, so that polls spread."),
    KEY(fleet, flush, CONFIG_DURATION, "5s", .flags = CONFIG_RELOADABLE, .min = 1, .max = 60, .help = "Last-seen values reach the disk this often."),
    KEY(fleet, event_keep, CONFIG_DURATION, "90d", .flags = CONFIG_RELOADABLE, .min = 3600, .max = 315360000,
        .help = "Events, and what devices reported on the way of deployments that are closed since, are kept for that long."),
    KEY(fleet, firmware_grace, CONFIG_DURATION, "24h", .flags = CONFIG_RELOADABLE, .min = 0, .max = 2592000,
        .help = "A device may still fetch the image of a deployment that was closed not longer ago."),
    KEY(fleet, approval_above, CONFIG_INT, "0", .flags = CONFIG_RELOADABLE, .min = 0, .max = 10000000,
        .help = "A rollout to more devices than this waits until a second token or administrator approves it; 0: none does."),

    KEY(ddi, enabled, CONFIG_BOOL, "yes",
        .help = "yes: SWUpdate, rauc-hawkbit-updater and other clients of hawkBit's device API are served, docs/ddi.md."),
    KEY(ddi, tenants, CONFIG_TEXT, "DEFAULT", .help = "The tenant names that clients may use, separated by spaces; case does not matter."),
    KEY(ddi, part, CONFIG_TEXT, "bApp", .help = "The part that every update says it is; Zephyr's client takes bApp alone."),
    KEY(ddi, public_url, CONFIG_TEXT, NULL,
        .help = "https://HOST[:PORT] that links in answers begin with. Without it they follow the Host header that the client sent."),
    KEY(ddi, hosts, CONFIG_TEXT, NULL,
        .help = "The names (without ports) that a Host header may say, separated by spaces. Without it any name is taken."),
    KEY(ddi, confirm, CONFIG_CHOICE, "version", .choices = confirms,
        .help = "What makes a success: version (the client says success, and version_attribute names the new version) or report (its word alone)."),
    KEY(ddi, version_attribute, CONFIG_TEXT, "version", .help = "The attribute in which clients say which version they run."),
    KEY(ddi, product_attribute, CONFIG_TEXT, NULL, .help = "The attribute that fills in the product of a device that has none yet."),
    KEY(ddi, hardware_attribute, CONFIG_TEXT, NULL, .help = "The attribute that fills in the hardware of a device that has none yet."),
    KEY(ddi, token_listen, CONFIG_TEXT, "off",
        .help = "Where clients without a certificate connect, ADDRESS:PORT or off: DDI alone, by a TargetToken ('pawl devices ddi'). docs/ddi.md "
                "says what\n"
                "one gives up with it."),
    KEY(ddi, gateway_token_file, CONFIG_PATH, NULL,
        .help = "File, mode 0400 or 0600, with a GatewayToken: it speaks there for every device that has no key of its own. Without it none does."),

    KEY(webhooks, enabled, CONFIG_BOOL, "yes",
        .help = "yes: events are sent to the webhooks that operators make; no: the server connects to nobody, and the system call for it is closed."),
    KEY(webhooks, allow, CONFIG_TEXT, NULL,
        .help = "Networks that may be sent to although they are private, local or reserved: ADDRESS or ADDRESS/BITS, separated by spaces."),
    KEY(webhooks, plain_http, CONFIG_BOOL, "no", .help = "yes: a webhook's URL may begin with http://, readable and changeable on the way."),
    KEY(webhooks, ca_file, CONFIG_PATH, NULL, .help = "The CAs that receivers' certificates are verified with, PEM. Without it the system's."),
    KEY(webhooks, timeout, CONFIG_DURATION, "10s", .min = 1, .max = 60, .help = "A delivery must be answered by then."),
    KEY(webhooks, attempts, CONFIG_INT, "16", .min = 1, .max = 100,
        .help = "Attempts before a delivery is given up (about a day with the defaults)."),
    KEY(webhooks, retry_first, CONFIG_DURATION, "5s", .min = 1, .max = 3600,
        .help = "Wait after the first failure; each next one waits twice as long …"),
    KEY(webhooks, retry_max, CONFIG_DURATION, "6h", .min = 1, .max = 86400, .help = "… but not longer than this; by chance a quarter more or less."),

    KEY(log, level, CONFIG_CHOICE, "info", .flags = CONFIG_RELOADABLE, .choices = levels, .help = "error, warn, info or debug."),
    KEY(log, format, CONFIG_CHOICE, "logfmt", .choices = formats, .help = "logfmt or json; one line an event, on standard error."),
    KEY(log, requests, CONFIG_BOOL, "yes", .flags = CONFIG_RELOADABLE, .help = "One line for each request."),
};

/* Variables of pawl-agent and pawl, which may run in the same shell. */
static const char *const foreign[] = {"PAWL_AGENT_", "PAWL_TOKEN_FILE=", "PAWL_CONFIG=", NULL};

const struct config_table server_config_table = {
    .program = "pawld", .env_prefix = "PAWL_", .env_foreign = foreign, .keys = keys, .count = ARRAY_LEN(keys)};

bool server_config_address(const char *text, const char *what, char ret_host[64], uint16_t *ret_port, struct err *err) {
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;
    bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    const char *start = brackets ? text + 1 : text;
    len -= brackets ? 2 : 0;
    char host[64] = "";
    uint8_t address[16];
    int64_t port = -1;
    if (len > 0 && len < sizeof(host))
        memcpy(host, start, len);
    if (colon == NULL || inet_pton(brackets ? AF_INET6 : AF_INET, host, address) != 1 || !text_to_int(colon + 1, 0, UINT16_MAX, &port))
        return err_set(err, ERR_CONFIG, "%s = %.80s: ADDRESS:PORT, [IPv6]:PORT (numbers, no names) or off is expected", what, text);
    memcpy(ret_host, host, sizeof(host));
    *ret_port = (uint16_t)port;
    return true;
}

static bool check_listener(const char *text, const char *what, struct err *err) {
    char host[64];
    uint16_t port;
    return strcmp(text, "off") == 0 || server_config_address(text, what, host, &port, err);
}

static bool check_scopes(const char *text, struct err *err) {
    struct arena arena CLEANUP(arena_clear);
    struct db_token grants;
    arena_init(&arena, 65536);
    return administrators_scopes(&arena, text, &grants, err);
}

static bool check_proxies(const char *text, struct err *err) {
    struct network_list proxies;
    return network_list_parse(text, &proxies, err) || err_prefix(err, "[listen] proxies");
}

static bool is_base_url(const char *text) {
    return text_starts(text, "https://") && strlen(text) > 8 && strpbrk(text + 8, "/?#@ ") == NULL && text_is_printable(text);
}

bool server_config_check(const struct server_config *config, struct err *err) {
    if (!check_scopes(config->admin.certificate_scopes, err) || !check_proxies(config->listen.proxies, err))
        return false;
    if (!check_listener(config->listen.device, "[listen] device", err) || !check_listener(config->listen.enrol, "[listen] enrol", err) ||
        !check_listener(config->listen.admin, "[listen] admin", err))
        return false;
    if (!check_listener(config->ddi.token_listen, "[ddi] token_listen", err))
        return false;
    if ((config->enrolment.ca_certificate != NULL) != (config->enrolment.ca_key != NULL))
        return err_set(err, ERR_CONFIG, "[enrolment] ca_certificate and ca_key belong together: one of them is missing");
    if (config->enrolment.factory_ca != NULL && strcmp(config->listen.enrol, "off") == 0)
        return err_set(err, ERR_CONFIG, "[enrolment] factory_ca needs [listen] enrol: it is believed there alone");
    if (config->enrolment.factory_crl != NULL && config->enrolment.factory_ca == NULL)
        return err_set(err, ERR_CONFIG, "[enrolment] factory_crl needs [enrolment] factory_ca: no such certificate is believed");
    if (strcmp(config->listen.device, "off") == 0 && strcmp(config->listen.admin, "off") == 0)
        return err_set(err, ERR_CONFIG, "[listen] device and admin are both off: nothing would be served");
    if (config->tls.admin_crl != NULL && config->tls.admin_ca == NULL)
        return err_set(err, ERR_CONFIG, "[tls] admin_crl needs [tls] admin_ca: no certificate is asked for");
    if (config->ddi.public_url != NULL && !is_base_url(config->ddi.public_url))
        return err_set(err, ERR_CONFIG, "[ddi] public_url = %.80s: https://HOST or https://HOST:PORT is expected", config->ddi.public_url);
    if (config->admin.certificate_scopes != NULL && config->tls.admin_ca == NULL)
        return err_set(err, ERR_CONFIG, "[admin] certificate_scopes needs [tls] admin_ca: no certificate is asked for");
    struct network_list networks;
    if (!network_list_parse(config->webhooks.allow, &networks, err))
        return err_prefix(err, "[webhooks] allow");
    if (config->limits.admin_connections >= config->limits.connections)
        return err_set(err, ERR_CONFIG, "[limits] admin_connections must be less than connections");
    return true;
}

bool server_config_load(const char *path, struct server_config *ret_config, struct err *err) {
    if (!config_load(&server_config_table, path, ret_config, err))
        return false;
    if (server_config_check(ret_config, err))
        return true;
    server_config_free(ret_config);
    return err_prefix(err, "%s", path != NULL ? path : "environment");
}

void server_config_free(struct server_config *config) {
    config_free(&server_config_table, config);
}
