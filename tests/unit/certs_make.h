/* Certificates for tests, made in memory: a CA, and leaves with whatever is wrong about them. */
#ifndef PAWL_TESTS_UNIT_CERTS_MAKE_H
#define PAWL_TESTS_UNIT_CERTS_MAKE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

struct made {
    EVP_PKEY *key;
    X509 *certificate;
};

/* What a leaf is like; NULL and 0 are the good choices of make_leaf(). */
struct make {
    const char *common_name;     /* "" : none */
    const char *san;             /* "URI:urn:pawl:device:x"; NULL: none */
    const char *eku;             /* "clientAuth"; "": none */
    const char *basic;           /* "CA:FALSE" */
    const char *usage;           /* "digitalSignature" */
    const char *key;             /* "P-256", "P-384", "P-521", "RSA1024", "RSA2048", "ED25519" */
    const char *digest;          /* "SHA256"; of the signature */
    long starts_in_s, ends_in_s; /* from now; 0, 0: -60, one day */
    int version;                 /* 3 */
    int second_common_name;      /* another CN is added */
};

static EVP_PKEY *make_key(const char *kind) {
    if (strncmp(kind, "RSA", 3) == 0)
        return EVP_RSA_gen((unsigned)strtoul(kind + 3, NULL, 10));
    if (strcmp(kind, "ED25519") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return EVP_EC_gen(kind);
}

static void make_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    if (value == NULL || value[0] == '\0')
        return;
    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    if (extension == NULL)
        abort();
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static struct made make_certificate(const struct make *make, const struct made *issuer) {
    static long serial = 1000;
    struct made made = {.key = make_key(make->key != NULL ? make->key : "P-256"), .certificate = X509_new()};
    X509 *certificate = made.certificate;
    const EVP_MD *digest = EVP_get_digestbyname(make->digest != NULL ? make->digest : "SHA256");
    const struct made *signer = issuer != NULL ? issuer : &made;
    X509_set_version(certificate, make->version != 0 ? make->version - 1 : X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), make->starts_in_s != 0 ? make->starts_in_s : -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), make->ends_in_s != 0 ? make->ends_in_s : 86400);
    X509_set_pubkey(certificate, made.key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    const char *name = make->common_name != NULL ? make->common_name : "a device";
    for (int i = 0; name[0] != '\0' && i < 1 + make->second_common_name; i++)
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(signer->certificate));
    make_extension(certificate, signer->certificate, NID_basic_constraints, make->basic != NULL ? make->basic : "CA:FALSE");
    make_extension(certificate, signer->certificate, NID_key_usage, make->usage != NULL ? make->usage : "digitalSignature");
    make_extension(certificate, signer->certificate, NID_ext_key_usage, make->eku != NULL ? make->eku : "clientAuth");
    make_extension(certificate, signer->certificate, NID_subject_alt_name, make->san);
    if (X509_sign(certificate, signer->key, EVP_PKEY_get_base_id(signer->key) == EVP_PKEY_ED25519 ? NULL : digest) <= 0)
        abort();
    /* The extensions are looked at through a parsed certificate, as a server sees it. */
    unsigned char *der = NULL;
    int len = i2d_X509(certificate, &der);
    const unsigned char *at = der;
    X509_free(certificate);
    made.certificate = d2i_X509(NULL, &at, len);
    OPENSSL_free(der);
    return made;
}

static struct made make_ca(const char *name) {
    struct make make = {.common_name = name, .basic = "critical,CA:TRUE", .usage = "keyCertSign,cRLSign", .eku = "", .ends_in_s = 10 * 86400};
    return make_certificate(&make, NULL);
}

static void make_free(struct made *made) {
    EVP_PKEY_free(made->key);
    X509_free(made->certificate);
}

/* folder/name.pem and folder/name.key (0400). */
static inline void make_write(const struct made *made, const char *folder, const char *name) {
    char path[512];
    snprintf(path, sizeof(path), "%s/%s.pem", folder, name);
    FILE *file = fopen(path, "w");
    if (file == NULL || PEM_write_X509(file, made->certificate) != 1 || fclose(file) != 0)
        abort();
    snprintf(path, sizeof(path), "%s/%s.key", folder, name);
    file = fopen(path, "w");
    if (file == NULL || PEM_write_PrivateKey(file, made->key, NULL, NULL, 0, NULL, NULL) != 1 || fclose(file) != 0 || chmod(path, 0400) != 0)
        abort();
}

#endif
