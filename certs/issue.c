#include "certs/issue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "certs/identity.h"
#include "common/file.h"
#include "common/hex.h"
#include "common/random.h"

enum { PEM_MAX = 262144, SERIAL_BYTES = (CERTS_SERIAL_SIZE - 1) / 2 };

struct certs_issuer {
    X509 *certificate;
    EVP_PKEY *key;
    const EVP_MD *digest; /* NULL: Ed25519 has its own */
    uint8_t pin[32];
};

void certs_issue_free(struct certs_issuer *issuer) {
    if (issuer == NULL)
        return;
    X509_free(issuer->certificate);
    EVP_PKEY_free(issuer->key);
    free(issuer);
}

static bool load_certificate(const char *file, X509 **ret_certificate, struct err *err) {
    struct buf pem CLEANUP(buf_free) = BUF_INIT(PEM_MAX);
    if (!file_read(file, &pem, err))
        return false;
    BIO *bio CLEANUP(certs_x509_free_bio) = BIO_new_mem_buf(pem.data, (int)pem.len);
    X509 *certificate CLEANUP(certs_x509_free) = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    if (certificate == NULL)
        return err_set(err, ERR_CONFIG, "'%s' begins with no PEM certificate", file);
    bool may_sign = X509_check_ca(certificate) == 1 &&
                    ((X509_get_extension_flags(certificate) & EXFLAG_KUSAGE) == 0 || (X509_get_key_usage(certificate) & KU_KEY_CERT_SIGN) != 0);
    if (!may_sign)
        return err_set(err, ERR_CONFIG, "'%s' begins with no CA certificate that may sign certificates", file);
    if (!certs_identity_check_strength(certificate, err))
        return err_prefix(err, "'%s'", file);
    *ret_certificate = certificate;
    certificate = NULL;
    return true;
}

struct secret {
    const void *data;
    size_t len;
};

static int give_passphrase(char *buffer, int size, UNUSED int writing, void *context) {
    const struct secret *secret = context;
    if (secret->len > (size_t)size)
        return -1;
    memcpy(buffer, secret->data, secret->len);
    return (int)secret->len;
}

static bool load_key(const char *file, const struct secret *passphrase, EVP_PKEY **ret_key, struct err *err) {
    struct buf pem CLEANUP(buf_wipe) = BUF_INIT(PEM_MAX);
    if (!file_read_secret(file, &pem, err))
        return false;
    if (pem.len == 0 || strstr(pem.data, "-----BEGIN ENCRYPTED PRIVATE KEY-----") == NULL)
        return err_set(err, ERR_KEY, "'%s' is not an encrypted private key (PKCS#8): openssl pkcs8 -topk8 encrypts one", file);
    BIO *bio CLEANUP(certs_x509_free_bio) = BIO_new_mem_buf(pem.data, (int)pem.len);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, (void *)(uintptr_t)passphrase) : NULL;
    ERR_clear_error();
    if (key == NULL)
        return err_set(err, ERR_PASSPHRASE, "'%s' does not open with its passphrase", file);
    *ret_key = key;
    return true;
}

/* A digest that is as strong as the key. */
static const EVP_MD *digest_for(EVP_PKEY *key) {
    int type = EVP_PKEY_get_base_id(key);
    if (type == EVP_PKEY_ED25519)
        return NULL;
    return type == EVP_PKEY_EC && EVP_PKEY_get_bits(key) > 256 ? EVP_sha384() : EVP_sha256();
}

bool certs_issue_load(const char *certificate_file, const char *key_file, const void *passphrase, size_t passphrase_len,
                      struct certs_issuer **ret_issuer, struct err *err) {
    const struct secret secret = {.data = passphrase, .len = passphrase_len};
    X509 *certificate CLEANUP(certs_x509_free) = NULL;
    EVP_PKEY *key CLEANUP(certs_x509_free_key) = NULL;
    struct certs_issuer made = {.certificate = NULL};
    if (!load_certificate(certificate_file, &certificate, err) || !load_key(key_file, &secret, &key, err))
        return false;
    if (X509_check_private_key(certificate, key) != 1)
        return err_set(err, ERR_KEY, "'%s' is not the key of the CA in '%s'", key_file, certificate_file);
    if (!certs_identity_pin(certificate, made.pin, err))
        return false;
    struct certs_issuer *issuer = malloc(sizeof(*issuer));
    if (issuer == NULL)
        return err_no_memory(err);
    made.certificate = certificate;
    made.key = key;
    made.digest = digest_for(key);
    *issuer = made;
    certificate = NULL;
    key = NULL;
    *ret_issuer = issuer;
    return true;
}

bool certs_issue_same(const struct certs_issuer *issuer, const struct certs_issuer *other) {
    return issuer != NULL && other != NULL && X509_cmp(issuer->certificate, other->certificate) == 0;
}

const uint8_t *certs_issue_pin(const struct certs_issuer *issuer) {
    return issuer->pin;
}

/* ---- one certificate ---- */

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool add_extensions(X509 *certificate, X509 *issuer, const char *device_id) {
    char uri[CERTS_ID_SIZE + 32];
    snprintf(uri, sizeof(uri), "URI:urn:pawl:device:%s", device_id); /* an id has no comma, so this is one name */
    return add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature") &&
           add_extension(certificate, issuer, NID_ext_key_usage, "clientAuth") &&
           add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, issuer, NID_authority_key_identifier, "keyid,issuer") &&
           add_extension(certificate, issuer, NID_subject_alt_name, uri);
}

/* 128 bits of which 126 are random: positive, and never shorter. */
static bool set_serial(X509 *certificate, char ret_hex[CERTS_SERIAL_SIZE]) {
    uint8_t bytes[SERIAL_BYTES];
    random_bytes(bytes, sizeof(bytes));
    bytes[0] = (uint8_t)((bytes[0] & 0x3f) | 0x40);
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    hex_encode(bytes, sizeof(bytes), ret_hex);
    return ok;
}

static bool set_key(X509 *certificate, const struct certs_order *order) {
    const unsigned char *at = order->spki;
    EVP_PKEY *key CLEANUP(certs_x509_free_key) = d2i_PUBKEY(NULL, &at, (long)order->spki_len);
    return key != NULL && X509_set_pubkey(certificate, key) == 1;
}

static bool fill(X509 *certificate, const struct certs_issuer *issuer, const struct certs_order *order, struct certs_issued *issued) {
    X509_NAME *subject = X509_get_subject_name(certificate);
    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate, issued->serial) &&
           ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)issued->not_before) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)issued->not_after) != NULL &&
           X509_set_issuer_name(certificate, X509_get_subject_name(issuer->certificate)) == 1 &&
           X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, (const unsigned char *)order->device_id, -1, -1, 0) == 1 &&
           set_key(certificate, order) && add_extensions(certificate, issuer->certificate, order->device_id);
}

static bool validity_of(X509 *certificate, int64_t *ret_not_before, int64_t *ret_not_after) {
    return certs_x509_time(X509_get0_notBefore(certificate), ret_not_before) && certs_x509_time(X509_get0_notAfter(certificate), ret_not_after);
}

bool certs_issue_sign(const struct certs_issuer *issuer, const struct certs_order *order, struct arena *arena, struct certs_issued *ret_issued,
                      struct err *err) {
    int64_t from, to;
    X509 *certificate CLEANUP(certs_x509_free) = X509_new();
    struct certs_issued issued = {.not_before = order->now - CERTS_CLOCK_SKEW_S, .not_after = order->now + order->lifetime_s};
    if (certificate == NULL || !validity_of(issuer->certificate, &from, &to))
        return err_no_memory(err);
    if (order->now < from || order->now >= to)
        return err_set(err, ERR_EXPIRED, "the issuing CA's certificate is not valid now");
    issued.not_before = issued.not_before < from ? from : issued.not_before;
    issued.not_after = issued.not_after > to ? to : issued.not_after;
    unsigned char *der = NULL;
    bool ok = fill(certificate, issuer, order, &issued) && X509_sign(certificate, issuer->key, issuer->digest) > 0;
    int len = ok ? i2d_X509(certificate, &der) : -1;
    issued.der = len > 0 ? arena_memdup(arena, der, (size_t)len) : NULL;
    issued.len = len > 0 ? (size_t)len : 0;
    OPENSSL_free(der);
    if (issued.der == NULL)
        return err_set(err, ERR_INTERNAL, "a certificate for '%s' cannot be signed", order->device_id);
    *ret_issued = issued;
    return true;
}
