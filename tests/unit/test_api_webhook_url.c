/* Which URLs a webhook may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "api/webhook_url.h"

static void check(const char *url, bool plain, const struct network_list *allowed, bool expected) {
    struct err err = {0};
    bool got = api_webhook_url_check(url, plain, allowed, &err);
    if (got != expected)
        fail_msg("%s: %s", url, got ? "taken" : err.text);
    if (!got)
        assert_true(err.code == ERR_INVALID && strcmp(err.field, "url") == 0);
}

static void test_urls(void **state) {
    static const char *const good[] = {
        "https://example.com",
        "https://example.com/",
        "https://example.com:8443/hook?x=1&y=%20",
        "https://hooks.example-site.co.uk/a/b/c~d",
        "https://93.184.216.34/",
        "https://[2606:2800:220:1:248:1893:25c8:1946]:8443/x",
        "https://localhost/",
        "https://example.com?x",
        "https://xn--bcher-kva.example/",
    };
    static const char *const bad[] = {
        "",
        "https",
        "https:/",
        "https://",
        "https:///x",
        "HTTPS://example.com/",
        "http://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "https://user@example.com/",
        "https://user:word@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com:/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:80x/",
        "https://example.com:-1/",
        "https://exa mple.com/",
        "https://example.com/\n",
        "https://example.com/#a",
        "https://example.com/\\x",
        "https://ex\xc3\xa4mple.com/",
        "https://.example.com/",
        "https://-x.example.com/",
        "https://a..b/",
        "https://example.com./",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://0x7f.1/",
        "https://1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://[example.com]/",
        "https://[]/",
        "https://[2606:2800::1]x/",
        "https://[2606:2800::1]:x/",
        "https://169.254.169.254/latest/meta-data",
        "https://example_com/",
        "https://exam%70le.com/",
    };
    struct network_list none = {.count = 0}, some;
    struct err err;
    (void)state;
    assert_true(network_list_parse("10.0.0.0/8 ::1", &some, &err));
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        check(good[i], false, &none, true);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        check(bad[i], false, &none, false);
    check("https://10.1.2.3/", false, &some, true);
    check("https://[::1]:443/", false, &some, true);
    check("https://[::ffff:10.9.9.9]/", false, &some, true);
    check("https://192.168.0.1/", false, &some, false);
    check("http://example.com/", true, &none, true);
    check("http://127.0.0.1/", true, &none, false);
}

static void test_lengths(void **state) {
    static char url[WEBHOOK_URL_MAX + 2];
    struct network_list none = {.count = 0};
    (void)state;
    memset(url, 'a', sizeof(url) - 1);
    memcpy(url, "https://example.com/", 20);
    check(url, false, &none, false);
    url[WEBHOOK_URL_MAX] = '\0';
    check(url, false, &none, true);
    memset(url, 'a', 300);
    memcpy(url, "https://", 8);
    url[8 + 253] = '/';
    check(url, false, &none, true);
    url[8 + 253] = 'a';
    url[8 + 254] = '/';
    check(url, false, &none, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_urls), cmocka_unit_test(test_lengths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
