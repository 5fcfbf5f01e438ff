#include "common/chain.h"

#include <stdio.h>
#include <string.h>

static bool add_text(struct hash *hash, const char *text, struct err *err) {
    size_t len = text != NULL ? strlen(text) : 0;
    char prefix[24];
    int prefix_len = snprintf(prefix, sizeof(prefix), "%zu:", len);
    return hash_update(hash, prefix, (size_t)prefix_len, err) && (len == 0 || hash_update(hash, text, len, err)) && hash_update(hash, ",", 1, err);
}

static bool add_int(struct hash *hash, int64_t value, struct err *err) {
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    return add_text(hash, text, err);
}

bool chain_hash(const struct chain_row *row, uint8_t ret_hash[SHA256_SIZE], struct err *err) {
    CLEANUP(hash_free) struct hash hash = {.context = NULL};
    return hash_sha256_begin(&hash, err) && hash_update(&hash, row->prev_hash, sizeof(row->prev_hash), err) && add_int(&hash, row->seq, err) &&
           add_int(&hash, row->time, err) && add_text(&hash, row->actor, err) && add_text(&hash, row->action, err) &&
           add_text(&hash, row->object, err) && add_text(&hash, row->detail, err) && add_text(&hash, row->request_id, err) &&
           hash_sha256_end(&hash, ret_hash, err);
}

bool chain_follows(const struct chain_row *row, const struct chain_row *last, struct err *err) {
    uint8_t hash[SHA256_SIZE];
    if (row->seq != last->seq + 1)
        return err_set(err, ERR_INVALID, "audit: row %lld follows row %lld", (long long)row->seq, (long long)last->seq);
    if (!hash_equal(row->prev_hash, last->hash, sizeof(hash)))
        return err_set(err, ERR_INVALID, "audit: row %lld does not continue the chain", (long long)row->seq);
    if (!chain_hash(row, hash, err))
        return false;
    return hash_equal(row->hash, hash, sizeof(hash)) || err_set(err, ERR_INVALID, "audit: row %lld was changed", (long long)row->seq);
}
