#include "trust/checkpoint.h"

#include <string.h>

#include "common/clock.h"
#include "common/hex.h"
#include "common/text.h"

struct document {
    int64_t seq, time;
    const char *hash, *key_id, *signature;
};

enum { SIGNATURE_HEX_MAX = 2 * KEY_SIGNATURE_MAX, DOCUMENT_MAX = 4096 };

static const struct json_field fields[] = {
    {.name = "seq", .type = JSON_INT, .offset = offsetof(struct document, seq), .flags = JSON_REQUIRED, .min = 1},
    {.name = "hash", .type = JSON_TEXT, .offset = offsetof(struct document, hash), .flags = JSON_REQUIRED, .max = 64},
    {.name = "time", .type = JSON_TIME, .offset = offsetof(struct document, time), .flags = JSON_REQUIRED},
    {.name = "key_id", .type = JSON_TEXT, .offset = offsetof(struct document, key_id), .flags = JSON_REQUIRED, .max = 64},
    {.name = "signature", .type = JSON_TEXT, .offset = offsetof(struct document, signature), .flags = JSON_REQUIRED, .max = SIGNATURE_HEX_MAX},
};
static const struct json_shape shape = JSON_SHAPE(struct document, fields);

bool checkpoint_text(const struct checkpoint *checkpoint, struct buf *out, struct err *err) {
    char hash[SHA256_HEX_SIZE], time[CLOCK_RFC3339_SIZE];
    hex_encode(checkpoint->hash, sizeof checkpoint->hash, hash);
    clock_rfc3339(checkpoint->time, time);
    buf_printf(out, "pawl-audit-checkpoint-v1\n%lld\n%s\n%s\n", (long long)checkpoint->seq, hash, time);
    return buf_ok(out, "checkpoint", err);
}

bool checkpoint_sign(struct checkpoint *checkpoint, const struct key *key, struct err *err) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(DOCUMENT_MAX);
    return checkpoint_text(checkpoint, &text, err) && key_sign(key, text.data, text.len, &checkpoint->signature, err) &&
           (text_copy(checkpoint->key_id, sizeof checkpoint->key_id, key_id(key)) || err_set(err, ERR_KEY, "the key's id is too long"));
}

bool checkpoint_verify(const struct checkpoint *checkpoint, struct key *const *keys, size_t count, struct err *err) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(DOCUMENT_MAX);
    if (!checkpoint_text(checkpoint, &text, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (key_verify(keys[i], text.data, text.len, checkpoint->signature.bytes, checkpoint->signature.len))
            return true;
    return err_set(err, ERR_SIGNATURE, "checkpoint of row %lld: not signed by %s", (long long)checkpoint->seq,
                   count == 1 ? "the key that is given" : "any of the keys that are given");
}

bool checkpoint_write(const struct checkpoint *checkpoint, struct buf *out, struct err *err) {
    char hash[SHA256_HEX_SIZE], signature[SIGNATURE_HEX_MAX + 1];
    hex_encode(checkpoint->hash, sizeof checkpoint->hash, hash);
    hex_encode(checkpoint->signature.bytes, checkpoint->signature.len, signature);
    const struct document document = {
        .seq = checkpoint->seq, .time = checkpoint->time, .hash = hash, .key_id = checkpoint->key_id, .signature = signature};
    json_write(out, &shape, &document);
    return buf_ok(out, "checkpoint", err);
}

bool checkpoint_read(const void *data, size_t len, struct checkpoint *ret_checkpoint, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct document document;
    arena_init(&arena, 65536);
    if (len > DOCUMENT_MAX)
        return err_set(err, ERR_TOO_LARGE, "checkpoint: %zu bytes, expected at most %d", len, DOCUMENT_MAX);
    if (!json_read(&arena, data, len, &shape, &document, NULL, err))
        return err_prefix(err, "checkpoint");
    struct checkpoint checkpoint = {.seq = document.seq, .time = document.time};
    size_t signature_len = strlen(document.signature);
    if (!hex_is_digest(document.hash) || !hex_decode(document.hash, 2 * sizeof checkpoint.hash, checkpoint.hash))
        return err_set(err, ERR_FORMAT, "checkpoint: 'hash' is not 64 lower-case hex digits");
    if (!text_copy(checkpoint.key_id, sizeof checkpoint.key_id, document.key_id) ||
        !hex_decode(document.signature, signature_len, checkpoint.signature.bytes))
        return err_set(err, ERR_FORMAT, "checkpoint: 'signature' is not lower-case hex");
    checkpoint.signature.len = signature_len / 2;
    *ret_checkpoint = checkpoint;
    return true;
}
