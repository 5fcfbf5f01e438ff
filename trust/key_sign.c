/* The part of key.h that signs and verifies. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <unistd.h>

#include "trust/key_internal.h"

enum { FILE_CHUNK = 65536 };

/* Ed25519 hashes by itself. */
static const EVP_MD *digest_of(const struct key *key) {
    return key->type == KEY_ED25519 ? NULL : EVP_sha256();
}

bool key_sign(const struct key *key, const void *data, size_t len, struct key_signature *ret_signature, struct err *err) {
    if (!key->private_part)
        return err_set(err, ERR_KEY, "key %.16s… has no private part here", key->id);
    struct key_signature signature = {.len = sizeof signature.bytes};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool fine = context != NULL && EVP_DigestSignInit(context, NULL, digest_of(key), NULL, key->pkey) == 1 &&
                EVP_DigestSign(context, signature.bytes, &signature.len, data, len) == 1;
    EVP_MD_CTX_free(context);
    if (!fine)
        return key_failed(err, ERR_INTERNAL, "signing with key %.16s… failed", key->id);
    *ret_signature = signature;
    return true;
}

/* RSA is PSS with MGF1 over the same hash; nothing to set for the others. */
static bool set_padding(const struct key *key, EVP_PKEY_CTX *context) {
    return key->type != KEY_RSA ||
           (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_AUTO) == 1);
}

bool key_verify(const struct key *key, const void *data, size_t len, const void *signature, size_t signature_len) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters = NULL;
    bool valid = context != NULL && signature_len > 0 && signature_len <= KEY_SIGNATURE_MAX &&
                 EVP_DigestVerifyInit(context, &parameters, digest_of(key), NULL, key->pkey) == 1 && set_padding(key, parameters) &&
                 EVP_DigestVerify(context, signature, signature_len, data, len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return valid;
}

static bool require_p256(const struct key *key, struct err *err) {
    return key->type == KEY_ECDSA_P256 ||
           err_set(err, ERR_KEY, "files are signed with a P-256 key only; key %.16s… is %s", key->id, key_keytype(key));
}

/* What every canonical `signed` begins with. A detached signature is made by a role's own key over the plain bytes, so that over a file which is such
 * a text it would be a signature of metadata as well. */
enum { METADATA_FIRST_BYTE = '{' };

static bool require_no_metadata(uint8_t first, struct err *err) {
    return first != METADATA_FIRST_BYTE ||
           err_set(err, ERR_INVALID, "a file that begins with '{' has no detached signature: it could pass for signed metadata");
}

bool key_check_file(int fd, struct err *err) {
    uint8_t first = METADATA_FIRST_BYTE;
    ssize_t got;
    do {
        got = pread(fd, &first, 1, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_errno(err, "reading the file to sign");
    return (got == 1 || err_set(err, ERR_LENGTH, "the file to sign is empty")) && require_no_metadata(first, err);
}

static bool digest_file(int fd, EVP_MD_CTX *context, struct err *err) {
    uint8_t chunk[FILE_CHUNK];
    off_t at = 0;
    for (;;) {
        ssize_t got = pread(fd, chunk, sizeof chunk, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "reading the file to sign");
        if (got == 0)
            return true;
        if (at == 0 && !require_no_metadata(chunk[0], err))
            return false;
        if (EVP_DigestSignUpdate(context, chunk, (size_t)got) != 1)
            return key_failed(err, ERR_INTERNAL, "hashing the file failed");
        at += got;
    }
}

bool key_sign_file(const struct key *key, int fd, struct key_signature *ret_signature, struct err *err) {
    if (!require_p256(key, err))
        return false;
    if (!key->private_part)
        return err_set(err, ERR_KEY, "key %.16s… has no private part here", key->id);
    struct key_signature signature = {.len = sizeof signature.bytes};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool begun = context != NULL && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key->pkey) == 1;
    bool whole = begun && digest_file(fd, context, err);
    bool fine = whole && EVP_DigestSignFinal(context, signature.bytes, &signature.len) == 1;
    EVP_MD_CTX_free(context);
    if (begun && !whole)
        return false;
    if (!fine)
        return key_failed(err, ERR_INTERNAL, "signing with key %.16s… failed", key->id);
    *ret_signature = signature;
    return true;
}

static bool refuse_signature(const struct key *key, struct err *err) {
    return key_failed(err, ERR_SIGNATURE, "the detached signature is not one of key %.16s… over this file", key->id);
}

bool key_verify_digest(const struct key *key, const uint8_t digest[32], const void *signature, size_t signature_len, struct err *err) {
    if (!require_p256(key, err))
        return false;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->pkey, NULL);
    bool valid = context != NULL && EVP_PKEY_verify_init(context) == 1 && EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1 &&
                 EVP_PKEY_verify(context, signature, signature_len, digest, 32) == 1;
    EVP_PKEY_CTX_free(context);
    return valid || refuse_signature(key, err);
}
