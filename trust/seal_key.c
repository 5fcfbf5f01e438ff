/* The part of seal.h that reads and writes recipients and identities. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/random.h"
#include "common/text.h"
#include "trust/bech32.h"
#include "trust/seal.h"

static const char recipient_prefix[] = "age";
static const char identity_prefix[] = "age-secret-key-";

enum { LIST_MAX_BYTES = 64 * 1024 };

bool seal_recipient_parse(const char *text, struct seal_recipient *ret_recipient, struct err *err) {
    if (bech32_decode(text, recipient_prefix, SEAL_KEY_SIZE, ret_recipient->public_key))
        return true;
    return text_starts(text, "AGE-SECRET-KEY-")
               ? err_set(err, ERR_INVALID, "this is an identity (a secret), not a recipient; a recipient begins with age1")
               : err_set(err, ERR_INVALID, "'%.80s' is not an age X25519 recipient (age1…)", text);
}

void seal_recipient_text(const struct seal_recipient *recipient, char ret_text[SEAL_TEXT_SIZE]) {
    char text[BECH32_TEXT_SIZE];
    bech32_encode(recipient_prefix, recipient->public_key, SEAL_KEY_SIZE, false, text);
    memcpy(ret_text, text, strlen(text) + 1);
}

bool seal_identity_recipient(const struct seal_identity *identity, struct seal_recipient *ret_recipient, struct err *err) {
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, identity->secret_key, SEAL_KEY_SIZE);
    size_t len = SEAL_KEY_SIZE;
    bool fine = key != NULL && EVP_PKEY_get_raw_public_key(key, ret_recipient->public_key, &len) == 1 && len == SEAL_KEY_SIZE;
    EVP_PKEY_free(key);
    return fine || err_set(err, ERR_INTERNAL, "X25519 is not available");
}

bool seal_identity_generate(struct seal_identity *ret_identity, struct err *err) {
    struct seal_recipient probe;
    random_bytes(ret_identity->secret_key, SEAL_KEY_SIZE);
    return seal_identity_recipient(ret_identity, &probe, err);
}

void seal_identity_text(const struct seal_identity *identity, char ret_text[SEAL_TEXT_SIZE]) {
    char text[BECH32_TEXT_SIZE];
    bech32_encode(identity_prefix, identity->secret_key, SEAL_KEY_SIZE, true, text);
    memcpy(ret_text, text, strlen(text) + 1);
    OPENSSL_cleanse(text, sizeof text);
}

bool seal_recipients_add(struct seal_recipients *recipients, const char *text, struct err *err) {
    struct seal_recipient recipient;
    if (!seal_recipient_parse(text, &recipient, err))
        return false;
    for (size_t i = 0; i < recipients->count; i++)
        if (hash_equal(&recipients->items[i], &recipient, sizeof recipient))
            return true;
    if (recipients->count == SEAL_RECIPIENTS_MAX)
        return err_set(err, ERR_TOO_LARGE, "more than %d recipients", SEAL_RECIPIENTS_MAX);
    recipients->items[recipients->count++] = recipient;
    return true;
}

static bool add_identity(struct seal_identities *identities, const char *text, struct err *err) {
    struct seal_identity *place = &identities->items[identities->count];
    if (identities->count == SEAL_IDENTITIES_MAX)
        return err_set(err, ERR_TOO_LARGE, "more than %d identities", SEAL_IDENTITIES_MAX);
    if (!bech32_decode(text, identity_prefix, SEAL_KEY_SIZE, place->secret_key))
        return err_set(err, ERR_KEY, "not an age identity (AGE-SECRET-KEY-1…)");
    identities->count++;
    return true;
}

static bool add_line(void *list, bool secret, const char *text, struct err *err) {
    return secret ? add_identity(list, text, err) : seal_recipients_add(list, text, err);
}

/* Each line that is not empty and no comment. The text is changed in place. */
static bool read_lines(const char *path, char *text, void *list, bool secret, struct err *err) {
    size_t number = 0;
    for (char *line = text; line != NULL;) {
        char *feed = strchr(line, '\n');
        number++;
        if (feed != NULL)
            *feed = '\0';
        size_t len = strlen(line);
        if (len > 0 && line[len - 1] == '\r')
            line[len - 1] = '\0';
        if (line[0] != '\0' && line[0] != '#' && !add_line(list, secret, line, err))
            return err_prefix(err, "%s line %zu", path, number);
        line = feed != NULL ? feed + 1 : NULL;
    }
    return true;
}

bool seal_recipients_read(const char *path, struct seal_recipients *recipients, struct err *err) {
    CLEANUP(buf_free) struct buf file = BUF_INIT(LIST_MAX_BYTES);
    return file_read(path, &file, err) && (file.len == 0 || read_lines(path, file.data, recipients, false, err));
}

bool seal_identities_read(const char *path, struct seal_identities *ret_identities, struct err *err) {
    CLEANUP(buf_wipe) struct buf file = BUF_INIT(LIST_MAX_BYTES);
    CLEANUP(seal_identities_wipe) struct seal_identities identities = {0};
    if (!file_read_secret(path, &file, err) || (file.len > 0 && !read_lines(path, file.data, &identities, true, err)))
        return false;
    if (identities.count == 0)
        return err_set(err, ERR_KEY, "%s: no identity in it", path);
    *ret_identities = identities;
    return true;
}

void seal_identities_wipe(struct seal_identities *identities) {
    OPENSSL_cleanse(identities, sizeof *identities);
}
