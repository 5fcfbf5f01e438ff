/* PROXY headers: which are taken, which are not, and which need more bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "server/proxy.h"

#define V2      "\r\n\r\n\0\r\nQUIT\n"
#define TEXT(s) s, sizeof(s) - 1

static const struct {
    const char *data;
    size_t len;
    enum proxy_verdict verdict;
    size_t header;      /* of PROXY_DONE */
    const char *source; /* NULL: none */
} cases[] = {
    {TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n\x16\x03"), PROXY_DONE, 45, "192.0.2.1"},
    {TEXT("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n"), PROXY_DONE, 44, "2001:db8::1"},
    {TEXT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), PROXY_DONE, 104,
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {TEXT("PROXY UNKNOWN\r\n"), PROXY_DONE, 15, NULL},
    {TEXT("PROXY UNKNOWN ffff::1 whatever 1 2\r\nrest"), PROXY_DONE, 36, NULL},
    {TEXT(""), PROXY_MORE, 0, NULL},
    {TEXT("PRO"), PROXY_MORE, 0, NULL},
    {TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r"), PROXY_MORE, 0, NULL},
    {TEXT("PROXY UNKNOWNS\r\n"), PROXY_REFUSED, 0, NULL},
    {TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n"), PROXY_MORE, 0, NULL}, /* until there are too many bytes, or the deadline comes */
    {TEXT("PROXY TCP4  192.0.2.1 198.51.100.1 56324 443\r\n"), PROXY_REFUSED, 0, NULL},
    {TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 \r\n"), PROXY_REFUSED, 0, NULL},
    {TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n"), PROXY_REFUSED, 0, NULL},
    {TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 056 443\r\n"), PROXY_REFUSED, 0, NULL},
    {TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n"), PROXY_REFUSED, 0, NULL},
    {TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 -1 443\r\n"), PROXY_REFUSED, 0, NULL},
    {TEXT("PROXY TCP4 192.0.2.256 198.51.100.1 1 443\r\n"), PROXY_REFUSED, 0, NULL},
    {TEXT("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"), PROXY_REFUSED, 0, NULL},
    {TEXT("PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n"), PROXY_REFUSED, 0, NULL},
    {TEXT("PROXY TCP4 192.0.2.1\0 198.51.100.1 1 2\r\n"), PROXY_REFUSED, 0, NULL},
    {TEXT("PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n"), PROXY_REFUSED, 0, NULL},
    {TEXT("proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n"), PROXY_REFUSED, 0, NULL},
    {TEXT("GET / HTTP/1.1\r\n"), PROXY_REFUSED, 0, NULL},
    {TEXT("\x16\x03\x01"), PROXY_REFUSED, 0, NULL}, /* a client that has come without its balancer's word */

    {TEXT(V2 "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\x30\x39\x01\xbb\x16\x03"), PROXY_DONE, 28, "192.0.2.1"},
    {TEXT(V2 "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\x30\x39\x01"), PROXY_MORE, 0, NULL},
    {TEXT(V2 "\x21\x11\x00\x0b\xc0\x00\x02\x01\xc6\x33\x64\x01\x30\x39\x01"), PROXY_REFUSED, 0, NULL},
    {TEXT(V2 "\x21\x21\x00\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x08\x30\x39\x01\xbb"), PROXY_DONE, 52,
     "2001:db8::7"},
    {TEXT(V2 "\x20\x00\x00\x00"), PROXY_DONE, 16, NULL},
    {TEXT(V2 "\x20\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\x30\x39\x01\xbb"), PROXY_DONE, 28, NULL}, /* LOCAL: what it says is nothing */
    {TEXT(V2 "\x20\x00\x00\x01x"), PROXY_DONE, 17, NULL},
    {TEXT(V2 "\x21\x00\x00\x00"), PROXY_DONE, 16, NULL},
    {TEXT(V2 "\x21\x11\x00\x10\xc0\x00\x02\x01\xc6\x33\x64\x01\x30\x39\x01\xbb\x04\x00\x01x"), PROXY_DONE, 32, "192.0.2.1"},
    {TEXT(V2 "\x21\x11\x00\x10\xc0\x00\x02\x01\xc6\x33\x64\x01\x30\x39\x01\xbb\x04\x00\x02x"), PROXY_REFUSED, 0, NULL}, /* a vector past the end */
    {TEXT(V2 "\x21\x11\x00\x0e\xc0\x00\x02\x01\xc6\x33\x64\x01\x30\x39\x01\xbb\x04\x00"), PROXY_REFUSED, 0, NULL},
    {TEXT(V2 "\x21\x11\x07\xf1"), PROXY_REFUSED, 0, NULL}, /* 2,033 bytes: one more than there is room for */
    {TEXT(V2 "\x21\x11\x07\xf0"), PROXY_MORE, 0, NULL},
    {TEXT(V2 "\x21\x11\xff\xff"), PROXY_REFUSED, 0, NULL},
    {TEXT(V2 "\x21\x12\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\x30\x39\x01\xbb"), PROXY_REFUSED, 0, NULL}, /* UDP */
    {TEXT(V2 "\x21\x31\x00\x00"), PROXY_REFUSED, 0, NULL},                                                 /* a Unix socket */
    {TEXT(V2 "\x22\x11\x00\x00"), PROXY_REFUSED, 0, NULL},
    {TEXT(V2 "\x11"), PROXY_REFUSED, 0, NULL},
    {TEXT(V2), PROXY_MORE, 0, NULL},
    {TEXT("\r\n\r\n\0\r\nQUIX"), PROXY_REFUSED, 0, NULL},
};

static void test_cases(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct proxy_header header = {.len = 999};
        char source[INET6_ADDRSTRLEN] = "";
        enum proxy_verdict verdict = proxy_parse(cases[i].data, cases[i].len, &header);
        if (verdict != cases[i].verdict)
            fail_msg("case %zu: %d, expected %d", i, verdict, cases[i].verdict);
        assert_int_equal(header.len, verdict == PROXY_DONE ? cases[i].header : 999);
        if (verdict != PROXY_DONE)
            continue;
        assert_int_equal(header.has_source, cases[i].source != NULL);
        if (header.has_source) {
            const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&header.source;
            const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&header.source;
            bool four = header.source.ss_family == AF_INET;
            inet_ntop(header.source.ss_family, four ? (const void *)&v4->sin_addr : (const void *)&v6->sin6_addr, source, sizeof(source));
            assert_string_equal(source, cases[i].source);
        }
    }
}

/* What is complete is incomplete without its last byte, at every length. */
static void test_every_prefix(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t len = 0; cases[i].verdict == PROXY_DONE && len < cases[i].header; len++) {
            struct proxy_header header;
            if (proxy_parse(cases[i].data, len, &header) != PROXY_MORE)
                fail_msg("case %zu, the first %zu bytes", i, len);
        }
}

static void test_endless_line(void **state) {
    char line[PROXY_MAX];
    struct proxy_header header;
    (void)state;
    memset(line, ' ', sizeof(line));
    memcpy(line, "PROXY UNKNOWN", 13);
    assert_int_equal(proxy_parse(line, PROXY_V1_MAX - 1, &header), PROXY_MORE);
    assert_int_equal(proxy_parse(line, PROXY_V1_MAX, &header), PROXY_REFUSED);
    memcpy(line + PROXY_V1_MAX - 1, "\r\n", 2); /* one byte too late */
    assert_int_equal(proxy_parse(line, sizeof(line), &header), PROXY_REFUSED);
    memcpy(line + PROXY_V1_MAX - 2, "\r\n", 2);
    assert_int_equal(proxy_parse(line, sizeof(line), &header), PROXY_DONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_endless_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
