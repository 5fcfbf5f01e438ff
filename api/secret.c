#include "api/secret.h"

#include <string.h>

#include "common/hash.h"
#include "common/hex.h"
#include "common/random.h"
#include "common/text.h"

bool api_secret_renew(struct arena *arena, const char *prefix, const char *id, uint8_t ret_sha256[32], const char **ret_text, struct err *err) {
    uint8_t secret[32];
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(128);
    random_bytes(secret, sizeof(secret));
    buf_printf(&text, "%s_%s_", prefix, id);
    size_t head = text.len;
    base64url_encode(&text, secret, sizeof(secret));
    if (!buf_ok(&text, "the secret", err) || !hash_sha256(text.data + head, text.len - head, ret_sha256, err))
        return false;
    const char *copy = arena_strndup(arena, text.data, text.len);
    if (copy == NULL)
        return err_no_memory(err);
    *ret_text = copy;
    return true;
}

bool api_secret_make(struct arena *arena, const char *prefix, const char **ret_id, uint8_t ret_sha256[32], const char **ret_text, struct err *err) {
    char id[13];
    random_hex(id, 6);
    const char *copy = arena_strdup(arena, id);
    if (copy == NULL)
        return err_no_memory(err);
    if (!api_secret_renew(arena, prefix, id, ret_sha256, ret_text, err))
        return false;
    *ret_id = copy;
    return true;
}

bool api_secret_parse(const char *text, const char *prefix, char ret_id[API_SECRET_ID_SIZE], uint8_t ret_sha256[32]) {
    size_t prefix_len = strlen(prefix);
    if (!text_starts(text, prefix) || text[prefix_len] != '_')
        return false;
    const char *id = text + prefix_len + 1;
    size_t id_len = strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz");
    if (id_len == 0 || id_len >= API_SECRET_ID_SIZE || id[id_len] != '_' || strlen(id + id_len + 1) != API_SECRET_LEN)
        return false;
    struct err ignored;
    if (!hash_sha256(id + id_len + 1, API_SECRET_LEN, ret_sha256, &ignored))
        return false;
    memcpy(ret_id, id, id_len);
    ret_id[id_len] = '\0';
    return true;
}
