/* Requests in, certificates out, and the PKCS#7 around them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "certs/armour.h"
#include "certs/issue.h"
#include "certs/pem.h"
#include "certs/pkcs7.h"
#include "certs/request.h"
#include "common/hex.h"
#include "tests/unit/certs_make.h"

enum { NOW = 1800000000, DAY = 86400 };

/* How a request is spoilt. */
struct spoil {
    const char *name; /* CN; NULL: "dev-1" */
    const char *digest;
    bool flip;       /* a bit of the signature */
    bool foreign;    /* signed by another key */
    bool compressed; /* the point */
    bool tail;       /* a byte behind the request */
    bool two_names;
};

static void request_of(EVP_PKEY *key, const struct spoil *spoil, struct buf *out) {
    X509_REQ *request = X509_REQ_new();
    EVP_PKEY *other = make_key("P-256");
    X509_NAME *subject = X509_REQ_get_subject_name(request);
    const char *name = spoil->name != NULL ? spoil->name : "dev-1";
    for (int i = 0; i < (spoil->two_names ? 2 : 1) && name[0] != '\0'; i++)
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
    if (spoil->compressed)
        EVP_PKEY_set_utf8_string_param(key, "point-format", "compressed");
    X509_REQ_set_pubkey(request, key);
    EVP_PKEY *signer = spoil->foreign ? other : key;
    const EVP_MD *digest = EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519 ? NULL
                                                                            : EVP_get_digestbyname(spoil->digest != NULL ? spoil->digest : "SHA256");
    assert_true(X509_REQ_sign(request, signer, digest) > 0);
    unsigned char *der = NULL;
    int len = i2d_X509_REQ(request, &der);
    if (spoil->flip)
        der[len - 5] ^= 1;
    struct buf bytes = BUF_INIT(65536);
    buf_append(&bytes, der, (size_t)len);
    if (spoil->tail)
        buf_byte(&bytes, 0);
    base64_encode_lines(out, bytes.data, bytes.len);
    buf_free(&bytes);
    OPENSSL_free(der);
    EVP_PKEY_free(other);
    X509_REQ_free(request);
}

/* ERR_NONE: it was taken. */
static enum err_code read_with(const char *kind, const struct spoil *spoil, struct certs_request *ret_request, struct arena *arena) {
    struct buf text CLEANUP(buf_free) = BUF_INIT(65536);
    struct err err = {0};
    EVP_PKEY *key = make_key(kind);
    request_of(key, spoil, &text);
    bool ok = certs_request_read(arena, text.data, text.len, ret_request, &err);
    EVP_PKEY_free(key);
    return ok ? ERR_NONE : err.code;
}

static void test_keys(void **state) {
    static const struct {
        const char *kind;
        struct spoil spoil;
        enum err_code code;
    } cases[] = {
        {"P-256", {.name = NULL}, ERR_NONE},    {"P-384", {.digest = "SHA384"}, ERR_NONE},   {"ED25519", {.name = NULL}, ERR_NONE},
        {"RSA2048", {.name = NULL}, ERR_NONE},  {"RSA2048", {.digest = "SHA512"}, ERR_NONE}, {"RSA1024", {.name = NULL}, ERR_INVALID},
        {"P-521", {.name = NULL}, ERR_INVALID}, {"P-192", {.name = NULL}, ERR_INVALID},      {"P-256", {.digest = "SHA1"}, ERR_INVALID},
        {"P-256", {.flip = true}, ERR_INVALID}, {"P-256", {.foreign = true}, ERR_INVALID},   {"P-256", {.compressed = true}, ERR_INVALID},
        {"P-256", {.tail = true}, ERR_INVALID},
    };
    struct arena arena CLEANUP(arena_clear);
    struct certs_request request;
    (void)state;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum err_code code = read_with(cases[i].kind, &cases[i].spoil, &request, &arena);
        if (code != cases[i].code)
            fail_msg("case %zu (%s): %s where %s was expected", i, cases[i].kind, err_slug(code), err_slug(cases[i].code));
    }
}

/* The public exponent 1 makes every signature valid. */
static void test_exponent(void **state) {
    struct arena arena CLEANUP(arena_clear);
    struct buf text CLEANUP(buf_free) = BUF_INIT(65536);
    struct certs_request request;
    struct err err;
    BIGNUM *three = BN_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
    EVP_PKEY *key = NULL;
    (void)state;
    arena_init(&arena, 1 << 20);
    BN_set_word(three, 3);
    assert_int_equal(EVP_PKEY_keygen_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048), 1);
    assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, three), 1);
    assert_int_equal(EVP_PKEY_generate(context, &key), 1);
    request_of(key, &(struct spoil){.name = NULL}, &text);
    assert_false(certs_request_read(&arena, text.data, text.len, &request, &err));
    assert_int_equal(err.code, ERR_INVALID);
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(context);
    BN_free(three);
}

static void test_names(void **state) {
    struct arena arena CLEANUP(arena_clear);
    struct certs_request request;
    (void)state;
    arena_init(&arena, 1 << 20);
    assert_int_equal(read_with("P-256", &(struct spoil){.name = "kitchen-1"}, &request, &arena), ERR_NONE);
    assert_string_equal(request.common_name, "kitchen-1");
    assert_int_equal(read_with("P-256", &(struct spoil){.name = "no id"}, &request, &arena), ERR_NONE);
    assert_string_equal(request.common_name, "");
    assert_int_equal(read_with("P-256", &(struct spoil){.name = ""}, &request, &arena), ERR_NONE);
    assert_string_equal(request.common_name, "");
    assert_int_equal(read_with("P-256", &(struct spoil){.two_names = true}, &request, &arena), ERR_NONE);
    assert_string_equal(request.common_name, "");
}

static void test_armour(void **state) {
    static const char *const good[] = {"AAECAwQF", "AAEC\nAwQF\n", "  AAEC\r\nAwQF\r\n",
                                       "-----BEGIN CERTIFICATE REQUEST-----\nAAEC\nAwQF\n-----END CERTIFICATE REQUEST-----\n"};
    static const char *const bad[] = {"", " \n", "AAEC!", "AAECA", "AAEC=AwQF", "-----BEGIN CERTIFICATE REQUEST-----"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct buf der CLEANUP(buf_free) = BUF_INIT(64);
        struct err err;
        assert_true(certs_armour_read(good[i], strlen(good[i]), "it", &der, &err));
        assert_int_equal(der.len, 6);
        assert_memory_equal(der.data, "\0\1\2\3\4\5", 6);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf der CLEANUP(buf_free) = BUF_INIT(64);
        struct err err;
        assert_false(certs_armour_read(bad[i], strlen(bad[i]), "it", &der, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void write_key(EVP_PKEY *key, const char *path, const char *passphrase) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(
        PEM_write_PKCS8PrivateKey(file, key, passphrase != NULL ? EVP_aes_256_cbc() : NULL, NULL, 0, NULL, (void *)(uintptr_t)passphrase), 1);
    fclose(file);
    chmod(path, 0400);
}

/* A CA in the folder, its key once more with a passphrase. */
static struct made authority_new(void) {
    struct made made = make_ca("Device CA");
    make_write(&made, "ca");
    write_key(made.key, in_folder("enc.key"), "a passphrase");
    return made;
}

static void test_load(void **state) {
    struct made authority CLEANUP(make_free) = authority_new();
    struct certs_issuer *issuer = NULL;
    struct err err;
    (void)state;
    assert_false(certs_issue_load(in_folder("ca.pem"), in_folder("ca.key"), "a passphrase", 12, &issuer, &err));
    assert_int_equal(err.code, ERR_KEY); /* not encrypted */
    assert_false(certs_issue_load(in_folder("ca.pem"), in_folder("enc.key"), "another", 7, &issuer, &err));
    assert_int_equal(err.code, ERR_PASSPHRASE);
    chmod(in_folder("enc.key"), 0444);
    assert_false(certs_issue_load(in_folder("ca.pem"), in_folder("enc.key"), "a passphrase", 12, &issuer, &err));
    assert_int_equal(err.code, ERR_KEY); /* others can read it */
    chmod(in_folder("enc.key"), 0600);
    EVP_PKEY *other = make_key("P-256");
    write_key(other, in_folder("enc.key"), "a passphrase");
    EVP_PKEY_free(other);
    assert_false(certs_issue_load(in_folder("ca.pem"), in_folder("enc.key"), "a passphrase", 12, &issuer, &err));
    assert_int_equal(err.code, ERR_KEY); /* of another CA */
    struct made leaf = make_certificate(&(struct make){.san = "URI:urn:pawl:device:x"}, &authority);
    make_write(&leaf, "ca");
    make_free(&leaf);
    assert_false(certs_issue_load(in_folder("ca.pem"), in_folder("enc.key"), "a passphrase", 12, &issuer, &err));
    assert_int_equal(err.code, ERR_CONFIG); /* no CA */
}

static void test_issue(void **state) {
    struct made authority CLEANUP(make_free) = authority_new();
    struct arena arena CLEANUP(arena_clear);
    struct buf key CLEANUP(buf_wipe) = BUF_INIT(8192);
    struct buf text CLEANUP(buf_free) = BUF_INIT(65536);
    struct buf reply CLEANUP(buf_free) = BUF_INIT(65536);
    struct buf pem CLEANUP(buf_free) = BUF_INIT(65536);
    struct certs_issuer *issuer = NULL;
    struct certs_request request;
    struct certs_issued issued, again;
    struct certs_pem_identity identity;
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 20);
    if (!certs_issue_load(in_folder("ca.pem"), in_folder("enc.key"), "a passphrase", 12, &issuer, &err) || !certs_request_new_key(&key, &err) ||
        !certs_request_make(key.data, key.len, "asked-for", &text, &err) || !certs_request_read(&arena, text.data, text.len, &request, &err))
        fail_msg("%s", err.text);
    int64_t now = (int64_t)1 << 31; /* far off: both CA and order are then judged by the injected time */
    struct certs_order order = {.device_id = "dev-1", .spki = request.spki, .spki_len = request.spki_len, .now = now, .lifetime_s = 90 * DAY};
    assert_false(certs_issue_sign(issuer, &order, &arena, &issued, &err));
    assert_int_equal(err.code, ERR_EXPIRED);
    struct tm ends;
    ASN1_TIME_to_tm(X509_get0_notAfter(authority.certificate), &ends);
    int64_t ca_ends = (int64_t)timegm(&ends);
    order.now = ca_ends - 5 * DAY;
    if (!certs_issue_sign(issuer, &order, &arena, &issued, &err) || !certs_issue_sign(issuer, &order, &arena, &again, &err))
        fail_msg("%s", err.text);
    assert_int_equal(issued.not_after, ca_ends); /* never longer than the CA */
    assert_int_equal(issued.not_before, order.now - CERTS_CLOCK_SKEW_S);
    assert_int_equal(strlen(issued.serial), 32);
    assert_string_not_equal(issued.serial, again.serial);

    if (!certs_pkcs7_one(issued.der, issued.len, &reply, &err) || !certs_pkcs7_first(reply.data, reply.len, &pem, &err) ||
        !certs_request_matches(&pem, &key, &err) || !certs_pem_device(pem.data, pem.len, "it", false, &identity, &err))
        fail_msg("%s", err.text);
    assert_string_equal(identity.id, "dev-1"); /* not what was asked for */
    assert_int_equal(identity.not_after, issued.not_after);
    struct buf other CLEANUP(buf_wipe) = BUF_INIT(8192);
    assert_true(certs_request_new_key(&other, &err));
    assert_false(certs_request_matches(&pem, &other, &err));
    assert_false(certs_pkcs7_first("AAAA", 4, &pem, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    certs_issue_free(issuer);
}

static void test_bundle(void **state) {
    struct made authority CLEANUP(make_free) = authority_new();
    struct buf reply CLEANUP(buf_free) = BUF_INIT(65536);
    struct buf pem CLEANUP(buf_free) = BUF_INIT(65536);
    struct err err;
    char text[4096] = "";
    (void)state;
    FILE *file = fopen(in_folder("ca.pem"), "r");
    size_t len = fread(text, 1, sizeof(text), file);
    fclose(file);
    assert_true(certs_pkcs7_all(text, len, "ca.pem", &reply, &err));
    assert_true(certs_pkcs7_first(reply.data, reply.len, &pem, &err));
    assert_int_equal(pem.len, len);
    assert_memory_equal(pem.data, text, len);
    text[100] = '!';
    assert_false(certs_pkcs7_all(text, len, "ca.pem", &reply, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    assert_false(certs_pkcs7_all("", 0, "ca.pem", &reply, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys), cmocka_unit_test(test_exponent), cmocka_unit_test(test_names),  cmocka_unit_test(test_armour),
        cmocka_unit_test(test_load), cmocka_unit_test(test_issue),    cmocka_unit_test(test_bundle),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_drop);
}
