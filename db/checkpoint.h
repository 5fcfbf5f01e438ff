/* Checkpoints of the audit: its head, signed by somebody else and kept. */
#ifndef PAWL_DB_CHECKPOINT_H
#define PAWL_DB_CHECKPOINT_H

#include "db/audit.h"

struct db_checkpoint {
    int64_t seq; /* the last row that it covers; 0: there is none */
    uint8_t hash[SHA256_SIZE];
    int64_t time;
    const char *key_id;
    const void *signature;
    size_t signature_len;
};

/* A row's seq and hash. seq 0: the newest; all zero when the audit is empty. ERR_NOT_FOUND. */
bool db_checkpoint_row(struct db_conn *conn, int64_t seq, struct chain_row *ret_row, struct err *err) MUST_USE;

bool db_checkpoint_insert(struct db_conn *tx, const struct db_checkpoint *checkpoint, struct err *err) MUST_USE;

/* The newest; seq 0 when there is none. */
bool db_checkpoint_last(struct db_conn *conn, struct arena *arena, struct db_checkpoint *ret_checkpoint, struct err *err) MUST_USE;

#endif
