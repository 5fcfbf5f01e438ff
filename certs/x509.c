#include "certs/x509.h"

#include <openssl/err.h>
#include <string.h>
#include <time.h>

#include "common/text.h"

void certs_x509_free(X509 **certificate) {
    X509_free(*certificate);
    ERR_clear_error();
}

void certs_x509_free_key(EVP_PKEY **key) {
    EVP_PKEY_free(*key);
    ERR_clear_error();
}

void certs_x509_free_bio(BIO **bio) {
    BIO_free(*bio);
    ERR_clear_error();
}

void certs_x509_free_der(unsigned char **der) {
    OPENSSL_free(*der);
}

bool certs_x509_time(const ASN1_TIME *when, int64_t *ret_time) {
    struct tm parts;
    if (when == NULL || ASN1_TIME_to_tm(when, &parts) != 1)
        return false;
    *ret_time = (int64_t)timegm(&parts);
    return true;
}

bool certs_x509_id(const unsigned char *text, size_t len, char ret_id[CERTS_ID_SIZE]) {
    char id[CERTS_ID_SIZE] = "";
    if (len >= sizeof(id) || memchr(text, 0, len) != NULL)
        return false;
    memcpy(id, text, len);
    if (!text_is_id(id))
        return false;
    memcpy(ret_id, id, sizeof(id));
    return true;
}

bool certs_x509_common_name(const X509_NAME *subject, char ret_id[CERTS_ID_SIZE]) {
    int first = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *text CLEANUP(certs_x509_free_der) = NULL;
    if (first < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, first) >= 0)
        return false;
    int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, first)));
    return len > 0 && certs_x509_id(text, (size_t)len, ret_id);
}
