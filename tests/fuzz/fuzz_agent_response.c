/* A reply's head, line by line, and the decision on it: whatever a server sends, bytes are appended only to the range that was asked for. */
#include <stdlib.h>
#include <string.h>

#include "agent/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct agent_have cases[] = {{0, 100, NULL}, {40, 100, "\"t\""}, {40, 100, NULL}, {INT64_MAX - 1, INT64_MAX, "\"t\""}};
    struct agent_response response;
    struct err err;
    agent_response_init(&response);
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t len = end != NULL ? (size_t)(end - data) - at + 1 : size - at;
        agent_response_line(&response, (const char *)data + at, len);
        at += len;
    }
    require(response.content_length >= -1 && response.poll_after_s >= 0 && response.retry_after_s >= 0);
    require(memchr(response.etag, '\0', sizeof(response.etag)) != NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum agent_body body = agent_response_decide(&response, &cases[i], &err);
        if (body == AGENT_BODY_APPEND)
            require(response.status == 206 && agent_response_may_resume(&cases[i]) && response.range_first == cases[i].have_bytes &&
                    response.range_last == cases[i].signed_bytes - 1 && strcmp(response.etag, cases[i].etag) == 0);
        if (body == AGENT_BODY_WHOLE)
            require(response.status == 200 && (response.content_length < 0 || response.content_length == cases[i].signed_bytes));
    }
    return 0;
}
