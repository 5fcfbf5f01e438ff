#include "common/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/hex.h"

void random_bytes(void *ret_data, size_t len) {
    uint8_t *bytes = ret_data;
    while (len > 0) {
        ssize_t got = getrandom(bytes, len, 0);
        if (got < 0 && errno != EINTR)
            abort();
        if (got > 0) {
            bytes += got;
            len -= (size_t)got;
        }
    }
}

void random_hex(char *ret_hex, size_t byte_len) {
    uint8_t chunk[32];
    ret_hex[0] = '\0';
    while (byte_len > 0) {
        size_t part = byte_len < sizeof(chunk) ? byte_len : sizeof(chunk);
        random_bytes(chunk, part);
        hex_encode(chunk, part, ret_hex);
        ret_hex += 2 * part;
        byte_len -= part;
    }
}

uint64_t random_below(uint64_t bound) {
    if (bound == 0)
        return 0;
    uint64_t excess = (UINT64_MAX % bound + 1) % bound; /* values at the top that would favour small results */
    uint64_t value;
    do
        random_bytes(&value, sizeof(value));
    while (value > UINT64_MAX - excess);
    return value % bound;
}
