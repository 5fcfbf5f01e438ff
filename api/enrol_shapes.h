/* The JSON of claims and issued certificates; openapi.yaml has the same in words. */
#ifndef PAWL_API_ENROL_SHAPES_H
#define PAWL_API_ENROL_SHAPES_H

#include "common/json.h"
#include "db/certificate.h"
#include "db/claim.h"

struct api_claim_input {
    const char *device, *product, *note;
    int64_t expires_in_s;
};
enum { API_CLAIM_HAS_EXPIRY = 1 << 3 };
extern const struct json_shape api_shape_claim_input;

struct api_claim {
    const char *id, *state, *device, *product, *note, *created_by, *spent_device;
    int64_t created_at, expires_at, spent_at, revoked_at;
};
extern const struct json_shape api_shape_claim;
void api_claim_from(const struct db_claim *claim, int64_t now, struct api_claim *ret_claim);

struct api_certificate {
    const char *serial, *device, *product, *way, *spki_sha256, *issuer_spki_sha256;
    int64_t not_before, not_after, issued_at, revoked_at;
};
extern const struct json_shape api_shape_certificate;
bool api_certificate_from(struct arena *arena, const struct db_certificate *row, struct api_certificate *ret_certificate, struct err *err) MUST_USE;

#endif
