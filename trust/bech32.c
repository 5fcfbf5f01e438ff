#include "trust/bech32.h"

#include <ctype.h>
#include <string.h>

static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

enum { CHECKSUM_LEN = 6, GROUP_BITS = 5, GROUPS_MAX = (BECH32_DATA_MAX * 8 + GROUP_BITS - 1) / GROUP_BITS, PREFIX_MAX = 32 };

static uint32_t polymod_step(uint32_t checksum, uint8_t group) {
    static const uint32_t generator[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
    uint32_t top = checksum >> 25;
    checksum = (checksum & 0x1ffffff) << 5 ^ group;
    for (size_t i = 0; i < ARRAY_LEN(generator); i++)
        if (top >> i & 1)
            checksum ^= generator[i];
    return checksum;
}

/* Over the expanded prefix and the groups. */
static uint32_t polymod(const char *prefix, const uint8_t *groups, size_t count) {
    uint32_t checksum = 1;
    for (const char *c = prefix; *c; c++)
        checksum = polymod_step(checksum, (uint8_t)*c >> 5);
    checksum = polymod_step(checksum, 0);
    for (const char *c = prefix; *c; c++)
        checksum = polymod_step(checksum, *c & 31);
    for (size_t i = 0; i < count; i++)
        checksum = polymod_step(checksum, groups[i]);
    return checksum;
}

/* The one case of all letters in *ret_upper; false when mixed. */
static bool one_case(const char *text, bool *ret_upper) {
    bool lower = false;
    bool upper = false;
    for (const char *c = text; *c; c++) {
        lower |= islower((unsigned char)*c) != 0;
        upper |= isupper((unsigned char)*c) != 0;
    }
    *ret_upper = upper;
    return !(lower && upper);
}

static bool read_prefix(const char *text, const char *prefix, const char **ret_rest) {
    for (; *prefix; prefix++, text++)
        if (tolower((unsigned char)*text) != *prefix)
            return false;
    *ret_rest = text + 1;
    return *text == '1';
}

static bool read_groups(const char *text, uint8_t *groups, size_t count) {
    if (strlen(text) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *at = strchr(alphabet, tolower((unsigned char)text[i]));
        if (at == NULL)
            return false;
        groups[i] = (uint8_t)(at - alphabet);
    }
    return true;
}

/* Five-bit groups to bytes; the bits left over must be zero. */
static bool join(const uint8_t *groups, size_t group_count, uint8_t *ret_data, size_t data_len) {
    uint32_t bits = 0;
    unsigned held = 0;
    size_t used = 0;
    for (size_t i = 0; i < group_count; i++) {
        bits = bits << GROUP_BITS | groups[i];
        held += GROUP_BITS;
        if (held >= 8 && used < data_len) {
            held -= 8;
            ret_data[used++] = (uint8_t)(bits >> held);
        }
        bits &= (1U << held) - 1;
    }
    return used == data_len && held < GROUP_BITS && bits == 0;
}

bool bech32_decode(const char *text, const char *prefix, size_t data_len, uint8_t *ret_data) {
    uint8_t groups[GROUPS_MAX + CHECKSUM_LEN];
    uint8_t data[BECH32_DATA_MAX];
    bool upper = false;
    const char *rest = NULL;
    if (data_len > BECH32_DATA_MAX || !one_case(text, &upper) || !read_prefix(text, prefix, &rest))
        return false;
    size_t group_count = (data_len * 8 + GROUP_BITS - 1) / GROUP_BITS;
    size_t total = group_count + CHECKSUM_LEN;
    if (!read_groups(rest, groups, total) || polymod(prefix, groups, total) != 1 || !join(groups, group_count, data, data_len))
        return false;
    memcpy(ret_data, data, data_len);
    return true;
}

static size_t split(const uint8_t *data, size_t data_len, uint8_t *groups) {
    uint32_t bits = 0;
    unsigned held = 0;
    size_t count = 0;
    for (size_t i = 0; i < data_len; i++) {
        bits = bits << 8 | data[i];
        held += 8;
        while (held >= GROUP_BITS) {
            held -= GROUP_BITS;
            groups[count++] = bits >> held & 31;
        }
        bits &= (1U << held) - 1;
    }
    if (held > 0)
        groups[count++] = (uint8_t)(bits << (GROUP_BITS - held) & 31);
    return count;
}

void bech32_encode(const char *prefix, const uint8_t *data, size_t data_len, bool upper_case, char ret_text[BECH32_TEXT_SIZE]) {
    uint8_t groups[GROUPS_MAX + CHECKSUM_LEN] = {0};
    size_t count = split(data, data_len, groups);
    uint32_t checksum = polymod(prefix, groups, count + CHECKSUM_LEN) ^ 1;
    for (size_t i = 0; i < CHECKSUM_LEN; i++)
        groups[count + i] = checksum >> 5 * (CHECKSUM_LEN - 1 - i) & 31;
    size_t len = strnlen(prefix, PREFIX_MAX);
    memcpy(ret_text, prefix, len);
    ret_text[len++] = '1';
    for (size_t i = 0; i < count + CHECKSUM_LEN; i++)
        ret_text[len++] = alphabet[groups[i]];
    ret_text[len] = '\0';
    for (char *c = ret_text; upper_case && *c; c++)
        *c = (char)toupper((unsigned char)*c);
}
