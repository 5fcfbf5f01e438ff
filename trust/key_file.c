/* The part of key.h that keeps private keys on disk. */
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <string.h>

#include "common/file.h"
#include "common/text.h"
#include "trust/key_internal.h"

enum {
    SCRYPT_N = 16384, /* 16 MiB and some 50 ms for each guess */
    SCRYPT_R = 8,
    SCRYPT_P = 1,
};

/* The one PEM block of the file, which must be encrypted PKCS#8. */
static bool read_encrypted(const char *path, const struct buf *file, X509_SIG **ret_sealed, struct err *err) {
    BIO *bio = BIO_new_mem_buf(file->data, (int)file->len);
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long len = 0;
    bool fine = bio != NULL && PEM_read_bio(bio, &name, &header, &der, &len) == 1;
    if (!fine) {
        key_failed(err, ERR_KEY, "%s: no PEM block in it", path);
    } else if (!text_equal(name, PEM_STRING_PKCS8)) {
        fine = key_failed(err, ERR_KEY, "%s: not an encrypted PKCS#8 key ('-----BEGIN %s-----' expected); unprotected keys are refused", path,
                          PEM_STRING_PKCS8);
    } else {
        const unsigned char *at = der;
        *ret_sealed = d2i_X509_SIG(NULL, &at, len);
        fine = *ret_sealed != NULL || key_failed(err, ERR_KEY, "%s: damaged encrypted key", path);
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(bio);
    return fine;
}

bool key_load_private(const char *path, const void *passphrase, size_t passphrase_len, struct key **ret_key, struct err *err) {
    CLEANUP(buf_wipe) struct buf file = BUF_INIT(KEY_FILE_MAX);
    X509_SIG *sealed = NULL;
    if (passphrase_len > KEY_PASSPHRASE_MAX)
        return err_set(err, ERR_PASSPHRASE, "a passphrase has at most %d bytes", KEY_PASSPHRASE_MAX);
    if (!file_read_secret(path, &file, err) || !read_encrypted(path, &file, &sealed, err))
        return false;
    PKCS8_PRIV_KEY_INFO *plain = PKCS8_decrypt(sealed, passphrase_len > 0 ? passphrase : "", (int)passphrase_len);
    X509_SIG_free(sealed);
    if (plain == NULL)
        return key_failed(err, ERR_PASSPHRASE, "%s: the passphrase does not open this key", path);
    EVP_PKEY *pkey = EVP_PKCS82PKEY(plain);
    PKCS8_PRIV_KEY_INFO_free(plain);
    enum key_type type = pkey != NULL ? key_type_of(pkey) : KEY_NONE;
    if (type != KEY_ECDSA_P256 && type != KEY_ED25519) {
        EVP_PKEY_free(pkey);
        return key_failed(err, ERR_KEY, "%s: neither a P-256 nor an Ed25519 key", path);
    }
    return key_take_private(type, pkey, ret_key, err) || err_prefix(err, "%s", path);
}

static bool bio_to_buf(BIO *bio, struct buf *out, struct err *err) {
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    if (len <= 0 || data == NULL)
        return err_no_memory(err);
    buf_append(out, data, (size_t)len);
    return buf_ok(out, "PEM text", err);
}

/* NULL on failure. */
static X509_SIG *seal(const struct key *key, const char *passphrase, size_t passphrase_len) {
    PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(key->pkey);
    X509_ALGOR *method = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), NULL, 0, NULL, SCRYPT_N, SCRYPT_R, SCRYPT_P);
    X509_SIG *sealed = NULL;
    if (plain != NULL && method != NULL)
        sealed = PKCS8_set0_pbe(passphrase, (int)passphrase_len, plain, method);
    if (sealed == NULL)
        X509_ALGOR_free(method);
    PKCS8_PRIV_KEY_INFO_free(plain);
    return sealed;
}

bool key_save_private(const struct key *key, const char *path, const void *passphrase, size_t passphrase_len, struct err *err) {
    if (!key->private_part)
        return err_set(err, ERR_KEY, "%s: there is no private part to save", path);
    if (passphrase_len < KEY_PASSPHRASE_MIN || passphrase_len > KEY_PASSPHRASE_MAX)
        return err_set(err, ERR_PASSPHRASE, "a passphrase has %d to %d bytes", KEY_PASSPHRASE_MIN, KEY_PASSPHRASE_MAX);
    X509_SIG *sealed = seal(key, passphrase, passphrase_len);
    BIO *bio = BIO_new(BIO_s_mem());
    CLEANUP(buf_wipe) struct buf file = BUF_INIT(KEY_FILE_MAX);
    bool fine = sealed != NULL && bio != NULL && PEM_write_bio_PKCS8(bio, sealed) == 1;
    if (fine)
        fine = bio_to_buf(bio, &file, err) && file_write_new(path, file.data, file.len, 0400, err);
    else
        key_failed(err, ERR_INTERNAL, "%s: the key could not be encrypted", path);
    BIO_free(bio);
    X509_SIG_free(sealed);
    return fine;
}
