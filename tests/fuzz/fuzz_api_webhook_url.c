/* Any text as a webhook's URL and as a list of networks: what is taken has the form that was asked for, and no host that is a private address. */
#include <stdlib.h>
#include <string.h>

#include "api/webhook_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_host(const char *url) {
    char host[300];
    struct network_address address;
    const char *from = url + (url[4] == 's' ? 8 : 7);
    size_t len = *from == '[' ? strcspn(++from, "]") : strcspn(from, ":/?");
    if (len == 0 || len >= sizeof(host))
        abort();
    memcpy(host, from, len);
    host[len] = '\0';
    if (network_address_parse(host, &address) && !network_is_public(&address))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct network_list none = {.count = 0};
    struct network_list list;
    struct err err;
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    bool https = api_webhook_url_check(text, false, &none, &err);
    bool plain = api_webhook_url_check(text, true, &none, &err);
    if (https && (!plain || strncmp(text, "https://", 8) != 0))
        abort();
    if (plain)
        check_host(text);
    if (network_list_parse(text, &list, &err) && list.count > NETWORK_LIST_MAX)
        abort();
    free(text);
    return 0;
}
