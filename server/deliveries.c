#include "server/deliveries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/event.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/log.h"
#include "common/random.h"
#include "common/text.h"
#include "db/delivery.h"
#include "db/webhook.h"
#include "server/webhook.h"

enum {
    LOOK_MS = 1000,          /* at the queue, also without news */
    REST_MAX_MS = 60 * 1000, /* after a receiver was not reached, nothing is sent there for a while */
    TOLD_EVERY_S = 3600,     /* webhook-dead */
    BODY_BYTES = 256 * 1024,
    ID_SIZE = 32,
};

/* What is known of a webhook while the process lives. */
struct target {
    char id[ID_SIZE];
    bool busy; /* one delivery at a time, so that they arrive in order as long as all goes well */
    unsigned unreached;
    int64_t rests_until_ms;
    int64_t event, attempts; /* of what is under way */
    bool seen;               /* in this look */
};

struct deliveries {
    struct server *server;
    pthread_t thread;
    struct db_conn *reader;
    struct webhook_sender *sender;
    atomic_bool stopping;
    struct target targets[DB_WEBHOOKS_MAX];
};

int64_t deliveries_backoff(int64_t attempts, int64_t first, int64_t most, int64_t chance) {
    int64_t wait = first;
    for (int64_t i = 1; i < attempts && wait < most; i++)
        wait *= 2;
    wait = wait < most ? wait : most;
    int64_t spread = wait / 4;
    return wait - spread + 2 * spread * chance / 1000;
}

/* ---- the message ---- */

bool deliveries_sign(const void *secret, size_t secret_len, const char *id, int64_t timestamp, const struct buf *body, struct buf *out,
                     struct err *err) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(BODY_BYTES + 256);
    uint8_t digest[SHA256_SIZE];
    buf_printf(&text, "%s.%lld.", id, (long long)timestamp);
    buf_append(&text, body->data, body->len);
    if (!buf_ok(&text, "signed text", err) || !hash_hmac_sha256(secret, secret_len, text.data, text.len, digest, err))
        return false;
    buf_text(out, out->len > 0 ? " v1," : "v1,");
    base64_encode(out, digest, sizeof(digest));
    return buf_ok(out, "signature", err);
}

static bool sign_all(const struct db_webhook *webhook, const char *id, int64_t now, const struct buf *body, struct buf *out, struct err *err) {
    if (!deliveries_sign(webhook->secret, sizeof(webhook->secret), id, now, body, out, err))
        return false;
    return webhook->old_until <= now || deliveries_sign(webhook->old_secret, DB_WEBHOOK_SECRET_SIZE, id, now, body, out, err);
}

/* {"type","timestamp","data"}: the same bytes at every attempt. */
static bool make_body(struct arena *arena, const struct db_event *event, struct buf *out, struct err *err) {
    char time[CLOCK_RFC3339_SIZE];
    clock_rfc3339(event->time, time);
    buf_text(out, "{\"type\":");
    json_write_text(out, event->kind);
    buf_printf(out, ",\"timestamp\":\"%s\",\"data\":", time);
    if (!api_event_write(arena, event, out, err))
        return false;
    buf_text(out, "}");
    return buf_ok(out, "webhook body", err);
}

static bool begin(struct deliveries *deliveries, struct target *target, struct arena *arena, const struct db_webhook *webhook,
                  const struct db_delivery *delivery, const struct db_event *event, struct err *err) {
    CLEANUP(buf_free) struct buf body = BUF_INIT(BODY_BYTES);
    CLEANUP(buf_free) struct buf signatures = BUF_INIT(256);
    int64_t now = clock_now();
    const char *id = arena_printf(arena, "evt_%lld_%s", (long long)event->id, webhook->id);
    if (id == NULL)
        return err_no_memory(err);
    if (!make_body(arena, event, &body, err) || !sign_all(webhook, id, now, &body, &signatures, err))
        return false;
    const struct webhook_message message = {
        .url = webhook->url, .id = id, .timestamp = now, .signatures = signatures.data, .body = body.data, .len = body.len};
    if (!webhook_begin(deliveries->sender, &message, target))
        return true; /* no slot: its turn comes */
    target->busy = true;
    target->event = delivery->event;
    target->attempts = delivery->attempts;
    return true;
}

/* ---- what became of it ---- */

struct outcome {
    struct db_delivery_outcome row;
    int64_t attempts;
};

/* Once an hour for each webhook: the rest is in the log of its deliveries. */
static bool tell_dead(struct db_conn *tx, const struct outcome *outcome, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    CLEANUP(buf_free) struct buf detail = BUF_INIT(2048);
    struct db_webhook webhook;
    arena_init(&arena, 1 << 20);
    if (!db_webhook_get(tx, outcome->row.webhook, &arena, &webhook, err))
        return err->code == ERR_NOT_FOUND;
    if (webhook.told_at != 0 && outcome->row.at - webhook.told_at < TOLD_EVERY_S)
        return true;
    buf_printf(&detail, "{\"webhook\":\"%s\",\"event\":\"%lld\",\"attempts\":%lld,\"error\":", webhook.id, (long long)outcome->row.event,
               (long long)outcome->attempts);
    json_write_text(&detail, outcome->row.error);
    buf_text(&detail, "}");
    const struct db_event_new event = {.time = outcome->row.at, .kind = "webhook-dead", .product = webhook.product, .detail = detail.data};
    return buf_ok(&detail, "event", err) && db_event_add(tx, &event, NULL, err) && db_webhook_told(tx, webhook.id, outcome->row.at, err);
}

static bool write_outcome(struct db_conn *tx, void *arg, struct err *err) {
    const struct outcome *outcome = arg;
    return db_delivery_outcome(tx, &outcome->row, err) && (strcmp(outcome->row.state, "dead") != 0 || tell_dead(tx, outcome, err));
}

static void log_failure(const struct outcome *outcome) {
    char event[24], attempts[24], status[24];
    snprintf(event, sizeof(event), "%lld", (long long)outcome->row.event);
    snprintf(attempts, sizeof(attempts), "%lld", (long long)outcome->attempts);
    snprintf(status, sizeof(status), "%lld", (long long)outcome->row.status);
    log_event(LOG_WARN, "webhook delivery failed", "webhook", outcome->row.webhook, "event", event, "attempts", attempts, "state", outcome->row.state,
              "status", status, "error", outcome->row.error, (char *)NULL);
}

static bool record(struct deliveries *deliveries, struct outcome *outcome, const char *error, int64_t status) {
    const struct server_config *config = &deliveries->server->config;
    struct err err;
    int64_t now = clock_now();
    bool failed = error[0] != '\0', dead = failed && outcome->attempts >= config->webhooks.attempts;
    outcome->row.at = now;
    outcome->row.status = status;
    outcome->row.error = error;
    outcome->row.state = !failed ? "delivered" : dead ? "dead" : "waiting";
    outcome->row.next_at = now + (failed ? deliveries_backoff(outcome->attempts, config->webhooks.retry_first, config->webhooks.retry_max,
                                                              (int64_t)random_below(1000))
                                         : 0);
    if (failed)
        log_failure(outcome);
    if (db_write(deliveries->server->db, write_outcome, outcome, &err))
        return true;
    log_err(LOG_WARN, "what became of a webhook delivery could not be written: it is sent again", &err);
    return false;
}

static void rest(struct target *target, bool reached) {
    target->unreached = reached ? 0 : target->unreached < 16 ? target->unreached + 1 : 16;
    int64_t ms = reached ? 0 : (int64_t)250 << target->unreached;
    target->rests_until_ms = clock_mono_ms() + (ms < REST_MAX_MS ? ms : REST_MAX_MS);
}

static void finish(struct deliveries *deliveries, struct target *target, const struct webhook_result *result) {
    struct outcome outcome = {.row = {.webhook = target->id, .event = target->event}, .attempts = target->attempts + 1};
    bool written = record(deliveries, &outcome, result->error, result->status);
    target->busy = false;
    rest(target, result->reached && written);
}

/* ---- the queue ---- */

static struct target *target_of(struct deliveries *deliveries, const char *id) {
    struct target *empty = NULL;
    for (size_t i = 0; i < ARRAY_LEN(deliveries->targets); i++) {
        struct target *target = &deliveries->targets[i];
        if (strcmp(target->id, id) == 0)
            return target;
        if (target->id[0] == '\0' && empty == NULL)
            empty = target;
    }
    if (empty != NULL && text_copy(empty->id, sizeof(empty->id), id))
        return empty;
    return NULL;
}

/* Webhooks that are gone make room. */
static void forget_unseen(struct deliveries *deliveries) {
    for (size_t i = 0; i < ARRAY_LEN(deliveries->targets); i++) {
        struct target *target = &deliveries->targets[i];
        if (!target->seen && !target->busy)
            *target = (struct target){.busy = false};
        target->seen = false;
    }
}

static bool look_at(struct deliveries *deliveries, struct arena *arena, const struct db_webhook *webhook, struct err *err) {
    struct target *target = target_of(deliveries, webhook->id);
    struct db_delivery delivery;
    struct db_event event;
    bool due;
    if (target == NULL)
        return true;
    target->seen = true;
    if (target->busy || strcmp(webhook->state, "enabled") != 0 || clock_mono_ms() < target->rests_until_ms)
        return true;
    if (!db_delivery_due(deliveries->reader, webhook->id, clock_now(), arena, &due, &delivery, err))
        return false;
    if (!due)
        return true;
    if (db_event_get(deliveries->reader, delivery.event, arena, &event, err))
        return begin(deliveries, target, arena, webhook, &delivery, &event, err);
    if (err->code != ERR_NOT_FOUND)
        return false;
    struct outcome outcome = {.row = {.webhook = webhook->id, .event = delivery.event}, .attempts = deliveries->server->config.webhooks.attempts};
    return record(deliveries, &outcome, "the event is not kept any more", 0) || err_set(err, ERR_IO, "the queue cannot be written");
}

static bool look(struct deliveries *deliveries, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_webhooks page;
    arena_init(&arena, 16 << 20);
    if (!db_webhook_list(deliveries->reader, &(struct db_list){.limit = DB_WEBHOOKS_MAX}, &arena, &page, err))
        return false;
    for (size_t i = 0; i < page.count; i++)
        if (!look_at(deliveries, &arena, &page.items[i], err))
            return false;
    forget_unseen(deliveries);
    return true;
}

static void *run(void *arg) {
    struct deliveries *deliveries = arg;
    while (!atomic_load(&deliveries->stopping)) {
        struct webhook_result result;
        void *context;
        struct err err;
        if (!look(deliveries, &err))
            log_err(LOG_WARN, "the queue of webhook deliveries cannot be read", &err);
        webhook_wait(deliveries->sender, LOOK_MS);
        while (webhook_next(deliveries->sender, &context, &result))
            finish(deliveries, context, &result);
    }
    return NULL;
}

/* ---- life ---- */

static bool start(struct deliveries *deliveries, struct err *err) {
    const struct server_config *config = &deliveries->server->config;
    const struct webhook_settings settings = {
        .allowed = &deliveries->server->webhook_networks,
        .plain_http = config->webhooks.plain_http,
        .ca_file = config->webhooks.ca_file,
        .timeout_ms = config->webhooks.timeout * 1000,
    };
    if (!db_reader_open(deliveries->server->db, &deliveries->reader, err) || !webhook_open(&settings, &deliveries->sender, err))
        return false;
    if (pthread_create(&deliveries->thread, NULL, run, deliveries) != 0)
        return err_set(err, ERR_INTERNAL, "cannot start the thread of the webhooks");
    pthread_setname_np(deliveries->thread, "webhooks");
    return true;
}

bool deliveries_start(struct server *server, struct err *err) {
    if (!server->config.webhooks.enabled)
        return true;
    struct deliveries *deliveries = calloc(1, sizeof(*deliveries));
    if (deliveries == NULL)
        return err_no_memory(err);
    deliveries->server = server;
    bool started = start(deliveries, err);
    atomic_store(&deliveries->stopping, !started);
    atomic_store(&server->deliveries, deliveries);
    return started;
}

void deliveries_stop(struct server *server) {
    struct deliveries *deliveries = atomic_load(&server->deliveries);
    if (deliveries == NULL)
        return;
    if (!atomic_exchange(&deliveries->stopping, true)) {
        webhook_wake(deliveries->sender);
        pthread_join(deliveries->thread, NULL);
    }
    db_reader_close(deliveries->reader);
    deliveries->reader = NULL;
}

void deliveries_free(struct server *server) {
    struct deliveries *deliveries = atomic_exchange(&server->deliveries, NULL);
    if (deliveries == NULL)
        return;
    webhook_close(deliveries->sender);
    free(deliveries);
}

void deliveries_wake(struct server *server) {
    struct deliveries *deliveries = atomic_load(&server->deliveries);
    if (deliveries != NULL && !atomic_load(&deliveries->stopping))
        webhook_wake(deliveries->sender);
}
