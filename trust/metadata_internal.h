/* What the files behind metadata.h share: readers of the parts of a role's "signed". Each fills *metadata and names the file in messages. */
#ifndef PAWL_TRUST_METADATA_INTERNAL_H
#define PAWL_TRUST_METADATA_INTERNAL_H

#include <jansson.h>

#include "common/json.h"
#include "trust/metadata.h"

/* {keyid: {keytype, keyval, scheme}} into metadata->keys. */
bool metadata_read_keys(struct metadata *metadata, const json_t *keys, struct err *err) MUST_USE;

/* {keyids, threshold} out of those keys. */
bool metadata_read_signers(struct metadata *metadata, const json_t *role, const char *role_name, struct signers *ret_signers,
                           struct err *err) MUST_USE;

bool metadata_read_root(struct metadata *metadata, const json_t *body, struct err *err) MUST_USE;
bool metadata_read_files(struct metadata *metadata, const json_t *body, struct err *err) MUST_USE; /* timestamp, snapshot */
bool metadata_read_targets(struct metadata *metadata, const json_t *body, struct err *err) MUST_USE;

/* An integer within the range; ERR_FORMAT naming file and member. */
bool metadata_read_number(const struct metadata *metadata, const json_t *object, const char *member, int64_t min, int64_t max, int64_t *ret_value,
                          struct err *err) MUST_USE;

/* hashes.sha256 as 64 hex digits; NULL when there is no "hashes". */
bool metadata_read_sha256(const struct metadata *metadata, const json_t *object, const char **ret_sha256, struct err *err) MUST_USE;

#endif
