#include "cli/audit_chain.h"

#include <string.h>

#include "common/hex.h"

struct row {
    int64_t seq, time;
    const char *actor, *action, *object, *detail, *request_id, *prev_hash, *hash;
};

static const struct json_field fields[] = {
    JSON_FIELD(struct row, seq, JSON_INT, JSON_REQUIRED, .min = 1),
    JSON_FIELD(struct row, time, JSON_TIME, JSON_REQUIRED),
    JSON_FIELD(struct row, actor, JSON_TEXT, JSON_REQUIRED, .max = 65536),
    JSON_FIELD(struct row, action, JSON_TEXT, JSON_REQUIRED, .max = 65536),
    JSON_FIELD(struct row, object, JSON_TEXT, JSON_REQUIRED, .max = 65536),
    JSON_FIELD(struct row, detail, JSON_TEXT, JSON_REQUIRED, .max = CLI_AUDIT_LINE_MAX),
    JSON_FIELD(struct row, request_id, JSON_TEXT, JSON_REQUIRED, .max = 65536),
    JSON_FIELD(struct row, prev_hash, JSON_TEXT, JSON_REQUIRED, .min = 64, .max = 64),
    JSON_FIELD(struct row, hash, JSON_TEXT, JSON_REQUIRED, .min = 64, .max = 64),
};
static const struct json_shape shape = JSON_SHAPE(struct row, fields);

static bool read_row(struct arena *arena, const char *line, size_t len, struct chain_row *ret_row, struct err *err) {
    struct row row;
    if (!json_read(arena, line, len, &shape, &row, NULL, err))
        return false;
    struct chain_row chained = {.seq = row.seq,
                                .time = row.time,
                                .actor = row.actor,
                                .action = row.action,
                                .object = row.object,
                                .detail = row.detail,
                                .request_id = row.request_id};
    if (!hex_decode(row.prev_hash, strlen(row.prev_hash), chained.prev_hash) || !hex_decode(row.hash, strlen(row.hash), chained.hash))
        return err_set(err, ERR_FORMAT, "a hash is not lower-case hex");
    *ret_row = chained;
    return true;
}

bool cli_audit_chain_line(struct cli_audit_chain *chain, const char *line, size_t len, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    const struct checkpoint *checkpoint = chain->checkpoint;
    struct chain_row row;
    arena_init(&arena, (size_t)8 * CLI_AUDIT_LINE_MAX);
    if (!read_row(&arena, line, len, &row, err)) {
        err->code = ERR_FORMAT;
        return err_prefix(err, "behind row %lld", (long long)chain->last.seq);
    }
    if (!chain_follows(&row, &chain->last, err)) {
        err->code = err->code == ERR_INVALID ? ERR_HASH : err->code;
        return false;
    }
    if (checkpoint != NULL && row.seq == checkpoint->seq) {
        if (!hash_equal(row.hash, checkpoint->hash, sizeof(row.hash)))
            return err_set(err, ERR_HASH, "audit: row %lld is not the one that the checkpoint was made of", (long long)row.seq);
        chain->met = true;
    }
    chain->last.seq = row.seq;
    memcpy(chain->last.hash, row.hash, sizeof(row.hash));
    return true;
}

bool cli_audit_chain_end(const struct cli_audit_chain *chain, struct err *err) {
    if (chain->checkpoint != NULL && !chain->met)
        return err_set(err, ERR_HASH, "audit: the export ends at row %lld, and the checkpoint covers row %lld: rows are missing",
                       (long long)chain->last.seq, (long long)chain->checkpoint->seq);
    return true;
}
