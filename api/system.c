#include "api/contract.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/reply.h"

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

bool api_system_readyz(struct api_call *call, struct err *err) {
    const struct health health = {.status = "ready"};
    return call->env->ready(call->env->server, err) && api_reply_json(call, 0, &health_shape, &health, err);
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
