/* What a DDI client says: its attributes, how an update goes, what it makes of a cancel. Dirty JSON is cleaned, what is too long is cut. */
#include <string.h>

#include "api/ddi.h"
#include "api/env.h"
#include "api/handlers.h"
#include "common/text.h"
#include "db/ddi.h"

enum { ATTRIBUTES_MAX = 100, ATTRIBUTE_BYTES = 128, ATTRIBUTES_JSON_MAX = ATTRIBUTES_MAX * (2 * 6 * ATTRIBUTE_BYTES + 8) };

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
     .min = ATTRIBUTE_BYTES,
     .max = ATTRIBUTES_MAX},
};
static const struct json_shape config_shape = JSON_SHAPE_OPEN(struct config_data, config_fields);

static struct json_pair *find_pair(const struct json_map *map, const char *name) {
    for (size_t i = 0; name != NULL && i < map->count; i++) {
        if (strcmp(map->items[i].name, name) == 0)
            return &map->items[i];
    }
    return NULL;
}

static const char *value_of(const struct json_map *map, const char *name) {
    const struct json_pair *pair = find_pair(map, name);
    return pair != NULL ? pair->value : NULL;
}

static void merge(struct json_map *all, const struct json_map *said) {
    for (size_t i = 0; i < said->count; i++) {
        struct json_pair *pair = find_pair(all, said->items[i].name);
        if (pair != NULL)
            pair->value = said->items[i].value;
        else if (all->count < ATTRIBUTES_MAX)
            all->items[all->count++] = said->items[i];
    }
}

static void take_out(struct json_map *all, const struct json_map *said) {
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (find_pair(said, all->items[i].name) == NULL)
            all->items[kept++] = all->items[i];
    }
    all->count = kept;
}

/* What is known so far, with room for more. */
static bool read_known(struct api_call *call, struct json_map *ret_known, struct err *err) {
    struct db_ddi_device device;
    struct config_data stored;
    struct json_pair *items = arena_array(call->arena, ATTRIBUTES_MAX, sizeof(*items));
    if (items == NULL)
        return err_no_memory(err);
    if (!db_ddi_device_get(call->db, call->identity.id, call->arena, &device, err))
        return false;
    const char *text = arena_printf(call->arena, "{\"data\":%s}", device.attributes);
    if (text == NULL)
        return err_no_memory(err);
    if (!json_read(call->arena, text, strlen(text), &config_shape, &stored, NULL, err))
        return false;
    if (stored.data.count > 0)
        memcpy(items, stored.data.items, stored.data.count * sizeof(*items));
    *ret_known = (struct json_map){.count = stored.data.count, .items = items};
    return true;
}

static bool is_mode(const struct config_data *input, const char *mode) {
    return text_equal(input->mode, mode);
}

/* An identifier, or nothing. */
static const char *id_of(const struct json_map *all, const char *name) {
    const char *value = value_of(all, name);
    return value != NULL && text_is_id(value) ? value : NULL;
}

static bool to_attributes(struct api_call *call, const struct json_map *all, struct db_ddi_attributes *ret_attributes, struct err *err) {
    const struct api_ddi_settings *settings = &call->env->settings.ddi;
    struct buf text CLEANUP(buf_free) = BUF_INIT(ATTRIBUTES_JSON_MAX);
    json_write_map(&text, all);
    if (!buf_ok(&text, "the attributes", err))
        return false;
    const char *version = value_of(all, settings->version_attribute);
    *ret_attributes = (struct db_ddi_attributes){
        .json = arena_strndup(call->arena, text.data, text.len),
        .product = id_of(all, settings->product_attribute),
        .hardware = id_of(all, settings->hardware_attribute),
        .version = version != NULL && version[0] != '\0' ? arena_strndup(call->arena, version, strnlen(version, DB_VERSION_SIZE - 1)) : NULL,
    };
    return ret_attributes->json != NULL || err_no_memory(err);
}

bool api_ddi_config_put(struct api_call *call, struct err *err) {
    struct api_ddi ddi;
    struct config_data input;
    struct json_map all;
    struct db_ddi_attributes attributes;
    if (!api_ddi_enter(call, &ddi, err) ||
        !json_read_dirty(call->arena, call->body_len > 0 ? call->body : "{}", call->body_len > 0 ? call->body_len : 2, &config_shape, &input, NULL,
                         err) ||
        !read_known(call, &all, err))
        return false;
    if (is_mode(&input, "remove")) {
        take_out(&all, &input.data);
    } else {
        all.count = is_mode(&input, "replace") ? 0 : all.count;
        merge(&all, &input.data);
    }
    call->reply.status = 200;
    return to_attributes(call, &all, &attributes, err) && db_ddi_device_configure(call->db, call->identity.id, &attributes, call->now, err);
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

struct feedback {
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
    {.name = "status", .type = JSON_STRUCT, .offset = offsetof(struct feedback, status), .flags = JSON_REQUIRED, .shape = &status_shape},
};
static const struct json_shape feedback_shape = JSON_SHAPE_OPEN(struct feedback, feedback_fields);

/* The id of the body is not looked at: the path decides. */
static bool read_feedback(struct api_call *call, bool cancel, struct db_ddi_feedback *ret_feedback, struct err *err) {
    struct feedback input;
    struct db_ddi_feedback feedback = {.cancel = cancel, .code = -1, .progress_count = -1, .progress_of = -1};
    if (!api_ddi_action(call, &feedback.deployment, err) ||
        !json_read_dirty(call->arena, call->body_len > 0 ? call->body : "", call->body_len, &feedback_shape, &input, NULL, err))
        return false;
    const struct status *status = input.status;
    if (!fleet_ddi_execution_parse(status->execution, &feedback.execution))
        return err_set_field(err, ERR_INVALID, "status.execution",
                             "'status.execution' is none of closed, proceeding, canceled, scheduled, rejected, resumed, download, downloaded");
    if (!fleet_ddi_finished_parse(status->result->finished, &feedback.finished))
        return err_set_field(err, ERR_INVALID, "status.result.finished", "'status.result.finished' is none of none, success, failure");
    if (status->result->progress != NULL) {
        feedback.progress_count = status->result->progress->count;
        feedback.progress_of = status->result->progress->of;
    }
    feedback.details = (struct db_texts){.count = status->details.count, .items = status->details.items};
    feedback.code = status->code > 0 ? status->code : -1;
    feedback.confirms = call->env->settings.ddi.confirm_by_report;
    *ret_feedback = feedback;
    return true;
}

static bool take_feedback(struct api_call *call, bool cancel, struct err *err) {
    static const char *const words[] = {"gone", "repeated", "noted", "taken"};
    struct api_ddi ddi;
    struct db_ddi_feedback feedback;
    enum fleet_ddi_verdict verdict;
    if (!api_ddi_enter(call, &ddi, err) || !read_feedback(call, cancel, &feedback, err))
        return false;
    if (!db_ddi_feedback(call->db, call->identity.id, &feedback, call->now, &verdict, err)) {
        call->keep_writes = err->code == ERR_GONE;
        return false;
    }
    call->reply.status = 200; /* and nothing else: clients take 204 for a failure */
    call->reply.reason = words[verdict];
    return true;
}

bool api_ddi_feedback_post(struct api_call *call, struct err *err) {
    return take_feedback(call, false, err);
}

bool api_ddi_cancel_post(struct api_call *call, struct err *err) {
    return take_feedback(call, true, err);
}
