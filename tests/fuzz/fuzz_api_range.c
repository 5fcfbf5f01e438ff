/* Any bytes as Range and as precondition fields: "<size, 8 bytes><field text>". A range lies within the file; the verdicts agree with each other. */
#include <stdlib.h>
#include <string.h>

#include "api/conditional.h"
#include "api/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_range(const char *text, uint64_t size) {
    uint64_t first = 1, last = 0;
    switch (api_range_parse(text, size, &first, &last)) {
    case API_RANGE_PART:
        if (first > last || last >= size)
            abort();
        break;
    case API_RANGE_WHOLE:
    case API_RANGE_NONE:
        if (first != 1 || last != 0)
            abort();
        break;
    default:
        abort();
    }
}

static void check_conditions(const char *text) {
    static const struct api_validators validators = {.etag = "\"abc\"", .modified_at = 784111777};
    const struct api_conditions match = {.if_match = text}, none = {.if_none_match = text};
    bool strong = api_conditional_list_has(text, validators.etag, false);
    bool weak = api_conditional_list_has(text, validators.etag, true);
    if (strong && !weak)
        abort();
    if ((api_conditional_decide(&match, &validators) == API_CONDITION_PASS) != strong)
        abort();
    if ((api_conditional_decide(&none, &validators) == API_CONDITION_NOT_MODIFIED) != weak)
        abort();
    const struct api_conditions dates = {.if_modified_since = text, .if_unmodified_since = text};
    if (api_conditional_decide(&dates, &validators) > API_CONDITION_FAILED)
        abort();
    /* A tag that may resume a download is in the list of strong ones, too. */
    if (text[strspn(text, " \t")] == '"' && api_conditional_range(text, &validators) && !strong)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t length = 0;
    if (size < sizeof(length))
        return 0;
    memcpy(&length, data, sizeof(length));
    char *text = malloc(size - sizeof(length) + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data + sizeof(length), size - sizeof(length));
    text[size - sizeof(length)] = '\0';
    check_range(text, length);
    check_conditions(text);
    free(text);
    return 0;
}
