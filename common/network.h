/* Networks and addresses: lists of networks as a configuration gives them, and which addresses belong to the public Internet. */
#ifndef PAWL_COMMON_NETWORK_H
#define PAWL_COMMON_NETWORK_H

#include "common/err.h"

/* An address as 16 bytes; IPv4 as ::ffff:a.b.c.d, so that one address has one form. */
struct network_address {
    uint8_t bytes[16];
};

struct network {
    struct network_address base;
    unsigned bits; /* of the 16 bytes: an IPv4 /8 is 104 */
};

enum { NETWORK_LIST_MAX = 32, NETWORK_TEXT_SIZE = 46 };

struct network_list {
    size_t count;
    struct network items[NETWORK_LIST_MAX];
};

/* Exactly one spelling of IPv4 (four decimal numbers), any of IPv6; no names, no brackets, no zone. */
bool network_address_parse(const char *text, struct network_address *ret_address);

/* Out of a struct sockaddr_in or sockaddr_in6. False: another family. */
bool network_address_of(const void *sockaddr, size_t len, struct network_address *ret_address);

void network_address_text(const struct network_address *address, char ret_text[NETWORK_TEXT_SIZE]);

/* "10.0.0.0/8 fd00::/8 192.0.2.7", separated by spaces; "" and NULL are an empty list. ERR_CONFIG naming the part, also when bits behind the prefix
 * are set. */
bool network_list_parse(const char *text, struct network_list *ret_list, struct err *err) MUST_USE;

bool network_list_has(const struct network_list *list, const struct network_address *address);

/* Global unicast that is nobody's own network: no loopback, private, shared, link-local, unique local, documentation, benchmark, multicast or
 * reserved one, and none that carries an IPv4 address inside (NAT64, 6to4, Teredo). RFC 6890, RFC 8215. */
bool network_is_public(const struct network_address *address);

#endif
