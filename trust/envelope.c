#include "trust/envelope.h"

#include <jansson.h>
#include <string.h>

#include "common/hex.h"
#include "trust/profile.h"

bool envelope_keyid_check(const char *keyid, const char *what, struct err *err) {
    size_t len = strlen(keyid);
    bool fine = len >= 1 && len <= ENVELOPE_KEYID_MAX;
    for (size_t i = 0; i < len; i++)
        fine = fine && keyid[i] > ' ' && keyid[i] <= '~';
    return fine || err_set(err, ERR_FORMAT, "%s: a key id has 1 to %d visible characters", what, ENVELOPE_KEYID_MAX);
}

static bool read_signature(struct arena *arena, const json_t *entry, const char *what, struct envelope_signature *ret_signature, struct err *err) {
    const char *keyid = json_string_value(json_object_get(entry, "keyid"));
    const char *hex = json_string_value(json_object_get(entry, "sig"));
    if ((PROFILE_STRICT && json_object_size(entry) != 2) || keyid == NULL || hex == NULL)
        return err_set(err, ERR_FORMAT, "%s: a signature has exactly the texts 'keyid' and 'sig'", what);
    if (!envelope_keyid_check(keyid, what, err))
        return false;
    size_t hex_len = strlen(hex);
    if (hex_len > 2 * (size_t)KEY_SIGNATURE_MAX) {
        if (PROFILE_STRICT)
            return err_set(err, ERR_FORMAT, "%s: signature by %s is longer than %d bytes", what, keyid, KEY_SIGNATURE_MAX);
        hex_len = 0; /* an empty signature verifies nothing */
    }
    uint8_t *bytes = arena_alloc(arena, hex_len / 2 + 1);
    if (bytes == NULL)
        return err_no_memory(err);
    if (!hex_decode(hex, hex_len, bytes)) {
        if (PROFILE_STRICT)
            return err_set(err, ERR_FORMAT, "%s: signature by %s is not lower-case hex of even length", what, keyid);
        hex_len = 0;
    }
    *ret_signature = (struct envelope_signature){.keyid = keyid, .bytes = bytes, .len = hex_len / 2};
    return true;
}

static bool read_signatures(struct arena *arena, const json_t *list, const char *what, struct envelope *envelope, struct err *err) {
    size_t count = json_array_size(list);
    if (count > ENVELOPE_SIGNATURES_MAX)
        return err_set(err, ERR_FORMAT, "%s: %zu signatures, at most %d are read", what, count, ENVELOPE_SIGNATURES_MAX);
    struct envelope_signature *signatures = arena_array(arena, count + 1, sizeof *signatures);
    if (signatures == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        if (!read_signature(arena, json_array_get(list, i), what, &signatures[i], err))
            return false;
        for (size_t j = 0; j < i; j++)
            if (strcmp(signatures[j].keyid, signatures[i].keyid) == 0)
                return err_set(err, ERR_FORMAT, "%s: two signatures by key id %s", what, signatures[i].keyid);
    }
    envelope->signatures = signatures;
    envelope->signature_count = count;
    return true;
}

static bool read_signed(struct arena *arena, size_t file_len, const char *what, struct envelope *envelope, struct err *err) {
    envelope->type = json_string_value(json_object_get(envelope->signed_, "_type"));
    if (envelope->type == NULL)
        return err_set(err, ERR_FORMAT, "%s: 'signed' has no text '_type'", what);
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(file_len); /* every form of the file is at least as long */
    buf_reserve(&bytes, file_len);
    if (!canon_signed_bytes(&bytes, envelope->signed_, err))
        return false;
    envelope->signed_bytes = arena_memdup(arena, bytes.data, bytes.len);
    envelope->signed_len = bytes.len;
    return envelope->signed_bytes != NULL || err_no_memory(err);
}

static bool read_members(struct arena *arena, size_t file_len, const char *what, struct envelope *envelope, struct err *err) {
    const json_t *list = json_object_get(envelope->root, "signatures");
    envelope->signed_ = json_object_get(envelope->root, "signed");
    if ((PROFILE_STRICT && json_object_size(envelope->root) != 2) || !json_is_array(list) || !json_is_object(envelope->signed_))
        return err_set(err, ERR_FORMAT, "%s: a signed document has exactly the list 'signatures' and the object 'signed'", what);
    return read_signatures(arena, list, what, envelope, err) && read_signed(arena, file_len, what, envelope, err);
}

bool envelope_parse(struct arena *arena, const void *data, size_t len, size_t max, const char *what, struct envelope *ret_envelope, struct err *err) {
    struct envelope envelope = {0};
    if (!canon_parse(data, len, max, what, &envelope.root, err))
        return false;
    if (!read_members(arena, len, what, &envelope, err)) {
        envelope_free(&envelope);
        return false;
    }
    *ret_envelope = envelope;
    return true;
}

void envelope_free(struct envelope *envelope) {
    json_decref(envelope->root);
    *envelope = (struct envelope){0};
}

/* Is the key of items[index] (not) among those before it? Keys of unknown type are nobody. */
static bool is_first_of_its_key(const struct signers *signers, size_t index) {
    const struct key *key = signers->items[index]->key;
    for (size_t i = 0; key != NULL && i < index; i++)
        if (signers->items[i]->key != NULL && key_same(signers->items[i]->key, key))
            return false;
    return key != NULL;
}

size_t signers_distinct(const struct signers *signers) {
    size_t count = 0;
    for (size_t i = 0; i < signers->count; i++)
        count += is_first_of_its_key(signers, i);
    return count;
}

static const struct key *find_key(const struct signers *signers, const char *keyid) {
    for (size_t i = 0; i < signers->count; i++)
        if (strcmp(signers->items[i]->id, keyid) == 0)
            return signers->items[i]->key;
    return NULL;
}

static bool counted_before(const struct key *const *counted, size_t count, const struct key *key) {
    for (size_t i = 0; i < count; i++)
        if (key_same(counted[i], key))
            return true;
    return false;
}

enum verdict envelope_verify(const struct envelope *envelope, const struct signers *signers, const char *what, const char *role, struct err *err) {
    size_t distinct = signers_distinct(signers);
    if (signers->threshold < 1 || signers->threshold > distinct) {
        err_set(err, ERR_THRESHOLD, "%s: the threshold of the %s keys is %zu of %zu", what, role, signers->threshold, distinct);
        return VERDICT_REFUSED;
    }
    const struct key *counted[ENVELOPE_SIGNATURES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < envelope->signature_count && i < ENVELOPE_SIGNATURES_MAX; i++) {
        const struct envelope_signature *signature = &envelope->signatures[i];
        const struct key *key = find_key(signers, signature->keyid);
        if (key != NULL && !counted_before(counted, count, key) &&
            key_verify(key, envelope->signed_bytes, envelope->signed_len, signature->bytes, signature->len))
            counted[count++] = key;
    }
    if (count >= signers->threshold)
        return VERDICT_VERIFIED;
    err_set(err, count == 0 ? ERR_SIGNATURE : ERR_THRESHOLD, "%s: %zu valid signatures by %s keys, %zu needed", what, count, role,
            signers->threshold);
    return VERDICT_REFUSED;
}

bool signers_have(const struct signers *signers, const struct key *key) {
    for (size_t i = 0; i < signers->count; i++)
        if (signers->items[i]->key != NULL && key_same(signers->items[i]->key, key))
            return true;
    return false;
}

bool signers_equal(const struct signers *a, const struct signers *b) {
    if (a->threshold != b->threshold || signers_distinct(a) != signers_distinct(b))
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (a->items[i]->key != NULL && !signers_have(b, a->items[i]->key))
            return false;
    return true;
}

json_t *envelope_entry(const struct key *key, const struct key_signature *signature, struct err *err) {
    char hex[2 * KEY_SIGNATURE_MAX + 1];
    hex_encode(signature->bytes, signature->len, hex);
    json_t *entry = json_pack("{s:s, s:s}", "keyid", key_id(key), "sig", hex);
    if (entry == NULL)
        err_no_memory(err);
    return entry;
}

json_t *envelope_signature(const json_t *signed_, const struct key *key, struct err *err) {
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(ENVELOPE_SIGNED_MAX);
    struct key_signature signature;
    if (!canon_signed_bytes(&bytes, signed_, err) || !key_sign(key, bytes.data, bytes.len, &signature, err))
        return NULL;
    return envelope_entry(key, &signature, err);
}

bool envelope_write(struct buf *out, const struct json_t *signed_, const struct key *const *keys, size_t key_count, struct err *err) {
    json_t *list = json_array();
    bool fine = true;
    for (size_t i = 0; fine && i < key_count; i++) {
        json_t *entry = envelope_signature(signed_, keys[i], err);
        if (entry == NULL)
            fine = false;
        else if (json_array_append_new(list, entry) != 0)
            fine = err_no_memory(err);
    }
    json_t *document = fine ? json_pack("{s:O, s:O}", "signatures", list, "signed", signed_) : NULL;
    if (fine && document == NULL)
        fine = err_no_memory(err);
    fine = fine && canon_file_bytes(out, document, err);
    json_decref(document);
    json_decref(list);
    return fine;
}
