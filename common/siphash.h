/* SipHash-1-3: a hash for tables whose keys come from clients. With a random key of this process nobody can aim at one bucket. */
#ifndef PAWL_COMMON_SIPHASH_H
#define PAWL_COMMON_SIPHASH_H

#include "common/defs.h"

/* Filled by random_bytes(). */
struct siphash_key {
    uint64_t k0, k1;
};

uint64_t siphash(struct siphash_key key, const void *data, size_t len);
uint64_t siphash_text(struct siphash_key key, const char *text);

#endif
