/* Any text through the filter's parser; what it takes must print as a text that it takes again, with the same answers. */
#include <stdlib.h>
#include <string.h>

#include "fleet/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct arena *arena, const struct fleet_filter *filter) {
    static const char *const tags[] = {"canary", "a"};
    static const struct fleet_filter_attribute attributes[] = {{"ram", "512"}, {"the place", "a"}};
    static const struct fleet_filter_subject subjects[] = {
        {.id = "a", .product = "gateway", .hardware = "b", .version = "1", .state = FLEET_DEVICE_REVOKED},
        {.id = "b",
         .sequence_known = true,
         .sequence = 40,
         .last_seen = 1,
         .tags = tags,
         .tag_count = 2,
         .attributes = attributes,
         .attribute_count = 2},
    };
    CLEANUP(buf_free) struct buf first = BUF_INIT(FLEET_FILTER_MAX_BYTES);
    CLEANUP(buf_free) struct buf second = BUF_INIT(FLEET_FILTER_MAX_BYTES);
    const struct fleet_filter *again;
    struct err err;
    fleet_filter_print(filter, &first);
    if (first.failed != ERR_NONE)
        abort();
    if (!fleet_filter_parse(arena, first.len > 0 ? first.data : "", &again, &err))
        abort();
    fleet_filter_print(again, &second);
    if (first.len != second.len || (first.len > 0 && memcmp(first.data, second.data, first.len) != 0))
        abort();
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++)
        if (fleet_filter_match(filter, &subjects[i]) != fleet_filter_match(again, &subjects[i]))
            abort();
    if (fleet_filter_needs(filter) != fleet_filter_needs(again))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(arena_clear) struct arena arena;
    const struct fleet_filter *filter;
    struct err err;
    arena_init(&arena, 1 << 22);
    char *text = arena_strndup(&arena, (const char *)data, size);
    if (text == NULL)
        return 0;
    if (fleet_filter_parse(&arena, text, &filter, &err))
        check(&arena, filter);
    else if (err.code != ERR_INVALID || err.text[0] == '\0')
        abort();
    return 0;
}
