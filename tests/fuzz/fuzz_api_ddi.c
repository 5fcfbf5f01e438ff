/* Any bytes as a body of a DDI client: "<F feedback, A attributes><body>". What is taken is bounded and printable, what is refused says why. */
#include <stdlib.h>
#include <string.h>

#include "api/ddi_body.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t max) {
    if (text == NULL || strlen(text) > max || !text_is_printable(text))
        abort();
}

static void check_feedback(const struct db_ddi_feedback *feedback) {
    if ((unsigned)feedback->execution >= FLEET_DDI_EXECUTION_COUNT || (unsigned)feedback->finished >= FLEET_DDI_FINISHED_COUNT ||
        feedback->details.count > DB_DDI_DETAILS || feedback->code < -1 || feedback->progress_count < -1 || feedback->progress_of < -1)
        abort();
    for (size_t i = 0; i < feedback->details.count; i++)
        check_text(feedback->details.items[i], DB_DDI_DETAIL_BYTES);
}

/* What is kept can be read again, and stays what it was. */
static void check_attributes(struct arena *arena, const struct json_map *all) {
    struct buf text CLEANUP(buf_free) = BUF_INIT(1 << 20);
    struct json_map again;
    struct err err;
    if (all->count > API_DDI_ATTRIBUTES)
        abort();
    for (size_t i = 0; i < all->count; i++) {
        check_text(all->items[i].name, API_DDI_ATTRIBUTE_BYTES);
        check_text(all->items[i].value, API_DDI_ATTRIBUTE_BYTES);
    }
    json_write_map(&text, all);
    if (!buf_ok(&text, "attributes", &err) || !api_ddi_body_attributes(arena, text.data, "{}", 2, &again, &err) || again.count != all->count)
        abort();
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->items[i].name, again.items[i].name) != 0 || strcmp(all->items[i].value, again.items[i].value) != 0)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena CLEANUP(arena_clear);
    struct db_ddi_feedback feedback = {0};
    struct json_map all;
    struct err err = {0};
    bool ok;
    if (size == 0)
        return 0;
    arena_init(&arena, 16 << 20);
    if (data[0] == 'A') {
        ok = api_ddi_body_attributes(&arena, "{\"a\":\"1\",\"b\":\"2\"}", data + 1, size - 1, &all, &err);
        if (ok)
            check_attributes(&arena, &all);
    } else {
        ok = api_ddi_body_feedback(&arena, data + 1, size - 1, &feedback, &err);
        if (ok)
            check_feedback(&feedback);
    }
    if (!ok && (err.code == ERR_NONE || err.text[0] == '\0'))
        abort();
    return 0;
}
