#include "certs/pkcs7.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>

#include "certs/armour.h"
#include "certs/bundle.h"
#include "common/hex.h"

enum { REPLY_MAX = 1 << 20 };

static bool push(STACK_OF(X509) * bundle, X509 *certificate) {
    if (sk_X509_push(bundle, certificate) > 0)
        return true;
    X509_free(certificate);
    return false;
}

/* A SignedData without signatures around no content. Takes the certificates. */
static PKCS7 *wrap(STACK_OF(X509) * *bundle) {
    PKCS7 *pkcs7 = PKCS7_new();
    bool ok = pkcs7 != NULL && PKCS7_set_type(pkcs7, NID_pkcs7_signed) == 1 && PKCS7_content_new(pkcs7, NID_pkcs7_data) == 1;
    if (!ok) {
        PKCS7_free(pkcs7);
        return NULL;
    }
    PKCS7_set_detached(pkcs7, 1);
    pkcs7->d.sign->cert = *bundle;
    *bundle = NULL;
    return pkcs7;
}

static bool write_bundle(STACK_OF(X509) * *bundle, struct buf *out, struct err *err) {
    unsigned char *der = NULL;
    PKCS7 *pkcs7 = wrap(bundle);
    int len = pkcs7 != NULL ? i2d_PKCS7(pkcs7, &der) : -1;
    if (len > 0)
        base64_encode_lines(out, der, (size_t)len);
    OPENSSL_free(der);
    PKCS7_free(pkcs7);
    ERR_clear_error();
    return len > 0 ? buf_ok(out, "PKCS#7", err) : err_set(err, ERR_INTERNAL, "PKCS#7 cannot be written");
}

bool certs_pkcs7_one(const void *der, size_t len, struct buf *out, struct err *err) {
    const unsigned char *at = der;
    STACK_OF(X509) * bundle CLEANUP(certs_bundle_free) = sk_X509_new_null();
    X509 *certificate = bundle != NULL ? d2i_X509(NULL, &at, (long)len) : NULL;
    if (certificate == NULL || !push(bundle, certificate)) {
        ERR_clear_error();
        return err_set(err, ERR_INTERNAL, "a certificate cannot be read");
    }
    return write_bundle(&bundle, out, err);
}

bool certs_pkcs7_all(const void *pem, size_t len, const char *what, struct buf *out, struct err *err) {
    STACK_OF(X509) * bundle CLEANUP(certs_bundle_free) = certs_bundle_parse(pem, len, what, err);
    return bundle != NULL && write_bundle(&bundle, out, err);
}

static bool to_pem(X509 *certificate, struct buf *out, struct err *err) {
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    bool ok = bio != NULL && PEM_write_bio_X509(bio, certificate) == 1;
    long len = ok ? BIO_get_mem_data(bio, &data) : 0;
    if (ok)
        buf_append(out, data, (size_t)len);
    BIO_free(bio);
    return ok ? buf_ok(out, "the certificate", err) : err_no_memory(err);
}

bool certs_pkcs7_first(const char *text, size_t len, struct buf *ret_pem, struct err *err) {
    struct buf der CLEANUP(buf_free) = BUF_INIT(REPLY_MAX);
    if (!certs_armour_read(text, len, "the reply", &der, err)) {
        err->code = ERR_FORMAT;
        return false;
    }
    const unsigned char *at = (const unsigned char *)der.data;
    PKCS7 *pkcs7 = d2i_PKCS7(NULL, &at, (long)der.len);
    bool found = pkcs7 != NULL && PKCS7_type_is_signed(pkcs7) && pkcs7->d.sign != NULL && sk_X509_num(pkcs7->d.sign->cert) > 0;
    bool ok = found ? to_pem(sk_X509_value(pkcs7->d.sign->cert, 0), ret_pem, err) : err_set(err, ERR_FORMAT, "the reply holds no certificate");
    PKCS7_free(pkcs7);
    ERR_clear_error();
    return ok;
}
