#include "cli/problem.h"

#include "cli/table.h"
#include "common/json.h"
#include "common/text.h"

struct field_error {
    const char *field;
    const char *detail;
};

struct problem {
    const char *type;
    const char *title;
    const char *detail;
    const char *request_id;
    struct json_list errors;
};

enum { PROBLEM_ARENA_BYTES = 256 * 1024, SHOWN_ERRORS = 4 };

static const struct json_field field_error_fields[] = {
    JSON_FIELD(struct field_error, field, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct field_error, detail, JSON_TEXT, JSON_REQUIRED),
};
static const struct json_shape field_error_shape = JSON_SHAPE_OPEN(struct field_error, field_error_fields);
static const struct json_field problem_fields[] = {
    JSON_FIELD(struct problem, type, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct problem, title, JSON_TEXT, 0),
    JSON_FIELD(struct problem, detail, JSON_TEXT, 0),
    JSON_FIELD(struct problem, request_id, JSON_TEXT, 0),
    JSON_FIELD(struct problem, errors, JSON_STRUCTS, 0, .shape = &field_error_shape),
};
static const struct json_shape problem_shape = JSON_SHAPE_OPEN(struct problem, problem_fields);

/* Anything else: 4xx is ERR_INVALID, 5xx ERR_INTERNAL. */
static const struct {
    long status;
    enum err_code code;
} status_codes[] = {
    {401, ERR_UNAUTHENTICATED},
    {403, ERR_FORBIDDEN},
    {404, ERR_NOT_FOUND},
    {405, ERR_METHOD},
    {409, ERR_CONFLICT},
    {410, ERR_GONE},
    {412, ERR_PRECONDITION},
    {413, ERR_TOO_LARGE},
    {422, ERR_INVALID},
    {428, ERR_PRECONDITION_REQUIRED},
    {429, ERR_RATE},
    {502, ERR_BUSY},
    {503, ERR_BUSY},
    {504, ERR_BUSY},
};

enum err_code cli_problem_code(long status) {
    for (size_t i = 0; i < ARRAY_LEN(status_codes); i++)
        if (status_codes[i].status == status)
            return status_codes[i].code;
    return status >= 400 && status < 500 ? ERR_INVALID : ERR_INTERNAL;
}

static const char *clean(struct arena *arena, const char *text) {
    const char *cleaned = cli_table_clean(arena, text);
    return cleaned == NULL ? "?" : cleaned;
}

bool cli_problem_set(struct err *err, long status, const char *body, size_t len) {
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, PROBLEM_ARENA_BYTES);
    const char *verdict = status < 500 ? "refused" : "the server failed";
    struct problem problem;
    struct err unread;
    if (!json_read(&arena, body, len, &problem_shape, &problem, NULL, &unread))
        return err_set(err, cli_problem_code(status), "%s: HTTP status %ld without a readable problem document", verdict, status);
    const char *detail = problem.detail != NULL ? problem.detail : problem.title != NULL ? problem.title : "no reason given";
    CLEANUP(buf_free) struct buf fields = BUF_INIT(ERR_TEXT_SIZE);
    const struct field_error *errors = problem.errors.items;
    for (size_t i = 0; i < problem.errors.count && i < SHOWN_ERRORS; i++)
        if (text_equal(errors[i].detail, problem.detail)) /* said already */
            buf_printf(&fields, "; field %s", clean(&arena, errors[i].field));
        else
            buf_printf(&fields, "; %s: %s", clean(&arena, errors[i].field), clean(&arena, errors[i].detail));
    err_set(err, cli_problem_code(status), "%s: %s (%s)%s", verdict, clean(&arena, detail), clean(&arena, problem.type),
            fields.len == 0 ? "" : fields.data);
    if (status >= 500 && problem.request_id != NULL)
        err_prefix(err, "request %s", clean(&arena, problem.request_id));
    return false;
}
