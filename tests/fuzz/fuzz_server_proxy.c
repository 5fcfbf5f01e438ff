/* PROXY headers: what is taken is bounded, begins as it must, and means the same whatever follows it; less of it is never more. */
#include <stdlib.h>
#include <string.h>

#include "server/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool fine) {
    if (!fine)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct proxy_header header = {0}, again = {0};
    uint8_t *copy = malloc(size + 1); /* of exactly that size, so that a byte too many is seen */
    check(copy != NULL);
    memcpy(copy, data, size);
    enum proxy_verdict verdict = proxy_parse(copy, size, &header);
    if (verdict == PROXY_DONE) {
        check(header.len <= size && header.len <= PROXY_MAX && header.len >= 15);
        check(memcmp(copy, "PROXY ", 6) == 0 || memcmp(copy, "\r\n\r\n\0\r\nQUIT\n", 12) == 0);
        check(!header.has_source || header.source.ss_family == AF_INET || header.source.ss_family == AF_INET6);
        check(proxy_parse(copy, header.len, &again) == PROXY_DONE && memcmp(&header, &again, sizeof(header)) == 0);
        check(proxy_parse(copy, header.len - 1, &again) == PROXY_MORE);
    }
    if (verdict == PROXY_MORE)
        check(size < PROXY_MAX);
    free(copy);
    return 0;
}
