#include "certs/bundle.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "certs/x509.h"
#include "common/file.h"

enum { FILE_MAX_BYTES = 4 * 1024 * 1024 };

void certs_bundle_free(STACK_OF(X509) * *bundle) {
    sk_X509_pop_free(*bundle, X509_free);
    *bundle = NULL;
}

static bool read_all(BIO *bio, STACK_OF(X509) * bundle) {
    for (X509 *certificate; (certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL;) {
        if (sk_X509_push(bundle, certificate) <= 0) {
            X509_free(certificate);
            return false;
        }
    }
    /* The end of the text is "no start line"; anything else is a certificate that cannot be read. */
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE && sk_X509_num(bundle) > 0;
}

STACK_OF(X509) * certs_bundle_parse(const void *pem, size_t len, const char *what, struct err *err) {
    BIO *bio CLEANUP(certs_x509_free_bio) = len > 0 && len <= FILE_MAX_BYTES ? BIO_new_mem_buf(pem, (int)len) : NULL;
    STACK_OF(X509) *bundle = sk_X509_new_null();
    if (bio != NULL && bundle != NULL && read_all(bio, bundle))
        return bundle;
    certs_bundle_free(&bundle);
    err_set(err, ERR_CONFIG, "certificates '%s': no PEM certificate in it, or a broken one", what);
    return NULL;
}

STACK_OF(X509) * certs_bundle_read(const char *file, struct err *err) {
    struct buf pem CLEANUP(buf_free) = BUF_INIT(FILE_MAX_BYTES);
    if (file_read(file, &pem, err))
        return certs_bundle_parse(pem.data, pem.len, file, err);
    err->code = ERR_CONFIG;
    err_prefix(err, "certificates");
    return NULL;
}

static bool related(X509 *one, X509 *other) {
    return EVP_PKEY_eq(X509_get0_pubkey(one), X509_get0_pubkey(other)) == 1 || X509_check_issued(one, other) == X509_V_OK ||
           X509_check_issued(other, one) == X509_V_OK;
}

bool certs_bundle_disjoint(const char *file, const char *other, struct err *err) {
    STACK_OF(X509) * ours CLEANUP(certs_bundle_free) = certs_bundle_read(file, err);
    STACK_OF(X509) * theirs CLEANUP(certs_bundle_free) = ours != NULL ? certs_bundle_read(other, err) : NULL;
    bool disjoint = theirs != NULL;
    for (int i = 0; disjoint && i < sk_X509_num(ours); i++)
        for (int j = 0; disjoint && j < sk_X509_num(theirs); j++)
            if (related(sk_X509_value(ours, i), sk_X509_value(theirs, j)))
                disjoint = err_set(err, ERR_CONFIG, "'%s' and '%s' share a CA, or one is signed by the other", file, other);
    ERR_clear_error();
    return disjoint;
}

bool certs_bundle_holds(const char *file, const char *other, struct err *err) {
    STACK_OF(X509) * ours CLEANUP(certs_bundle_free) = certs_bundle_read(file, err);
    STACK_OF(X509) * theirs CLEANUP(certs_bundle_free) = ours != NULL ? certs_bundle_read(other, err) : NULL;
    if (theirs == NULL)
        return false;
    for (int i = 0; i < sk_X509_num(ours); i++)
        if (X509_cmp(sk_X509_value(ours, i), sk_X509_value(theirs, 0)) == 0)
            return true;
    return err_set(err, ERR_CONFIG, "the CA in '%s' is none of those in '%s'", other, file);
}
