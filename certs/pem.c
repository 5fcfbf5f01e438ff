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
    ret_identity->not_after = identity.not_after;
    return true;
}
