/* A signed checkpoint of the audit: who holds one can tell that nothing before it was changed or cut off since. docs/audit.md. */
#ifndef PAWL_TRUST_CHECKPOINT_H
#define PAWL_TRUST_CHECKPOINT_H

#include "common/chain.h"
#include "common/json.h"
#include "trust/key.h"

struct checkpoint {
    int64_t seq; /* of the last row it covers */
    uint8_t hash[SHA256_SIZE];
    int64_t time; /* of signing */
    char key_id[KEY_ID_SIZE];
    struct key_signature signature;
};

/* What is signed: "pawl-audit-checkpoint-v1", seq, hash in hex, time (RFC 3339), each and a line feed. */
bool checkpoint_text(const struct checkpoint *checkpoint, struct buf *out, struct err *err) MUST_USE;

/* Sets key_id and signature. */
bool checkpoint_sign(struct checkpoint *checkpoint, const struct key *key, struct err *err) MUST_USE;

/* ERR_SIGNATURE unless one of the keys signed it. */
bool checkpoint_verify(const struct checkpoint *checkpoint, struct key *const *keys, size_t count, struct err *err) MUST_USE;

/* The same as JSON: {"seq","hash","time","key_id","signature"}, hash and signature in hex. */
bool checkpoint_write(const struct checkpoint *checkpoint, struct buf *out, struct err *err) MUST_USE;
bool checkpoint_read(const void *data, size_t len, struct checkpoint *ret_checkpoint, struct err *err) MUST_USE;

#endif
