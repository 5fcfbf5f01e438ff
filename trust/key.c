#include "trust/key_internal.h"

#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/hex.h"
#include "common/text.h"
#include "trust/canon.h"

enum {
    ED25519_SIZE = 32,
    RSA_BITS_MIN = 2048,
    RSA_BITS_MAX = 4096,
    SCRYPT_N = 16384, /* 16 MiB and some 50 ms for each guess */
    SCRYPT_R = 8,
    SCRYPT_P = 1,
};

static const struct key_kind {
    enum key_type type;
    const char *keytype;
    const char *scheme;
} kinds[] = {
    {KEY_ECDSA_P256, "ecdsa", "ecdsa-sha2-nistp256"},
    {KEY_ED25519, "ed25519", "ed25519"},
    {KEY_RSA, "rsa", "rsassa-pss-sha256"},
};

/* DER of a P-256 SubjectPublicKeyInfo up to the point: any other curve, encoding or compressed point differs in it. */
static const uint8_t p256_prefix[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                      0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
enum { P256_DER_SIZE = 91 };

bool key_failed(struct err *err, enum err_code code, const char *format, ...) {
    char text[ERR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ERR_clear_error();
    return err_set(err, code, "%s", text);
}

static const struct key_kind *kind_of(enum key_type type) {
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (kinds[i].type == type) {
            return &kinds[i];
        }
    }
    return NULL;
}

void key_free(struct key *key) {
    if (key != NULL) {
        EVP_PKEY_free(key->pkey);
        OPENSSL_cleanse(key, sizeof *key);
        free(key);
    }
}

void key_cleanup(struct key **key) {
    key_free(*key);
    *key = NULL;
}

static bool bio_to_buf(BIO *bio, struct buf *out, struct err *err) {
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    if (len <= 0 || data == NULL) {
        return err_no_memory(err);
    }
    buf_append(out, data, (size_t)len);
    return buf_ok(out, "PEM text", err);
}

static bool write_public_pem(EVP_PKEY *pkey, struct buf *out, struct err *err) {
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL) {
        return err_no_memory(err);
    }
    bool fine = PEM_write_bio_PUBKEY(bio, pkey) == 1 ? bio_to_buf(bio, out, err) : key_failed(err, ERR_KEY, "public key cannot be written as PEM");
    BIO_free(bio);
    return fine;
}

static bool fill_public_text(struct key *key, struct err *err) {
    if (key->type == KEY_ED25519) {
        uint8_t raw[ED25519_SIZE];
        size_t len = sizeof raw;
        if (EVP_PKEY_get_raw_public_key(key->pkey, raw, &len) != 1 || len != sizeof raw) {
            return key_failed(err, ERR_KEY, "ed25519 key without a public part");
        }
        hex_encode(raw, sizeof raw, key->public_text);
        return true;
    }
    CLEANUP(buf_free) struct buf text = BUF_INIT(sizeof key->public_text - 1);
    if (!write_public_pem(key->pkey, &text, err)) {
        return false;
    }
    memcpy(key->public_text, text.data, text.len + 1);
    return true;
}

/* The key object of TUF, whose canonical form gives the key id. */
static bool fill_id(struct key *key, struct err *err) {
    json_t *object = json_pack("{s:s, s:{s:s}, s:s}", "keytype", key_keytype(key), "keyval", "public", key->public_text, "scheme", key_scheme(key));
    if (object == NULL) {
        return err_no_memory(err);
    }
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(2 * KEY_PUBLIC_MAX);
    bool fine = canon_signed_bytes(&bytes, object, err) && hash_sha256_hex(bytes.data, bytes.len, key->id, err);
    json_decref(object);
    return fine;
}

static bool check_shape(const struct key *key, const uint8_t *der, size_t len, struct err *err) {
    int bits = EVP_PKEY_get_bits(key->pkey);
    if (key->type == KEY_ECDSA_P256 && (len != P256_DER_SIZE || memcmp(der, p256_prefix, sizeof p256_prefix) != 0)) {
        return key_failed(err, ERR_KEY, "not an uncompressed P-256 public key");
    }
    if (key->type == KEY_RSA && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)) {
        return key_failed(err, ERR_KEY, "an RSA key of %d bits; %d to %d are accepted", bits, RSA_BITS_MIN, RSA_BITS_MAX);
    }
    return true;
}

/* Takes pkey, also on failure. */
static bool key_take(enum key_type type, EVP_PKEY *pkey, bool private_part, struct key **ret_key, struct err *err) {
    CLEANUP(key_cleanup) struct key *key = calloc(1, sizeof *key);
    if (key == NULL) {
        EVP_PKEY_free(pkey);
        return err_no_memory(err);
    }
    key->type = type;
    key->pkey = pkey;
    key->private_part = private_part;
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(pkey, &der);
    if (len <= 0) {
        return key_failed(err, ERR_KEY, "key without a public part");
    }
    bool fine = check_shape(key, der, (size_t)len, err) && hash_sha256(der, (size_t)len, key->identity, err);
    OPENSSL_free(der);
    if (!fine || !fill_public_text(key, err) || !fill_id(key, err)) {
        return false;
    }
    *ret_key = key;
    key = NULL;
    return true;
}

bool key_generate(enum key_type type, struct key **ret_key, struct err *err) {
    EVP_PKEY *pkey = NULL;
    if (type == KEY_ECDSA_P256) {
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    } else if (type == KEY_ED25519) {
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    } else {
        return err_set(err, ERR_KEY, "keys of this type are not made here, only verified");
    }
    if (pkey == NULL) {
        return key_failed(err, ERR_INTERNAL, "key generation failed");
    }
    return key_take(type, pkey, true, ret_key, err);
}

static enum key_type type_of(const EVP_PKEY *pkey) {
    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_EC:
        return KEY_ECDSA_P256;
    case EVP_PKEY_ED25519:
        return KEY_ED25519;
    case EVP_PKEY_RSA:
        return KEY_RSA;
    default:
        return KEY_NONE;
    }
}

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
    if (passphrase_len > KEY_PASSPHRASE_MAX) {
        return err_set(err, ERR_PASSPHRASE, "a passphrase has at most %d bytes", KEY_PASSPHRASE_MAX);
    }
    if (!file_read_secret(path, &file, err) || !read_encrypted(path, &file, &sealed, err)) {
        return false;
    }
    PKCS8_PRIV_KEY_INFO *plain = PKCS8_decrypt(sealed, passphrase_len > 0 ? passphrase : "", (int)passphrase_len);
    X509_SIG_free(sealed);
    if (plain == NULL) {
        return key_failed(err, ERR_PASSPHRASE, "%s: the passphrase does not open this key", path);
    }
    EVP_PKEY *pkey = EVP_PKCS82PKEY(plain);
    PKCS8_PRIV_KEY_INFO_free(plain);
    enum key_type type = pkey != NULL ? type_of(pkey) : KEY_NONE;
    if (type != KEY_ECDSA_P256 && type != KEY_ED25519) {
        EVP_PKEY_free(pkey);
        return key_failed(err, ERR_KEY, "%s: neither a P-256 nor an Ed25519 key", path);
    }
    return key_take(type, pkey, true, ret_key, err) || err_prefix(err, "%s", path);
}

/* NULL on failure. */
static X509_SIG *seal(const struct key *key, const char *passphrase, size_t passphrase_len) {
    PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(key->pkey);
    X509_ALGOR *method = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), NULL, 0, NULL, SCRYPT_N, SCRYPT_R, SCRYPT_P);
    X509_SIG *sealed = NULL;
    if (plain != NULL && method != NULL) {
        sealed = PKCS8_set0_pbe(passphrase, (int)passphrase_len, plain, method);
    }
    if (sealed == NULL) {
        X509_ALGOR_free(method);
    }
    PKCS8_PRIV_KEY_INFO_free(plain);
    return sealed;
}

bool key_save_private(const struct key *key, const char *path, const void *passphrase, size_t passphrase_len, struct err *err) {
    if (!key->private_part) {
        return err_set(err, ERR_KEY, "%s: there is no private part to save", path);
    }
    if (passphrase_len < KEY_PASSPHRASE_MIN || passphrase_len > KEY_PASSPHRASE_MAX) {
        return err_set(err, ERR_PASSPHRASE, "a passphrase has %d to %d bytes", KEY_PASSPHRASE_MIN, KEY_PASSPHRASE_MAX);
    }
    X509_SIG *sealed = seal(key, passphrase, passphrase_len);
    BIO *bio = BIO_new(BIO_s_mem());
    CLEANUP(buf_wipe) struct buf file = BUF_INIT(KEY_FILE_MAX);
    bool fine = sealed != NULL && bio != NULL && PEM_write_bio_PKCS8(bio, sealed) == 1;
    if (fine) {
        fine = bio_to_buf(bio, &file, err) && file_write_new(path, file.data, file.len, 0400, err);
    } else {
        key_failed(err, ERR_INTERNAL, "%s: the key could not be encrypted", path);
    }
    BIO_free(bio);
    X509_SIG_free(sealed);
    return fine;
}

static EVP_PKEY *public_from_pem(enum key_type type, const char *text) {
    BIO *bio = BIO_new_mem_buf(text, -1);
    EVP_PKEY *pkey = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (pkey != NULL && type_of(pkey) != type) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    return pkey;
}

static EVP_PKEY *public_from_hex(const char *text) {
    uint8_t raw[ED25519_SIZE];
    size_t len = strlen(text);
    if (len != 2 * sizeof raw || !hex_decode(text, len, raw)) {
        return NULL;
    }
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, sizeof raw);
}

bool key_from_public(const char *keytype, const char *scheme, const char *public_text, struct key **ret_key, struct err *err) {
    const struct key_kind *kind = NULL;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (text_equal(keytype, kinds[i].keytype) && text_equal(scheme, kinds[i].scheme)) {
            kind = &kinds[i];
        }
    }
    if (kind == NULL) {
        return err_set(err, ERR_NOT_IMPLEMENTED, "keytype or scheme is not known here");
    }
    if (strlen(public_text) >= KEY_PUBLIC_MAX) {
        return err_set(err, ERR_KEY, "public %s key longer than %d bytes", kind->keytype, KEY_PUBLIC_MAX - 1);
    }
    EVP_PKEY *pkey = kind->type == KEY_ED25519 ? public_from_hex(public_text) : public_from_pem(kind->type, public_text);
    if (pkey == NULL) {
        return key_failed(err, ERR_KEY, "not a public %s key", kind->keytype);
    }
    CLEANUP(key_cleanup) struct key *key = NULL;
    if (!key_take(kind->type, pkey, false, &key, err)) {
        return false;
    }
    if (!text_equal(key->public_text, public_text)) {
        return err_set(err, ERR_KEY, "public %s key is not written in its one form", kind->keytype);
    }
    *ret_key = key;
    key = NULL;
    return true;
}

enum key_type key_type(const struct key *key) {
    return key->type;
}

bool key_is_private(const struct key *key) {
    return key->private_part;
}

const char *key_keytype(const struct key *key) {
    return kind_of(key->type)->keytype;
}

const char *key_scheme(const struct key *key) {
    return kind_of(key->type)->scheme;
}

const char *key_public(const struct key *key) {
    return key->public_text;
}

const char *key_id(const struct key *key) {
    return key->id;
}

bool key_same(const struct key *a, const struct key *b) {
    return memcmp(a->identity, b->identity, sizeof a->identity) == 0;
}

bool key_export_pem(const struct key *key, struct buf *out, struct err *err) {
    return write_public_pem(key->pkey, out, err);
}
