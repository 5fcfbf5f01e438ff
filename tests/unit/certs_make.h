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

#include "tests/unit/folder.h"

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

/* name.pem and name.key (0400) in the folder of the test. */
static inline void make_write(const struct made *made, const char *name) {
    char path[TEMPORARY_SIZE + 64];
    snprintf(path, sizeof(path), "%s/%s.pem", folder, name);
    FILE *file = fopen(path, "w");
    if (file == NULL || PEM_write_X509(file, made->certificate) != 1 || fclose(file) != 0)
        abort();
    snprintf(path, sizeof(path), "%s/%s.key", folder, name);
    file = fopen(path, "w");
    if (file == NULL || PEM_write_PrivateKey(file, made->key, NULL, NULL, 0, NULL, NULL) != 1 || fclose(file) != 0 || chmod(path, 0400) != 0)
        abort();
}

/* What make_write() wrote. */
static inline struct made make_read(const char *name) {
    char path[TEMPORARY_SIZE + 64];
    struct made made;
    snprintf(path, sizeof(path), "%s/%s.pem", folder, name);
    FILE *file = fopen(path, "r");
    made.certificate = file != NULL ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    if (made.certificate == NULL || fclose(file) != 0)
        abort();
    snprintf(path, sizeof(path), "%s/%s.key", folder, name);
    file = fopen(path, "r");
    made.key = file != NULL ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    if (made.key == NULL || fclose(file) != 0)
        abort();
    return made;
}

/* What a revocation list is like; zeros are the good choices. */
struct make_crl {
    long next_in_s;    /* from now; 0: one day */
    const char *point; /* issuing distribution point */
    int delta;         /* a delta CRL */
    int critical;      /* its number is a critical extension, which nobody knows */
    int der;           /* instead of PEM */
    int damage;        /* changed after it was signed */
    long fill;         /* so many serial numbers more, from MAKE_CRL_FIRST on */
};

enum { MAKE_CRL_FIRST = 5000000 };

static inline void make_revoke(X509_CRL *crl, const ASN1_INTEGER *serial) {
    X509_REVOKED *revoked = X509_REVOKED_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, 0);
    X509_REVOKED_set_serialNumber(revoked, (ASN1_INTEGER *)(uintptr_t)serial);
    X509_REVOKED_set_revocationDate(revoked, now);
    ASN1_TIME_free(now);
    X509_CRL_add0_revoked(crl, revoked);
}

static inline void make_crl_extension(X509_CRL *crl, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, NULL, NULL, NULL, crl, 0);
    X509V3_set_ctx_nodb(&ctx);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    if (extension == NULL || X509_CRL_add_ext(crl, extension, -1) != 1)
        abort();
    X509_EXTENSION_free(extension);
}

/* Writes a list of the issuer's that names `count` certificates. */
static inline void make_crl(const struct make_crl *make, const struct made *issuer, const struct made *const *revoked, size_t count,
                            const char *path) {
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -60), *next = X509_gmtime_adj(NULL, make->next_in_s != 0 ? make->next_in_s : 86400);
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->certificate));
    X509_CRL_set1_lastUpdate(crl, now);
    X509_CRL_set1_nextUpdate(crl, next);
    for (size_t i = 0; i < count; i++)
        make_revoke(crl, X509_get0_serialNumber(revoked[i]->certificate));
    for (long i = 0; i < make->fill; i++) {
        ASN1_INTEGER *serial = ASN1_INTEGER_new();
        ASN1_INTEGER_set(serial, MAKE_CRL_FIRST + i);
        make_revoke(crl, serial);
        ASN1_INTEGER_free(serial);
    }
    if (make->delta || make->critical) {
        ASN1_INTEGER *number = ASN1_INTEGER_new();
        ASN1_INTEGER_set(number, 1);
        X509_CRL_add1_ext_i2d(crl, make->delta ? NID_delta_crl : NID_crl_number, number, 1, 0);
        ASN1_INTEGER_free(number);
    }
    if (make->point != NULL)
        make_crl_extension(crl, NID_issuing_distribution_point, make->point);
    if (X509_CRL_sign(crl, issuer->key, EVP_sha256()) <= 0)
        abort();
    if (make->damage)
        X509_CRL_set1_nextUpdate(crl, now);
    FILE *file = fopen(path, "wb");
    if (file == NULL || (make->der ? i2d_X509_CRL_fp(file, crl) : PEM_write_X509_CRL(file, crl)) != 1 || fclose(file) != 0)
        abort();
    ASN1_TIME_free(now);
    ASN1_TIME_free(next);
    X509_CRL_free(crl);
}

/* One file after the other, up to a NULL. */
static inline void make_join(const char *path, const char *const *parts) {
    FILE *out = fopen(path, "wb");
    for (; out != NULL && *parts != NULL; parts++) {
        FILE *in = fopen(*parts, "rb");
        for (int c; in != NULL && (c = fgetc(in)) != EOF;)
            fputc(c, out);
        if (in == NULL || fclose(in) != 0)
            abort();
    }
    if (out == NULL || fclose(out) != 0)
        abort();
}

#endif
