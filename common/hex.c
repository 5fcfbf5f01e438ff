#include "common/hex.h"

#include <string.h>

enum { LINE_BYTES = 48 /* 64 digits */ };

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void hex_encode(const void *data, size_t len, char *ret_hex) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++) {
        ret_hex[2 * i] = hex_digits[bytes[i] >> 4];
        ret_hex[2 * i + 1] = hex_digits[bytes[i] & 0x0f];
    }
    ret_hex[2 * len] = '\0';
}

static int hex_value(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return -1;
}

bool hex_decode(const char *hex, size_t hex_len, void *ret_data) {
    uint8_t *bytes = ret_data;
    if (hex_len % 2 != 0)
        return false;
    for (size_t i = 0; i < hex_len; i++)
        if (hex_value(hex[i]) < 0)
            return false;
    for (size_t i = 0; i < hex_len / 2; i++)
        bytes[i] = (uint8_t)(hex_value(hex[2 * i]) << 4 | hex_value(hex[2 * i + 1]));
    return true;
}

bool hex_is_digest(const char *text) {
    return strspn(text, hex_digits) == 64 && text[64] == '\0';
}

/* Full groups of three bytes, then the rest of one or two, padded or not. */
static void encode(struct buf *out, const void *data, size_t len, const char *digits, bool pad) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t group = (uint32_t)bytes[i] << 16;
        if (left > 1)
            group |= (uint32_t)bytes[i + 1] << 8;
        if (left > 2)
            group |= bytes[i + 2];
        char text[4] = {digits[group >> 18 & 63], digits[group >> 12 & 63], digits[group >> 6 & 63], digits[group & 63]};
        size_t size = left > 2 ? 4 : left + 1;
        buf_append(out, text, size);
        if (pad && size < 4)
            buf_append(out, "==", 4 - size);
    }
}

void base64_encode(struct buf *out, const void *data, size_t len) {
    encode(out, data, len, base64_digits, true);
}

void base64_encode_lines(struct buf *out, const void *data, size_t len) {
    for (size_t at = 0; at < len; at += LINE_BYTES) {
        base64_encode(out, (const char *)data + at, len - at < LINE_BYTES ? len - at : LINE_BYTES);
        buf_byte(out, '\n');
    }
}

void base64url_encode(struct buf *out, const void *data, size_t len) {
    encode(out, data, len, base64url_digits, false);
}

static int base64_value(char digit) {
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

/* One group of four digits, of which the last .pad are "="; the bits that pad must be zero, so that every byte string has one form. */
static bool decode_group(const char *text, size_t pad, uint8_t ret_bytes[3]) {
    uint32_t group = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < 4 - pad ? base64_value(text[i]) : 0;
        if (value < 0)
            return false;
        group = group << 6 | (uint32_t)value;
    }
    if ((pad == 1 && (group & 0xff) != 0) || (pad == 2 && (group & 0xffff) != 0))
        return false;
    ret_bytes[0] = (uint8_t)(group >> 16);
    ret_bytes[1] = (uint8_t)(group >> 8);
    ret_bytes[2] = (uint8_t)group;
    return true;
}

bool base64_decode(struct buf *out, const char *text, size_t len, struct err *err) {
    size_t start = out->len;
    if (len % 4 != 0)
        return err_set(err, ERR_INVALID, "base64 of %zu digits: the length must be a multiple of 4", len);
    for (size_t i = 0; i < len; i += 4) {
        bool last = i + 4 == len;
        size_t pad = !last || text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
        uint8_t bytes[3];
        if (!decode_group(text + i, pad, bytes)) {
            if (out->data != NULL)
                out->data[start] = '\0';
            out->len = start;
            return err_set(err, ERR_INVALID, "not base64 at digit %zu", i);
        }
        buf_append(out, bytes, 3 - pad);
    }
    return buf_ok(out, "base64 data", err);
}
