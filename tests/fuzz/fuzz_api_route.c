/* Any bytes as a request target: "<listener and method, 1 byte><path>?<query>". What a handler is given is clean text. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_route(struct api_call *call) {
    const char *allow = NULL;
    const struct api_route *route = api_route_find(call, &allow);
    if (route == NULL)
        return;
    if ((route->listeners & call->listener) == 0 || strcmp(route->method, call->method) != 0 || allow != NULL)
        abort();
    for (size_t i = 0; i < call->var_count; i++) {
        const char *value = call->vars[i].value;
        bool rest = strstr(route->pattern, "...}") != NULL;
        if (value[0] == '\0' || (!rest && (strchr(value, '/') != NULL || !text_is_printable(value))))
            abort();
    }
}

static void check_query(struct api_call *call, const char *raw) {
    struct err err;
    if (!api_query_parse(call, raw, NULL, &err))
        return;
    for (size_t i = 0; i < call->query_count; i++) {
        if (!text_is_printable(call->query[i].name) || !text_is_printable(call->query[i].value))
            abort();
        if (api_query(call, call->query[i].name) != call->query[i].value)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum api_listener listeners[] = {API_DEVICE, API_ENROL, API_ADMIN, API_ADMIN};
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
    if (size == 0)
        return 0;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena, 1 << 20);
    char *text = arena_strndup(&arena, (const char *)data + 1, size - 1);
    if (text == NULL)
        return 0;
    char *question = strchr(text, '?');
    if (question != NULL)
        *question = '\0';
    struct api_call call = {.arena = &arena, .listener = listeners[data[0] & 3], .method = methods[data[0] >> 2 & 3], .path = text};
    check_route(&call);
    check_query(&call, question != NULL ? question + 1 : NULL);
    return 0;
}
