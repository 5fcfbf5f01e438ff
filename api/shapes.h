/* How bodies look: the C side and the descriptor of every object of openapi.yaml, and the steps from the store's rows to them. */
#ifndef PAWL_API_SHAPES_H
#define PAWL_API_SHAPES_H

#include "common/json.h"
#include "db/deployment.h"
#include "db/device.h"
#include "db/image.h"
#include "db/product.h"
#include "db/token.h"

static inline const char *api_or_null(const char *text) {
    return text != NULL && text[0] != '\0' ? text : NULL;
}

struct api_installed {
    const char *version;
    int64_t sequence;
};

extern const struct json_shape api_shape_installed;

struct api_floor {
    int64_t sequence;
    int64_t security_version;
};

extern const struct json_shape api_shape_floor;

struct api_report_error {
    const char *code;
    const char *detail;
};

struct api_report_input {
    const char *deployment;
    int64_t report_seq;
    const char *state;
    int64_t progress;
    struct api_report_error *error;
    struct api_installed *installed;
};
enum { API_REPORT_HAS_PROGRESS = 1 << 3 }; /* in ret_present of json_read() */
extern const struct json_shape api_shape_report_input;

struct api_report {
    const char *deployment;
    int64_t report_seq;
    const char *state;
    bool repeated;
};
extern const struct json_shape api_shape_report;

struct api_device_whoami {
    const char *id, *state, *product, *hardware;
    struct api_installed *installed;
    struct api_floor *floor;
    const char *spki_sha256;
    int64_t certificate_expires_at;
};
extern const struct json_shape api_shape_device_whoami;

struct api_operator_whoami {
    const char *actor, *token, *name;
    struct json_texts scopes;
    int64_t expires_at;
};
extern const struct json_shape api_shape_operator_whoami;

struct api_product_input {
    const char *id, *policy, *description;
};
extern const struct json_shape api_shape_product_input;
extern const struct json_shape api_shape_product_patch; /* without the id */

struct api_product {
    const char *id, *policy, *description;
    int64_t created_at;
};
extern const struct json_shape api_shape_product;
void api_product_from(const struct db_product *product, struct api_product *ret_product);

struct api_device_input {
    const char *id, *product, *hardware;
    struct json_texts tags;
    const char *spki_sha256;
};
extern const struct json_shape api_shape_device_input;

/* A line of an import. */
struct api_device_row {
    const char *id, *product, *hardware, *spki_sha256;
    struct json_texts tags;
    struct json_map attributes; /* a NULL value takes the attribute away */
};
extern const struct json_shape api_shape_device_row;

struct api_device_patch {
    const char *product, *hardware;
    struct json_map attributes; /* a NULL value takes the attribute away */
    struct json_texts tags;
};
extern const struct json_shape api_shape_device_patch;

struct api_tags_input {
    struct json_texts tags;
};
extern const struct json_shape api_shape_tags_input;

struct api_accept_input {
    const char *reason, *spki_sha256;
};
extern const struct json_shape api_shape_accept_input;

struct api_device {
    const char *id, *state, *product, *hardware;
    struct json_texts tags;
    const char *attributes;
    struct json_texts pins;
    const char *pin_origin;
    struct api_installed *installed;
    struct api_floor *floor;
    const char *deployment;
    int64_t created_at, first_seen, last_seen;
};
extern const struct json_shape api_shape_device;
bool api_device_from(struct arena *arena, const struct db_device *device, struct api_device *ret_device, struct err *err) MUST_USE;

struct api_image {
    const char *sha256, *sha1, *md5;
    int64_t size_bytes, created_at;
};
extern const struct json_shape api_shape_image;
void api_image_from(const struct db_image *image, struct api_image *ret_image);

struct api_signature_input {
    const char *sha256;
    struct json_bytes signature;
};

/* One file of a delegated targets role. */
struct api_role_file {
    const char *role;
    struct json_bytes data;
};

struct api_publish_input {
    struct json_bytes root, targets, snapshot;
    struct json_list delegated;  /* struct api_role_file */
    struct json_list signatures; /* struct api_signature_input */
};
extern const struct json_shape api_shape_publish_input;
extern const struct json_shape api_shape_metadata_input; /* no signatures, nothing required */

struct api_release {
    const char *product, *version;
    int64_t sequence, security_version;
    const char *requires_sequence; /* a number as text, or NULL */
    struct json_texts hardware;
    const char *path, *file, *sha256;
    int64_t size_bytes;
    const char *encryption;
    const char *plain_size_bytes; /* a number as text, or NULL */
    const char *plain_sha256;

    bool signature;
    const char *notes;
    int64_t created_at, published_at, withdrawn_at;
};
extern const struct json_shape api_shape_release;
bool api_release_from(struct arena *arena, const struct db_release *release, struct api_release *ret_release, struct err *err) MUST_USE;

struct api_published {
    struct json_list releases;
    int64_t targets_version, snapshot_version, timestamp_version;
};
extern const struct json_shape api_shape_published;

struct api_metadata_role {
    const char *role;
    int64_t version, expires_at;
};

struct api_metadata_status {
    struct json_list roles; /* struct api_metadata_role */
};
extern const struct json_shape api_shape_metadata_status;

struct api_deployment_input {
    const char *device, *version, *product;
};
extern const struct json_shape api_shape_deployment_input;

struct api_deployment {
    const char *id, *device, *product, *version;
    int64_t sequence;
    const char *sha256, *state, *origin, *rollout, *reason;
    const char *progress; /* a number as text, or NULL */
    struct api_report_error *error;
    int64_t report_seq, created_at, updated_at, closed_at;
};
extern const struct json_shape api_shape_deployment;
bool api_deployment_from(struct arena *arena, const struct db_deployment *deployment, struct api_deployment *ret_deployment,
                         struct err *err) MUST_USE;

struct api_token_input {
    const char *name;
    struct json_texts scopes;
    int64_t expires_in_s;
};
enum { API_TOKEN_HAS_EXPIRY = 1 << 2 };
extern const struct json_shape api_shape_token_input;

struct api_token_rotation {
    int64_t grace_s, expires_in_s;
    const char *reason;
};
enum { API_TOKEN_ROTATION_HAS_EXPIRY = 2 };
extern const struct json_shape api_shape_token_rotation;

struct api_token {
    const char *id, *name;
    struct json_texts scopes;
    const char *created_by;
    int64_t created_at, expires_at, last_used_at, revoked_at, previous_until;
};
extern const struct json_shape api_shape_token;
bool api_token_from(struct arena *arena, const struct db_token *token, struct api_token *ret_token, struct err *err) MUST_USE;

/* "scope" or "scope@product" for each grant; and back: ERR_INVALID naming the entry. */
bool api_scopes_write(struct arena *arena, const struct db_token *token, struct json_texts *ret_scopes, struct err *err) MUST_USE;
bool api_scopes_read(struct arena *arena, const struct json_texts *scopes, struct db_token *token, struct err *err) MUST_USE;

#endif
