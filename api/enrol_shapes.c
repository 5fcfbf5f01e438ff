#include "api/enrol_shapes.h"

#include "api/shapes.h"
#include "common/hex.h"

static const struct json_field claim_input_fields[] = {
    JSON_FIELD(struct api_claim_input, device, JSON_TEXT, 0, .max = 64),
    JSON_FIELD(struct api_claim_input, product, JSON_TEXT, 0, .max = 64),
    JSON_FIELD(struct api_claim_input, note, JSON_TEXT, 0, .max = 256),
    JSON_FIELD(struct api_claim_input, expires_in_s, JSON_INT, 0, .min = 60, .max = 2592000),
};
const struct json_shape api_shape_claim_input = JSON_SHAPE(struct api_claim_input, claim_input_fields);

static const struct json_field claim_fields[] = {
    JSON_FIELD(struct api_claim, id, JSON_TEXT, 0),
    JSON_FIELD(struct api_claim, state, JSON_TEXT, 0),
    JSON_FIELD(struct api_claim, device, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct api_claim, product, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct api_claim, note, JSON_TEXT, 0),
    JSON_FIELD(struct api_claim, created_by, JSON_TEXT, 0),
    JSON_FIELD(struct api_claim, created_at, JSON_TIME, 0),
    JSON_FIELD(struct api_claim, expires_at, JSON_TIME, 0),
    JSON_FIELD(struct api_claim, spent_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct api_claim, spent_device, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct api_claim, revoked_at, JSON_TIME, JSON_NULLABLE),
};
const struct json_shape api_shape_claim = JSON_SHAPE(struct api_claim, claim_fields);

static const struct json_field certificate_fields[] = {
    JSON_FIELD(struct api_certificate, serial, JSON_TEXT, 0),
    JSON_FIELD(struct api_certificate, device, JSON_TEXT, 0),
    JSON_FIELD(struct api_certificate, product, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct api_certificate, way, JSON_TEXT, 0),
    JSON_FIELD(struct api_certificate, spki_sha256, JSON_TEXT, 0),
    JSON_FIELD(struct api_certificate, issuer_spki_sha256, JSON_TEXT, 0),
    JSON_FIELD(struct api_certificate, not_before, JSON_TIME, 0),
    JSON_FIELD(struct api_certificate, not_after, JSON_TIME, 0),
    JSON_FIELD(struct api_certificate, issued_at, JSON_TIME, 0),
    JSON_FIELD(struct api_certificate, revoked_at, JSON_TIME, JSON_NULLABLE),
};
const struct json_shape api_shape_certificate = JSON_SHAPE(struct api_certificate, certificate_fields);

static const char *state_of(const struct db_claim *claim, int64_t now) {
    if (claim->revoked_at != 0)
        return "revoked";
    if (claim->spent_at != 0)
        return "spent";
    return now < claim->expires_at ? "open" : "expired";
}

void api_claim_from(const struct db_claim *claim, int64_t now, struct api_claim *ret_claim) {
    *ret_claim = (struct api_claim){
        .id = claim->id,
        .state = state_of(claim, now),
        .device = api_or_null(claim->device),
        .product = api_or_null(claim->product),
        .note = claim->note,
        .created_by = claim->created_by,
        .created_at = claim->created_at,
        .expires_at = claim->expires_at,
        .spent_at = claim->spent_at,
        .spent_device = api_or_null(claim->spent_device),
        .revoked_at = claim->revoked_at,
    };
}

bool api_certificate_from(struct arena *arena, const struct db_certificate *row, struct api_certificate *ret_certificate, struct err *err) {
    char *hex = arena_alloc(arena, 2 * (2 * (size_t)DB_PIN_SIZE + 1));
    char *issuer = hex != NULL ? hex + 2 * DB_PIN_SIZE + 1 : NULL;
    if (hex == NULL)
        return err_no_memory(err);
    hex_encode(row->spki_sha256, DB_PIN_SIZE, hex);
    hex_encode(row->issuer_sha256, DB_PIN_SIZE, issuer);
    *ret_certificate = (struct api_certificate){
        .serial = row->serial,
        .device = row->device,
        .product = api_or_null(row->product),
        .way = row->way,
        .spki_sha256 = hex,
        .issuer_spki_sha256 = issuer,
        .not_before = row->not_before,
        .not_after = row->not_after,
        .issued_at = row->issued_at,
        .revoked_at = row->revoked_at,
    };
    return true;
}
