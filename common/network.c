#include "common/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/text.h"

enum { ALL_BITS = 128, V4_BITS = 96, PART_MAX = 64 };

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_v4(const struct network_address *address) {
    return memcmp(address->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool network_address_parse(const char *text, struct network_address *ret_address) {
    struct network_address address = {{0}};
    if (inet_pton(AF_INET6, text, address.bytes) != 1) {
        memcpy(address.bytes, v4_prefix, sizeof(v4_prefix));
        if (inet_pton(AF_INET, text, address.bytes + sizeof(v4_prefix)) != 1)
            return false;
    }
    *ret_address = address;
    return true;
}

bool network_address_of(const void *sockaddr, size_t len, struct network_address *ret_address) {
    const struct sockaddr_in *v4 = sockaddr;
    const struct sockaddr_in6 *v6 = sockaddr;
    if (len >= sizeof(*v6) && v6->sin6_family == AF_INET6) {
        memcpy(ret_address->bytes, &v6->sin6_addr, sizeof(ret_address->bytes));
        return true;
    }
    if (len < sizeof(*v4) || v4->sin_family != AF_INET)
        return false;
    memcpy(ret_address->bytes, v4_prefix, sizeof(v4_prefix));
    memcpy(ret_address->bytes + sizeof(v4_prefix), &v4->sin_addr, 4);
    return true;
}

void network_address_text(const struct network_address *address, char ret_text[NETWORK_TEXT_SIZE]) {
    bool v4 = is_v4(address);
    if (inet_ntop(v4 ? AF_INET : AF_INET6, address->bytes + (v4 ? sizeof(v4_prefix) : 0), ret_text, NETWORK_TEXT_SIZE) == NULL)
        ret_text[0] = '\0';
}

static bool bit_of(const struct network_address *address, unsigned bit) {
    return (address->bytes[bit / 8] & (0x80 >> (bit % 8))) != 0;
}

static bool begins(const uint8_t *bytes, const uint8_t *prefix, unsigned bits) {
    for (unsigned bit = 0; bit < bits; bit++)
        if (((bytes[bit / 8] ^ prefix[bit / 8]) & (0x80 >> (bit % 8))) != 0)
            return false;
    return true;
}

static bool parse(char *part, struct network *ret_network) {
    int64_t bits = -1;
    char *slash = strchr(part, '/');
    if (slash != NULL)
        *slash = '\0';
    if (!network_address_parse(part, &ret_network->base))
        return false;
    bool v4 = is_v4(&ret_network->base) && strchr(part, ':') == NULL;
    int64_t most = v4 ? ALL_BITS - V4_BITS : ALL_BITS;
    if (slash == NULL)
        bits = most;
    else if (!text_to_int(slash + 1, 0, most, &bits))
        return false;
    ret_network->bits = (unsigned)bits + (v4 ? V4_BITS : 0);
    for (unsigned bit = ret_network->bits; bit < ALL_BITS; bit++)
        if (bit_of(&ret_network->base, bit))
            return false;
    return true;
}

bool network_list_parse(const char *text, struct network_list *ret_list, struct err *err) {
    struct network_list list = {.count = 0};
    for (const char *at = text != NULL ? text : ""; *at != '\0';) {
        char part[PART_MAX];
        size_t len = strcspn(at, " ");
        if (len > 0 && list.count == NETWORK_LIST_MAX)
            return err_set(err, ERR_CONFIG, "more than %d networks", NETWORK_LIST_MAX);
        if (len > 0) {
            size_t kept = len < sizeof(part) ? len : sizeof(part) - 1;
            memcpy(part, at, kept);
            part[kept] = '\0';
            if (len >= sizeof(part) || !parse(part, &list.items[list.count++]))
                return err_set(err, ERR_CONFIG, "'%.*s' is no network: ADDRESS or ADDRESS/BITS is expected, without bits behind the prefix",
                               (int)(len < PART_MAX ? len : PART_MAX), at);
        }
        at += len;
        at += *at == ' ';
    }
    *ret_list = list;
    return true;
}

bool network_list_has(const struct network_list *list, const struct network_address *address) {
    for (size_t i = 0; i < list->count; i++)
        if (begins(address->bytes, list->items[i].base.bytes, list->items[i].bits))
            return true;
    return false;
}

/* Of IPv4, and of what 2000::/3 holds of IPv6: everything else is public. */
static const struct {
    uint8_t prefix[4];
    unsigned bits;
} not_public_v4[] = {
    {{0, 0, 0, 0}, 8},       /* this network */
    {{10, 0, 0, 0}, 8},      /* private */
    {{100, 64, 0, 0}, 10},   /* shared, behind a carrier's NAT */
    {{127, 0, 0, 0}, 8},     /* loopback */
    {{169, 254, 0, 0}, 16},  /* link-local; clouds keep credentials there */
    {{172, 16, 0, 0}, 12},   /* private */
    {{192, 0, 0, 0}, 24},    /* protocol assignments */
    {{192, 0, 2, 0}, 24},    /* documentation */
    {{192, 88, 99, 0}, 24},  /* 6to4 relays */
    {{192, 168, 0, 0}, 16},  /* private */
    {{198, 18, 0, 0}, 15},   /* benchmarks */
    {{198, 51, 100, 0}, 24}, /* documentation */
    {{203, 0, 113, 0}, 24},  /* documentation */
    {{224, 0, 0, 0}, 3},     /* multicast, reserved, broadcast */
};
static const struct {
    uint8_t prefix[4];
    unsigned bits;
} not_public_v6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23}, /* protocol assignments, Teredo among them */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x20, 0x02, 0x00, 0x00}, 16}, /* 6to4 */
    {{0x3f, 0xff, 0x00, 0x00}, 20}, /* documentation */
};

bool network_is_public(const struct network_address *address) {
    if (is_v4(address)) {
        for (size_t i = 0; i < ARRAY_LEN(not_public_v4); i++)
            if (begins(address->bytes + sizeof(v4_prefix), not_public_v4[i].prefix, not_public_v4[i].bits))
                return false;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(not_public_v6); i++)
        if (begins(address->bytes, not_public_v6[i].prefix, not_public_v6[i].bits))
            return false;
    return (address->bytes[0] & 0xe0) == 0x20;
}
