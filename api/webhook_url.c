#include "api/webhook_url.h"

#include <string.h>

#include "common/text.h"

enum { HOST_MAX = 253 };

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

static bool bad(struct err *err, const char *why) {
    return err_set_field(err, ERR_INVALID, "url", "'url' %s", why);
}

static bool is_printable_ascii(const char *text) {
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~' || strchr("\"<>\\^`{|}#", *text) != NULL)
            return false;
    return true;
}

static bool check_address(const char *text, const struct network_list *allowed, struct err *err) {
    struct network_address address;
    if (!network_address_parse(text, &address))
        return bad(err, "has an address that is none");
    if (network_is_public(&address) || network_list_has(allowed, &address))
        return true;
    return bad(err, "has an address of a private, local or reserved network, which [webhooks] allow does not list");
}

/* A name whose last part begins with a letter cannot be read as an address, whatever a resolver takes for one (0x7f.1, 2130706433). */
static bool check_name(const char *host, const struct network_list *allowed, struct err *err) {
    const char *dot = strrchr(host, '.');
    const char *last = dot != NULL ? dot + 1 : host;
    if (strspn(host, LETTERS DIGITS "-.") != strlen(host) || host[0] == '.' || host[0] == '-' || strstr(host, "..") != NULL)
        return bad(err, "has a host that is no name");
    if (last[0] != '\0' && strchr(LETTERS, last[0]) != NULL)
        return true;
    return strspn(host, DIGITS ".") == strlen(host) && strchr(host, '.') != NULL ? check_address(host, allowed, err)
                                                                                 : bad(err, "has a host that is neither a name nor an address");
}

/* "host", "host:port", "[v6]", "[v6]:port". */
static bool check_authority(const char *text, size_t len, const struct network_list *allowed, struct err *err) {
    char host[HOST_MAX + 1];
    bool brackets = len > 0 && text[0] == '[';
    const char *end = brackets ? memchr(text, ']', len) : NULL;
    if (brackets && end == NULL)
        return bad(err, "has a bracket that is not closed");
    const char *from = text + (brackets ? 1 : 0);
    const char *colon = brackets ? end + 1 : memchr(text, ':', len);
    const char *to = brackets ? end : colon != NULL ? colon : text + len;
    if (to == from || (size_t)(to - from) > HOST_MAX)
        return bad(err, "has no host, or one that is too long");
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = '\0';
    if (colon != NULL && colon < text + len) {
        int64_t port;
        if (*colon != ':' || !text_to_int_n(colon + 1, (size_t)(text + len - colon - 1), 1, UINT16_MAX, &port))
            return bad(err, "has a port that is no number from 1 to 65535");
    }
    return brackets ? check_address(host, allowed, err) : check_name(host, allowed, err);
}

bool api_webhook_url_check(const char *url, bool plain, const struct network_list *allowed, struct err *err) {
    bool https = text_starts(url, "https://");
    if (!https && !text_starts(url, "http://"))
        return bad(err, "must begin with https://");
    if (!https && !plain)
        return bad(err, "must begin with https:// ([webhooks] plain_http allows http://)");
    if (strlen(url) > WEBHOOK_URL_MAX)
        return bad(err, "is longer than 2048 bytes");
    if (!is_printable_ascii(url))
        return bad(err, "has a character that belongs in no URL, or a fragment");
    const char *authority = url + (https ? 8 : 7);
    size_t len = strcspn(authority, "/?");
    if (memchr(authority, '@', len) != NULL)
        return bad(err, "names a user: put no credentials into it");
    return check_authority(authority, len, allowed, err);
}
