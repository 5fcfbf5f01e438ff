#include "api/reply.h"

#include <stdio.h>
#include <string.h>

#include "api/env.h"

struct problem {
    short status;
    short device_status; /* on the device listener, where it is another one; 0: the same */
    const char *title;
};

static const struct problem problems[ERR_CODE_COUNT] = {
    [ERR_INTERNAL] = {500, 0, "Internal error"},
    [ERR_NO_MEMORY] = {503, 0, "Out of memory"},
    [ERR_IO] = {500, 0, "Storage error"},
    [ERR_NO_SPACE] = {507, 0, "No space left"},
    [ERR_BUSY] = {503, 0, "Busy"},
    [ERR_TIMEOUT] = {503, 0, "Timed out"},
    [ERR_INVALID] = {400, 0, "Invalid request"},
    [ERR_UNKNOWN_FIELD] = {400, 0, "Unknown field"},
    [ERR_TOO_LARGE] = {413, 0, "Too large"},
    [ERR_UNAUTHENTICATED] = {401, 0, "Not authenticated"},
    [ERR_FORBIDDEN] = {403, 0, "Forbidden"},
    [ERR_SCOPE] = {403, 0, "Outside the token's scopes"},
    [ERR_NOT_FOUND] = {404, 0, "Not found"},
    [ERR_METHOD] = {405, 0, "Method not allowed"},
    [ERR_CONFLICT] = {409, 0, "Conflict"},
    [ERR_GONE] = {410, 0, "Gone"},
    [ERR_PRECONDITION] = {412, 0, "Precondition failed"},
    [ERR_PRECONDITION_REQUIRED] = {428, 0, "Precondition required"},
    [ERR_LENGTH_REQUIRED] = {411, 0, "Length required"},
    [ERR_MEDIA_TYPE] = {415, 0, "Unsupported media type"},
    [ERR_RANGE] = {416, 0, "Range not satisfiable"},
    [ERR_IDEMPOTENCY] = {422, 0, "Idempotency-Key reused"},
    [ERR_RATE] = {429, 0, "Too many requests"},
    [ERR_NOT_IMPLEMENTED] = {501, 0, "Not implemented"},
    [ERR_DEVICE_PENDING] = {409, 403, "Device is pending"},
    [ERR_DEVICE_REVOKED] = {409, 403, "Device is revoked"},
    [ERR_DEVICE_RETIRED] = {409, 403, "Device is retired"},
    [ERR_IDENTITY] = {403, 0, "Identity refused"},
    [ERR_NOT_ENTITLED] = {403, 0, "Not entitled"},
    [ERR_DOWNGRADE] = {409, 403, "Downgrade refused"},
    [ERR_HARDWARE] = {409, 403, "Wrong hardware"},
    [ERR_STEPPING_STONE] = {409, 403, "Needs another release first"},
    [ERR_FORMAT] = {422, 0, "Malformed metadata"},
    [ERR_SIGNATURE] = {422, 0, "Signature does not verify"},
    [ERR_THRESHOLD] = {422, 0, "Too few signatures"},
    [ERR_ROLLBACK] = {422, 0, "Version goes backwards"},
    [ERR_EXPIRED] = {422, 0, "Expired"},
    [ERR_FREEZE] = {422, 0, "Not fresh"},
    [ERR_MIX] = {422, 0, "Versions do not belong together"},
    [ERR_LENGTH] = {422, 0, "Wrong length"},
    [ERR_HASH] = {422, 0, "Wrong hash"},
    [ERR_TARGET] = {422, 0, "Invalid release"},
    [ERR_DIRECTIVE] = {422, 0, "Invalid directive"},
    [ERR_KEY] = {422, 0, "Unusable key"},
};

int api_problem_status(enum err_code code, enum api_listener listener) {
    if (code <= ERR_NONE || code >= ERR_CODE_COUNT || problems[code].status == 0)
        return 500;
    bool device = listener != API_ADMIN && problems[code].device_status != 0;
    return device ? problems[code].device_status : problems[code].status;
}

const char *api_problem_title(enum err_code code) {
    if (code <= ERR_NONE || code >= ERR_CODE_COUNT || problems[code].title == NULL)
        return "Internal error";
    return problems[code].title;
}

/* An error that says nothing about the request tells a client nothing about the machine either. */
static const char *public_detail(const struct err *err) {
    switch (err->code) {
    case ERR_INTERNAL:
    case ERR_IO:
    case ERR_NO_MEMORY:
        return "the server could not do it; its log has the reason under this request id";
    default:
        return err->text;
    }
}

struct problem_error {
    const char *field;
    const char *detail;
};

static const struct json_field row_fields[] = {
    {.name = "line", .type = JSON_INT, .offset = offsetof(struct api_problem_row, line)},
    {.name = "field", .type = JSON_TEXT, .offset = offsetof(struct api_problem_row, field)},
    {.name = "detail", .type = JSON_TEXT, .offset = offsetof(struct api_problem_row, detail)},
};
const struct json_shape api_shape_problem_row = JSON_SHAPE(struct api_problem_row, row_fields);

struct problem_body {
    const char *type;
    const char *title;
    int64_t status;
    const char *detail;
    const char *request_id;
    const char *message; /* the detail once more, for DDI clients */
    struct json_list errors;
    struct json_list rows;
};

static const struct json_field error_fields[] = {
    {.name = "field", .type = JSON_TEXT, .offset = offsetof(struct problem_error, field)},
    {.name = "detail", .type = JSON_TEXT, .offset = offsetof(struct problem_error, detail)},
};
static const struct json_shape error_shape = JSON_SHAPE(struct problem_error, error_fields);

static const struct json_field problem_fields[] = {
    {.name = "errors", .type = JSON_STRUCTS, .offset = offsetof(struct problem_body, rows), .shape = &api_shape_problem_row},
    {.name = "type", .type = JSON_TEXT, .offset = offsetof(struct problem_body, type)},
    {.name = "title", .type = JSON_TEXT, .offset = offsetof(struct problem_body, title)},
    {.name = "status", .type = JSON_INT, .offset = offsetof(struct problem_body, status)},
    {.name = "detail", .type = JSON_TEXT, .offset = offsetof(struct problem_body, detail)},
    {.name = "request_id", .type = JSON_TEXT, .offset = offsetof(struct problem_body, request_id)},
    {.name = "message", .type = JSON_TEXT, .offset = offsetof(struct problem_body, message)},
    {.name = "errors", .type = JSON_STRUCTS, .offset = offsetof(struct problem_body, errors), .shape = &error_shape},
};
/* The errors[] are rows (the first member), or the one field at fault (the last), or there are none. */
static const struct json_shape problem_rows_shape = {
    .fields = problem_fields, .count = ARRAY_LEN(problem_fields) - 1, .size = sizeof(struct problem_body)};
static const struct json_shape problem_shape = {
    .fields = problem_fields + 1, .count = ARRAY_LEN(problem_fields) - 2, .size = sizeof(struct problem_body)};
static const struct json_shape problem_errors_shape = {
    .fields = problem_fields + 1, .count = ARRAY_LEN(problem_fields) - 1, .size = sizeof(struct problem_body)};

void api_reply_drop(struct api_reply *reply) {
    if (reply->blob.release != NULL)
        reply->blob.release(reply->blob.context);
    if (reply->pull.release != NULL)
        reply->pull.release(reply->pull.state);
    reply->blob = (struct api_blob){0};
    reply->pull = (struct api_pull){0};
}

static bool keep_body(struct api_call *call, const struct buf *text, struct err *err) {
    if (!buf_ok(text, "the reply", err))
        return false;
    api_reply_drop(&call->reply);
    call->reply.body = arena_memdup(call->arena, text->len > 0 ? text->data : "", text->len);
    call->reply.body_len = text->len;
    return call->reply.body != NULL || text->len == 0 ? true : err_no_memory(err);
}

bool api_reply_json(struct api_call *call, int status, const struct json_shape *shape, const void *object, struct err *err) {
    struct buf text CLEANUP(buf_free) = BUF_INIT(API_REPLY_MAX);
    json_write(&text, shape, object);
    call->reply.status = status;
    call->reply.content_type = "application/json";
    return keep_body(call, &text, err);
}

struct secret {
    const void *object;
    const char *secret;
};

bool api_reply_secret(struct api_call *call, int status, const char *name, const struct json_shape *shape, const void *object, const char *secret,
                      struct err *err) {
    const struct json_field fields[] = {
        {.name = name, .type = JSON_STRUCT, .offset = offsetof(struct secret, object), .shape = shape},
        {.name = "secret", .type = JSON_TEXT, .offset = offsetof(struct secret, secret), .flags = JSON_NULLABLE},
    };
    const struct json_shape whole = JSON_SHAPE(struct secret, fields);
    struct secret reply = {.object = object};
    if (!api_reply_json(call, status, &whole, &reply, err))
        return false;
    call->reply.stored_body = call->reply.body;
    call->reply.stored_body_len = call->reply.body_len;
    reply.secret = secret;
    return api_reply_json(call, status, &whole, &reply, err);
}

bool api_reply_text(struct api_call *call, const char *content_type, const struct buf *text, struct err *err) {
    call->reply.content_type = content_type;
    return keep_body(call, text, err);
}

bool api_reply_header(struct api_call *call, const char *name, const char *value, struct err *err) {
    if (call->reply.header_count == API_MAX_HEADERS)
        return err_set(err, ERR_INTERNAL, "no room for header field %s", name);
    const char *copy = arena_strdup(call->arena, value);
    if (copy == NULL)
        return err_no_memory(err);
    call->reply.headers[call->reply.header_count++] = (struct api_param){.name = name, .value = copy};
    return true;
}

bool api_reply_headerf(struct api_call *call, struct err *err, const char *name, const char *format, ...) {
    char value[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(value))
        return err_set(err, ERR_INTERNAL, "header field %s is too long", name);
    return api_reply_header(call, name, value, err);
}

bool api_reply_etag(struct api_call *call, int64_t revision, struct err *err) {
    return api_reply_headerf(call, err, "ETag", "\"%lld\"", (long long)revision);
}

int64_t api_poll_after(const struct api_call *call) {
    const struct api_settings *settings = &call->env->settings;
    int64_t spread = settings->poll_after_s * settings->poll_jitter / 100;
    int64_t after = settings->poll_after_s - spread + (int64_t)call->chance % (2 * spread + 1);
    return after > 0 ? after : 1;
}

bool api_reply_poll_after(struct api_call *call, struct err *err) {
    return api_reply_headerf(call, err, "Poll-After", "%lld", (long long)api_poll_after(call));
}

/* What a status asks for beside the body; set by nobody else. */
static void problem_headers(struct api_call *call, enum err_code code, int status) {
    struct err ignored;
    bool told = true;
    if (status == 401)
        told = api_reply_header(call, "WWW-Authenticate", call->listener == API_ENROL ? "Basic realm=\"pawl\"" : "Bearer realm=\"pawl\"", &ignored);
    else if (status == 429)
        told = api_reply_header(call, "Retry-After", "60", &ignored);
    else if (status == 503 && call->route != NULL && (call->route->policy & API_DDI) != 0)
        told = api_reply_headerf(call, &ignored, "Retry-After", "%lld", (long long)api_poll_after(call)); /* clients keep to it from then on */
    else if (status == 503)
        told = api_reply_header(call, "Retry-After", "2", &ignored);
    if (code == ERR_DEVICE_PENDING && call->listener != API_ADMIN)
        told = api_reply_poll_after(call, &ignored);
    (void)told; /* a problem without the hint is still the problem */
}

void api_reply_problem(struct api_call *call, const struct err *err) {
    struct api_reply *reply = &call->reply;
    api_reply_drop(reply);
    reply->status = api_problem_status(err->code, call->listener);
    reply->content_type = "application/problem+json";
    reply->reason = err_slug(err->code);
    reply->body = NULL;
    reply->body_len = 0;
    reply->stored_body = NULL;
    reply->head_length_set = false;
    if (reply->status >= 500)
        reply->header_count = 0; /* what a handler said that then failed */
    problem_headers(call, err->code, reply->status);

    const char *detail = public_detail(err);
    char type[80];
    snprintf(type, sizeof(type), "urn:pawl:problem:%s", err_slug(err->code));
    struct problem_error error = {.field = err->field, .detail = detail};
    struct problem_body body = {
        .type = type,
        .title = api_problem_title(err->code),
        .status = reply->status,
        .detail = detail,
        .request_id = call->request_id,
        .message = call->route != NULL && (call->route->policy & API_DDI) != 0 ? detail : NULL,
        .errors = {.count = 1, .items = &error},
    };
    struct buf text CLEANUP(buf_free) = BUF_INIT(256 * 1024);
    struct err ignored;
    const struct json_shape *shape = err->field[0] != '\0' ? &problem_errors_shape : &problem_shape;
    if (reply->problem_rows != NULL) {
        body.rows = (struct json_list){.count = reply->problem_rows->count, .items = (void *)(uintptr_t)reply->problem_rows->items};
        shape = &problem_rows_shape;
    }
    json_write(&text, shape, &body);
    if (!keep_body(call, &text, &ignored)) {
        reply->body = NULL;
        reply->body_len = 0;
    }
}
