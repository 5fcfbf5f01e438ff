#include "certs/pem.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "certs/identity.h"
#include "common/hex.h"

static X509 *read_first(const void *pem, size_t len) {
    if (len > INT_MAX)
        return NULL;
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    X509 *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return certificate;
}

bool certs_pem_device(const void *pem, size_t len, const char *what, bool by_common_name, struct certs_pem_identity *ret_identity, struct err *err) {
    X509 *certificate = read_first(pem, len);
    if (certificate == NULL)
        return err_set(err, ERR_FORMAT, "%s: no PEM certificate in it", what);
    struct certs_identity identity;
    bool ok = certs_identity_from_x509(certificate, by_common_name ? CERTS_ID_COMMON_NAME : CERTS_ID_SAN_URI, &identity, err);
    X509_free(certificate);
    if (!ok)
        return err_prefix(err, "%s", what);
    memcpy(ret_identity->id, identity.id, sizeof(ret_identity->id));
    hex_encode(identity.spki_sha256, sizeof(identity.spki_sha256), ret_identity->spki_sha256);
    ret_identity->not_before = identity.not_before;
    ret_identity->not_after = identity.not_after;
    return true;
}

/* INT64_MIN for a time that cannot be read: it has expired. */
static int64_t expiry_of(const X509 *certificate) {
    int64_t expires_at = INT64_MIN;
    return certs_x509_time(X509_get0_notAfter(certificate), &expires_at) ? expires_at : INT64_MIN;
}

bool certs_pem_expiry(const void *pem, size_t len, const char *what, int64_t *ret_not_after, struct err *err) {
    BIO *bio = len <= INT_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
    int64_t earliest = INT64_MAX;
    X509 *certificate;
    while (bio != NULL && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        int64_t expires_at = expiry_of(certificate);
        earliest = expires_at < earliest ? expires_at : earliest;
        X509_free(certificate);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (earliest == INT64_MAX)
        return err_set(err, ERR_FORMAT, "%s: no PEM certificate in it", what);
    *ret_not_after = earliest;
    return true;
}
