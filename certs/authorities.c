#include "certs/authorities.h"

#include <stdlib.h>
#include <string.h>

#include "certs/bundle.h"
#include "certs/crl.h"
#include "certs/x509.h"

/* The first eight bytes of a digest as a number; never 0. */
static uint64_t number_of(const uint8_t digest[SHA256_SIZE]) {
    uint64_t number;
    memcpy(&number, digest, sizeof(number));
    return number != 0 ? number : 1;
}

bool certs_authority_id(X509 *authority, uint64_t *ret_id, struct err *err) {
    unsigned char *name CLEANUP(certs_x509_free_der) = NULL;
    unsigned char *key CLEANUP(certs_x509_free_der) = NULL;
    struct hash hash CLEANUP(hash_free) = {0};
    uint8_t digest[SHA256_SIZE];
    int name_len = i2d_X509_NAME(X509_get_subject_name(authority), &name);
    int key_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(authority), &key);
    if (name_len <= 0 || key_len <= 0)
        return err_set(err, ERR_IDENTITY, "a CA's name or key cannot be encoded");
    if (!hash_sha256_begin(&hash, err) || !hash_update(&hash, name, (size_t)name_len, err) || !hash_update(&hash, key, (size_t)key_len, err) ||
        !hash_sha256_end(&hash, digest, err))
        return false;
    *ret_id = number_of(digest);
    return true;
}

bool certs_serial_id(uint64_t issuer, const ASN1_INTEGER *serial, uint64_t *ret_id, struct err *err) {
    uint8_t text[sizeof(issuer) + 1 + 64], digest[SHA256_SIZE];
    int len = ASN1_STRING_length(serial);
    if (len < 1 || (size_t)len > sizeof(text) - sizeof(issuer) - 1)
        return err_set(err, ERR_IDENTITY, "a serial number of %d bytes, expected 1 to 64", len);
    memcpy(text, &issuer, sizeof(issuer));
    text[sizeof(issuer)] = ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER;
    memcpy(text + sizeof(issuer) + 1, ASN1_STRING_get0_data(serial), (size_t)len);
    if (!hash_sha256(text, sizeof(issuer) + 1 + (size_t)len, digest, err))
        return false;
    *ret_id = number_of(digest);
    return true;
}

bool certs_lineage_of(const STACK_OF(X509) * chain, struct certs_lineage *ret_lineage, struct err *err) {
    struct certs_lineage lineage = {0};
    int count = sk_X509_num(chain);
    int below = count > 1 ? count - 1 : count; /* a leaf that is an anchor itself is its own issuer */
    if (below < 1 || below > CERTS_LINEAGE)
        return err_set(err, ERR_IDENTITY, "a chain of %d certificates, expected 1 to %d", count, CERTS_LINEAGE + 1);
    for (int i = 0; i < below; i++) {
        X509 *certificate = sk_X509_value(chain, i);
        X509 *issuer = i + 1 < count ? sk_X509_value(chain, i + 1) : certificate;
        if (!certs_authority_id(issuer, &lineage.issuers[i], err) ||
            !certs_serial_id(lineage.issuers[i], X509_get0_serialNumber(certificate), &lineage.certificates[i], err))
            return false;
    }
    *ret_lineage = lineage;
    return true;
}

static bool believes(const struct certs_authorities *authorities, uint64_t id) {
    for (int i = 0; id != 0 && i < sk_X509_num(authorities->anchors); i++)
        if (authorities->anchor_ids[i] == id)
            return true;
    return false;
}

bool certs_authorities_admit(const struct certs_authorities *authorities, const struct certs_lineage *lineage, struct err *err) {
    bool believed = false;
    for (size_t i = 0; i < CERTS_LINEAGE; i++) {
        believed |= believes(authorities, lineage->issuers[i]);
        if (lineage->certificates[i] != 0 && certs_crl_revoked(authorities, lineage->certificates[i]))
            return err_set(err, ERR_IDENTITY, i == 0 ? "the certificate is revoked" : "the certificate's issuer is revoked");
    }
    return believed || err_set(err, ERR_IDENTITY, "the certificate's CA is not believed any more");
}

static bool number_anchors(struct certs_authorities *authorities, int from, struct hash *hash, struct err *err) {
    int count = sk_X509_num(authorities->anchors);
    uint64_t *ids = realloc(authorities->anchor_ids, (size_t)count * sizeof(*ids));
    if (ids == NULL)
        return err_no_memory(err);
    authorities->anchor_ids = ids;
    for (int i = from; i < count; i++) {
        uint8_t digest[SHA256_SIZE];
        X509 *anchor = sk_X509_value(authorities->anchors, i);
        if (X509_digest(anchor, EVP_sha256(), digest, NULL) != 1)
            return err_set(err, ERR_CONFIG, "a CA cannot be hashed");
        if (!certs_authority_id(anchor, &ids[i], err) || !hash_update(hash, digest, sizeof(digest), err))
            return false;
    }
    return true;
}

static bool append(STACK_OF(X509) * anchors, STACK_OF(X509) * more, struct err *err) {
    while (sk_X509_num(more) > 0) {
        X509 *anchor = sk_X509_shift(more);
        if (sk_X509_push(anchors, anchor) <= 0) {
            X509_free(anchor);
            return err_no_memory(err);
        }
    }
    return true;
}

/* One kind of CA behind those that are there, and what this kind has revoked. */
static bool add(struct certs_authorities *authorities, const struct certs_trust_files *files, struct hash *hash, struct err *err) {
    int from = sk_X509_num(authorities->anchors);
    if (files->ca == NULL)
        return true;
    STACK_OF(X509) *more = certs_bundle_read(files->ca, err);
    bool ok = more != NULL && append(authorities->anchors, more, err);
    sk_X509_pop_free(more, X509_free);
    return ok && number_anchors(authorities, from, hash, err) && (files->crl == NULL || certs_crl_load(files->crl, from, authorities, hash, err));
}

static void drop(struct certs_authorities **authorities) {
    certs_authorities_free(*authorities);
}

bool certs_authorities_load(const struct certs_trust_files *own, const struct certs_trust_files *factory, struct certs_authorities **ret_authorities,
                            struct err *err) {
    struct certs_authorities *made CLEANUP(drop) = calloc(1, sizeof(*made));
    struct hash hash CLEANUP(hash_free) = {0};
    if (made == NULL || (made->anchors = sk_X509_new_null()) == NULL)
        return err_no_memory(err);
    if (!hash_sha256_begin(&hash, err) || !add(made, own, &hash, err))
        return false;
    made->factory_from = sk_X509_num(made->anchors);
    if (!add(made, factory, &hash, err) || !hash_sha256_end(&hash, made->digest, err))
        return false;
    *ret_authorities = made;
    made = NULL;
    return true;
}

bool certs_authorities_is_factory(const struct certs_authorities *authorities, X509 *anchor) {
    for (int i = authorities->factory_from; i < sk_X509_num(authorities->anchors); i++)
        if (X509_cmp(sk_X509_value(authorities->anchors, i), anchor) == 0)
            return true;
    return false;
}

void certs_authorities_free(struct certs_authorities *authorities) {
    if (authorities == NULL)
        return;
    sk_X509_pop_free(authorities->anchors, X509_free);
    free(authorities->anchor_ids);
    free(authorities->revoked);
    free(authorities);
}
