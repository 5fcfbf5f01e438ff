#include "api/ddi_body.h"

#include <string.h>

#include "common/text.h"

/* ---- attributes ---- */

struct config_data {
    const char *mode; /* NULL: merge */
    struct json_map data;
};

static const struct json_field config_fields[] = {
    {.name = "mode", .type = JSON_TEXT, .offset = offsetof(struct config_data, mode), .flags = JSON_LENIENT, .max = 16},
    {.name = "data",
     .type = JSON_MAP,
     .offset = offsetof(struct config_data, data),
     .flags = JSON_LENIENT,
     .min = API_DDI_ATTRIBUTE_BYTES,
     .max = API_DDI_ATTRIBUTES},
};
static const struct json_shape config_shape = JSON_SHAPE_OPEN(struct config_data, config_fields);

static struct json_pair *find_pair(const struct json_map *map, const char *name) {
    for (size_t i = 0; name != NULL && i < map->count; i++)
        if (strcmp(map->items[i].name, name) == 0)
            return &map->items[i];
    return NULL;
}

static void merge(struct json_map *all, const struct json_map *said) {
    for (size_t i = 0; i < said->count; i++) {
        struct json_pair *pair = find_pair(all, said->items[i].name);
        if (pair != NULL)
            pair->value = said->items[i].value;
        else if (all->count < API_DDI_ATTRIBUTES)
            all->items[all->count++] = said->items[i];
    }
}

static void take_out(struct json_map *all, const struct json_map *said) {
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++)
        if (find_pair(said, all->items[i].name) == NULL)
            all->items[kept++] = all->items[i];
    all->count = kept;
}

/* What is known so far, with room for more. */
static bool read_known(struct arena *arena, const char *known, struct json_map *ret_known, struct err *err) {
    struct config_data stored;
    struct json_pair *items = arena_array(arena, API_DDI_ATTRIBUTES, sizeof(*items));
    const char *text = arena_printf(arena, "{\"data\":%s}", known);
    if (items == NULL || text == NULL)
        return err_no_memory(err);
    if (!json_read(arena, text, strlen(text), &config_shape, &stored, NULL, err))
        return false;
    if (stored.data.count > 0)
        memcpy(items, stored.data.items, stored.data.count * sizeof(*items));
    *ret_known = (struct json_map){.count = stored.data.count, .items = items};
    return true;
}

static bool is_mode(const struct config_data *input, const char *mode) {
    return text_equal(input->mode, mode);
}

bool api_ddi_body_attributes(struct arena *arena, const char *known, const void *body, size_t len, struct json_map *ret_all, struct err *err) {
    struct config_data input;
    struct json_map all;
    if (!json_read_dirty(arena, len > 0 ? body : "{}", len > 0 ? len : 2, &config_shape, &input, NULL, err) || !read_known(arena, known, &all, err))
        return false;
    if (is_mode(&input, "remove")) {
        take_out(&all, &input.data);
    } else {
        all.count = is_mode(&input, "replace") ? 0 : all.count;
        merge(&all, &input.data);
    }
    *ret_all = all;
    return true;
}

/* ---- feedback ---- */

struct progress {
    int64_t count, of;
};

struct result {
    const char *finished;
    const struct progress *progress;
};

struct status {
    const char *execution;
    const struct result *result;
    struct json_texts details;
    int64_t code;
};

struct feedback_body {
    const struct status *status;
};

static const struct json_field progress_fields[] = {
    {.name = "cnt", .type = JSON_INT, .offset = offsetof(struct progress, count), .flags = JSON_LENIENT},
    {.name = "of", .type = JSON_INT, .offset = offsetof(struct progress, of), .flags = JSON_LENIENT},
};
static const struct json_shape progress_shape = JSON_SHAPE_OPEN(struct progress, progress_fields);

static const struct json_field result_fields[] = {
    {.name = "finished", .type = JSON_TEXT, .offset = offsetof(struct result, finished), .flags = JSON_REQUIRED, .max = 32},
    {.name = "progress", .type = JSON_STRUCT, .offset = offsetof(struct result, progress), .flags = JSON_LENIENT, .shape = &progress_shape},
};
static const struct json_shape result_shape = JSON_SHAPE_OPEN(struct result, result_fields);

static const struct json_field status_fields[] = {
    {.name = "execution", .type = JSON_TEXT, .offset = offsetof(struct status, execution), .flags = JSON_REQUIRED, .max = 32},
    {.name = "result", .type = JSON_STRUCT, .offset = offsetof(struct status, result), .flags = JSON_REQUIRED, .shape = &result_shape},
    {.name = "details",
     .type = JSON_TEXTS,
     .offset = offsetof(struct status, details),
     .flags = JSON_LENIENT,
     .min = DB_DDI_DETAIL_BYTES,
     .max = DB_DDI_DETAILS},
    {.name = "code", .type = JSON_INT, .offset = offsetof(struct status, code), .flags = JSON_LENIENT, .max = INT32_MAX},
};
static const struct json_shape status_shape = JSON_SHAPE_OPEN(struct status, status_fields);

static const struct json_field feedback_fields[] = {
    {.name = "status", .type = JSON_STRUCT, .offset = offsetof(struct feedback_body, status), .flags = JSON_REQUIRED, .shape = &status_shape},
};
static const struct json_shape feedback_shape = JSON_SHAPE_OPEN(struct feedback_body, feedback_fields);

/* The id of the body is not looked at: the path decides. */
bool api_ddi_body_feedback(struct arena *arena, const void *body, size_t len, struct db_ddi_feedback *feedback, struct err *err) {
    struct feedback_body input;
    if (!json_read_dirty(arena, len > 0 ? body : "", len, &feedback_shape, &input, NULL, err))
        return false;
    const struct status *status = input.status;
    const struct progress *progress = status->result->progress;
    if (!fleet_ddi_execution_parse(status->execution, &feedback->execution))
        return err_set_field(err, ERR_INVALID, "status.execution",
                             "'status.execution' is none of closed, proceeding, canceled, scheduled, rejected, resumed, download, downloaded");
    if (!fleet_ddi_finished_parse(status->result->finished, &feedback->finished))
        return err_set_field(err, ERR_INVALID, "status.result.finished", "'status.result.finished' is none of none, success, failure");
    feedback->progress_count = progress != NULL ? progress->count : -1;
    feedback->progress_of = progress != NULL ? progress->of : -1;
    feedback->details = (struct db_texts){.count = status->details.count, .items = status->details.items};
    feedback->code = status->code > 0 ? status->code : -1;
    return true;
}
