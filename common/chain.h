/* The hash chain of the audit: what a row's hash is made of, and whether a row continues the one before. docs/audit.md has it for other programs. */
#ifndef PAWL_COMMON_CHAIN_H
#define PAWL_COMMON_CHAIN_H

#include "common/hash.h"

struct chain_row {
    int64_t seq; /* from 1 up, without gaps */
    int64_t time;
    const char *actor, *action, *object, *detail, *request_id; /* NULL counts as "" */
    uint8_t prev_hash[SHA256_SIZE];                            /* zero for seq 1 */
    uint8_t hash[SHA256_SIZE];
};

/* SHA-256 of prev_hash (32 bytes) and then of seq, time (decimal), actor, action, object, detail, request_id, each as a netstring
 * "<length>:<bytes>,". */
bool chain_hash(const struct chain_row *row, uint8_t ret_hash[SHA256_SIZE], struct err *err) MUST_USE;

/* ERR_INVALID naming the row unless it is the one behind `last` (of which only seq and hash count; all zero before row 1) and its hash is right. */
bool chain_follows(const struct chain_row *row, const struct chain_row *last, struct err *err) MUST_USE;

#endif
