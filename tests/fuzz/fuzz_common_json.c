/* Any bytes through the reader; what it reads must be written as JSON that it reads again. */
#include <stdlib.h>
#include <string.h>

#include "common/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct node {
    const char *text;
    int64_t number;
    bool flag;
    int64_t at;
    struct json_texts texts;
    struct node *child;
    struct json_list children;
    const char *raw;
    struct json_bytes blob;
};

static const struct json_shape shape;
static const struct json_field fields[] = {
    {.name = "text", .type = JSON_TEXT, .offset = offsetof(struct node, text), .flags = JSON_NULLABLE},
    {.name = "number", .type = JSON_INT, .offset = offsetof(struct node, number), .min = -100},
    {.name = "flag", .type = JSON_BOOL, .offset = offsetof(struct node, flag)},
    {.name = "at", .type = JSON_TIME, .offset = offsetof(struct node, at)},
    {.name = "texts", .type = JSON_TEXTS, .offset = offsetof(struct node, texts)},
    {.name = "child", .type = JSON_STRUCT, .offset = offsetof(struct node, child), .shape = &shape},
    {.name = "children", .type = JSON_STRUCTS, .offset = offsetof(struct node, children), .shape = &shape},
    {.name = "raw", .type = JSON_RAW, .offset = offsetof(struct node, raw)},
    {.name = "blob", .type = JSON_BASE64, .offset = offsetof(struct node, blob)},
};
static const struct json_shape shape = JSON_SHAPE(struct node, fields);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(arena_clear) struct arena arena;
    CLEANUP(buf_free) struct buf first = BUF_INIT(1 << 22);
    CLEANUP(buf_free) struct buf second = BUF_INIT(1 << 22);
    CLEANUP(buf_free) struct buf pretty = BUF_INIT(1 << 22);
    struct node node, again;
    struct err err;
    arena_init(&arena, 1 << 22);
    bool is_json = json_pretty(&pretty, data, size, &err);
    if (!json_read(&arena, data, size, &shape, &node, NULL, &err))
        return 0;
    if (!is_json)
        abort();
    json_write(&first, &shape, &node);
    if (first.failed != ERR_NONE)
        return 0;
    if (!json_read(&arena, first.data, first.len, &shape, &again, NULL, &err)) {
        if (err.code != ERR_NO_MEMORY)
            abort();
        return 0;
    }
    json_write(&second, &shape, &again);
    if (second.len != first.len || memcmp(first.data, second.data, first.len) != 0)
        abort();
    return 0;
}
