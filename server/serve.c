/* pawld serve: everything opened, verified and started in order; signals until the end; everything closed in the other order. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/program.h"
#include "db/event.h"
#include "server/administrators.h"
#include "server/alarms.h"
#include "server/backups.h"
#include "server/checkpoints.h"
#include "server/commands.h"
#include "server/deliveries.h"
#include "server/expiry.h"
#include "server/issuing.h"
#include "server/listeners.h"
#include "server/online.h"
#include "server/readiness.h"
#include "server/reload.h"
#include "server/rollouts.h"
#include "server/sandbox.h"
#include "server/server.h"
#include "server/timers.h"
#include "server/webhook.h"

/* A commit failed on the disk: nothing is acknowledged any more, and the process ends. */
static void on_fatal(void *context, const struct err *err) {
    struct server *server = context;
    log_err(LOG_ERROR, "the store failed", err);
    atomic_store(&server->store_failed, true);
}

/* Looked for among those found before, then in the folder; kept to the end, because a signature may be on its way with any of them. */
static bool find_key(struct server *server, const struct signers *signers, const struct key **ret_key, struct err *err) {
    const struct key *const first[] = {server->timestamp_key, server->directive_key};
    for (size_t i = 0; i < ARRAY_LEN(first) + server->next_key_count; i++) {
        const struct key *key = i < ARRAY_LEN(first) ? first[i] : server->next_keys[i - ARRAY_LEN(first)];
        if (signers_have(signers, key)) {
            *ret_key = key;
            return true;
        }
    }
    if (server->next_key_count == SERVER_NEXT_KEYS)
        return err_set(err, ERR_KEY, "%d new keys were taken since the start; restart the server", SERVER_NEXT_KEYS);
    struct key *found = NULL;
    if (!online_find(&server->config, signers, &found, err))
        return false;
    server->next_keys[server->next_key_count++] = found;
    *ret_key = found;
    return true;
}

static void disconnect(struct server *server, const char *device_id) {
    pthread_mutex_lock(&server->wire_lock);
    struct wire *wire = atomic_load(&server->wire);
    if (wire != NULL)
        wire_disconnect_device(wire, device_id);
    pthread_mutex_unlock(&server->wire_lock);
}

static struct api_ddi_settings ddi_settings(const struct server_config *config) {
    return (struct api_ddi_settings){
        .enabled = config->ddi.enabled,
        .confirm_by_report = config->ddi.confirm == SERVER_CONFIRM_REPORT,
        .tenants = config->ddi.tenants,
        .part = config->ddi.part,
        .public_url = config->ddi.public_url,
        .hosts = config->ddi.hosts,
        .version_attribute = config->ddi.version_attribute,
        .product_attribute = config->ddi.product_attribute,
        .hardware_attribute = config->ddi.hardware_attribute,
    };
}

static void wake_streams(struct server *server) {
    pthread_mutex_lock(&server->wire_lock);
    struct wire *wire = atomic_load(&server->wire);
    if (wire != NULL && atomic_load(&server->streams.open) > 0)
        wire_tell_news(wire);
    pthread_mutex_unlock(&server->wire_lock);
}

/* The writer thread, after events were committed. */
static void tell_news(void *context) {
    struct server *server = context;
    wake_streams(server);
    deliveries_wake(server);
}

static void fill_env(struct server *server) {
    const struct api_webhook_settings webhook_settings = {
        .enabled = server->config.webhooks.enabled, .plain_http = server->config.webhooks.plain_http, .allowed = &server->webhook_networks};
    server->env = (struct api_env){
        .db = server->db,
        .online = &server->online,
        .issuing = &server->issuing,
        .served = &server->served,
        .images = server->images,
        .streams = &server->streams,
        .settings = {.ddi = ddi_settings(&server->config), .webhooks = webhook_settings},
        .server = server,
        .find_key = find_key,
        .certificates = expiry_certificates,
        .ready = readiness_check,
        .metrics = metrics_write,
        .device_authorities = issuing_authorities,
        .failed_attempt = auth_failed_attempt,
        .disconnect = disconnect,
        .still_allowed = auth_still_allowed,
        .wake_streams = wake_streams,
        .backup_start = backups_start,
        .backups = backups_list,
    };
    reload_settings(&server->config, &server->env.settings);
}

/* What is stored is verified as a client would, or nothing is served. */
static bool verify_served(struct server *server, struct err *err) {
    struct trusted *trusted CLEANUP(trusted_cleanup) = NULL;
    struct db_conn *conn;
    if (!db_reader_open(server->db, &conn, err))
        return false;
    bool loaded = api_served_load(conn, &trusted, err);
    db_reader_close(conn);
    if (!loaded)
        return err_prefix(err, "the stored metadata does not verify");
    struct api_served_keys keys;
    if (!api_served_choose_keys(&server->env, trusted, NULL, 0, &keys, err))
        return false;
    atomic_store(&server->online.timestamp, keys.timestamp);
    atomic_store(&server->online.directive, keys.directive);
    struct err expired;
    if (!trusted_check_root(trusted, clock_now(), &expired))
        log_err(LOG_WARN, "devices will refuse the metadata", &expired);
    api_served_publish(&server->served, trusted);
    return true;
}

static bool open_all(struct server *server, struct err *err) {
    const struct db_options options = {
        .folder = server->config.store.data,
        .queue_max = (size_t)server->config.limits.writer_queue,
        .fatal = on_fatal,
        .fatal_context = server,
    };
    if (!db_open(&options, &server->db, err) || !api_images_new(server->db, &server->images, err))
        return false;
    atomic_store(&server->online.timestamp, server->timestamp_key);
    atomic_store(&server->online.directive, server->directive_key);
    server->streams.max = (int)server->config.limits.event_streams;
    db_event_listen(server->db, tell_news, server);
    fill_env(server);
    return db_reader_open(server->db, &server->main_reader, err) && verify_served(server, err) && timers_renew_now(server, err);
}

static void close_all(struct server *server) {
    backups_end(server);
    pthread_mutex_lock(&server->wire_lock);
    struct wire *wire = atomic_exchange(&server->wire, NULL);
    pthread_mutex_unlock(&server->wire_lock);
    wire_stop(wire);
    rollouts_stop(server);
    deliveries_stop(server);
    db_reader_close(server->main_reader);
    db_close(server->db);
    deliveries_free(server);
    webhook_global_stop();
    api_images_free(server->images);
    key_free(server->timestamp_key);
    key_free(server->directive_key);
    key_free(server->checkpoints.key);
    for (size_t i = 0; i < server->next_key_count; i++)
        key_free(server->next_keys[i]);
    for (size_t i = 0; i < server->issuer_count; i++)
        certs_issue_free(server->issuers[i]);
}

/* Until SIGTERM, SIGINT or a failed store. */
static void loop(struct server *server, const sigset_t *signals) {
    struct timers timers = {0};
    struct alarms alarms = {0};
    while (!atomic_load(&server->store_failed)) {
        const struct timespec tick = {.tv_sec = TIMERS_TICK_MS / 1000};
        int signal = sigtimedwait(signals, NULL, &tick);
        if (signal == SIGTERM || signal == SIGINT)
            return;
        if (signal == SIGHUP) {
            reload_run(server);
            alarms_reset(&alarms);
        }
        timers_run(&timers, server, clock_mono_ms());
        alarms_run(&alarms, server, clock_mono_ms());
    }
}

/* What the sandbox closes over: later only the files that a reload reads, the folder of next keys and the passphrase stay within reach. */
static bool read_files(struct server *server, struct err *err) {
    const struct server_config *config = &server->config;
    struct certs_issuer *issuer CLEANUP(issuing_drop) = NULL;
    if (!file_exists(config->store.data))
        return err_set(err, ERR_CONFIG, "[store] data: %s is not there; 'pawld init' makes it", config->store.data);
    if (!administrators_check_authorities(config, err) || !issuing_open(config, &issuer, err))
        return false;
    issuing_take(server, &issuer);
    return network_list_parse(config->webhooks.allow, &server->webhook_networks, err) &&
           administrators_scopes(&server->arena, config->admin.certificate_scopes, &server->first_grants, err) &&
           online_load(config, &server->timestamp_key, &server->directive_key, err) && online_load_audit(config, &server->checkpoints.key, err) &&
           client_token_load(config, &server->gateway, err) && backups_begin(server, err);
}

/* Behind both sandboxes before the first client comes. */
static bool start(struct server *server, const struct listeners *listeners, struct err *err) {
    bool files = false, syscalls = false;
    if (!webhook_global_start(err) || !read_files(server, err) || !sandbox_files(&server->config, server->config_file, &files, err) ||
        !open_all(server, err) || !sandbox_syscalls(server->config.webhooks.enabled, &syscalls, err))
        return false;
    if (!files || !syscalls)
        log_event(LOG_WARN, "sandbox incomplete", "landlock", files ? "on" : "off", "seccomp", syscalls ? "on" : "off", (char *)NULL);
    struct wire *wire = wire_start(&listeners->settings, &server->env, server->db, err);
    if (wire == NULL)
        return false;
    atomic_store(&server->wire, wire);
    return rollouts_start(server, err) && deliveries_start(server, err);
}

static int serve(struct server *server) {
    struct listeners listeners;
    struct err err;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (!sandbox_early(&err) || !listeners_fill(&server->config, &listeners, &err) || !start(server, &listeners, &err)) {
        close_all(server);
        return commands_fail(&err);
    }
    listeners_log_ready(&listeners, server->wire);
    loop(server, &signals);
    atomic_store(&server->draining, true);
    bool failed = atomic_load(&server->store_failed);
    bool drained = !failed && wire_drain(server->wire, atomic_load(&server->live)->limits.drain_timeout * 1000);
    if (!failed)
        checkpoints_end(server);
    close_all(server);
    log_event(LOG_INFO, "stopped", "drained", drained ? "yes" : "no", (char *)NULL);
    return failed ? EXIT_FAILED : EXIT_OK;
}

int commands_serve(int argc, char **argv) {
    static const struct commands_line line = {
        .usage =
            "usage: pawld serve [--config FILE]\n\nServes in the foreground. SIGTERM drains and ends, SIGHUP reads configuration and certificates "
            "again.\n\n"};
    const char *path;
    struct err err;
    int code;
    if (!commands_parse(&line, argc, argv, &path, NULL, &code))
        return code;
    struct server *server = calloc(1, sizeof(*server));
    if (server == NULL ? !err_no_memory(&err) : !commands_config(path, &server->config, &err)) {
        free(server);
        return commands_fail(&err);
    }
    log_setup((enum log_level)server->config.log.level, (enum log_format)server->config.log.format);
    auth_throttle_init(&server->throttle, server->config.limits.auth_failures);
    auth_throttle_init(&server->enrolments, server->config.enrolment.requests);
    pthread_mutex_init(&server->wire_lock, NULL);
    pthread_mutex_init(&server->expiry.lock, NULL);
    arena_init(&server->arena, 65536);
    server->started_at = clock_now();
    server->config_file = path != NULL ? path : file_exists(COMMANDS_CONFIG) ? COMMANDS_CONFIG : NULL;
    atomic_store(&server->live, &server->config);
    atomic_store(&server->certificate_grants, &server->first_grants);
    code = serve(server);
    reload_free(server->reloads);
    server_config_free(&server->config);
    arena_clear(&server->arena);
    free(server);
    return code;
}
