/* Which certificates speak for a device, and which do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "certs/identity.h"
#include "common/hash.h"
#include "tests/unit/certs_make.h"

#define URN   "URI:urn:pawl:device:"
#define ADMIN "URI:urn:pawl:admin:"
#define A16   "aaaaaaaaaaaaaaaa"
#define A64   A16 A16 A16 A16

static const struct {
    const char *what;
    struct make make;
    enum certs_id_source source;
    const char *id; /* NULL: refused */
} cases[] = {
    {"plain", {.san = URN "dev-1"}, CERTS_ID_SAN_URI, "dev-1"},
    {"every character", {.san = URN "AZaz09._-:x"}, CERTS_ID_SAN_URI, "AZaz09._-:x"},
    {"64 bytes", {.san = URN A64}, CERTS_ID_SAN_URI, A64},
    {"65 bytes", {.san = URN A64 "b"}, CERTS_ID_SAN_URI, NULL},
    {"no id", {.san = URN}, CERTS_ID_SAN_URI, NULL},
    {"a slash", {.san = URN "a/b"}, CERTS_ID_SAN_URI, NULL},
    {"a space", {.san = URN "a b"}, CERTS_ID_SAN_URI, NULL},
    {"dots only", {.san = URN ".."}, CERTS_ID_SAN_URI, NULL},
    {"another urn", {.san = "URI:urn:pawl:operator:dev-1"}, CERTS_ID_SAN_URI, NULL},
    {"urn in capitals", {.san = "URI:URN:pawl:device:dev-1"}, CERTS_ID_SAN_URI, NULL},
    {"a URL", {.san = "URI:https://dev-1"}, CERTS_ID_SAN_URI, NULL},
    {"no SAN", {.common_name = "dev-1"}, CERTS_ID_SAN_URI, NULL},
    {"DNS only", {.san = "DNS:dev-1"}, CERTS_ID_SAN_URI, NULL},
    {"DNS beside", {.san = "DNS:dev-9," URN "dev-1"}, CERTS_ID_SAN_URI, "dev-1"},
    {"two ids", {.san = URN "dev-1," URN "dev-2"}, CERTS_ID_SAN_URI, NULL},
    {"the same id twice", {.san = URN "dev-1," URN "dev-1"}, CERTS_ID_SAN_URI, NULL},
    {"another URI beside", {.san = URN "dev-1,URI:https://x"}, CERTS_ID_SAN_URI, NULL},
    {"no EKU", {.san = URN "dev-1", .eku = ""}, CERTS_ID_SAN_URI, NULL},
    {"serverAuth", {.san = URN "dev-1", .eku = "serverAuth"}, CERTS_ID_SAN_URI, NULL},
    {"any EKU", {.san = URN "dev-1", .eku = "anyExtendedKeyUsage"}, CERTS_ID_SAN_URI, NULL},
    {"both EKU", {.san = URN "dev-1", .eku = "serverAuth,clientAuth"}, CERTS_ID_SAN_URI, "dev-1"},
    {"a CA", {.san = URN "dev-1", .basic = "critical,CA:TRUE", .usage = "keyCertSign,digitalSignature"}, CERTS_ID_SAN_URI, NULL},
    {"no digitalSignature", {.san = URN "dev-1", .usage = "keyEncipherment"}, CERTS_ID_SAN_URI, NULL},
    {"P-384", {.san = URN "dev-1", .key = "P-384"}, CERTS_ID_SAN_URI, "dev-1"},
    {"P-521", {.san = URN "dev-1", .key = "P-521"}, CERTS_ID_SAN_URI, NULL},
    {"Ed25519", {.san = URN "dev-1", .key = "ED25519"}, CERTS_ID_SAN_URI, "dev-1"},
    {"RSA 2048", {.san = URN "dev-1", .key = "RSA2048"}, CERTS_ID_SAN_URI, "dev-1"},
    {"RSA 1024", {.san = URN "dev-1", .key = "RSA1024"}, CERTS_ID_SAN_URI, NULL},
    {"SHA-384", {.san = URN "dev-1", .digest = "SHA384"}, CERTS_ID_SAN_URI, "dev-1"},
    {"SHA-1", {.san = URN "dev-1", .digest = "SHA1"}, CERTS_ID_SAN_URI, NULL},
    {"CN", {.common_name = "dev-1"}, CERTS_ID_COMMON_NAME, "dev-1"},
    {"CN beside a SAN", {.common_name = "dev-1", .san = URN "dev-2"}, CERTS_ID_COMMON_NAME, "dev-1"},
    {"no CN", {.common_name = "", .san = URN "dev-2"}, CERTS_ID_COMMON_NAME, NULL},
    {"two CN", {.common_name = "dev-1", .second_common_name = 1}, CERTS_ID_COMMON_NAME, NULL},
    {"CN with a space", {.common_name = "dev 1"}, CERTS_ID_COMMON_NAME, NULL},
    {"an administrator is no device", {.san = ADMIN "alice"}, CERTS_ID_SAN_URI, NULL},
    {"administrator", {.san = ADMIN "alice"}, CERTS_ID_ADMIN_URI, "alice"},
    {"a device is no administrator", {.san = URN "alice"}, CERTS_ID_ADMIN_URI, NULL},
    {"administrator without a name", {.san = ADMIN}, CERTS_ID_ADMIN_URI, NULL},
    {"two administrators", {.san = ADMIN "alice," ADMIN "bob"}, CERTS_ID_ADMIN_URI, NULL},
    {"administrator and device", {.san = ADMIN "alice," URN "alice"}, CERTS_ID_ADMIN_URI, NULL},
    {"administrator by CN alone", {.common_name = "alice"}, CERTS_ID_ADMIN_URI, NULL},
    {"administrator and serverAuth", {.san = ADMIN "alice", .eku = "serverAuth"}, CERTS_ID_ADMIN_URI, NULL},
    {"CN and serverAuth", {.common_name = "dev-1", .eku = "serverAuth"}, CERTS_ID_COMMON_NAME, NULL},
};

static void test_cases(void **state) {
    struct made ca = make_ca("ca");
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct made leaf = make_certificate(&cases[i].make, &ca);
        struct certs_identity identity = {.id = "untouched"};
        struct err err = {0};
        bool ok = certs_identity_from_x509(leaf.certificate, cases[i].source, &identity, &err);
        if (ok != (cases[i].id != NULL) || strcmp(identity.id, cases[i].id != NULL ? cases[i].id : "untouched") != 0)
            fail_msg("%s: ok=%d id='%s' error='%s'", cases[i].what, ok, identity.id, err.text);
        if (!ok)
            assert_int_equal(err.code, ERR_IDENTITY);
        make_free(&leaf);
    }
    make_free(&ca);
}

static void test_nul_in_uri(void **state) {
    /* "dev-1\0.evil" must not become "dev-1": the IA5String is put in by hand, because no configuration text can hold a NUL. */
    static const char text[] = "urn:pawl:device:dev-1\0.evil";
    struct made ca = make_ca("ca");
    struct make make = {0};
    struct made leaf = make_certificate(&make, &ca);
    struct certs_identity identity;
    struct err err = {0};
    (void)state;
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *uri = ASN1_IA5STRING_new();
    ASN1_STRING_set(uri, text, sizeof(text) - 1);
    GENERAL_NAME_set0_value(name, GEN_URI, uri);
    sk_GENERAL_NAME_push(names, name);
    assert_int_equal(X509_add1_ext_i2d(leaf.certificate, NID_subject_alt_name, names, 0, 0), 1);
    GENERAL_NAMES_free(names);
    assert_true(X509_sign(leaf.certificate, ca.key, EVP_sha256()) > 0);
    assert_false(certs_identity_from_x509(leaf.certificate, CERTS_ID_SAN_URI, &identity, &err));
    make_free(&leaf);
    make_free(&ca);
}

static void test_pin_and_times(void **state) {
    struct made ca = make_ca("ca");
    struct make make = {.san = URN "dev-1", .starts_in_s = -100, .ends_in_s = 1000};
    struct made leaf = make_certificate(&make, &ca);
    struct certs_identity identity;
    struct err err;
    uint8_t digest[32];
    unsigned char *der = NULL;
    (void)state;
    int len = i2d_PUBKEY(leaf.key, &der);
    assert_true(hash_sha256(der, (size_t)len, digest, &err));
    OPENSSL_free(der);
    assert_true(certs_identity_from_x509(leaf.certificate, CERTS_ID_SAN_URI, &identity, &err));
    assert_memory_equal(identity.spki_sha256, digest, sizeof(digest));
    assert_int_equal(identity.not_after - identity.not_before, 1100);
    make_free(&leaf);
    make_free(&ca);
}

static void test_chain(void **state) {
    struct made ca = make_ca("ca");
    struct make weak = {.common_name = "weak", .key = "RSA1024", .basic = "critical,CA:TRUE", .usage = "keyCertSign", .eku = ""};
    struct make good = {.san = URN "dev-1"};
    struct made between = make_certificate(&weak, &ca);
    struct made leaf = make_certificate(&good, &ca);
    struct err err;
    (void)state;
    STACK_OF(X509) *chain = sk_X509_new_null();
    assert_false(certs_identity_check_chain(chain, &err));
    sk_X509_push(chain, leaf.certificate);
    sk_X509_push(chain, ca.certificate);
    assert_true(certs_identity_check_chain(chain, &err));
    sk_X509_insert(chain, between.certificate, 1);
    assert_false(certs_identity_check_chain(chain, &err));
    sk_X509_set(chain, 1, leaf.certificate);
    assert_true(certs_identity_check_chain(chain, &err));
    sk_X509_push(chain, ca.certificate);
    assert_false(certs_identity_check_chain(chain, &err));
    sk_X509_free(chain);
    make_free(&leaf);
    make_free(&between);
    make_free(&ca);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_nul_in_uri),
        cmocka_unit_test(test_pin_and_times),
        cmocka_unit_test(test_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
