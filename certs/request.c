#include "certs/request.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "certs/armour.h"
#include "certs/identity.h"
#include "common/hash.h"
#include "common/hex.h"

enum { RSA_EXPONENT_MIN = 65537 };

static void free_request(X509_REQ **request) {
    X509_REQ_free(*request);
    ERR_clear_error();
}

/* With an exponent of 1 everybody signs; small ones and even ones are somebody's mistake. */
static bool good_exponent(EVP_PKEY *key) {
    BIGNUM *exponent = NULL;
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
        return true;
    bool good = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 && BN_is_odd(exponent) &&
                (BN_num_bits(exponent) > 17 || BN_get_word(exponent) >= RSA_EXPONENT_MIN);
    BN_free(exponent);
    return good;
}

/* As everybody writes it: named curve, uncompressed point, NULL parameters of RSA. */
static bool is_canonical(EVP_PKEY *key, const unsigned char *der, int len) {
    unsigned char *own CLEANUP(certs_x509_free_der) = NULL;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
        EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) != 1)
        return false;
    int explicit_curve = 0;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
        (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit_curve) != 1 || explicit_curve != 0))
        return false;
    int own_len = i2d_PUBKEY(key, &own);
    return own_len > 0 && own_len == len && memcmp(own, der, (size_t)len) == 0;
}

/* The key: strong, proven, and in its one form. */
static bool take_key(struct arena *arena, X509_REQ *request, struct certs_request *ret_request, struct err *err) {
    unsigned char *der CLEANUP(certs_x509_free_der) = NULL;
    EVP_PKEY *key = X509_REQ_get0_pubkey(request);
    if (key == NULL || !certs_identity_check_key(key, err) || !good_exponent(key))
        return err_set(err, ERR_INVALID, "the request's key must be P-256, P-384, Ed25519 or RSA of 2048 to 8192 bits");
    if (!certs_identity_good_signature(X509_REQ_get_signature_nid(request)))
        return err_set(err, ERR_INVALID, "the request is signed with '%s', not with SHA-256, SHA-384, SHA-512 or Ed25519",
                       OBJ_nid2sn(X509_REQ_get_signature_nid(request)));
    if (X509_REQ_verify(request, key) != 1)
        return err_set(err, ERR_INVALID, "the request is not signed by the key that is in it");
    int len = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(request), &der);
    if (len <= 0 || !is_canonical(key, der, len))
        return err_set(err, ERR_INVALID, "the request's key is not encoded as RFC 5480 or RFC 3279 say: a named curve, an uncompressed point");
    ret_request->spki = arena_memdup(arena, der, (size_t)len);
    ret_request->spki_len = (size_t)len;
    return ret_request->spki != NULL ? hash_sha256(der, (size_t)len, ret_request->spki_sha256, err) : err_no_memory(err);
}

bool certs_request_read(struct arena *arena, const void *body, size_t len, struct certs_request *ret_request, struct err *err) {
    struct buf der CLEANUP(buf_free) = BUF_INIT(CERTS_REQUEST_MAX);
    X509_REQ *request CLEANUP(free_request) = NULL;
    struct certs_request read = {.spki = NULL};
    if (!certs_armour_read(body, len, "the request", &der, err))
        return false;
    const unsigned char *at = (const unsigned char *)der.data;
    request = d2i_X509_REQ(NULL, &at, (long)der.len);
    if (request == NULL || at != (const unsigned char *)der.data + der.len)
        return err_set(err, ERR_INVALID, "the request is not PKCS#10 (RFC 2986)");
    if (!take_key(arena, request, &read, err))
        return false;
    if (!certs_x509_common_name(X509_REQ_get_subject_name(request), read.common_name))
        read.common_name[0] = '\0';
    *ret_request = read;
    return true;
}

/* ---- the device's side ---- */

bool certs_request_new_key(struct buf *ret_pem, struct err *err) {
    EVP_PKEY *key CLEANUP(certs_x509_free_key) = EVP_EC_gen("P-256");
    BIO *bio CLEANUP(certs_x509_free_bio) = BIO_new(BIO_s_secmem());
    char *data = NULL;
    if (key == NULL || bio == NULL || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        return err_set(err, ERR_KEY, "a key cannot be made");
    long len = BIO_get_mem_data(bio, &data);
    buf_append(ret_pem, data, (size_t)len);
    return buf_ok(ret_pem, "the key", err);
}

static EVP_PKEY *read_key(const void *pem, size_t len) {
    static char none[] = "";
    BIO *bio CLEANUP(certs_x509_free_bio) = BIO_new_mem_buf(pem, (int)len);
    return bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, none) : NULL; /* an encrypted one is not asked about */
}

static bool sign_request(X509_REQ *request, EVP_PKEY *key, const char *common_name) {
    X509_NAME *subject = X509_REQ_get_subject_name(request);
    const EVP_MD *digest = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();
    return X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
           X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0) == 1 &&
           X509_REQ_set_pubkey(request, key) == 1 && X509_REQ_sign(request, key, digest) > 0;
}

bool certs_request_make(const void *key_pem, size_t len, const char *common_name, struct buf *out, struct err *err) {
    EVP_PKEY *key CLEANUP(certs_x509_free_key) = read_key(key_pem, len);
    X509_REQ *request CLEANUP(free_request) = X509_REQ_new();
    unsigned char *der CLEANUP(certs_x509_free_der) = NULL;
    if (key == NULL)
        return err_set(err, ERR_KEY, "the private key cannot be read");
    if (request == NULL || !sign_request(request, key, common_name))
        return err_set(err, ERR_KEY, "a request for '%.64s' cannot be signed", common_name);
    int der_len = i2d_X509_REQ(request, &der);
    if (der_len <= 0)
        return err_no_memory(err);
    base64_encode_lines(out, der, (size_t)der_len);
    return buf_ok(out, "the request", err);
}

bool certs_request_matches(const struct buf *certificate_pem, const struct buf *key_pem, struct err *err) {
    EVP_PKEY *key CLEANUP(certs_x509_free_key) = read_key(key_pem->data, key_pem->len);
    BIO *bio CLEANUP(certs_x509_free_bio) = BIO_new_mem_buf(certificate_pem->data, (int)certificate_pem->len);
    X509 *certificate CLEANUP(certs_x509_free) = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    return (certificate != NULL && key != NULL && X509_check_private_key(certificate, key) == 1) ||
           err_set(err, ERR_KEY, "the certificate is not for this device's key");
}
