#include "api/shapes.h"

#include <string.h>

#include "common/hex.h"
#include "common/text.h"
#include "trust/trusted.h"

#define AT(of, member) .offset = offsetof(struct of, member)
#define TEXT(of, member)                                                                                                                             \
    { .name = #member, .type = JSON_TEXT, AT(of, member) }
#define NULLABLE(of, member)                                                                                                                         \
    { .name = #member, .type = JSON_TEXT, AT(of, member), .flags = JSON_NULLABLE }
#define NUMBER(of, member)                                                                                                                           \
    { .name = #member, .type = JSON_INT, AT(of, member) }
#define TIME(of, member)                                                                                                                             \
    { .name = #member, .type = JSON_TIME, AT(of, member) }
#define TIME_OR_NULL(of, member)                                                                                                                     \
    { .name = #member, .type = JSON_TIME, AT(of, member), .flags = JSON_NULLABLE }
#define TEXTS(of, member)                                                                                                                            \
    { .name = #member, .type = JSON_TEXTS, AT(of, member) }
#define NUMBER_OR_NULL(of, member, json_name)                                                                                                        \
    { .name = json_name, .type = JSON_RAW, AT(of, member), .flags = JSON_NULLABLE }
#define STRUCT_OR_NULL(of, member, the_shape)                                                                                                        \
    { .name = #member, .type = JSON_STRUCT, AT(of, member), .flags = JSON_NULLABLE, .shape = &the_shape }

static const struct json_field installed_fields[] = {
    {.name = "version", .type = JSON_TEXT, AT(api_installed, version), .flags = JSON_REQUIRED | JSON_NULLABLE, .max = 64},
    {.name = "sequence", .type = JSON_INT, AT(api_installed, sequence), .flags = JSON_REQUIRED},
};
const struct json_shape api_shape_installed = JSON_SHAPE(struct api_installed, installed_fields);

static const struct json_field floor_fields[] = {
    NUMBER(api_floor, sequence),
    NUMBER(api_floor, security_version),
};
const struct json_shape api_shape_floor = JSON_SHAPE(struct api_floor, floor_fields);

static const struct json_field report_error_fields[] = {
    {.name = "code", .type = JSON_TEXT, AT(api_report_error, code), .flags = JSON_REQUIRED, .max = 42},
    {.name = "detail", .type = JSON_TEXT, AT(api_report_error, detail), .flags = JSON_NULLABLE, .max = 512},
};
static const struct json_shape report_error_shape = JSON_SHAPE(struct api_report_error, report_error_fields);

static const struct json_field report_input_fields[] = {
    {.name = "deployment", .type = JSON_TEXT, AT(api_report_input, deployment), .flags = JSON_REQUIRED, .min = 1, .max = 64},
    {.name = "report_seq", .type = JSON_INT, AT(api_report_input, report_seq), .flags = JSON_REQUIRED, .min = 1, .max = 1000000000},
    {.name = "state", .type = JSON_TEXT, AT(api_report_input, state), .flags = JSON_REQUIRED, .max = 32},
    {.name = "progress", .type = JSON_INT, AT(api_report_input, progress), .min = 0, .max = 100},
    {.name = "error", .type = JSON_STRUCT, AT(api_report_input, error), .shape = &report_error_shape},
    {.name = "installed", .type = JSON_STRUCT, AT(api_report_input, installed), .shape = &api_shape_installed},
};
const struct json_shape api_shape_report_input = JSON_SHAPE(struct api_report_input, report_input_fields);

static const struct json_field report_fields[] = {
    TEXT(api_report, deployment),
    NUMBER(api_report, report_seq),
    TEXT(api_report, state),
    {.name = "repeated", .type = JSON_BOOL, AT(api_report, repeated)},
};
const struct json_shape api_shape_report = JSON_SHAPE(struct api_report, report_fields);

static const struct json_field device_whoami_fields[] = {
    TEXT(api_device_whoami, id),
    TEXT(api_device_whoami, state),
    NULLABLE(api_device_whoami, product),
    NULLABLE(api_device_whoami, hardware),
    STRUCT_OR_NULL(api_device_whoami, installed, api_shape_installed),
    STRUCT_OR_NULL(api_device_whoami, floor, api_shape_floor),
    TEXT(api_device_whoami, spki_sha256),
    TIME(api_device_whoami, certificate_expires_at),
};
const struct json_shape api_shape_device_whoami = JSON_SHAPE(struct api_device_whoami, device_whoami_fields);

static const struct json_field operator_whoami_fields[] = {
    TEXT(api_operator_whoami, actor),   NULLABLE(api_operator_whoami, token),  TEXT(api_operator_whoami, name),
    TEXTS(api_operator_whoami, scopes), TIME(api_operator_whoami, expires_at),
};
const struct json_shape api_shape_operator_whoami = JSON_SHAPE(struct api_operator_whoami, operator_whoami_fields);

static const struct json_field product_input_fields[] = {
    {.name = "id", .type = JSON_TEXT, AT(api_product_input, id), .flags = JSON_REQUIRED, .max = 64},
    {.name = "policy", .type = JSON_TEXT, AT(api_product_input, policy), .max = 32},
    {.name = "description", .type = JSON_TEXT, AT(api_product_input, description), .max = 256},
};
const struct json_shape api_shape_product_input = JSON_SHAPE(struct api_product_input, product_input_fields);

static const struct json_field product_patch_fields[] = {
    {.name = "policy", .type = JSON_TEXT, AT(api_product_input, policy), .max = 32},
    {.name = "description", .type = JSON_TEXT, AT(api_product_input, description), .max = 256},
};
const struct json_shape api_shape_product_patch = JSON_SHAPE(struct api_product_input, product_patch_fields);

static const struct json_field product_fields[] = {
    TEXT(api_product, id),
    TEXT(api_product, policy),
    TEXT(api_product, description),
    TIME(api_product, created_at),
};
const struct json_shape api_shape_product = JSON_SHAPE(struct api_product, product_fields);

void api_product_from(const struct db_product *product, struct api_product *ret_product) {
    *ret_product = (struct api_product){
        .id = product->name,
        .policy = fleet_policy_name(product->policy),
        .description = product->description,
        .created_at = product->created_at,
    };
}

static const struct json_field device_input_fields[] = {
    {.name = "id", .type = JSON_TEXT, AT(api_device_input, id), .flags = JSON_REQUIRED, .max = 64},
    {.name = "product", .type = JSON_TEXT, AT(api_device_input, product), .max = 64},
    {.name = "hardware", .type = JSON_TEXT, AT(api_device_input, hardware), .max = 64},
    {.name = "tags", .type = JSON_TEXTS, AT(api_device_input, tags), .max = 32},
    {.name = "spki_sha256", .type = JSON_TEXT, AT(api_device_input, spki_sha256), .min = 64, .max = 64},
};
const struct json_shape api_shape_device_input = JSON_SHAPE(struct api_device_input, device_input_fields);

static const struct json_field device_row_fields[] = {
    {.name = "id", .type = JSON_TEXT, AT(api_device_row, id), .flags = JSON_REQUIRED, .max = 64},
    {.name = "product", .type = JSON_TEXT, AT(api_device_row, product), .flags = JSON_NULLABLE, .max = 64},
    {.name = "hardware", .type = JSON_TEXT, AT(api_device_row, hardware), .flags = JSON_NULLABLE, .max = 64},
    {.name = "tags", .type = JSON_TEXTS, AT(api_device_row, tags), .max = 32},
    {.name = "attributes", .type = JSON_MAP, AT(api_device_row, attributes), .max = 100},
    {.name = "spki_sha256", .type = JSON_TEXT, AT(api_device_row, spki_sha256), .flags = JSON_NULLABLE, .min = 64, .max = 64},
};
const struct json_shape api_shape_device_row = JSON_SHAPE(struct api_device_row, device_row_fields);

static const struct json_field device_patch_fields[] = {
    {.name = "product", .type = JSON_TEXT, AT(api_device_patch, product), .max = 64},
    {.name = "hardware", .type = JSON_TEXT, AT(api_device_patch, hardware), .max = 64},
    {.name = "attributes", .type = JSON_MAP, AT(api_device_patch, attributes), .max = 100},
    {.name = "tags", .type = JSON_TEXTS, AT(api_device_patch, tags), .max = 32},
};
const struct json_shape api_shape_device_patch = JSON_SHAPE(struct api_device_patch, device_patch_fields);

static const struct json_field tags_input_fields[] = {
    {.name = "tags", .type = JSON_TEXTS, AT(api_tags_input, tags), .flags = JSON_REQUIRED, .max = 32},
};
const struct json_shape api_shape_tags_input = JSON_SHAPE(struct api_tags_input, tags_input_fields);

static const struct json_field accept_input_fields[] = {
    {.name = "reason", .type = JSON_TEXT, AT(api_accept_input, reason), .max = 256},
    {.name = "spki_sha256", .type = JSON_TEXT, AT(api_accept_input, spki_sha256), .min = 64, .max = 64},
};
const struct json_shape api_shape_accept_input = JSON_SHAPE(struct api_accept_input, accept_input_fields);

static const struct json_field device_fields[] = {
    TEXT(api_device, id),
    TEXT(api_device, state),
    NULLABLE(api_device, product),
    NULLABLE(api_device, hardware),
    TEXTS(api_device, tags),
    {.name = "attributes", .type = JSON_RAW, AT(api_device, attributes)},
    TEXTS(api_device, pins),
    NULLABLE(api_device, pin_origin),
    STRUCT_OR_NULL(api_device, installed, api_shape_installed),
    STRUCT_OR_NULL(api_device, floor, api_shape_floor),
    NULLABLE(api_device, deployment),
    TIME(api_device, created_at),
    TIME_OR_NULL(api_device, first_seen),
    TIME_OR_NULL(api_device, last_seen),
};
const struct json_shape api_shape_device = JSON_SHAPE(struct api_device, device_fields);

static const char *number_text(struct arena *arena, int64_t number, bool known) {
    return known ? arena_printf(arena, "%lld", (long long)number) : NULL;
}

static bool pins_from(struct arena *arena, const struct db_device *device, struct json_texts *ret_pins, struct err *err) {
    const char **items = arena_array(arena, 2, sizeof(*items));
    char *hex = arena_alloc(arena, 2 * (2 * DB_PIN_SIZE + 1));
    if (items == NULL || hex == NULL)
        return err_no_memory(err);
    size_t count = 0;
    if (device->has_pin_current) {
        hex_encode(device->pin_current, DB_PIN_SIZE, hex);
        items[count++] = hex;
    }
    if (device->has_pin_next) {
        hex_encode(device->pin_next, DB_PIN_SIZE, hex + 2 * DB_PIN_SIZE + 1);
        items[count++] = hex + 2 * DB_PIN_SIZE + 1;
    }
    *ret_pins = (struct json_texts){.count = count, .items = items};
    return true;
}

bool api_device_from(struct arena *arena, const struct db_device *device, struct api_device *ret_device, struct err *err) {
    struct api_device out = {
        .id = device->id,
        .state = fleet_device_state_name(device->state),
        .product = api_or_null(device->product),
        .hardware = api_or_null(device->hardware),
        .tags = {.count = device->tags.count, .items = device->tags.items},
        .attributes = api_or_null(device->attributes) != NULL ? device->attributes : "{}",
        .deployment = number_text(arena, device->open_deployment, device->open_deployment != 0),
        .created_at = device->created_at,
        .first_seen = device->first_seen,
        .last_seen = device->last_seen,
    };
    if (device->installed_known) {
        out.installed = arena_alloc(arena, sizeof(*out.installed));
        if (out.installed == NULL)
            return err_no_memory(err);
        *out.installed = (struct api_installed){.version = api_or_null(device->installed_version), .sequence = device->installed_sequence};
    }
    if (device->floor.sequence > 0) {
        out.floor = arena_alloc(arena, sizeof(*out.floor));
        if (out.floor == NULL)
            return err_no_memory(err);
        *out.floor = (struct api_floor){.sequence = device->floor.sequence, .security_version = device->floor.security_version};
    }
    out.pin_origin = device->has_pin_current ? fleet_pin_origin_name(device->pin_origin) : NULL;
    if (!pins_from(arena, device, &out.pins, err))
        return false;
    *ret_device = out;
    return true;
}

static const struct json_field image_fields[] = {
    TEXT(api_image, sha256), TEXT(api_image, sha1), TEXT(api_image, md5), NUMBER(api_image, size_bytes), TIME(api_image, created_at),
};
const struct json_shape api_shape_image = JSON_SHAPE(struct api_image, image_fields);

void api_image_from(const struct db_image *image, struct api_image *ret_image) {
    *ret_image = (struct api_image){
        .sha256 = image->sha256, .sha1 = image->sha1, .md5 = image->md5, .size_bytes = image->length, .created_at = image->created_at};
}

static const struct json_field signature_input_fields[] = {
    {.name = "sha256", .type = JSON_TEXT, AT(api_signature_input, sha256), .flags = JSON_REQUIRED, .min = 64, .max = 64},
    {.name = "signature", .type = JSON_BASE64, AT(api_signature_input, signature), .flags = JSON_REQUIRED, .min = 1, .max = KEY_SIGNATURE_MAX},
};
static const struct json_shape signature_input_shape = JSON_SHAPE(struct api_signature_input, signature_input_fields);

static const struct json_field role_file_fields[] = {
    {.name = "role", .type = JSON_TEXT, AT(api_role_file, role), .flags = JSON_REQUIRED, .min = 1, .max = METADATA_ROLE_NAME_MAX},
    {.name = "data", .type = JSON_BASE64, AT(api_role_file, data), .flags = JSON_REQUIRED, .min = 1, .max = METADATA_TARGETS_MAX},
};
static const struct json_shape role_file_shape = JSON_SHAPE(struct api_role_file, role_file_fields);

static const struct json_field publish_input_fields[] = {
    {.name = "targets", .type = JSON_BASE64, AT(api_publish_input, targets), .min = 1, .max = METADATA_TARGETS_MAX},
    {.name = "delegated", .type = JSON_STRUCTS, AT(api_publish_input, delegated), .max = TRUSTED_DELEGATED_MAX, .shape = &role_file_shape},
    {.name = "snapshot", .type = JSON_BASE64, AT(api_publish_input, snapshot), .flags = JSON_REQUIRED, .min = 1, .max = METADATA_SNAPSHOT_MAX},
    {.name = "signatures", .type = JSON_STRUCTS, AT(api_publish_input, signatures), .max = 16, .shape = &signature_input_shape},
};
const struct json_shape api_shape_publish_input = JSON_SHAPE(struct api_publish_input, publish_input_fields);

static const struct json_field metadata_input_fields[] = {
    {.name = "root", .type = JSON_BASE64, AT(api_publish_input, root), .min = 1, .max = METADATA_ROOT_MAX},
    {.name = "targets", .type = JSON_BASE64, AT(api_publish_input, targets), .min = 1, .max = METADATA_TARGETS_MAX},
    {.name = "delegated", .type = JSON_STRUCTS, AT(api_publish_input, delegated), .max = TRUSTED_DELEGATED_MAX, .shape = &role_file_shape},
    {.name = "snapshot", .type = JSON_BASE64, AT(api_publish_input, snapshot), .min = 1, .max = METADATA_SNAPSHOT_MAX},
};
const struct json_shape api_shape_metadata_input = JSON_SHAPE(struct api_publish_input, metadata_input_fields);

static const struct json_field release_fields[] = {
    TEXT(api_release, product),
    TEXT(api_release, version),
    NUMBER(api_release, sequence),
    NUMBER(api_release, security_version),
    NUMBER_OR_NULL(api_release, requires_sequence, "requires_sequence"),
    TEXTS(api_release, hardware),
    TEXT(api_release, path),
    TEXT(api_release, file),
    TEXT(api_release, sha256),
    NUMBER(api_release, size_bytes),
    TEXT(api_release, encryption),
    NUMBER_OR_NULL(api_release, plain_size_bytes, "plain_size_bytes"),
    NULLABLE(api_release, plain_sha256),
    {.name = "signature", .type = JSON_BOOL, AT(api_release, signature)},
    NULLABLE(api_release, notes),
    TIME_OR_NULL(api_release, created_at),
    TIME(api_release, published_at),
    TIME_OR_NULL(api_release, withdrawn_at),
};
const struct json_shape api_shape_release = JSON_SHAPE(struct api_release, release_fields);

bool api_release_from(struct arena *arena, const struct db_release *release, struct api_release *ret_release, struct err *err) {
    const char *slash = strrchr(release->path, '/');
    bool sealed = release->plain_length != 0;
    struct api_release out = {
        .product = release->product,
        .version = release->version,
        .sequence = release->sequence,
        .security_version = release->security_version,
        .requires_sequence = number_text(arena, release->requires_sequence, release->requires_sequence != 0),
        .hardware = {.count = release->hardware.count, .items = release->hardware.items},
        .path = release->path,
        .file = slash != NULL ? slash + 1 : release->path,
        .sha256 = release->sha256,
        .size_bytes = release->length,
        .encryption = release->encryption,
        .plain_size_bytes = number_text(arena, release->plain_length, sealed),
        .plain_sha256 = api_or_null(release->plain_sha256),
        .signature = release->has_signature,
        .notes = api_or_null(release->notes),
        .created_at = release->signed_at,
        .published_at = release->published_at,
        .withdrawn_at = release->withdrawn_at,
    };
    if ((release->requires_sequence != 0 && out.requires_sequence == NULL) || (sealed && out.plain_size_bytes == NULL))
        return err_no_memory(err);
    *ret_release = out;
    return true;
}

static const struct json_field published_fields[] = {
    {.name = "releases", .type = JSON_STRUCTS, AT(api_published, releases), .shape = &api_shape_release},
    NUMBER(api_published, targets_version),
    NUMBER(api_published, snapshot_version),
    NUMBER(api_published, timestamp_version),
};
const struct json_shape api_shape_published = JSON_SHAPE(struct api_published, published_fields);

static const struct json_field role_fields[] = {
    TEXT(api_metadata_role, role),
    NUMBER(api_metadata_role, version),
    TIME(api_metadata_role, expires_at),
};
static const struct json_shape role_shape = JSON_SHAPE(struct api_metadata_role, role_fields);

static const struct json_field metadata_status_fields[] = {
    {.name = "roles", .type = JSON_STRUCTS, AT(api_metadata_status, roles), .shape = &role_shape},
};
const struct json_shape api_shape_metadata_status = JSON_SHAPE(struct api_metadata_status, metadata_status_fields);

static const struct json_field deployment_input_fields[] = {
    {.name = "device", .type = JSON_TEXT, AT(api_deployment_input, device), .flags = JSON_REQUIRED, .max = 64},
    {.name = "version", .type = JSON_TEXT, AT(api_deployment_input, version), .flags = JSON_REQUIRED, .max = 64},
    {.name = "product", .type = JSON_TEXT, AT(api_deployment_input, product), .max = 64},
};
const struct json_shape api_shape_deployment_input = JSON_SHAPE(struct api_deployment_input, deployment_input_fields);

static const struct json_field deployment_fields[] = {
    TEXT(api_deployment, id),
    TEXT(api_deployment, device),
    TEXT(api_deployment, product),
    TEXT(api_deployment, version),
    NUMBER(api_deployment, sequence),
    TEXT(api_deployment, sha256),
    TEXT(api_deployment, state),
    TEXT(api_deployment, origin),
    NULLABLE(api_deployment, rollout),
    NULLABLE(api_deployment, reason),
    NUMBER_OR_NULL(api_deployment, progress, "progress"),
    STRUCT_OR_NULL(api_deployment, error, report_error_shape),
    NUMBER(api_deployment, report_seq),
    TIME(api_deployment, created_at),
    TIME(api_deployment, updated_at),
    TIME_OR_NULL(api_deployment, closed_at),
};
const struct json_shape api_shape_deployment = JSON_SHAPE(struct api_deployment, deployment_fields);

bool api_deployment_from(struct arena *arena, const struct db_deployment *deployment, struct api_deployment *ret_deployment, struct err *err) {
    struct api_deployment out = {
        .id = number_text(arena, deployment->id, true),
        .device = deployment->device,
        .product = deployment->product,
        .version = deployment->version,
        .sequence = deployment->sequence,
        .sha256 = deployment->sha256,
        .state = fleet_deployment_state_name(deployment->state),
        .origin = deployment->origin,
        .rollout = number_text(arena, deployment->rollout, deployment->rollout != 0),
        .reason = api_or_null(deployment->reason),
        .progress = number_text(arena, deployment->progress, deployment->progress >= 0),
        .report_seq = deployment->report_seq,
        .created_at = deployment->created_at,
        .updated_at = deployment->updated_at,
        .closed_at = deployment->closed_at,
    };
    bool failed = out.id == NULL || (deployment->rollout != 0 && out.rollout == NULL) || (deployment->progress >= 0 && out.progress == NULL);
    if (!failed && api_or_null(deployment->error_code) != NULL) {
        out.error = arena_alloc(arena, sizeof(*out.error));
        failed = out.error == NULL;
        if (!failed)
            *out.error = (struct api_report_error){.code = deployment->error_code, .detail = api_or_null(deployment->error_text)};
    }
    if (failed)
        return err_no_memory(err);
    *ret_deployment = out;
    return true;
}

static const struct json_field token_input_fields[] = {
    {.name = "name", .type = JSON_TEXT, AT(api_token_input, name), .max = 64},
    {.name = "scopes", .type = JSON_TEXTS, AT(api_token_input, scopes), .flags = JSON_REQUIRED, .min = 1, .max = 32},
    {.name = "expires_in_s", .type = JSON_INT, AT(api_token_input, expires_in_s), .min = 60, .max = 31536000},
};
const struct json_shape api_shape_token_input = JSON_SHAPE(struct api_token_input, token_input_fields);

static const struct json_field token_rotation_fields[] = {
    {.name = "grace_s", .type = JSON_INT, AT(api_token_rotation, grace_s), .max = 604800},
    {.name = "expires_in_s", .type = JSON_INT, AT(api_token_rotation, expires_in_s), .min = 60, .max = 31536000},
    {.name = "reason", .type = JSON_TEXT, AT(api_token_rotation, reason), .max = 256},
};
const struct json_shape api_shape_token_rotation = JSON_SHAPE(struct api_token_rotation, token_rotation_fields);

static const struct json_field token_fields[] = {
    TEXT(api_token, id),
    TEXT(api_token, name),
    TEXTS(api_token, scopes),
    TEXT(api_token, created_by),
    TIME(api_token, created_at),
    TIME(api_token, expires_at),
    TIME_OR_NULL(api_token, last_used_at),
    TIME_OR_NULL(api_token, revoked_at),
    TIME_OR_NULL(api_token, previous_until),
};
const struct json_shape api_shape_token = JSON_SHAPE(struct api_token, token_fields);

bool api_token_from(struct arena *arena, const struct db_token *token, struct api_token *ret_token, struct err *err) {
    struct api_token out = {
        .id = token->id,
        .name = token->name,
        .created_by = token->created_by,
        .created_at = token->created_at,
        .expires_at = token->expires_at,
        .last_used_at = token->last_used_at,
        .revoked_at = token->revoked_at,
        .previous_until = token->previous_until,
    };
    if (!api_scopes_write(arena, token, &out.scopes, err))
        return false;
    *ret_token = out;
    return true;
}
