/* CAs and what they have revoked: which lists are taken, which are not, and who is out because of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "certs/authorities.h"
#include "common/clock.h"
#include "tests/unit/certs_make.h"

static struct made ca, other, namesake, mute, leaf, second;

static const struct certs_trust_files no_factories;

static int set_up(void **state) {
    struct make make = {.common_name = "mute", .basic = "critical,CA:TRUE", .usage = "keyCertSign", .eku = ""};
    folder_make(state);
    ca = make_ca("ca");
    other = make_ca("other");
    namesake = make_ca("ca");
    mute = make_certificate(&make, NULL);
    leaf = make_certificate(&(struct make){.san = "URI:urn:pawl:device:a"}, &ca);
    second = make_certificate(&(struct make){.san = "URI:urn:pawl:device:b"}, &ca);
    make_write(&ca, "ca");
    make_write(&other, "other");
    make_write(&mute, "mute");
    return 0;
}

static int tear_down(void **state) {
    struct made *const all[] = {&ca, &other, &namesake, &mute, &leaf, &second};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        make_free(all[i]);
    return folder_drop(state);
}

/* ---- helpers ---- */

static struct certs_lineage lineage_of(const struct made *const *chain, size_t count) {
    STACK_OF(X509) *stack = sk_X509_new_null();
    struct certs_lineage lineage;
    struct err err;
    for (size_t i = 0; i < count; i++)
        sk_X509_push(stack, chain[i]->certificate);
    if (!certs_lineage_of(stack, &lineage, &err))
        fail_msg("%s", err.text);
    sk_X509_free(stack);
    return lineage;
}

/* NULL: what is loaded says no, and *err why. */
static struct certs_authorities *load(const char *crl, struct err *err) {
    struct certs_authorities *authorities = NULL;
    const struct certs_trust_files files = {.ca = in_folder("ca.pem"), .crl = crl != NULL ? in_folder(crl) : NULL};
    return certs_authorities_load(&files, &no_factories, &authorities, err) ? authorities : NULL;
}

static void expect_refused(const char *crl, const char *why) {
    struct err err = {0};
    struct certs_authorities *authorities = load(crl, &err);
    if (authorities != NULL || err.code != ERR_CONFIG || strstr(err.text, why) == NULL || strstr(err.text, crl) == NULL)
        fail_msg("%s: '%s', expected '%s'", crl, err.text, why);
}

/* ---- the tests ---- */

static void test_without_a_list(void **state) {
    struct err err;
    struct certs_authorities *authorities = load(NULL, &err);
    struct certs_lineage good = lineage_of((const struct made *[]){&leaf, &ca}, 2);
    struct certs_lineage foreign = lineage_of((const struct made *[]){&leaf, &other}, 2);
    struct certs_lineage same_name = lineage_of((const struct made *[]){&leaf, &namesake}, 2);
    struct certs_lineage nothing = {0};
    (void)state;
    assert_non_null(authorities);
    assert_true(certs_authorities_admit(authorities, &good, &err));
    assert_false(certs_authorities_admit(authorities, &foreign, &err));
    assert_non_null(strstr(err.text, "not believed"));
    assert_false(certs_authorities_admit(authorities, &same_name, &err)); /* a CA is its name and its key */
    assert_false(certs_authorities_admit(authorities, &nothing, &err));
    certs_authorities_free(authorities);
}

static void test_revoked(void **state) {
    const struct made *const gone[] = {&leaf};
    struct err err = {0};
    (void)state;
    for (int der = 0; der < 2; der++) {
        make_crl(&(struct make_crl){.der = der}, &ca, gone, 1, in_folder("good.crl"));
        struct certs_authorities *authorities = load("good.crl", &err);
        if (authorities == NULL)
            fail_msg("%s", err.text);
        struct certs_lineage first = lineage_of((const struct made *[]){&leaf, &ca}, 2), rest = lineage_of((const struct made *[]){&second, &ca}, 2);
        assert_false(certs_authorities_admit(authorities, &first, &err));
        assert_non_null(strstr(err.text, "revoked"));
        assert_true(certs_authorities_admit(authorities, &rest, &err));
        assert_int_equal(authorities->crl_count, 1);
        assert_int_equal(authorities->crls[0].revoked, 1);
        assert_string_equal(authorities->crls[0].issuer, "CN=ca");
        certs_authorities_free(authorities);
    }
}

/* A revoked intermediate takes everything below it along. */
static void test_revoked_intermediate(void **state) {
    struct make make = {.common_name = "between", .basic = "critical,CA:TRUE", .usage = "keyCertSign,cRLSign", .eku = ""};
    struct made between = make_certificate(&make, &ca), below = make_certificate(&(struct make){.san = "URI:urn:pawl:device:c"}, &between);
    const struct made *const gone[] = {&between};
    struct certs_lineage lineage = lineage_of((const struct made *[]){&below, &between, &ca}, 3);
    struct err err;
    (void)state;
    make_crl(&(struct make_crl){0}, &ca, gone, 1, in_folder("between.crl"));
    struct certs_authorities *without = load(NULL, &err), *with = load("between.crl", &err);
    assert_true(certs_authorities_admit(without, &lineage, &err));
    assert_false(certs_authorities_admit(with, &lineage, &err));
    assert_non_null(strstr(err.text, "issuer is revoked"));
    certs_authorities_free(without);
    certs_authorities_free(with);
    make_free(&between);
    make_free(&below);
}

/* Past its next update it still counts; when that was is known. */
static void test_expired_list(void **state) {
    const struct made *const gone[] = {&leaf};
    struct certs_lineage lineage = lineage_of((const struct made *[]){&leaf, &ca}, 2);
    struct err err;
    (void)state;
    make_crl(&(struct make_crl){.next_in_s = -100}, &ca, gone, 1, in_folder("old.crl"));
    struct certs_authorities *authorities = load("old.crl", &err);
    assert_non_null(authorities);
    assert_true(authorities->crls[0].next_update < clock_now());
    assert_false(certs_authorities_admit(authorities, &lineage, &err));
    certs_authorities_free(authorities);
}

/* Several lists in one file, of several CAs with the same serial number: each speaks for its own. */
static void test_two_authorities(void **state) {
    struct make make = {.san = "URI:urn:pawl:device:a"};
    struct made theirs = make_certificate(&make, &other);
    struct err err;
    struct certs_authorities *authorities = NULL;
    (void)state;
    ASN1_INTEGER *serial = ASN1_INTEGER_dup(X509_get0_serialNumber(theirs.certificate));
    X509_set_serialNumber(theirs.certificate, X509_get_serialNumber(leaf.certificate));
    const struct made *const gone[] = {&leaf};
    make_join(in_folder("both.pem"), (const char *[]){in_folder("ca.pem"), in_folder("other.pem"), NULL});
    make_crl(&(struct make_crl){0}, &ca, gone, 1, in_folder("one.crl"));
    make_crl(&(struct make_crl){0}, &other, NULL, 0, in_folder("two.crl"));
    make_join(in_folder("lists.crl"), (const char *[]){in_folder("one.crl"), in_folder("two.crl"), NULL});
    assert_true(
        certs_authorities_load(&(struct certs_trust_files){in_folder("both.pem"), in_folder("lists.crl")}, &no_factories, &authorities, &err));
    assert_int_equal(authorities->crl_count, 2);
    struct certs_lineage ours = lineage_of((const struct made *[]){&leaf, &ca}, 2),
                         not_ours = lineage_of((const struct made *[]){&theirs, &other}, 2);
    assert_false(certs_authorities_admit(authorities, &ours, &err));
    assert_true(certs_authorities_admit(authorities, &not_ours, &err));
    certs_authorities_free(authorities);
    ASN1_INTEGER_free(serial);
    make_free(&theirs);
}

/* Two kinds of CA on one listener: each list is signed by a CA of its own kind, and both count. */
static void test_factories(void **state) {
    struct made theirs = make_certificate(&(struct make){.san = "URI:urn:pawl:device:z"}, &other);
    const struct made *const gone[] = {&leaf}, *const gone_there[] = {&theirs};
    struct certs_authorities *authorities = NULL, *without = NULL;
    char ca_file[256], other_file[256], own_crl[256], factory_crl[256];
    struct err err;
    (void)state;
    snprintf(ca_file, sizeof(ca_file), "%s/ca.pem", folder);
    snprintf(other_file, sizeof(other_file), "%s/other.pem", folder);
    snprintf(own_crl, sizeof(own_crl), "%s/own.crl", folder);
    snprintf(factory_crl, sizeof(factory_crl), "%s/factory.crl", folder);
    make_crl(&(struct make_crl){0}, &ca, gone, 1, own_crl);
    make_crl(&(struct make_crl){0}, &other, gone_there, 1, factory_crl);
    const struct certs_trust_files own = {ca_file, own_crl}, factory = {other_file, factory_crl};

    assert_true(certs_authorities_load(&own, &factory, &authorities, &err));
    assert_true(certs_authorities_load(&own, &(struct certs_trust_files){.ca = other_file}, &without, &err));
    struct certs_lineage ours = lineage_of((const struct made *[]){&leaf, &ca}, 2),
                         factorys = lineage_of((const struct made *[]){&theirs, &other}, 2);
    assert_int_equal(authorities->crl_count, 2);
    assert_false(certs_authorities_admit(authorities, &ours, &err));
    assert_false(certs_authorities_admit(authorities, &factorys, &err));
    assert_true(certs_authorities_admit(without, &factorys, &err));
    assert_memory_not_equal(authorities->digest, without->digest, sizeof(without->digest));
    assert_true(certs_authorities_is_factory(authorities, other.certificate));
    assert_false(certs_authorities_is_factory(authorities, ca.certificate));

    struct certs_authorities *crossed = NULL;
    assert_false(certs_authorities_load(&own, &(struct certs_trust_files){other_file, own_crl}, &crossed, &err));
    assert_non_null(strstr(err.text, "'CN=ca' is not signed by a configured CA"));
    certs_authorities_free(authorities);
    certs_authorities_free(without);
    make_free(&theirs);
}

static void test_refused_lists(void **state) {
    const struct made *const gone[] = {&leaf};
    struct err err;
    FILE *file = fopen(in_folder("nonsense.crl"), "w");
    (void)state;
    fputs("nonsense\n", file);
    fclose(file);
    make_crl(&(struct make_crl){0}, &other, gone, 1, in_folder("foreign.crl"));
    make_crl(&(struct make_crl){0}, &namesake, gone, 1, in_folder("namesake.crl"));
    make_crl(&(struct make_crl){.delta = 1}, &ca, gone, 1, in_folder("delta.crl"));
    make_crl(&(struct make_crl){.critical = 1}, &ca, gone, 1, in_folder("critical.crl"));
    make_crl(&(struct make_crl){.point = "critical,indirectCRL:TRUE"}, &ca, gone, 1, in_folder("indirect.crl"));
    make_crl(&(struct make_crl){.point = "critical,onlysomereasons:keyCompromise"}, &ca, gone, 1, in_folder("reasons.crl"));
    make_crl(&(struct make_crl){.damage = 1}, &ca, gone, 1, in_folder("damaged.crl"));
    expect_refused("nonsense.crl", "no CRL in it");
    expect_refused("absent.crl", "No such file");
    expect_refused("ca.pem", "no CRL in it");
    expect_refused("foreign.crl", "'CN=other' is not signed by a configured CA");
    expect_refused("namesake.crl", "'CN=ca' is not signed by a configured CA");
    expect_refused("damaged.crl", "is not signed by a configured CA");
    expect_refused("delta.crl", "a delta");
    expect_refused("critical.crl", "a critical extension that is not known");
    expect_refused("indirect.crl", "an indirect");
    expect_refused("reasons.crl", "a partial one");
    make_crl(&(struct make_crl){.point = "critical,DER:0500"}, &ca, gone, 1, in_folder("garbled.crl")); /* a NULL in the place of a SEQUENCE */
    expect_refused("garbled.crl", "a partial one");
    /* A CA whose key usage does not say that it signs lists. */
    struct certs_authorities *authorities = NULL;
    make_crl(&(struct make_crl){0}, &mute, gone, 1, in_folder("mute.crl"));
    assert_false(
        certs_authorities_load(&(struct certs_trust_files){in_folder("mute.pem"), in_folder("mute.crl")}, &no_factories, &authorities, &err));
    assert_non_null(strstr(err.text, "that may sign CRLs"));
    assert_null(authorities);
}

static void test_many(void **state) {
    enum { MANY = 20000 };
    struct err err;
    (void)state;
    make_crl(&(struct make_crl){.fill = MANY}, &ca, NULL, 0, in_folder("many.crl"));
    struct certs_authorities *authorities = load("many.crl", &err);
    uint64_t issuer, id;
    assert_non_null(authorities);
    assert_true(certs_authority_id(ca.certificate, &issuer, &err));
    struct certs_lineage lineage = {.issuers = {issuer, 0}};
    for (long serial = MAKE_CRL_FIRST - 100; serial < MAKE_CRL_FIRST + MANY + 100; serial++) {
        ASN1_INTEGER *number = ASN1_INTEGER_new();
        ASN1_INTEGER_set(number, serial);
        assert_true(certs_serial_id(issuer, number, &id, &err));
        lineage.certificates[0] = id;
        assert_int_equal(certs_authorities_admit(authorities, &lineage, &err), serial < MAKE_CRL_FIRST || serial >= MAKE_CRL_FIRST + MANY);
        ASN1_INTEGER_free(number);
    }
    certs_authorities_free(authorities);
}

/* A number and its negative are two certificates' serials. */
static void test_negative_serial(void **state) {
    uint64_t issuer, ids[2];
    struct err err;
    (void)state;
    assert_true(certs_authority_id(ca.certificate, &issuer, &err));
    for (int i = 0; i < 2; i++) {
        ASN1_INTEGER *number = ASN1_INTEGER_new();
        ASN1_INTEGER_set(number, i == 0 ? 77 : -77);
        assert_true(certs_serial_id(issuer, number, &ids[i], &err));
        ASN1_INTEGER_free(number);
    }
    assert_int_not_equal(ids[0], ids[1]);
}

/* The digest says whether anything has changed. */
static void test_digest(void **state) {
    struct err err;
    const struct made *const gone[] = {&leaf};
    (void)state;
    make_crl(&(struct make_crl){0}, &ca, gone, 1, in_folder("digest.crl"));
    struct certs_authorities *one = load("digest.crl", &err), *again = load("digest.crl", &err), *none = load(NULL, &err);
    make_crl(&(struct make_crl){0}, &ca, NULL, 0, in_folder("digest.crl"));
    struct certs_authorities *other_list = load("digest.crl", &err);
    assert_memory_equal(one->digest, again->digest, sizeof(one->digest));
    assert_memory_not_equal(one->digest, none->digest, sizeof(one->digest));
    assert_memory_not_equal(one->digest, other_list->digest, sizeof(one->digest));
    certs_authorities_free(one);
    certs_authorities_free(again);
    certs_authorities_free(none);
    certs_authorities_free(other_list);
}

static void test_lineage_bounds(void **state) {
    STACK_OF(X509) *chain = sk_X509_new_null();
    struct certs_lineage lineage;
    struct err err;
    (void)state;
    assert_false(certs_lineage_of(chain, &lineage, &err));
    for (int i = 0; i < CERTS_LINEAGE + 2; i++)
        sk_X509_push(chain, ca.certificate);
    assert_false(certs_lineage_of(chain, &lineage, &err));
    sk_X509_free(chain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_list),
        cmocka_unit_test(test_revoked),
        cmocka_unit_test(test_revoked_intermediate),
        cmocka_unit_test(test_expired_list),
        cmocka_unit_test(test_two_authorities),
        cmocka_unit_test(test_factories),
        cmocka_unit_test(test_refused_lists),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_negative_serial),
        cmocka_unit_test(test_lineage_bounds),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
