#include "db/webhook.h"

#include <string.h>

#include "api/call.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/list.h"
#include "api/shapes.h"
#include "api/webhook_url.h"
#include "common/hex.h"
#include "common/random.h"
#include "common/text.h"
#include "db/delivery.h"
#include "db/event.h"
#include "db/event_kind.h"

enum { KINDS_MAX = 64, DESCRIPTION_MAX = 200, OLD_SECRET_S = 24 * 3600, ID_BYTES = 6 };

struct input {
    const char *url, *description, *product, *state;
    struct json_texts kinds;
};
enum { HAS_PRODUCT = 1 << 2 }; /* null takes it away */

static const struct json_field input_fields[] = {
    {.name = "url", .type = JSON_TEXT, .offset = offsetof(struct input, url), .max = WEBHOOK_URL_MAX},
    {.name = "description", .type = JSON_TEXT, .offset = offsetof(struct input, description), .max = DESCRIPTION_MAX},
    {.name = "product", .type = JSON_TEXT, .offset = offsetof(struct input, product), .flags = JSON_NULLABLE, .max = 64},
    {.name = "kinds", .type = JSON_TEXTS, .offset = offsetof(struct input, kinds), .max = KINDS_MAX},
    {.name = "state", .type = JSON_TEXT, .offset = offsetof(struct input, state), .max = 16},
};
static const struct json_shape input_shape = JSON_SHAPE(struct input, input_fields);

struct webhook {
    const char *id, *url, *description, *product;
    struct json_texts kinds;
    const char *state, *created_by;
    int64_t created_at, old_secret_until;
};

static const struct json_field fields[] = {
    {.name = "id", .type = JSON_TEXT, .offset = offsetof(struct webhook, id)},
    {.name = "url", .type = JSON_TEXT, .offset = offsetof(struct webhook, url)},
    {.name = "description", .type = JSON_TEXT, .offset = offsetof(struct webhook, description)},
    {.name = "product", .type = JSON_TEXT, .offset = offsetof(struct webhook, product), .flags = JSON_NULLABLE},
    {.name = "kinds", .type = JSON_TEXTS, .offset = offsetof(struct webhook, kinds)},
    {.name = "state", .type = JSON_TEXT, .offset = offsetof(struct webhook, state)},
    {.name = "created_by", .type = JSON_TEXT, .offset = offsetof(struct webhook, created_by)},
    {.name = "created_at", .type = JSON_TIME, .offset = offsetof(struct webhook, created_at)},
    {.name = "old_secret_until", .type = JSON_TIME, .offset = offsetof(struct webhook, old_secret_until), .flags = JSON_NULLABLE},
};
static const struct json_shape shape = JSON_SHAPE(struct webhook, fields);

static struct webhook webhook_from(const struct db_webhook *row, int64_t now) {
    return (struct webhook){
        .id = row->id,
        .url = row->url,
        .description = row->description,
        .product = api_or_null(row->product),
        .kinds = {.count = row->kinds.count, .items = row->kinds.items},
        .state = row->state,
        .created_by = row->created_by,
        .created_at = row->created_at,
        .old_secret_until = row->old_until > now ? row->old_until : 0,
    };
}

/* ---- what may be asked for ---- */

static bool check_enabled(const struct api_call *call, struct err *err) {
    return call->env->settings.webhooks.enabled || err_set(err, ERR_CONFLICT, "webhooks are switched off ([webhooks] enabled)");
}

/* Whoever sends events somewhere must be allowed to see them. */
static bool check_reach(const struct api_call *call, const char *product, struct err *err) {
    if (db_token_allows(call->operator_.token, "device:read", product))
        return true;
    return err_set_field(err, ERR_SCOPE, "product", "the token that asks does not have 'device:read' for %s itself",
                         product[0] != '\0' ? "this product" : "all products");
}

static bool check_kinds(const struct json_texts *kinds, struct err *err) {
    for (size_t i = 0; i < kinds->count; i++)
        if (!db_event_kind_known(kinds->items[i]))
            return err_set_field(err, ERR_INVALID, "kinds", "'%.48s' is no kind of event", kinds->items[i]);
    return true;
}

/* Lays what is given over the row, and checks the whole. */
static bool apply(struct api_call *call, const struct input *input, uint64_t present, struct db_webhook *row, struct err *err) {
    const struct api_webhook_settings *settings = &call->env->settings.webhooks;
    if (input->url != NULL)
        row->url = input->url;
    if (input->description != NULL)
        row->description = input->description;
    if ((present & HAS_PRODUCT) != 0)
        row->product = input->product != NULL ? input->product : "";
    if (input->kinds.items != NULL)
        row->kinds = (struct db_texts){.count = input->kinds.count, .items = input->kinds.items};
    if (input->state != NULL)
        row->state = input->state;
    if (strcmp(row->state, "enabled") != 0 && strcmp(row->state, "disabled") != 0)
        return err_set_field(err, ERR_INVALID, "state", "'state' must be enabled or disabled");
    if (!text_is_printable(row->description))
        return err_set_field(err, ERR_INVALID, "description", "'description' must be one line of text");
    return api_webhook_url_check(row->url, settings->plain_http, settings->allowed, err) &&
           (row->product[0] == '\0' || api_check_id(row->product, "product", err)) && check_reach(call, row->product, err) &&
           check_kinds(&input->kinds, err);
}

/* ---- secrets ---- */

static const char *secret_text(struct api_call *call, const uint8_t secret[DB_WEBHOOK_SECRET_SIZE]) {
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(128);
    struct err ignored;
    buf_text(&text, "whsec_");
    base64_encode(&text, secret, DB_WEBHOOK_SECRET_SIZE);
    return buf_ok(&text, "the secret", &ignored) ? arena_strndup(call->arena, text.data, text.len) : NULL;
}

static bool reply_secret(struct api_call *call, int status, const struct db_webhook *row, struct err *err) {
    const struct webhook shown = webhook_from(row, call->now);
    const char *secret = secret_text(call, row->secret);
    if (secret == NULL)
        return err_no_memory(err);
    return api_reply_etag(call, row->revision, err) && api_reply_secret(call, status, "webhook", &shape, &shown, secret, err);
}

/* For the audit: where to, and what. The rest of a URL can be a secret. */
static const char *told(struct api_call *call, const struct db_webhook *row) {
    const char *host = strstr(row->url, "://");
    const char *kinds = row->kinds.count == 0 ? "all" : row->kinds.items[0];
    if (host != NULL)
        host = arena_strndup(call->arena, host + 3, strcspn(host + 3, "/?"));
    for (size_t i = 1; i < row->kinds.count && kinds != NULL; i++)
        kinds = arena_printf(call->arena, "%s,%s", kinds, row->kinds.items[i]);
    return api_detail(call, "host", host, "kinds", kinds, "product", api_or_null(row->product), "state", row->state, (char *)NULL);
}

/* ---- the resource ---- */

bool api_webhook_list(struct api_call *call, struct err *err) {
    struct db_list list;
    struct db_webhooks page;
    if (!api_list_begin(call, &list, err) || !db_webhook_list(call->db, &list, call->arena, &page, err))
        return false;
    struct webhook *items = arena_array(call->arena, page.count, sizeof(*items));
    if (items == NULL && page.count > 0)
        return err_no_memory(err);
    for (size_t i = 0; i < page.count; i++)
        items[i] = webhook_from(&page.items[i], call->now);
    return api_list_reply(call, &shape, items, page.count, page.next, err);
}

bool api_webhook_create(struct api_call *call, struct err *err) {
    struct input input;
    uint64_t present;
    char *id = arena_alloc(call->arena, 2 * ID_BYTES + 1);
    if (id == NULL)
        return err_no_memory(err);
    struct db_webhook row = {.id = id,
                             .url = "",
                             .description = "",
                             .product = "",
                             .state = "enabled",
                             .created_by = call->operator_.actor,
                             .created_at = call->now,
                             .revision = 1};
    random_hex(id, ID_BYTES);
    random_bytes(row.secret, sizeof(row.secret));
    if (!check_enabled(call, err) || !api_body(call, &input_shape, &input, &present, err) || !apply(call, &input, present, &row, err) ||
        !db_webhook_insert(call->db, &row, err))
        return false;
    return api_audit(call, "webhook.create", "webhook", id, told(call, &row), err) &&
           api_reply_headerf(call, err, "Location", "/api/v1/webhooks/%s", id) && reply_secret(call, 201, &row, err);
}

static bool get(struct api_call *call, struct db_webhook *ret_row, struct err *err) {
    return db_webhook_get(call->db, api_var(call, "webhook"), call->arena, ret_row, err);
}

static bool reply_row(struct api_call *call, const struct db_webhook *row, struct err *err) {
    struct webhook shown = webhook_from(row, call->now);
    return api_reply_etag(call, row->revision, err) && api_reply_json(call, 0, &shape, &shown, err);
}

bool api_webhook_get(struct api_call *call, struct err *err) {
    struct db_webhook row;
    return get(call, &row, err) && reply_row(call, &row, err);
}

bool api_webhook_patch(struct api_call *call, struct err *err) {
    struct input input;
    struct db_webhook row;
    uint64_t present;
    if (!get(call, &row, err) || !api_if_match(call, row.revision, err) || !api_patch(call, &input_shape, &input, &present, err) ||
        !apply(call, &input, present, &row, err) || !db_webhook_update(call->db, &row, err) ||
        !api_audit(call, "webhook.update", "webhook", row.id, told(call, &row), err))
        return false;
    row.revision++;
    return reply_row(call, &row, err);
}

bool api_webhook_delete(struct api_call *call, struct err *err) {
    struct db_webhook row;
    if (!get(call, &row, err) || !api_if_match(call, row.revision, err) || !db_webhook_delete(call->db, row.id, err) ||
        !api_audit(call, "webhook.delete", "webhook", row.id, NULL, err))
        return false;
    call->reply.status = 204;
    return true;
}

bool api_webhook_rotate(struct api_call *call, struct err *err) {
    struct db_webhook row;
    const char *reason;
    if (!get(call, &row, err) || !check_reach(call, row.product, err) || !api_reason(call, &reason, err))
        return false;
    random_bytes(row.secret, sizeof(row.secret));
    return db_webhook_rotate(call->db, row.id, row.secret, call->now + OLD_SECRET_S, err) &&
           api_audit(call, "webhook.rotate", "webhook", row.id, api_detail(call, "reason", reason, (char *)NULL), err) && get(call, &row, err) &&
           reply_secret(call, 200, &row, err);
}
