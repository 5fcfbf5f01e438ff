#include "db/device_import.h"
#include "db/select.h"

#include <stdlib.h>
#include <string.h>

#include "api/cut.h"
#include "api/enrol.h"
#include "api/env.h"
#include "api/find.h"
#include "api/handlers.h"
#include "api/list.h"
#include "api/shapes.h"
#include "common/hash.h"
#include "common/hex.h"
#include "common/text.h"

static bool reply_device(struct api_call *call, int status, const char *id, struct err *err) {
    struct db_device device;
    struct api_device reply;
    return db_device_get(call->db, id, call->arena, &device, err) && api_device_from(call->arena, &device, &reply, err) &&
           api_reply_etag(call, device.revision, err) && api_reply_json(call, status, &api_shape_device, &reply, err);
}

static bool reply_list(struct api_call *call, const struct db_devices *page, struct err *err) {
    struct api_device *items = arena_array(call->arena, page->count, sizeof(*items));
    if (items == NULL && page->count > 0)
        return err_no_memory(err);
    for (size_t i = 0; i < page->count; i++)
        if (!api_device_from(call->arena, &page->items[i], &items[i], err))
            return false;
    return api_list_reply(call, &api_shape_device, items, page->count, page->next, err);
}

/* The parameters that are no filter text, as one: they mean the same. */
static bool filter_of_params(struct api_call *call, const struct fleet_filter **ret_filter, struct err *err) {
    static const char *const names[] = {"product", "hardware", "tag", "version", "state"};
    struct buf text CLEANUP(buf_free) = BUF_INIT(FLEET_FILTER_MAX_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = api_query(call, names[i]);
        if (value == NULL || *value == '\0')
            continue;
        buf_printf(&text, "%s%s == ", text.len > 0 ? " and " : "", names[i]);
        fleet_filter_quote(value, &text);
    }
    const char *prefix = api_query(call, "id_prefix");
    if (prefix != NULL && *prefix != '\0')
        buf_printf(&text, "%sid ~ %s*", text.len > 0 ? " and " : "", prefix);
    return buf_ok(&text, "the query", err) && fleet_filter_parse(call->arena, text.data != NULL ? text.data : "", ret_filter, err);
}

static bool is_by_id(const char *sort) {
    return sort == NULL || strcmp(sort + (*sort == '-'), "id") == 0;
}

/* By filter, or in another order than the ids': out of the registry. */
static bool select_devices(struct api_call *call, const struct fleet_filter *filter, const struct db_list *list, struct err *err) {
    struct db_select select = {.filters = {filter}, .list = *list};
    struct db_devices page;
    return filter_of_params(call, &select.filters[1], err) && db_select_page(call->db, &select, call->arena, &page, err) &&
           reply_list(call, &page, err);
}

/* A token that is limited to products must name one, as a parameter or in the filter. */
static bool allow_list(const struct api_call *call, const struct fleet_filter *filter, struct err *err) {
    const char *product = filter != NULL && api_query(call, "product") == NULL ? fleet_filter_product(filter) : NULL;
    return product != NULL ? api_allow(call, product, err) : api_allow_list(call, err);
}

bool api_device_list(struct api_call *call, struct err *err) {
    struct db_list list;
    struct db_devices page;
    const struct fleet_filter *text = NULL;
    if ((api_query(call, "filter") != NULL && !fleet_filter_parse(call->arena, api_query(call, "filter"), &text, err)) ||
        !allow_list(call, text, err) || !api_list_begin(call, &list, err))
        return false;
    struct db_device_filter filter = {
        .product = api_query(call, "product"),
        .hardware = api_query(call, "hardware"),
        .tag = api_query(call, "tag"),
        .version = api_query(call, "version"),
        .id_prefix = api_query(call, "id_prefix"),
        .by_state = api_query(call, "state") != NULL,
    };
    if (filter.by_state && !fleet_device_state_parse(api_query(call, "state"), &filter.state))
        return err_set_field(err, ERR_INVALID, "state", "'state' must be pending, active, revoked or retired");
    if (filter.id_prefix != NULL && *filter.id_prefix != '\0' && !api_check_id(filter.id_prefix, "id_prefix", err))
        return false;
    if (text != NULL || !is_by_id(list.sort))
        return select_devices(call, text, &list, err);
    return db_device_list(call->db, &filter, &list, call->arena, &page, err) && reply_list(call, &page, err);
}

static bool check_tags(const struct json_texts *tags, struct err *err) {
    for (size_t i = 0; i < tags->count; i++)
        if (!api_check_id(tags->items[i], "tags", err))
            return false;
    return true;
}

static bool read_pin(const char *text, uint8_t pin[DB_PIN_SIZE], struct err *err) {
    return text == NULL || hex_decode(text, strlen(text), pin) ||
           err_set_field(err, ERR_INVALID, "spki_sha256", "'spki_sha256' must be 64 lower-case hex digits");
}

static bool check_input(const struct api_device_input *input, uint8_t pin[DB_PIN_SIZE], struct err *err) {
    if (!api_check_id(input->id, "id", err) || (input->product != NULL && !api_check_id(input->product, "product", err)) ||
        (input->hardware != NULL && !api_check_id(input->hardware, "hardware", err)) || !check_tags(&input->tags, err))
        return false;
    return read_pin(input->spki_sha256, pin, err);
}

bool api_device_create(struct api_call *call, struct err *err) {
    struct api_device_input input;
    uint8_t pin[DB_PIN_SIZE];
    if (!api_body(call, &api_shape_device_input, &input, NULL, err) || !check_input(&input, pin, err) || !api_allow(call, input.product, err))
        return false;
    struct db_device_new device = {
        .id = input.id,
        .state = FLEET_DEVICE_ACTIVE,
        .product = input.product,
        .hardware = input.hardware,
        .pin = input.spki_sha256 != NULL ? pin : NULL,
        .pin_origin = FLEET_PIN_OPERATOR,
        .tags = {.count = input.tags.count, .items = input.tags.items},
    };
    const char *detail = api_detail(call, "product", input.product, "spki_sha256", input.spki_sha256, (char *)NULL);
    return (db_device_insert(call->db, &device, call->now, err) || api_missing(err, "product")) &&
           api_audit(call, "device.create", "device", input.id, detail, err) &&
           api_reply_headerf(call, err, "Location", "/api/v1/devices/%s", input.id) && reply_device(call, 201, input.id, err);
}

bool api_device_get(struct api_call *call, struct err *err) {
    struct db_device device;
    return api_find_device(call, api_var(call, "device"), &device, err) && reply_device(call, 0, device.id, err);
}

bool api_device_tags(struct api_call *call, struct err *err) {
    struct db_device device;
    struct api_tags_input input;
    if (!api_find_device(call, api_var(call, "device"), &device, err) || !api_if_match(call, device.revision, err) ||
        !api_body(call, &api_shape_tags_input, &input, NULL, err) || !check_tags(&input.tags, err))
        return false;
    const struct db_texts tags = {.count = input.tags.count, .items = input.tags.items};
    const struct db_device_change change = {.tags = &tags};
    struct buf detail CLEANUP(buf_free) = BUF_INIT(4096);
    json_write(&detail, &api_shape_tags_input, &input);
    return buf_ok(&detail, "the audit's detail", err) && db_device_update(call->db, device.id, device.revision, &change, err) &&
           api_audit(call, "device.tags", "device", device.id, detail.data, err) && reply_device(call, 0, device.id, err);
}

static bool check_attributes(const struct json_map *attributes, struct err *err) {
    for (size_t i = 0; i < attributes->count; i++)
        if (!api_check_attribute(attributes->items[i].name, attributes->items[i].value, err))
            return false;
    return true;
}

static bool check_patch(const struct api_call *call, const struct api_device_patch *patch, struct err *err) {
    return (patch->product == NULL || (api_check_id(patch->product, "product", err) && api_allow(call, patch->product, err))) &&
           (patch->hardware == NULL || api_check_id(patch->hardware, "hardware", err)) && check_attributes(&patch->attributes, err) &&
           check_tags(&patch->tags, err);
}

bool api_device_patch(struct api_call *call, struct err *err) {
    struct db_device device;
    struct api_device_patch patch;
    uint64_t present;
    if (!api_find_device(call, api_var(call, "device"), &device, err) || !api_if_match(call, device.revision, err) ||
        !api_patch(call, &api_shape_device_patch, &patch, &present, err) || !check_patch(call, &patch, err))
        return false;
    const struct db_texts tags = {.count = patch.tags.count, .items = patch.tags.items};
    const struct db_device_change change = {
        .product = patch.product,
        .hardware = patch.hardware,
        .attributes = &patch.attributes,
        .tags = patch.tags.items != NULL ? &tags : NULL,
    };
    const char *detail = arena_strndup(call->arena, call->body, call->body_len);
    if (detail == NULL)
        return err_no_memory(err);
    return db_device_update(call->db, device.id, device.revision, &change, err) &&
           api_audit(call, "device.update", "device", device.id, detail, err) && reply_device(call, 0, device.id, err);
}

static bool move(struct api_call *call, enum fleet_device_state to, const char *action, struct err *err) {
    struct db_device device;
    const char *reason;
    if (!api_find_device(call, api_var(call, "device"), &device, err) || !api_reason(call, &reason, err) ||
        !db_device_move(call->db, device.id, to, 0, call->now, err))
        return false;
    if (!api_cut_device(call, device.id, err))
        return false;
    const char *detail = api_detail(call, "reason", reason, (char *)NULL);
    return api_audit(call, action, "device", device.id, detail, err) && reply_device(call, 0, device.id, err);
}

/* An operator vouches for the key that a device is known by, or names the one that it shall be. */
static bool vouch(struct api_call *call, const struct db_device *device, const uint8_t *named, struct err *err) {
    bool same = named == NULL || (device->has_pin_current && hash_equal(device->pin_current, named, DB_PIN_SIZE));
    if (!same && device->has_pin_current && !fleet_pin_yields(device->state, device->pin_origin))
        return err_set_field(err, ERR_CONFLICT, "spki_sha256", "device '%s' is known by another key, and a %s vouches for that", device->id,
                             fleet_pin_origin_name(device->pin_origin));
    if (!device->has_pin_current && named == NULL)
        return true;
    return (same && device->pin_origin != FLEET_PIN_REQUESTED) ||
           api_enrol_replace_key(call, device, named != NULL ? named : device->pin_current, FLEET_PIN_OPERATOR, err);
}

bool api_device_accept(struct api_call *call, struct err *err) {
    struct db_device device;
    struct api_accept_input input;
    uint8_t pin[DB_PIN_SIZE];
    if (!api_find_device(call, api_var(call, "device"), &device, err) || !api_body(call, &api_shape_accept_input, &input, NULL, err) ||
        !read_pin(input.spki_sha256, pin, err) || !vouch(call, &device, input.spki_sha256 != NULL ? pin : NULL, err) ||
        !db_device_move(call->db, device.id, FLEET_DEVICE_ACTIVE, 0, call->now, err))
        return false;
    const char *detail = api_detail(call, "reason", input.reason, "spki_sha256", input.spki_sha256, (char *)NULL);
    return api_audit(call, "device.accept", "device", device.id, detail, err) && reply_device(call, 0, device.id, err);
}

bool api_device_revoke(struct api_call *call, struct err *err) {
    return move(call, FLEET_DEVICE_REVOKED, "device.revoke", err);
}

bool api_device_retire(struct api_call *call, struct err *err) {
    return move(call, FLEET_DEVICE_RETIRED, "device.retire", err);
}
