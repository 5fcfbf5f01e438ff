/* Randomness from the kernel. */
#ifndef PAWL_COMMON_RANDOM_H
#define PAWL_COMMON_RANDOM_H

#include "common/defs.h"

void random_bytes(void *ret_data, size_t len);   /* never fails: aborts if the kernel has none */
void random_hex(char *ret_hex, size_t byte_len); /* 2 × byte_len digits and a NUL */
uint64_t random_below(uint64_t bound);           /* uniform in [0, bound); 0 for bound 0 */

#endif
