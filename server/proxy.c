#include "server/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/text.h"

static const char v1_start[] = "PROXY ";
static const uint8_t v2_start[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

enum { V2_FIXED = 16, V2_LOCAL = 0x20, V2_PROXY = 0x21, V2_UNSPEC = 0x00, V2_TCP4 = 0x11, V2_TCP6 = 0x21 };
enum { V2_ADDRESSES4 = 12, V2_ADDRESSES6 = 36, TLV_FIXED = 3 };

static void take_source(struct proxy_header *header, int family, const void *address, uint16_t port) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&header->source;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&header->source;
    header->has_source = true;
    header->source.ss_family = (sa_family_t)family;
    if (family == AF_INET) {
        memcpy(&v4->sin_addr, address, sizeof(v4->sin_addr));
        v4->sin_port = htons(port);
    } else {
        memcpy(&v6->sin6_addr, address, sizeof(v6->sin6_addr));
        v6->sin6_port = htons(port);
    }
}

/* ---- version 1: one line of text ---- */

/* The next word up to one space or the end; false: none, or too long. */
static bool next_word(const char **at, char *ret_word, size_t size) {
    size_t len = strcspn(*at, " ");
    if (len == 0 || len >= size)
        return false;
    memcpy(ret_word, *at, len);
    ret_word[len] = '\0';
    *at += len + ((*at)[len] == ' ');
    return true;
}

static bool read_port(const char *word, uint16_t *ret_port) {
    int64_t port;
    bool plain = strspn(word, "0123456789") == strlen(word) && (word[0] != '0' || word[1] == '\0');
    if (!plain || !text_to_int(word, 0, UINT16_MAX, &port))
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* Behind "TCP4 " or "TCP6 ": source, destination and their ports, one space between them. */
static bool read_line(const char *line, int family, struct proxy_header *header) {
    char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN], port[6], other_port[6];
    uint8_t from[16], to[16];
    uint16_t from_port, to_port;
    if (!next_word(&line, source, sizeof(source)) || !next_word(&line, destination, sizeof(destination)) || !next_word(&line, port, sizeof(port)) ||
        !next_word(&line, other_port, sizeof(other_port)) || *line != '\0' || line[-1] == ' ')
        return false;
    if (inet_pton(family, source, from) != 1 || inet_pton(family, destination, to) != 1 || !read_port(port, &from_port) ||
        !read_port(other_port, &to_port))
        return false;
    take_source(header, family, from, from_port);
    return true;
}

static enum proxy_verdict parse_v1(const char *data, size_t len, struct proxy_header *header) {
    char line[PROXY_V1_MAX + 1];
    size_t most = len < PROXY_V1_MAX ? len : PROXY_V1_MAX;
    const char *end = memmem(data, most, "\r\n", 2);
    if (!end)
        return len < PROXY_V1_MAX ? PROXY_MORE : PROXY_REFUSED;
    size_t text_len = (size_t)(end - data);
    if (memchr(data, '\0', text_len))
        return PROXY_REFUSED;
    memcpy(line, data, text_len);
    line[text_len] = '\0';
    const char *rest = line + strlen(v1_start);
    header->len = text_len + 2;
    if (strncmp(rest, "UNKNOWN", 7) == 0 && (rest[7] == '\0' || rest[7] == ' '))
        return PROXY_DONE;
    bool four = strncmp(rest, "TCP4 ", 5) == 0, six = strncmp(rest, "TCP6 ", 5) == 0;
    return (four || six) && read_line(rest + 5, four ? AF_INET : AF_INET6, header) ? PROXY_DONE : PROXY_REFUSED;
}

/* ---- version 2: binary ---- */

/* Type-length-value vectors to the last byte. What they say is not asked. */
static bool fit_vectors(const uint8_t *data, size_t len) {
    while (len > 0) {
        size_t whole = len >= TLV_FIXED ? TLV_FIXED + ((size_t)data[1] << 8 | data[2]) : len + 1;
        if (whole > len)
            return false;
        data += whole;
        len -= whole;
    }
    return true;
}

static bool read_addresses(const uint8_t *data, size_t len, uint8_t family, struct proxy_header *header) {
    size_t addresses = family == V2_TCP4 ? V2_ADDRESSES4 : family == V2_TCP6 ? V2_ADDRESSES6 : 0;
    if ((family != V2_UNSPEC && addresses == 0) || len < addresses)
        return false;
    if (family == V2_TCP4)
        take_source(header, AF_INET, data, (uint16_t)(data[8] << 8 | data[9]));
    else if (family == V2_TCP6)
        take_source(header, AF_INET6, data, (uint16_t)(data[32] << 8 | data[33]));
    return family == V2_UNSPEC || fit_vectors(data + addresses, len - addresses);
}

static enum proxy_verdict parse_v2(const uint8_t *data, size_t len, struct proxy_header *header) {
    if (len > 12 && data[12] != V2_LOCAL && data[12] != V2_PROXY)
        return PROXY_REFUSED;
    if (len < V2_FIXED)
        return PROXY_MORE;
    size_t rest = (size_t)data[14] << 8 | data[15];
    if (rest > PROXY_MAX - V2_FIXED)
        return PROXY_REFUSED;
    if (len < V2_FIXED + rest)
        return PROXY_MORE;
    header->len = V2_FIXED + rest;
    return data[12] == V2_LOCAL || read_addresses(data + V2_FIXED, rest, data[13], header) ? PROXY_DONE : PROXY_REFUSED;
}

static bool begins(const uint8_t *data, size_t len, const void *start, size_t start_len) {
    return memcmp(data, start, len < start_len ? len : start_len) == 0;
}

enum proxy_verdict proxy_parse(const void *data, size_t len, struct proxy_header *ret_header) {
    struct proxy_header header = {0};
    enum proxy_verdict verdict = PROXY_REFUSED;
    if (len == 0)
        return PROXY_MORE;
    if (begins(data, len, v2_start, sizeof(v2_start)))
        verdict = parse_v2(data, len, &header);
    else if (begins(data, len, v1_start, strlen(v1_start)))
        verdict = len < strlen(v1_start) ? PROXY_MORE : parse_v1(data, len, &header);
    if (verdict == PROXY_DONE)
        *ret_header = header;
    return verdict;
}
