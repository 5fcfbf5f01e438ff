#include "api/contract.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "db/token.h"

struct health {
    const char *status;
};

static const struct json_field health_fields[] = {
    {.name = "status", .type = JSON_TEXT, .offset = offsetof(struct health, status)},
};
static const struct json_shape health_shape = JSON_SHAPE(struct health, health_fields);

bool api_system_healthz(struct api_call *call, struct err *err) {
    const struct health health = {.status = "ok"};
    return api_reply_json(call, 0, &health_shape, &health, err);
}

struct readiness {
    const char *status;
    int64_t store_free_bytes;
    struct json_list expires; /* of struct api_expiry */
};

static const struct json_field expiry_fields[] = {
    {.name = "what", .type = JSON_TEXT, .offset = offsetof(struct api_expiry, what)},
    {.name = "expires_at", .type = JSON_TIME, .offset = offsetof(struct api_expiry, expires_at)},
};
static const struct json_shape expiry_shape = JSON_SHAPE(struct api_expiry, expiry_fields);
static const struct json_field readiness_fields[] = {
    {.name = "status", .type = JSON_TEXT, .offset = offsetof(struct readiness, status)},
    {.name = "store_free_bytes", .type = JSON_INT, .offset = offsetof(struct readiness, store_free_bytes)},
    {.name = "expires", .type = JSON_STRUCTS, .offset = offsetof(struct readiness, expires), .shape = &expiry_shape},
};
static const struct json_shape readiness_shape = JSON_SHAPE(struct readiness, readiness_fields);
/* For whoever asks: no dates, no numbers. */
static const struct json_shape ready_shape = {.fields = readiness_fields, .count = 1, .size = sizeof(struct readiness)};

bool api_system_readyz(struct api_call *call, struct err *err) {
    struct api_expiry expires[API_SERVED_ROLES + TRUSTED_DELEGATED_MAX + API_EXPIRIES_CERTIFICATES];
    struct api_served_role delegated[TRUSTED_DELEGATED_MAX];
    size_t count = 0;
    int64_t free_bytes;
    if (!call->env->ready(call->env->server, &free_bytes, err))
        return false;
    if (call->operator_.token == NULL || !db_token_allows(call->operator_.token, "metrics:read", "")) {
        const struct readiness ready = {.status = "ready"};
        return api_reply_json(call, 0, &ready_shape, &ready, err);
    }
    for (int i = 0; i < API_SERVED_ROLES; i++)
        if (atomic_load(&call->env->served->roles[i].version) != 0)
            expires[count++] = (struct api_expiry){api_served_names[i], atomic_load(&call->env->served->roles[i].expires_at)};
    size_t delegated_count = api_served_delegated(call->env->served, delegated);
    for (size_t i = 0; i < delegated_count; i++)
        expires[count++] = (struct api_expiry){delegated[i].name, delegated[i].expires_at};
    count += call->env->certificates(call->env->server, expires + count);
    const struct readiness readiness = {.status = "ready", .store_free_bytes = free_bytes, .expires = {.count = count, .items = expires}};
    return api_reply_json(call, 0, &readiness_shape, &readiness, err);
}

bool api_system_metrics(struct api_call *call, struct err *err) {
    struct buf text CLEANUP(buf_free) = BUF_INIT(API_REPLY_MAX);
    call->env->metrics(call->env->server, call->db, &text);
    return api_reply_text(call, "text/plain; version=0.0.4; charset=utf-8", &text, err);
}

bool api_system_openapi(struct api_call *call, struct err *err) {
    (void)err;
    call->reply.content_type = "application/yaml";
    call->reply.body = api_contract;
    call->reply.body_len = api_contract_len();
    return true;
}
