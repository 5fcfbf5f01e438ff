#include "api/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/conditional.h"
#include "api/env.h"
#include "common/clock.h"
#include "common/text.h"
#include "db/audit.h"
#include "db/token.h"

bool api_holds(const struct api_call *call, const char *scope, const char *product) {
    const struct db_token *token = call->operator_.token;
    return token != NULL && db_token_allows(token, scope, product);
}

bool api_allow(const struct api_call *call, const char *product, struct err *err) {
    if (product == NULL)
        product = "";
    if (api_holds(call, call->route->scope, product))
        return true;
    if (product[0] == '\0')
        return err_set(err, ERR_SCOPE, "the token's scope '%s' is not for all products", call->route->scope);
    return err_set(err, ERR_SCOPE, "the token has no scope '%s' for product '%s'", call->route->scope, product);
}

bool api_allow_list(const struct api_call *call, struct err *err) {
    const char *product = api_query(call, "product");
    if (api_allow(call, product, err))
        return true;
    return product == NULL && err_set(err, ERR_SCOPE, "the token's scope '%s' is not for all products: name one by product=", call->route->scope);
}

bool api_still_allowed(struct api_call *call) {
    return call->env->still_allowed(call);
}

bool api_if_match(const struct api_call *call, int64_t revision, struct err *err) {
    char etag[32];
    snprintf(etag, sizeof(etag), "\"%lld\"", (long long)revision);
    const char *given = api_header(call, "If-Match");
    if (given == NULL)
        return err_set(err, ERR_PRECONDITION_REQUIRED, "If-Match with the resource's ETag is required");
    if (!api_conditional_list_has(given, etag, false))
        return err_set(err, ERR_PRECONDITION, "it was changed meanwhile: its ETag is %s now", etag);
    return true;
}

bool api_body(struct api_call *call, const struct json_shape *shape, void *ret_object, uint64_t *ret_present, struct err *err) {
    if (call->body_len == 0)
        return json_read(call->arena, "{}", 2, shape, ret_object, ret_present, err);
    const char *type = api_header(call, "Content-Type");
    size_t len = type != NULL ? strcspn(type, "; \t") : 0;
    if (type != NULL && !(len == 16 && strncasecmp(type, "application/json", 16) == 0))
        return err_set(err, ERR_MEDIA_TYPE, "the body must be application/json");
    return json_read(call->arena, call->body, call->body_len, shape, ret_object, ret_present, err);
}

bool api_patch(struct api_call *call, const struct json_shape *shape, void *ret_object, uint64_t *ret_present, struct err *err) {
    struct buf names CLEANUP(buf_free) = BUF_INIT(1024);
    if (!api_body(call, shape, ret_object, ret_present, err))
        return false;
    if (*ret_present != 0)
        return true;
    for (size_t i = 0; i < shape->count; i++)
        buf_choice(&names, i, shape->count, shape->fields[i].name);
    return buf_ok(&names, "the names", err) && err_set(err, ERR_INVALID, "nothing to change: give %s", names.data);
}

bool api_missing(struct err *err, const char *member) {
    if (err->code == ERR_NOT_FOUND && err->field[0] == '\0')
        snprintf(err->field, sizeof(err->field), "%s", member);
    return false;
}

struct reason {
    const char *reason;
};

static const struct json_field reason_fields[] = {
    {.name = "reason", .type = JSON_TEXT, .offset = offsetof(struct reason, reason), .max = 256},
};
static const struct json_shape reason_shape = JSON_SHAPE(struct reason, reason_fields);

bool api_reason(struct api_call *call, const char **ret_reason, struct err *err) {
    struct reason body;
    if (!api_body(call, &reason_shape, &body, NULL, err))
        return false;
    *ret_reason = body.reason;
    return true;
}

bool api_audit(struct api_call *call, const char *action, const char *kind, const char *id, const char *detail, struct err *err) {
    const char *object = arena_printf(call->arena, "%s:%s", kind, id);
    if (object == NULL)
        return err_no_memory(err);
    struct chain_row row = {
        .time = call->now,
        .actor = call->operator_.actor,
        .action = action,
        .object = object,
        .detail = detail != NULL ? detail : "",
        .request_id = call->request_id,
    };
    return db_audit_append(call->db, &row, err);
}

const char *api_detail(struct api_call *call, ...) {
    struct buf text CLEANUP(buf_free) = BUF_INIT(8192);
    va_list args;
    va_start(args, call);
    buf_byte(&text, '{');
    for (const char *name = va_arg(args, const char *); name != NULL; name = va_arg(args, const char *)) {
        const char *value = va_arg(args, const char *);
        if (value == NULL)
            continue;
        if (text.len > 1)
            buf_byte(&text, ',');
        json_write_text(&text, name);
        buf_byte(&text, ':');
        json_write_text(&text, value);
    }
    buf_byte(&text, '}');
    va_end(args);
    struct err ignored;
    return buf_ok(&text, "the audit's detail", &ignored) ? arena_strndup(call->arena, text.data, text.len) : NULL;
}

bool api_check_id(const char *text, const char *field, struct err *err) {
    if (text_is_id(text))
        return true;
    return err_set_field(err, ERR_INVALID, field, "'%s' must be 1 to 64 of A-Z a-z 0-9 . _ : -", field);
}

bool api_check_attribute(const char *name, const char *value, struct err *err) {
    enum { NAME_MAX_BYTES = 64, VALUE_MAX_BYTES = 256 };
    size_t len = strlen(name);
    if (len > 0 && len <= NAME_MAX_BYTES && (value == NULL || strlen(value) <= VALUE_MAX_BYTES))
        return true;
    return err_set_field(err, ERR_INVALID, "attributes", "an attribute has a name of 1 to %d bytes and a text of at most %d", NAME_MAX_BYTES,
                         VALUE_MAX_BYTES);
}

bool api_query_bool(const struct api_call *call, const char *name, bool *ret_value, struct err *err) {
    const char *text = api_query(call, name);
    *ret_value = text_equal(text, "true");
    return text == NULL || *ret_value || text_equal(text, "false") || err_set_field(err, ERR_INVALID, name, "'%s' must be true or false", name);
}

bool api_query_time(const struct api_call *call, const char *name, int64_t *ret_time, struct err *err) {
    const char *text = api_query(call, name);
    *ret_time = 0;
    return text == NULL || clock_parse_rfc3339(text, ret_time) ||
           err_set_field(err, ERR_INVALID, name, "'%s' must be a time like 2026-11-22T08:00:00Z", name);
}

bool api_number(const char *text, const char *what, int64_t *ret_number, struct err *err) {
    if (text[0] != '0' && text_to_int(text, 1, INT64_MAX, ret_number))
        return true;
    return err_set(err, ERR_NOT_FOUND, "%s '%.64s' does not exist", what, text);
}
