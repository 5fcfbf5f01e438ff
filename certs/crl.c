#include "certs/crl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "certs/x509.h"

enum { FILE_MAX_BYTES = 512 * 1024 * 1024 };

typedef STACK_OF(X509_CRL) crl_stack;

static void free_crls(crl_stack **crls) {
    sk_X509_CRL_pop_free(*crls, X509_CRL_free);
}

/* ---- reading ---- */

static bool push(crl_stack *crls, X509_CRL *crl) {
    if (crl != NULL && sk_X509_CRL_push(crls, crl) > 0)
        return true;
    X509_CRL_free(crl);
    return false;
}

/* DER begins with the tag of a SEQUENCE, PEM with a dash or words. */
static bool read_crls(BIO *bio, crl_stack *crls) {
    char first = 0;
    if (BIO_read(bio, &first, 1) != 1 || BIO_reset(bio) != 0)
        return false;
    if (first == 0x30)
        return push(crls, d2i_X509_CRL_bio(bio, NULL));
    for (X509_CRL *crl; (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL;)
        if (!push(crls, crl))
            return false;
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE && sk_X509_CRL_num(crls) > 0;
}

static bool read_file(const char *file, crl_stack *crls, struct err *err) {
    struct stat status;
    BIO *bio CLEANUP(certs_x509_free_bio) = stat(file, &status) == 0 ? BIO_new_file(file, "rb") : NULL;
    if (bio == NULL) {
        ERR_clear_error();
        err_errno(err, "revocation list '%s'", file);
        err->code = ERR_CONFIG;
        return false;
    }
    if (status.st_size > FILE_MAX_BYTES)
        return err_set(err, ERR_CONFIG, "revocation list '%s' has more than %d bytes", file, FILE_MAX_BYTES);
    bool ok = crls != NULL && read_crls(bio, crls);
    ERR_clear_error();
    return ok || err_set(err, ERR_CONFIG, "revocation list '%s': no CRL in it, or a broken one", file);
}

/* ---- whose it is, and whether it is of a kind that we understand ---- */

static bool may_sign_crls(X509 *authority) {
    return (X509_get_extension_flags(authority) & EXFLAG_KUSAGE) == 0 || (X509_get_key_usage(authority) & KU_CRL_SIGN) != 0;
}

static X509 *find_signer(const struct certs_authorities *authorities, int first_anchor, X509_CRL *crl) {
    for (int i = first_anchor; i < sk_X509_num(authorities->anchors); i++) {
        X509 *anchor = sk_X509_value(authorities->anchors, i);
        if (X509_NAME_cmp(X509_get_subject_name(anchor), X509_CRL_get_issuer(crl)) == 0 && may_sign_crls(anchor) &&
            X509_CRL_verify(crl, X509_get0_pubkey(anchor)) == 1)
            return anchor;
    }
    return NULL;
}

/* A delta or an indirect list, or one for some reasons alone, does not say what we would take it to say. */
static bool is_whole(X509_CRL *crl) {
    int there = 0; /* −1: no such extension; one that cannot be read may say anything */
    ISSUING_DIST_POINT *point = X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, &there, NULL);
    bool whole = point != NULL ? point->indirectCRL <= 0 && point->onlysomereasons == NULL : there == -1;
    ISSUING_DIST_POINT_free(point);
    for (int i = 0; i < X509_CRL_get_ext_count(crl); i++) {
        X509_EXTENSION *extension = X509_CRL_get_ext(crl, i);
        int kind = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
        whole &= kind != NID_delta_crl && (kind == NID_issuing_distribution_point || X509_EXTENSION_get_critical(extension) == 0);
    }
    return whole;
}

static void write_name(const X509_NAME *name, char ret_text[CERTS_CRL_ISSUER_SIZE]) {
    BIO *bio CLEANUP(certs_x509_free_bio) = BIO_new(BIO_s_mem());
    if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
        int len = BIO_read(bio, ret_text, CERTS_CRL_ISSUER_SIZE - 1);
        ret_text[len > 0 ? len : 0] = '\0';
    }
}

/* ---- the set ---- */

static size_t place_of(const struct certs_authorities *authorities, uint64_t id) {
    size_t place = (size_t)id & (authorities->places - 1);
    while (authorities->revoked[place] != 0 && authorities->revoked[place] != id)
        place = (place + 1) & (authorities->places - 1);
    return place;
}

bool certs_crl_revoked(const struct certs_authorities *authorities, uint64_t certificate) {
    return authorities->places > 0 && authorities->revoked[place_of(authorities, certificate)] == certificate;
}

static size_t revoked_in(X509_CRL *crl) {
    int count = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl));
    return count > 0 ? (size_t)count : 0;
}

/* Room for so many more. */
static bool grow_set(struct certs_authorities *authorities, size_t more, struct err *err) {
    uint64_t *old = authorities->revoked;
    size_t old_places = authorities->places, places = 16;
    authorities->revoked_count += more;
    while (places < authorities->revoked_count * 2)
        places *= 2;
    uint64_t *revoked = calloc(places, sizeof(*revoked));
    if (revoked == NULL)
        return err_no_memory(err);
    authorities->revoked = revoked;
    authorities->places = places;
    for (size_t i = 0; i < old_places; i++)
        if (old[i] != 0)
            revoked[place_of(authorities, old[i])] = old[i];
    free(old);
    return true;
}

static bool take_revoked(struct certs_authorities *authorities, X509_CRL *crl, uint64_t issuer, struct err *err) {
    STACK_OF(X509_REVOKED) *list = X509_CRL_get_REVOKED(crl);
    for (int i = 0; i < sk_X509_REVOKED_num(list); i++) {
        uint64_t id;
        if (!certs_serial_id(issuer, X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(list, i)), &id, err))
            return false;
        authorities->revoked[place_of(authorities, id)] = id;
    }
    return true;
}

static bool take_crl(struct certs_authorities *authorities, int first_anchor, X509_CRL *crl, struct hash *hash, struct err *err) {
    struct certs_crl *out = &authorities->crls[authorities->crl_count];
    uint8_t digest[SHA256_SIZE];
    uint64_t issuer;
    write_name(X509_CRL_get_issuer(crl), out->issuer);
    X509 *signer = find_signer(authorities, first_anchor, crl);
    if (signer == NULL)
        return err_set(err, ERR_CONFIG, "the CRL of '%s' is not signed by a configured CA that may sign CRLs", out->issuer);
    if (!is_whole(crl))
        return err_set(err, ERR_CONFIG, "the CRL of '%s' is a delta, an indirect or a partial one, or has a critical extension that is not known",
                       out->issuer);
    if (X509_CRL_digest(crl, EVP_sha256(), digest, NULL) != 1)
        return err_set(err, ERR_CONFIG, "the CRL of '%s' cannot be hashed", out->issuer);
    if (!certs_x509_time(X509_CRL_get0_nextUpdate(crl), &out->next_update))
        out->next_update = INT64_MAX;
    out->revoked = revoked_in(crl);
    authorities->crl_count++;
    return hash_update(hash, digest, sizeof(digest), err) && certs_authority_id(signer, &issuer, err) && take_revoked(authorities, crl, issuer, err);
}

bool certs_crl_load(const char *file, int first_anchor, struct certs_authorities *authorities, struct hash *hash, struct err *err) {
    crl_stack *crls CLEANUP(free_crls) = sk_X509_CRL_new_null();
    size_t revoked = 0;
    if (!read_file(file, crls, err))
        return false;
    if ((size_t)sk_X509_CRL_num(crls) > CERTS_MAX_CRLS - authorities->crl_count)
        return err_set(err, ERR_CONFIG, "revocation list '%s': more than %d CRLs for one listener", file, CERTS_MAX_CRLS);
    for (int i = 0; i < sk_X509_CRL_num(crls); i++)
        revoked += revoked_in(sk_X509_CRL_value(crls, i));
    if (!grow_set(authorities, revoked, err))
        return false;
    for (int i = 0; i < sk_X509_CRL_num(crls); i++)
        if (!take_crl(authorities, first_anchor, sk_X509_CRL_value(crls, i), hash, err)) {
            ERR_clear_error();
            return err_prefix(err, "revocation list '%s'", file);
        }
    ERR_clear_error();
    return true;
}
