#include "common/hash.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <unistd.h>

#include "common/hex.h"

static bool begin(struct hash *hash, const EVP_MD *algorithm, struct err *err) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL)
        return err_no_memory(err);
    if (EVP_DigestInit_ex(context, algorithm, NULL) != 1) {
        EVP_MD_CTX_free(context);
        return err_set(err, ERR_INTERNAL, "OpenSSL does not offer %s here", EVP_MD_get0_name(algorithm));
    }
    hash_free(hash);
    hash->context = context;
    return true;
}

static bool end(struct hash *hash, uint8_t *ret_digest, struct err *err) {
    if (hash->context == NULL)
        return err_set(err, ERR_INTERNAL, "digest not begun");
    bool done = EVP_DigestFinal_ex(hash->context, ret_digest, NULL) == 1;
    hash_free(hash);
    return done ? true : err_set(err, ERR_INTERNAL, "OpenSSL could not end a digest");
}

bool hash_sha256_begin(struct hash *hash, struct err *err) {
    return begin(hash, EVP_sha256(), err);
}

bool hash_update(struct hash *hash, const void *data, size_t len, struct err *err) {
    if (hash->context == NULL || EVP_DigestUpdate(hash->context, data, len) != 1)
        return err_set(err, ERR_INTERNAL, "OpenSSL could not go on with a digest");
    return true;
}

bool hash_sha256_end(struct hash *hash, uint8_t ret_digest[SHA256_SIZE], struct err *err) {
    return end(hash, ret_digest, err);
}

void hash_free(struct hash *hash) {
    EVP_MD_CTX_free(hash->context);
    hash->context = NULL;
}

bool hash_triple_begin(struct hash_triple *triple, struct err *err) {
    if (begin(&triple->sha256, EVP_sha256(), err) && begin(&triple->sha1, EVP_sha1(), err) && begin(&triple->md5, EVP_md5(), err))
        return true;
    hash_triple_free(triple);
    return false;
}

bool hash_triple_update(struct hash_triple *triple, const void *data, size_t len, struct err *err) {
    return hash_update(&triple->sha256, data, len, err) && hash_update(&triple->sha1, data, len, err) && hash_update(&triple->md5, data, len, err);
}

bool hash_triple_end(struct hash_triple *triple, char ret_sha256[SHA256_HEX_SIZE], char ret_sha1[SHA1_HEX_SIZE], char ret_md5[MD5_HEX_SIZE],
                     struct err *err) {
    uint8_t sha256[SHA256_SIZE], sha1[20], md5[16];
    bool done = end(&triple->sha256, sha256, err) && end(&triple->sha1, sha1, err) && end(&triple->md5, md5, err);
    hash_triple_free(triple);
    if (!done)
        return false;
    hex_encode(sha256, sizeof(sha256), ret_sha256);
    hex_encode(sha1, sizeof(sha1), ret_sha1);
    hex_encode(md5, sizeof(md5), ret_md5);
    return true;
}

void hash_triple_free(struct hash_triple *triple) {
    hash_free(&triple->sha256);
    hash_free(&triple->sha1);
    hash_free(&triple->md5);
}

bool hash_sha256(const void *data, size_t len, uint8_t ret_digest[SHA256_SIZE], struct err *err) {
    if (EVP_Digest(data, len, ret_digest, NULL, EVP_sha256(), NULL) != 1)
        return err_set(err, ERR_INTERNAL, "OpenSSL could not make a digest");
    return true;
}

bool hash_sha256_hex(const void *data, size_t len, char ret_hex[SHA256_HEX_SIZE], struct err *err) {
    uint8_t digest[SHA256_SIZE];
    if (!hash_sha256(data, len, digest, err))
        return false;
    hex_encode(digest, sizeof(digest), ret_hex);
    return true;
}

bool hash_sha256_fd(int fd, char ret_hex[SHA256_HEX_SIZE], struct err *err) {
    CLEANUP(hash_free) struct hash hash = {0};
    uint8_t digest[SHA256_SIZE];
    char chunk[64 * 1024];
    off_t at = 0;
    if (!hash_sha256_begin(&hash, err))
        return false;
    for (;;) {
        ssize_t got = pread(fd, chunk, sizeof(chunk), at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "read to hash");
        if (got == 0)
            break;
        if (!hash_update(&hash, chunk, (size_t)got, err))
            return false;
        at += got;
    }
    if (!hash_sha256_end(&hash, digest, err))
        return false;
    hex_encode(digest, sizeof(digest), ret_hex);
    return true;
}

bool hash_equal(const void *a, const void *b, size_t len) {
    return CRYPTO_memcmp(a, b, len) == 0;
}

bool hash_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t ret_digest[SHA256_SIZE], struct err *err) {
    unsigned digest_len = SHA256_SIZE;
    if (key_len > INT_MAX || HMAC(EVP_sha256(), key, (int)key_len, data, len, ret_digest, &digest_len) == NULL)
        return err_set(err, ERR_INTERNAL, "OpenSSL could not make an HMAC");
    return true;
}
