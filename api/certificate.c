/* The certificates that this server has issued. */
#include "db/certificate.h"

#include <string.h>

#include "api/call.h"
#include "api/cut.h"
#include "api/enrol_shapes.h"
#include "api/find.h"
#include "api/handlers.h"
#include "api/list.h"
#include "api/shapes.h"
#include "common/hash.h"
#include "db/device.h"

bool api_certificate_list(struct api_call *call, struct err *err) {
    struct db_list list;
    struct db_certificates page;
    struct db_certificate_filter filter = {.device = api_query(call, "device"), .product = api_query(call, "product")};
    if (!api_allow_list(call, err) || !api_list_begin(call, &list, err) || !api_query_time(call, "expires_before", &filter.expires_before, err) ||
        !api_query_bool(call, "in_use", &filter.in_use, err) || !db_certificate_list(call->db, &filter, &list, call->arena, &page, err))
        return false;
    struct api_certificate *items = arena_array(call->arena, page.count, sizeof(*items));
    if (items == NULL && page.count > 0)
        return err_no_memory(err);
    for (size_t i = 0; i < page.count; i++)
        if (!api_certificate_from(call->arena, &page.items[i], &items[i], err))
            return false;
    return api_list_reply(call, &api_shape_certificate, items, page.count, page.next, err);
}

bool api_certificate_get(struct api_call *call, struct err *err) {
    struct db_certificate row;
    struct api_certificate reply;
    return api_find_certificate(call, &row, err) && api_certificate_from(call->arena, &row, &reply, err) &&
           api_reply_json(call, 0, &api_shape_certificate, &reply, err);
}

static bool is_pin(bool has, const uint8_t pin[DB_PIN_SIZE], const struct db_certificate *certificate) {
    return has && hash_equal(pin, certificate->spki_sha256, DB_PIN_SIZE);
}

/* The certificate's key is none of the device's any more. With its only key goes the device. */
static bool drop_key(struct api_call *call, const struct db_certificate *certificate, struct err *err) {
    struct db_device device;
    if (!db_device_get(call->db, certificate->device, call->arena, &device, err))
        return false;
    if (is_pin(device.has_pin_next, device.pin_next, certificate))
        return db_device_set_pins(call->db, device.id, device.pin_current, NULL, err);
    if (!is_pin(device.has_pin_current, device.pin_current, certificate))
        return true;
    if (device.has_pin_next)
        return db_device_set_pins(call->db, device.id, device.pin_next, NULL, err);
    bool in_use = device.state == FLEET_DEVICE_ACTIVE || device.state == FLEET_DEVICE_PENDING;
    return !in_use || db_device_move(call->db, device.id, FLEET_DEVICE_REVOKED, 0, call->now, err);
}

bool api_certificate_revoke(struct api_call *call, struct err *err) {
    struct db_certificate row;
    struct api_certificate reply;
    const char *reason;
    if (!api_find_certificate(call, &row, err) || !api_reason(call, &reason, err) || !db_certificate_revoke(call->db, row.serial, call->now, err) ||
        !drop_key(call, &row, err) || !api_cut_device(call, row.device, err))
        return false;
    row.revoked_at = call->now;
    const char *detail = api_detail(call, "device", row.device, "reason", reason, (char *)NULL);
    return api_audit(call, "certificate.revoke", "certificate", row.serial, detail, err) && api_certificate_from(call->arena, &row, &reply, err) &&
           api_reply_json(call, 0, &api_shape_certificate, &reply, err);
}
