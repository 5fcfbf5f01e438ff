/* What a DDI client says: its attributes, how an update goes, what it makes of a cancel. */
#include <string.h>

#include "api/ddi.h"
#include "api/ddi_body.h"
#include "api/env.h"
#include "api/handlers.h"
#include "common/text.h"

enum { ATTRIBUTES_JSON_MAX = API_DDI_ATTRIBUTES * (2 * 6 * API_DDI_ATTRIBUTE_BYTES + 8) };

static const char *value_of(const struct json_map *map, const char *name) {
    for (size_t i = 0; name != NULL && i < map->count; i++)
        if (strcmp(map->items[i].name, name) == 0)
            return map->items[i].value;
    return NULL;
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
    struct db_ddi_device device;
    struct json_map all;
    struct db_ddi_attributes attributes;
    if (!api_ddi_enter(call, &ddi, err) || !db_ddi_device_get(call->db, call->identity.id, call->arena, &device, err) ||
        !api_ddi_body_attributes(call->arena, device.attributes, call->body, call->body_len, &all, err))
        return false;
    call->reply.status = 200;
    return to_attributes(call, &all, &attributes, err) && db_ddi_device_configure(call->db, call->identity.id, &attributes, call->now, err);
}

static bool take_feedback(struct api_call *call, bool cancel, struct err *err) {
    static const char *const words[] = {"gone", "repeated", "noted", "taken"};
    struct api_ddi ddi;
    struct db_ddi_feedback feedback = {.cancel = cancel, .confirms = call->env->settings.ddi.confirm_by_report};
    enum fleet_ddi_verdict verdict;
    if (!api_ddi_enter(call, &ddi, err) || !api_ddi_action(call, &feedback.deployment, err) ||
        !api_ddi_body_feedback(call->arena, call->body, call->body_len, &feedback, err))
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
