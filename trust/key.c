#include "trust/key_internal.h"

#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/hex.h"
#include "common/text.h"
#include "trust/canon.h"
#include "trust/profile.h"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 4096, DER_MAX = 700 /* bytes of a SubjectPublicKeyInfo, RSA 4096 has 550 */ };

static const struct key_kind {
    enum key_type type;
    const char *keytype;
    const char *scheme;
} kinds[] = {
    {KEY_ECDSA_P256, "ecdsa", "ecdsa-sha2-nistp256"},
    {KEY_ED25519, "ed25519", "ed25519"},
    {KEY_RSA, "rsa", "rsassa-pss-sha256"},
#ifdef TRUST_RELAXED_PROFILE
    {KEY_ECDSA_P256, "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"}, /* the same by an older name */
#endif
};

/* DER of a SubjectPublicKeyInfo up to the key itself: any other curve, encoding or compressed point differs in it. */
static const uint8_t p256_prefix[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
                                      0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
static const uint8_t ed25519_prefix[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
enum { P256_POINT_SIZE = 65, ED25519_SIZE = 32, POINT_UNCOMPRESSED = 4 };

static const char pem_begin[] = "-----BEGIN PUBLIC KEY-----\n";
static const char pem_end[] = "-----END PUBLIC KEY-----\n";

/* A SubjectPublicKeyInfo in DER. */
struct der {
    size_t len;
    uint8_t bytes[DER_MAX];
};

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
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].type == type)
            return &kinds[i];
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

static bool has_prefix(const struct der *der, const uint8_t *prefix, size_t prefix_len, size_t key_len) {
    return der->len == prefix_len + key_len && memcmp(der->bytes, prefix, prefix_len) == 0;
}

static bool is_p256(const struct der *der) {
    return has_prefix(der, p256_prefix, sizeof p256_prefix, P256_POINT_SIZE) && der->bytes[sizeof p256_prefix] == POINT_UNCOMPRESSED;
}

static bool is_ed25519(const struct der *der) {
    return has_prefix(der, ed25519_prefix, sizeof ed25519_prefix, ED25519_SIZE);
}

static void append_pem(struct buf *out, const struct der *der) {
    buf_text(out, pem_begin);
    base64_encode_lines(out, der->bytes, der->len);
    buf_text(out, pem_end);
}

/* The one form of keyval.public. */
static bool der_to_text(enum key_type type, const struct der *der, char ret_text[KEY_PUBLIC_MAX], struct err *err) {
    if (type == KEY_ED25519) {
        hex_encode(der->bytes + sizeof ed25519_prefix, ED25519_SIZE, ret_text);
        return true;
    }
    CLEANUP(buf_free) struct buf text = BUF_INIT(KEY_PUBLIC_MAX - 1);
    append_pem(&text, der);
    if (!buf_ok(&text, "public key", err))
        return false;
    memcpy(ret_text, text.data, text.len + 1);
    return true;
}

static bool pem_to_der(const char *text, struct der *ret_der) {
    CLEANUP(buf_free) struct buf base64 = BUF_INIT(KEY_PUBLIC_MAX);
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(DER_MAX);
    struct err ignored;
    size_t end_len = strlen(pem_end) - (!PROFILE_STRICT && !text_ends(text, "\n")); /* some tools leave the last line feed out */
    size_t len = strlen(text);
    if (!text_starts(text, pem_begin) || len < strlen(pem_begin) + end_len || strncmp(text + len - end_len, pem_end, end_len) != 0)
        return false;
    const char *end = text + len - end_len;
    for (const char *at = text + strlen(pem_begin); at < end; at++)
        if (*at != '\n')
            buf_byte(&base64, *at);
    if (!buf_ok(&base64, "PEM", &ignored) || !base64_decode(&bytes, base64.data, base64.len, &ignored) || bytes.len > DER_MAX)
        return false;
    ret_der->len = bytes.len;
    memcpy(ret_der->bytes, bytes.data, bytes.len);
    return true;
}

static bool text_to_der(enum key_type type, const char *text, struct der *ret_der) {
    if (type != KEY_ED25519)
        return pem_to_der(text, ret_der);
    memcpy(ret_der->bytes, ed25519_prefix, sizeof ed25519_prefix);
    ret_der->len = sizeof ed25519_prefix + ED25519_SIZE;
    return strlen(text) == 2 * (size_t)ED25519_SIZE && hex_decode(text, strlen(text), ret_der->bytes + sizeof ed25519_prefix);
}

/* The curve is known, so the point goes in as it is; OpenSSL's general decoder takes twenty times as long. A point off the curve is refused. */
static EVP_PKEY *p256_from_der(const struct der *der) {
    char group[] = "P-256";
    uint8_t point[P256_POINT_SIZE];
    memcpy(point, der->bytes + sizeof p256_prefix, sizeof point);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *pkey = NULL;
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 || EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(context);
    return pkey;
}

static EVP_PKEY *rsa_from_der(const struct der *der) {
    const unsigned char *at = der->bytes;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)der->len);
    if (pkey != NULL && (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA || at != der->bytes + der->len)) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    return pkey;
}

/* NULL when it is no key of that type. */
static EVP_PKEY *pkey_from_der(enum key_type type, const struct der *der) {
    switch (type) {
    case KEY_ECDSA_P256:
        return is_p256(der) ? p256_from_der(der) : NULL;
    case KEY_ED25519:
        return is_ed25519(der) ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, der->bytes + sizeof ed25519_prefix, ED25519_SIZE) : NULL;
    case KEY_RSA:
        return rsa_from_der(der);
    case KEY_NONE:
        break;
    }
    return NULL;
}

/* As OpenSSL writes it. */
static bool pkey_to_der(const EVP_PKEY *pkey, struct der *ret_der, struct err *err) {
    uint8_t *bytes = NULL;
    int len = i2d_PUBKEY(pkey, &bytes);
    if (len <= 0 || len > DER_MAX) {
        OPENSSL_free(bytes);
        return key_failed(err, ERR_KEY, "key without a public part, or one that is too long");
    }
    memcpy(ret_der->bytes, bytes, (size_t)len);
    ret_der->len = (size_t)len;
    OPENSSL_free(bytes);
    return true;
}

json_t *key_object(const struct key *key) {
    return json_pack("{s:s, s:{s:s}, s:s}", "keytype", key_keytype(key), "keyval", "public", key->public_text, "scheme", key_scheme(key));
}

static bool fill_id(struct key *key, struct err *err) {
    json_t *object = key_object(key);
    if (object == NULL)
        return err_no_memory(err);
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(2 * KEY_PUBLIC_MAX);
    bool fine = canon_signed_bytes(&bytes, object, err) && hash_sha256_hex(bytes.data, bytes.len, key->id, err);
    json_decref(object);
    return fine;
}

static bool check_shape(const struct key *key, const struct der *der, struct err *err) {
    int bits = EVP_PKEY_get_bits(key->pkey);
    if (key->type == KEY_ECDSA_P256 && !is_p256(der))
        return err_set(err, ERR_KEY, "not an uncompressed P-256 public key");
    if (key->type == KEY_RSA && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX))
        return err_set(err, ERR_KEY, "an RSA key of %d bits; %d to %d are accepted", bits, RSA_BITS_MIN, RSA_BITS_MAX);
    return true;
}

/* Takes pkey, also on failure. */
static bool key_take(enum key_type type, EVP_PKEY *pkey, bool private_part, const struct der *der, struct key **ret_key, struct err *err) {
    struct key *key = calloc(1, sizeof *key);
    if (key == NULL) {
        EVP_PKEY_free(pkey);
        return err_no_memory(err);
    }
    *key = (struct key){.type = type, .pkey = pkey, .private_part = private_part};
    if (!check_shape(key, der, err) || !hash_sha256(der->bytes, der->len, key->identity, err) || !der_to_text(type, der, key->public_text, err) ||
        !fill_id(key, err)) {
        key_free(key);
        return false;
    }
    *ret_key = key;
    return true;
}

bool key_take_private(enum key_type type, EVP_PKEY *pkey, struct key **ret_key, struct err *err) {
    struct der der;
    if (!pkey_to_der(pkey, &der, err)) {
        EVP_PKEY_free(pkey);
        return false;
    }
    return key_take(type, pkey, true, &der, ret_key, err);
}

bool key_generate(enum key_type type, struct key **ret_key, struct err *err) {
    EVP_PKEY *pkey = NULL;
    if (type == KEY_ECDSA_P256)
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    else if (type == KEY_ED25519)
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else
        return err_set(err, ERR_KEY, "keys of this type are not made here, only verified");
    if (pkey == NULL)
        return key_failed(err, ERR_INTERNAL, "key generation failed");
    return key_take_private(type, pkey, ret_key, err);
}

enum key_type key_type_of(const EVP_PKEY *pkey) {
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

/* An RSA key could be written in several ways in DER, and would then count several times. */
static bool is_own_encoding(const struct key *key, const struct der *der) {
    struct der again;
    struct err ignored;
    return key->type != KEY_RSA ||
           (pkey_to_der(key->pkey, &again, &ignored) && again.len == der->len && memcmp(again.bytes, der->bytes, der->len) == 0);
}

bool key_from_public(const char *keytype, const char *scheme, const char *public_text, struct key **ret_key, struct err *err) {
    const struct key_kind *kind = NULL;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (text_equal(keytype, kinds[i].keytype) && text_equal(scheme, kinds[i].scheme))
            kind = &kinds[i];
    if (kind == NULL)
        return err_set(err, ERR_NOT_IMPLEMENTED, "keytype or scheme is not known here");
    if (strlen(public_text) >= KEY_PUBLIC_MAX)
        return err_set(err, ERR_KEY, "public %s key longer than %d bytes", kind->keytype, KEY_PUBLIC_MAX - 1);
    struct der der;
    EVP_PKEY *pkey = text_to_der(kind->type, public_text, &der) ? pkey_from_der(kind->type, &der) : NULL;
    if (pkey == NULL)
        return key_failed(err, ERR_KEY, "not a public %s key", kind->keytype);
    struct key *key = NULL;
    if (!key_take(kind->type, pkey, false, &der, &key, err))
        return false;
    if ((PROFILE_STRICT && !text_equal(key->public_text, public_text)) || !is_own_encoding(key, &der)) {
        key_free(key);
        return err_set(err, ERR_KEY, "public %s key is not written in its one form", kind->keytype);
    }
    *ret_key = key;
    return true;
}

bool key_from_pem(const char *pem, struct key **ret_key, struct err *err) {
    struct der der;
    char text[KEY_PUBLIC_MAX];
    enum key_type type = !pem_to_der(pem, &der) ? KEY_NONE : is_p256(&der) ? KEY_ECDSA_P256 : is_ed25519(&der) ? KEY_ED25519 : KEY_NONE;
    const struct key_kind *kind = kind_of(type);
    if (kind == NULL)
        return err_set(err, ERR_KEY, "not a public P-256 or Ed25519 key in PEM (SubjectPublicKeyInfo)");
    return der_to_text(type, &der, text, err) && key_from_public(kind->keytype, kind->scheme, text, ret_key, err);
}

enum key_type key_type(const struct key *key) {
    return key->type;
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
    struct der der;
    if (!text_to_der(key->type, key->public_text, &der))
        return err_set(err, ERR_INTERNAL, "key %.16s… has no public part", key->id);
    append_pem(out, &der);
    return buf_ok(out, "PEM text", err);
}
