/* The header of an age file: the part of seal_internal.h that wraps the file key for its recipients. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#include "common/hash.h"
#include "common/hex.h"
#include "trust/seal_internal.h"

enum {
    LINE_COLUMNS = 64,
    MAC_SIZE = 32,
    WRAPPED_SIZE = SEAL_FILE_KEY_SIZE + SEAL_TAG_SIZE,
    SHARE_DIGITS = 43, /* 32 bytes in base64 without padding */
    WRAPPED_DIGITS = 43,
    ARGUMENTS_MAX = 16,
};

static const char version_line[] = "age-encryption.org/v1";
static const char wrap_info[] = "age-encryption.org/v1/X25519";
static const char stanza_start[] = "-> ";
static const char mac_start[] = "---";
static const uint8_t zero_nonce[SEAL_NONCE_SIZE];

/* age's base64: the standard alphabet, no padding, and only the one spelling of each value. */
static void write_base64(struct buf *out, const void *data, size_t len) {
    base64_encode(out, data, len);
    while (out->len > 0 && out->data[out->len - 1] == '=')
        out->data[--out->len] = '\0';
}

static bool read_base64(const char *text, size_t digits, void *ret_data, size_t size) {
    CLEANUP(buf_free) struct buf padded = BUF_INIT(LINE_COLUMNS + 4);
    CLEANUP(buf_free) struct buf data = BUF_INIT(LINE_COLUMNS);
    struct err ignored;
    if (digits > LINE_COLUMNS || memchr(text, '=', digits) != NULL)
        return false;
    buf_append(&padded, text, digits);
    while (padded.len % 4 != 0)
        buf_byte(&padded, '=');
    if (!base64_decode(&data, padded.data, padded.len, &ignored) || data.len != size)
        return false;
    memcpy(ret_data, data.data, size);
    OPENSSL_cleanse(data.data, data.len);
    return true;
}

/* X25519 (RFC 7748); false also for a share of low order, whose secret would be zero. */
static bool agree(const uint8_t secret[SEAL_KEY_SIZE], const uint8_t public_key[SEAL_KEY_SIZE], uint8_t ret_shared[SEAL_KEY_SIZE]) {
    EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, SEAL_KEY_SIZE);
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public_key, SEAL_KEY_SIZE);
    EVP_PKEY_CTX *context = own != NULL ? EVP_PKEY_CTX_new(own, NULL) : NULL;
    size_t len = SEAL_KEY_SIZE;
    bool fine = context != NULL && peer != NULL && EVP_PKEY_derive_init(context) == 1 && EVP_PKEY_derive_set_peer(context, peer) == 1 &&
                EVP_PKEY_derive(context, ret_shared, &len) == 1 && len == SEAL_KEY_SIZE;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(own);
    return fine;
}

/* The key that wraps the file key between an ephemeral share and a recipient. */
static bool wrap_key(const uint8_t shared[SEAL_KEY_SIZE], const uint8_t share[SEAL_KEY_SIZE], const struct seal_recipient *recipient,
                     uint8_t ret_key[SEAL_KEY_SIZE], struct err *err) {
    uint8_t salt[2 * SEAL_KEY_SIZE];
    memcpy(salt, share, SEAL_KEY_SIZE);
    memcpy(salt + SEAL_KEY_SIZE, recipient->public_key, SEAL_KEY_SIZE);
    return seal_derive(shared, SEAL_KEY_SIZE, salt, sizeof salt, wrap_info, ret_key, err);
}

static bool header_mac(const char *header, size_t len, const uint8_t file_key[SEAL_FILE_KEY_SIZE], uint8_t ret_mac[MAC_SIZE], struct err *err) {
    uint8_t key[SEAL_KEY_SIZE];
    unsigned mac_len = MAC_SIZE;
    bool fine = seal_derive(file_key, SEAL_FILE_KEY_SIZE, NULL, 0, "header", key, err);
    if (fine && HMAC(EVP_sha256(), key, sizeof key, (const unsigned char *)header, len, ret_mac, &mac_len) == NULL)
        fine = err_set(err, ERR_INTERNAL, "HMAC-SHA-256 failed");
    OPENSSL_cleanse(key, sizeof key);
    return fine;
}

static bool write_stanza(struct buf *out, const struct seal_recipient *recipient, const uint8_t file_key[SEAL_FILE_KEY_SIZE], struct err *err) {
    struct seal_identity ephemeral;
    struct seal_recipient share;
    uint8_t shared[SEAL_KEY_SIZE];
    uint8_t key[SEAL_KEY_SIZE];
    uint8_t wrapped[WRAPPED_SIZE];
    bool fine = seal_identity_generate(&ephemeral, err) && seal_identity_recipient(&ephemeral, &share, err);
    if (fine && !agree(ephemeral.secret_key, recipient->public_key, shared))
        fine = err_set(err, ERR_INVALID, "a recipient's key is not usable");
    fine = fine && wrap_key(shared, share.public_key, recipient, key, err) &&
           seal_encrypt(key, zero_nonce, file_key, SEAL_FILE_KEY_SIZE, wrapped, err);
    if (fine) {
        buf_text(out, "-> X25519 ");
        write_base64(out, share.public_key, SEAL_KEY_SIZE);
        buf_byte(out, '\n');
        write_base64(out, wrapped, sizeof wrapped);
        buf_byte(out, '\n');
    }
    OPENSSL_cleanse(&ephemeral, sizeof ephemeral);
    OPENSSL_cleanse(shared, sizeof shared);
    OPENSSL_cleanse(key, sizeof key);
    return fine;
}

bool seal_header_write(struct buf *out, const struct seal_recipients *recipients, const uint8_t file_key[SEAL_FILE_KEY_SIZE], struct err *err) {
    uint8_t mac[MAC_SIZE];
    size_t start = out->len;
    buf_printf(out, "%s\n", version_line);
    for (size_t i = 0; i < recipients->count; i++)
        if (!write_stanza(out, &recipients->items[i], file_key, err))
            return false;
    buf_text(out, mac_start);
    if (!buf_ok(out, "header of a sealed file", err) || !header_mac(out->data + start, out->len - start, file_key, mac, err))
        return false;
    buf_byte(out, ' ');
    write_base64(out, mac, sizeof mac);
    buf_byte(out, '\n');
    return buf_ok(out, "header of a sealed file", err);
}

/* What is left of a header that is being read. */
struct cursor {
    const char *at;
    const char *end;
};

struct line {
    const char *text;
    size_t len;
};

static bool next_line(struct cursor *cursor, struct line *ret_line, struct err *err) {
    const char *feed = memchr(cursor->at, '\n', (size_t)(cursor->end - cursor->at));
    if (feed == NULL)
        return err_set(err, ERR_FORMAT, "the header of the sealed file is cut off");
    *ret_line = (struct line){.text = cursor->at, .len = (size_t)(feed - cursor->at)};
    cursor->at = feed + 1;
    for (size_t i = 0; i < ret_line->len; i++)
        if (ret_line->text[i] < ' ' || ret_line->text[i] > '~')
            return err_set(err, ERR_FORMAT, "the header of the sealed file has a byte that is not printable ASCII");
    return true;
}

static bool line_starts(struct line line, const char *prefix) {
    size_t len = strlen(prefix);
    return line.len >= len && memcmp(line.text, prefix, len) == 0;
}

/* One stanza: arguments, and the body as digits of base64. */
struct stanza {
    struct line arguments[ARGUMENTS_MAX];
    size_t argument_count;
    struct line body; /* its first line */
    size_t body_lines;
};

static bool read_arguments(struct line line, struct stanza *stanza, struct err *err) {
    const char *at = line.text;
    const char *end = line.text + line.len;
    stanza->argument_count = 0;
    for (;;) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        const char *stop = space != NULL ? space : end;
        if (stop == at || stanza->argument_count == ARGUMENTS_MAX)
            return err_set(err, ERR_FORMAT, "a recipient line of the sealed file has an empty argument or more than %d", ARGUMENTS_MAX);
        stanza->arguments[stanza->argument_count++] = (struct line){.text = at, .len = (size_t)(stop - at)};
        if (space == NULL)
            return true;
        at = space + 1;
    }
}

static bool is_base64_line(struct line line) {
    uint8_t data[LINE_COLUMNS];
    return line.len <= LINE_COLUMNS && line.len % 4 != 1 && (line.len == 0 || read_base64(line.text, line.len, data, line.len * 3 / 4));
}

/* Lines of exactly 64 columns, then one that is shorter, perhaps empty. */
static bool read_body(struct cursor *cursor, struct stanza *stanza, struct err *err) {
    struct line line;
    stanza->body_lines = 0;
    do {
        if (!next_line(cursor, &line, err))
            return false;
        if (!is_base64_line(line))
            return err_set(err, ERR_FORMAT, "a recipient's body in the sealed file is not base64 in lines of %d columns", LINE_COLUMNS);
        if (stanza->body_lines++ == 0)
            stanza->body = line;
    } while (line.len == LINE_COLUMNS);
    return true;
}

static bool is_type(const struct stanza *stanza, const char *type) {
    return stanza->arguments[0].len == strlen(type) && memcmp(stanza->arguments[0].text, type, stanza->arguments[0].len) == 0;
}

/* Tries one identity on one X25519 stanza; *ret_opened says whether it fitted. */
static bool try_identity(const struct seal_identity *identity, const uint8_t share[SEAL_KEY_SIZE], const uint8_t wrapped[WRAPPED_SIZE],
                         uint8_t ret_file_key[SEAL_FILE_KEY_SIZE], bool *ret_opened, struct err *err) {
    struct seal_recipient own;
    uint8_t shared[SEAL_KEY_SIZE];
    uint8_t key[SEAL_KEY_SIZE];
    if (!seal_identity_recipient(identity, &own, err))
        return false;
    if (!agree(identity->secret_key, share, shared))
        return err_set(err, ERR_FORMAT, "a recipient's share in the sealed file is of low order");
    bool fine = wrap_key(shared, share, &own, key, err);
    *ret_opened = fine && seal_decrypt(key, zero_nonce, wrapped, WRAPPED_SIZE, ret_file_key);
    OPENSSL_cleanse(shared, sizeof shared);
    OPENSSL_cleanse(key, sizeof key);
    return fine;
}

static bool try_stanza(const struct stanza *stanza, const struct seal_identities *identities, uint8_t ret_file_key[SEAL_FILE_KEY_SIZE], bool *opened,
                       struct err *err) {
    uint8_t share[SEAL_KEY_SIZE];
    uint8_t wrapped[WRAPPED_SIZE];
    if (!is_type(stanza, "X25519"))
        return true;
    if (stanza->argument_count != 2 || !read_base64(stanza->arguments[1].text, stanza->arguments[1].len, share, sizeof share))
        return err_set(err, ERR_FORMAT, "an X25519 recipient of the sealed file has no share of 32 bytes");
    if (stanza->body_lines != 1 || !read_base64(stanza->body.text, stanza->body.len, wrapped, sizeof wrapped))
        return err_set(err, ERR_FORMAT, "an X25519 recipient of the sealed file has no body of %d bytes", WRAPPED_SIZE);
    for (size_t i = 0; i < identities->count && !*opened; i++)
        if (!try_identity(&identities->items[i], share, wrapped, ret_file_key, opened, err))
            return false;
    return true;
}

/* "--- " and the code over everything up to and including the dashes. */
static bool check_mac(const char *header, struct line line, const uint8_t file_key[SEAL_FILE_KEY_SIZE], struct err *err) {
    uint8_t expected[MAC_SIZE];
    uint8_t mac[MAC_SIZE];
    size_t dashes = sizeof mac_start - 1;
    if (line.len <= dashes + 1 || line.text[dashes] != ' ' || !read_base64(line.text + dashes + 1, line.len - dashes - 1, mac, sizeof mac))
        return err_set(err, ERR_FORMAT, "the header of the sealed file has no authentication code of %d bytes", MAC_SIZE);
    if (!header_mac(header, (size_t)(line.text - header) + dashes, file_key, expected, err))
        return false;
    return hash_equal(mac, expected, sizeof mac) || err_set(err, ERR_DECRYPT, "the header of the sealed file was changed");
}

bool seal_header_open(const char *header, size_t len, const struct seal_identities *identities, uint8_t ret_file_key[SEAL_FILE_KEY_SIZE],
                      struct err *err) {
    struct cursor cursor = {.at = header, .end = header + len};
    struct line line;
    uint8_t file_key[SEAL_FILE_KEY_SIZE] = {0};
    bool opened = false;
    size_t stanzas = 0;
    if (!next_line(&cursor, &line, err))
        return false;
    if (line.len != strlen(version_line) || !line_starts(line, version_line))
        return err_set(err, ERR_FORMAT, "not an age v1 file");
    for (;; stanzas++) {
        struct stanza stanza;
        if (!next_line(&cursor, &line, err))
            return false;
        if (line_starts(line, mac_start))
            break;
        if (!line_starts(line, stanza_start))
            return err_set(err, ERR_FORMAT, "a line in the header of the sealed file begins neither a recipient nor the end");
        line.text += strlen(stanza_start);
        line.len -= strlen(stanza_start);
        if (!read_arguments(line, &stanza, err) || !read_body(&cursor, &stanza, err) || !try_stanza(&stanza, identities, file_key, &opened, err))
            return false;
        if (is_type(&stanza, "scrypt"))
            return err_set(err, ERR_DECRYPT, "sealed with a passphrase; Pawl opens files for X25519 recipients only");
    }
    if (stanzas == 0)
        return err_set(err, ERR_FORMAT, "the header of the sealed file names no recipient");
    if (!opened)
        return err_set(err, ERR_DECRYPT, "none of the %zu identities opens the file", identities->count);
    bool fine = check_mac(header, line, file_key, err);
    if (fine)
        memcpy(ret_file_key, file_key, sizeof file_key);
    OPENSSL_cleanse(file_key, sizeof file_key);
    return fine;
}
