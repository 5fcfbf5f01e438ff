/* Bech32 (BIP 173), the text form of age's recipients and identities. */
#ifndef PAWL_TRUST_BECH32_H
#define PAWL_TRUST_BECH32_H

#include "common/err.h"

enum { BECH32_DATA_MAX = 64, BECH32_TEXT_SIZE = 160 };

/* Exactly data_len bytes under this lower-case prefix. The text is all lower or all upper case. False: anything else, and nothing is written. */
bool bech32_decode(const char *text, const char *prefix, size_t data_len, uint8_t *ret_data) MUST_USE;

/* data_len ≤ BECH32_DATA_MAX, prefix of at most 32 characters. */
void bech32_encode(const char *prefix, const uint8_t *data, size_t data_len, bool upper_case, char ret_text[BECH32_TEXT_SIZE]);

#endif
