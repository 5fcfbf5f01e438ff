#include <string.h>

#include "agent/transport.h"
#include "common/json.h"
#include "common/text.h"

enum { ARENA_MAX = 131072 };

struct problem {
    const char *type;
    const char *detail;
};

static const struct json_field problem_fields[] = {
    {.name = "type", .type = JSON_TEXT, .offset = offsetof(struct problem, type)},
    {.name = "detail", .type = JSON_TEXT, .offset = offsetof(struct problem, detail), .max = 8192},
};
static const struct json_shape problem_shape = JSON_SHAPE_OPEN(struct problem, problem_fields);

/* For replies that say nothing but their status. */
static enum err_code code_of_status(long status) {
    switch (status) {
    case 401:
        return ERR_UNAUTHENTICATED;
    case 403:
        return ERR_FORBIDDEN;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 429:
        return ERR_RATE;
    default:
        return status >= 500 ? ERR_BUSY : status >= 400 ? ERR_INVALID : ERR_NETWORK;
    }
}

/* "urn:pawl:problem:device-pending" */
static enum err_code code_of_type(const char *type) {
    static const char prefix[] = "urn:pawl:problem:";
    if (type == NULL || !text_starts(type, prefix))
        return ERR_NONE;
    for (int code = ERR_NONE + 1; code < ERR_CODE_COUNT; code++)
        if (text_equal(type + sizeof(prefix) - 1, err_slug((enum err_code)code)))
            return (enum err_code)code;
    return ERR_NONE;
}

bool agent_transport_refused(const struct agent_response *response, const struct buf *body, const char *what, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct problem problem = {0};
    struct err ignored;
    if (!response->problem || body->data == NULL || !json_read(&arena, body->data, body->len, &problem_shape, &problem, NULL, &ignored))
        problem = (struct problem){0};
    enum err_code code = code_of_type(problem.type);
    if (code == ERR_NONE)
        code = code_of_status(response->status);
    return err_set(err, code, "%s: the server says %ld %s", what, response->status, problem.detail != NULL ? problem.detail : err_slug(code));
}
