#include "certs/identity.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "common/hash.h"

static const char device_prefix[] = "urn:pawl:device:";
static const char admin_prefix[] = "urn:pawl:admin:";

/* What may sign a certificate, and with what. */
static const int good_signatures[] = {
    NID_ecdsa_with_SHA256,       NID_ecdsa_with_SHA384,       NID_ecdsa_with_SHA512,       NID_ED25519,
    NID_sha256WithRSAEncryption, NID_sha384WithRSAEncryption, NID_sha512WithRSAEncryption,
};

bool certs_identity_good_signature(int signature) {
    for (size_t i = 0; i < ARRAY_LEN(good_signatures); i++)
        if (signature == good_signatures[i])
            return true;
    return false;
}

static bool good_signature(X509 *certificate) {
    int signature = X509_get_signature_nid(certificate);
    if (signature != NID_rsassaPss)
        return certs_identity_good_signature(signature);
    int digest = NID_undef;
    return X509_get_signature_info(certificate, &digest, NULL, NULL, NULL) == 1 &&
           (digest == NID_sha256 || digest == NID_sha384 || digest == NID_sha512);
}

static bool good_key(EVP_PKEY *key) {
    char group[32] = "";
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_ED25519:
        return true;
    case EVP_PKEY_RSA:
        return EVP_PKEY_get_bits(key) >= 2048 && EVP_PKEY_get_bits(key) <= 8192;
    case EVP_PKEY_EC:
        return EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 && (strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0);
    default:
        return false;
    }
}

bool certs_identity_check_key(EVP_PKEY *key, struct err *err) {
    return (key && good_key(key)) || err_set(err, ERR_IDENTITY, "certificate key is not P-256, P-384, Ed25519 or RSA of 2048 to 8192 bits");
}

bool certs_identity_check_strength(X509 *certificate, struct err *err) {
    if (!certs_identity_check_key(X509_get0_pubkey(certificate), err))
        return false;
    if (!good_signature(certificate)) {
        return err_set(err, ERR_IDENTITY, "certificate is signed with '%s', not with SHA-256, SHA-384, SHA-512 or Ed25519",
                       OBJ_nid2sn(X509_get_signature_nid(certificate)));
    }
    return true;
}

bool certs_identity_check_leaf(X509 *certificate, struct err *err) {
    uint32_t flags = X509_get_extension_flags(certificate);
    if (flags & EXFLAG_INVALID)
        return err_set(err, ERR_IDENTITY, "certificate has an extension that cannot be read");
    if (X509_get_version(certificate) != X509_VERSION_3)
        return err_set(err, ERR_IDENTITY, "certificate is not X.509 v3");
    if ((flags & EXFLAG_CA) || X509_check_ca(certificate) != 0)
        return err_set(err, ERR_IDENTITY, "certificate is a CA's, not a client's");
    if (!(flags & EXFLAG_XKUSAGE) || !(X509_get_extended_key_usage(certificate) & XKU_SSL_CLIENT))
        return err_set(err, ERR_IDENTITY, "certificate has no extended key usage clientAuth");
    if ((flags & EXFLAG_KUSAGE) && !(X509_get_key_usage(certificate) & KU_DIGITAL_SIGNATURE))
        return err_set(err, ERR_IDENTITY, "certificate's key usage lacks digitalSignature");
    return certs_identity_check_strength(certificate, err);
}

bool certs_identity_check_chain(const STACK_OF(X509) * chain, struct err *err) {
    int count = sk_X509_num(chain);
    if (count < 1 || count > CERTS_MAX_CHAIN)
        return err_set(err, ERR_IDENTITY, "certificate chain has %d certificates, expected 1 to %d", count, CERTS_MAX_CHAIN);
    for (int i = 0; i < count - 1; i++)
        if (!certs_identity_check_strength(sk_X509_value(chain, i), err))
            return false;
    return true;
}

bool certs_identity_pin(X509 *certificate, uint8_t ret_spki_sha256[32], struct err *err) {
    unsigned char *der CLEANUP(certs_x509_free_der) = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    if (len <= 0)
        return err_set(err, ERR_IDENTITY, "certificate's public key cannot be encoded");
    return hash_sha256(der, (size_t)len, ret_spki_sha256, err);
}

static bool id_from_uri(X509 *certificate, const char *urn_prefix, char ret_id[CERTS_ID_SIZE], struct err *err) {
    int critical = -1;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
    int uris = 0;
    bool good = false;
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI)
            continue;
        const unsigned char *text = ASN1_STRING_get0_data(name->d.uniformResourceIdentifier);
        size_t len = (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier);
        size_t prefix = strlen(urn_prefix);
        uris++;
        good = len > prefix && memcmp(text, urn_prefix, prefix) == 0 && certs_x509_id(text + prefix, len - prefix, ret_id);
    }
    GENERAL_NAMES_free(names);
    if (uris != 1)
        return err_set(err, ERR_IDENTITY, "certificate has %d subject alternative names of kind URI, expected one '%s<id>'", uris, urn_prefix);
    return good || err_set(err, ERR_IDENTITY, "certificate's URI is not '%s<id>' with an id of 1 to 64 of A-Z a-z 0-9 . _ : -", urn_prefix);
}

static bool id_from_common_name(X509 *certificate, char ret_id[CERTS_ID_SIZE], struct err *err) {
    return certs_x509_common_name(X509_get_subject_name(certificate), ret_id) ||
           err_set(err, ERR_IDENTITY, "certificate's subject has not exactly one common name, an id of 1 to 64 of A-Z a-z 0-9 . _ : -");
}

static bool find_id(X509 *certificate, enum certs_id_source source, char ret_id[CERTS_ID_SIZE], struct err *err) {
    switch (source) {
    case CERTS_ID_SAN_URI:
        return id_from_uri(certificate, device_prefix, ret_id, err);
    case CERTS_ID_COMMON_NAME:
        return id_from_common_name(certificate, ret_id, err);
    case CERTS_ID_ADMIN_URI:
        return id_from_uri(certificate, admin_prefix, ret_id, err);
    }
    return err_set(err, ERR_IDENTITY, "no such source of an id");
}

bool certs_identity_from_x509(X509 *certificate, enum certs_id_source source, struct certs_identity *ret_identity, struct err *err) {
    struct certs_identity identity = {0};
    if (!certs_identity_check_leaf(certificate, err))
        return false;
    if (!find_id(certificate, source, identity.id, err) || !certs_identity_pin(certificate, identity.spki_sha256, err))
        return false;
    if (!certs_x509_time(X509_get0_notBefore(certificate), &identity.not_before) ||
        !certs_x509_time(X509_get0_notAfter(certificate), &identity.not_after))
        return err_set(err, ERR_IDENTITY, "certificate's validity cannot be read");
    *ret_identity = identity;
    return true;
}
