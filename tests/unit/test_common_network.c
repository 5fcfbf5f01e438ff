/* Networks: what a list holds, and which addresses are public. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/network.h"

static void test_public(void **state) {
    static const struct {
        const char *text;
        bool public;
    } rows[] = {
        {"8.8.8.8", true},
        {"93.184.216.34", true},
        {"172.15.255.255", true},
        {"172.32.0.0", true},
        {"100.63.255.255", true},
        {"100.128.0.0", true},
        {"223.255.255.255", true},
        {"0.0.0.0", false},
        {"0.1.2.3", false},
        {"10.0.0.1", false},
        {"100.64.0.1", false},
        {"100.127.255.255", false},
        {"127.0.0.1", false},
        {"127.255.255.254", false},
        {"169.254.169.254", false},
        {"172.16.0.1", false},
        {"172.31.255.255", false},
        {"192.0.0.8", false},
        {"192.0.2.1", false},
        {"192.168.1.1", false},
        {"198.18.0.1", false},
        {"198.19.255.255", false},
        {"198.51.100.1", false},
        {"203.0.113.9", false},
        {"224.0.0.1", false},
        {"239.255.255.255", false},
        {"240.0.0.1", false},
        {"255.255.255.255", false},
        {"2606:2800:220:1:248:1893:25c8:1946", true},
        {"2a00:1450:4001::1", true},
        {"::", false},
        {"::1", false},
        {"::ffff:127.0.0.1", false},
        {"::ffff:10.1.2.3", false},
        {"::ffff:8.8.8.8", true},
        {"::127.0.0.1", false},
        {"64:ff9b::7f00:1", false},
        {"64:ff9b:1::1", false},
        {"100::1", false},
        {"2001::1", false},
        {"2001:db8::1", false},
        {"2002:7f00:1::1", false},
        {"3fff::1", false},
        {"fc00::1", false},
        {"fd12:3456::1", false},
        {"fe80::1", false},
        {"fec0::1", false},
        {"ff02::1", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct network_address address;
        if (!network_address_parse(rows[i].text, &address) || network_is_public(&address) != rows[i].public)
            fail_msg("%s", rows[i].text);
    }
}

/* Forms that some resolvers take for an address are none here. */
static void test_other_spellings(void **state) {
    static const char *const bad[] = {"",      "127.1",  "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.01", "127.0.0.1 ",
                                      "[::1]", "::1%lo", "localhost",  "1.2.3.4.5",  "256.0.0.1",  ":::"};
    struct network_address address;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (network_address_parse(bad[i], &address))
            fail_msg("'%s' was taken", bad[i]);
}

static void test_lists(void **state) {
    static const struct {
        const char *address;
        bool inside;
    } rows[] = {{"10.1.2.3", true}, {"11.0.0.0", false}, {"127.0.0.1", true},   {"127.0.0.2", false},  {"::ffff:10.0.0.1", true},
                {"fd00::1", true},  {"fe00::1", false},  {"2001:db8::7", true}, {"2001:db8::8", false}};
    struct network_list list, empty;
    struct err err;
    (void)state;
    assert_true(network_list_parse("10.0.0.0/8  127.0.0.1 fd00::/8 2001:db8::7/128", &list, &err));
    assert_int_equal(list.count, 4);
    assert_true(network_list_parse(NULL, &empty, &err));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct network_address address;
        assert_true(network_address_parse(rows[i].address, &address));
        if (network_list_has(&list, &address) != rows[i].inside)
            fail_msg("%s", rows[i].address);
        assert_false(network_list_has(&empty, &address));
    }
    assert_true(network_list_parse("0.0.0.0/0 ::/0", &list, &err));
    struct network_address any;
    assert_true(network_address_parse("203.0.113.1", &any));
    assert_true(network_list_has(&list, &any));
}

static void test_bad_lists(void **state) {
    static const char *const bad[] = {"10.0.0.1/8",  "10.0.0.0/33",
                                      "10.0.0.0/-1", "10.0.0.0/",
                                      "::/129",      "fd00::1/64",
                                      "name",        "10.0.0.0/8,11.0.0.0/8",
                                      "1.2.3.4/x",   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    char many[33 * 8 + 1] = "";
    struct network_list list;
    struct err err;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (network_list_parse(bad[i], &list, &err))
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(err.code, ERR_CONFIG);
    }
    for (size_t i = 0; i < 33; i++)
        memcpy(many + i * 8, "1.2.3.4 ", 8);
    assert_false(network_list_parse(many, &list, &err));
}

static void test_sockaddr(void **state) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct network_address address;
    char text[NETWORK_TEXT_SIZE];
    (void)state;
    assert_true(network_address_of(&v4, sizeof(v4), &address));
    network_address_text(&address, text);
    assert_string_equal(text, "127.0.0.1");
    inet_pton(AF_INET6, "fe80::2", &v6.sin6_addr);
    assert_true(network_address_of(&v6, sizeof(v6), &address));
    network_address_text(&address, text);
    assert_string_equal(text, "fe80::2");
    v4.sin_family = AF_UNIX;
    assert_false(network_address_of(&v4, sizeof(v4), &address));
    assert_false(network_address_of(&v6, 4, &address));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_public), cmocka_unit_test(test_other_spellings), cmocka_unit_test(test_lists),
                                       cmocka_unit_test(test_bad_lists), cmocka_unit_test(test_sockaddr)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
