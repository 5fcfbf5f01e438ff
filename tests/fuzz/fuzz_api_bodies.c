/* Any bytes as every JSON body that the API takes: "<which shape, 1 byte><body>". What is read obeys the shape, what is refused says why. */
#include <stdlib.h>
#include <string.h>

#include "api/rollout_shape.h"
#include "api/shapes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct json_shape *const shapes[] = {
    &api_shape_report_input,   &api_shape_product_input, &api_shape_product_patch,  &api_shape_device_input,     &api_shape_tags_input,
    &api_shape_token_rotation, &api_shape_publish_input, &api_shape_metadata_input, &api_shape_deployment_input, &api_shape_token_input,
    &api_rollout_shape_input,  &api_rollout_shape_patch, &api_rollout_shape_start,
};

static void check_field(const struct json_field *field, const char *object) {
    const void *place = object + field->offset;
    if (field->type == JSON_TEXT) {
        const char *text = *(const char *const *)place;
        bool required = (field->flags & JSON_REQUIRED) != 0 && (field->flags & JSON_NULLABLE) == 0;
        if ((text == NULL && required) || (text != NULL && field->max > 0 && (int64_t)strlen(text) > field->max))
            abort();
    } else if (field->type == JSON_TEXTS) {
        const struct json_texts *texts = place;
        if (field->max > 0 && texts->count > (size_t)field->max)
            abort();
    } else if (field->type == JSON_BASE64) {
        const struct json_bytes *bytes = place;
        if (field->max > 0 && bytes->len > (size_t)field->max)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena, 16 << 20);
    const struct json_shape *shape = shapes[data[0] % ARRAY_LEN(shapes)];
    struct err err = {0};
    char *object = arena_alloc(&arena, shape->size);
    if (object == NULL)
        return 0;
    if (!json_read(&arena, data + 1, size - 1, shape, object, NULL, &err)) {
        if (err.code == ERR_NONE || err.text[0] == '\0')
            abort();
        return 0;
    }
    for (size_t i = 0; i < shape->count; i++)
        check_field(&shape->fields[i], object);
    if (shape == &api_shape_token_input) {
        struct db_token token = {0};
        if (api_scopes_read(&arena, &((const struct api_token_input *)(const void *)object)->scopes, &token, &err) && token.grant_count == 0)
            abort();
    }
    return 0;
}
