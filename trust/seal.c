#include "trust/seal.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "trust/seal_internal.h"

enum { PAYLOAD_SALT_SIZE = 16, SEALED_CHUNK_SIZE = SEAL_CHUNK_SIZE + SEAL_TAG_SIZE };

bool seal_derive(const void *secret, size_t secret_len, const void *salt, size_t salt_len, const char *info, uint8_t ret_key[SEAL_KEY_SIZE],
                 struct err *err) {
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, secret_len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, strlen(info)),
        OSSL_PARAM_construct_end(),
        OSSL_PARAM_construct_end(),
    };
    if (salt_len > 0)
        params[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, salt_len);
    bool fine = context != NULL && EVP_KDF_derive(context, ret_key, SEAL_KEY_SIZE, params) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return fine || err_set(err, ERR_INTERNAL, "HKDF-SHA-256 failed");
}

static bool run_cipher(EVP_CIPHER_CTX *context, const uint8_t *in, size_t len, uint8_t *out) {
    int used = 0;
    int last = 0;
    return EVP_CipherUpdate(context, out, &used, in, (int)len) == 1 && EVP_CipherFinal_ex(context, out + used, &last) == 1;
}

bool seal_encrypt(const uint8_t key[SEAL_KEY_SIZE], const uint8_t nonce[SEAL_NONCE_SIZE], const void *plain, size_t len, uint8_t *ret_sealed,
                  struct err *err) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool fine = context != NULL && EVP_CipherInit_ex(context, EVP_chacha20_poly1305(), NULL, key, nonce, 1) == 1 &&
                run_cipher(context, plain, len, ret_sealed) &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_SIZE, ret_sealed + len) == 1;
    EVP_CIPHER_CTX_free(context);
    return fine || err_set(err, ERR_INTERNAL, "ChaCha20-Poly1305 failed");
}

bool seal_decrypt(const uint8_t key[SEAL_KEY_SIZE], const uint8_t nonce[SEAL_NONCE_SIZE], const void *sealed, size_t len, uint8_t *ret_plain) {
    if (len < SEAL_TAG_SIZE)
        return false;
    size_t plain_len = len - SEAL_TAG_SIZE;
    uint8_t tag[SEAL_TAG_SIZE];
    memcpy(tag, (const uint8_t *)sealed + plain_len, sizeof tag);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool fine = context != NULL && EVP_CipherInit_ex(context, EVP_chacha20_poly1305(), NULL, key, nonce, 0) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_SIZE, tag) == 1 && run_cipher(context, sealed, plain_len, ret_plain);
    EVP_CIPHER_CTX_free(context);
    return fine;
}

/* The payload's STREAM: chunks of 64 KiB, each under a nonce of an 11-byte counter and a byte that is 1 for the last. */
struct stream {
    uint8_t key[SEAL_KEY_SIZE];
    uint8_t nonce[SEAL_NONCE_SIZE];
    uint8_t *in; /* one byte longer than a chunk: whether it is the last shows only when more is asked for */
    uint8_t *out;
    size_t held; /* bytes in .in */
};

static void stream_close(struct stream *stream) {
    free(stream->in);
    if (stream->out != NULL)
        OPENSSL_cleanse(stream->out, SEALED_CHUNK_SIZE);
    free(stream->out);
    OPENSSL_cleanse(stream, sizeof *stream);
}

static bool stream_start(struct stream *stream, const uint8_t file_key[SEAL_FILE_KEY_SIZE], const uint8_t salt[PAYLOAD_SALT_SIZE], struct err *err) {
    stream->in = malloc(SEALED_CHUNK_SIZE + 1);
    stream->out = calloc(1, SEALED_CHUNK_SIZE);
    if (stream->in == NULL || stream->out == NULL)
        return err_no_memory(err);
    return seal_derive(file_key, SEAL_FILE_KEY_SIZE, salt, PAYLOAD_SALT_SIZE, "payload", stream->key, err);
}

static void stream_count(struct stream *stream) {
    for (size_t i = SEAL_NONCE_SIZE - 1; i-- > 0;)
        if (++stream->nonce[i] != 0)
            return;
}

/* Fills .in up to `wanted` bytes; fewer is the end of the source. */
static bool stream_fill(struct stream *stream, const struct seal_source *source, size_t wanted, struct err *err) {
    while (stream->held < wanted) {
        size_t len = 0;
        if (!source->read(source->context, stream->in + stream->held, wanted - stream->held, &len, err))
            return false;
        if (len == 0)
            return true;
        stream->held += len;
    }
    return true;
}

/* Drops the first bytes of .in; at most the one that was read ahead is left. */
static void stream_take(struct stream *stream, size_t len) {
    stream->held -= len;
    memmove(stream->in, stream->in + len, stream->held);
}

static bool seal_chunks(struct stream *stream, const struct seal_source *source, const struct seal_sink *sink, struct err *err) {
    for (bool last = false; !last; stream_count(stream)) {
        if (!stream_fill(stream, source, SEAL_CHUNK_SIZE + 1, err))
            return false;
        last = stream->held <= SEAL_CHUNK_SIZE;
        size_t len = last ? stream->held : SEAL_CHUNK_SIZE;
        stream->nonce[SEAL_NONCE_SIZE - 1] = last;
        if (!seal_encrypt(stream->key, stream->nonce, stream->in, len, stream->out, err) ||
            !sink->write(sink->context, stream->out, len + SEAL_TAG_SIZE, err))
            return false;
        stream_take(stream, len);
    }
    return true;
}

bool seal_seal(const struct seal_recipients *recipients, const struct seal_source *source, const struct seal_sink *sink, struct err *err) {
    CLEANUP(buf_free) struct buf header = BUF_INIT(SEAL_HEADER_MAX);
    CLEANUP(stream_close) struct stream stream = {0};
    uint8_t file_key[SEAL_FILE_KEY_SIZE];
    uint8_t salt[PAYLOAD_SALT_SIZE];
    if (recipients->count < 1 || recipients->count > SEAL_RECIPIENTS_MAX)
        return err_set(err, ERR_INVALID, "%zu recipients: there must be 1 to %d", recipients->count, SEAL_RECIPIENTS_MAX);
    random_bytes(file_key, sizeof file_key);
    random_bytes(salt, sizeof salt);
    bool fine = seal_header_write(&header, recipients, file_key, err) && stream_start(&stream, file_key, salt, err);
    OPENSSL_cleanse(file_key, sizeof file_key);
    return fine && sink->write(sink->context, header.data, header.len, err) && sink->write(sink->context, salt, sizeof salt, err) &&
           seal_chunks(&stream, source, sink, err);
}

/* Reads the header and not a byte more. */
static bool read_header(const struct seal_source *source, struct buf *header, struct err *err) {
    static const char end[] = "\n---";
    bool at_end = false;
    for (;;) {
        char byte = 0;
        size_t len = 0;
        if (!source->read(source->context, &byte, 1, &len, err))
            return false;
        if (len == 0)
            return err_set(err, ERR_FORMAT, header->len == 0 ? "the sealed file is empty" : "the header of the sealed file is cut off");
        if (header->len == SEAL_HEADER_MAX)
            return err_set(err, ERR_FORMAT, "not an age v1 file, or its header is longer than %d bytes", SEAL_HEADER_MAX);
        buf_byte(header, byte);
        if (!buf_ok(header, "header of the sealed file", err))
            return false;
        at_end |= header->len >= sizeof end - 1 && memcmp(header->data + header->len - (sizeof end - 1), end, sizeof end - 1) == 0;
        if (at_end && byte == '\n')
            return true;
    }
}

static bool read_salt(const struct seal_source *source, uint8_t ret_salt[PAYLOAD_SALT_SIZE], struct err *err) {
    for (size_t held = 0; held < PAYLOAD_SALT_SIZE;) {
        size_t len = 0;
        if (!source->read(source->context, ret_salt + held, PAYLOAD_SALT_SIZE - held, &len, err))
            return false;
        if (len == 0)
            return err_set(err, ERR_DECRYPT, "the sealed file is cut off behind its header");
        held += len;
    }
    return true;
}

static bool open_chunks(struct stream *stream, const struct seal_source *source, const struct seal_sink *sink, struct err *err) {
    bool last = false;
    for (uint64_t chunk = 0; !last; chunk++, stream_count(stream)) {
        if (!stream_fill(stream, source, SEALED_CHUNK_SIZE + 1, err))
            return false;
        last = stream->held <= SEALED_CHUNK_SIZE;
        size_t len = last ? stream->held : SEALED_CHUNK_SIZE;
        stream->nonce[SEAL_NONCE_SIZE - 1] = last;
        if (!seal_decrypt(stream->key, stream->nonce, stream->in, len, stream->out))
            return err_set(err, ERR_DECRYPT, "chunk %llu of the sealed file was changed, or the file was cut or extended", (unsigned long long)chunk);
        size_t plain_len = len - SEAL_TAG_SIZE;
        if (plain_len == 0 && chunk > 0)
            return err_set(err, ERR_DECRYPT, "the sealed file ends in an empty chunk");
        if (plain_len > 0 && !sink->write(sink->context, stream->out, plain_len, err))
            return false;
        stream_take(stream, len);
    }
    return true;
}

/* The source with its own buffer, so that reading a header byte by byte does not ask the caller for each. */
struct buffered {
    const struct seal_source *source;
    uint8_t data[4096];
    size_t at;
    size_t len;
};

static bool buffered_read(void *context, void *data, size_t cap, size_t *ret_len, struct err *err) {
    struct buffered *buffered = context;
    if (buffered->at == buffered->len) {
        buffered->at = 0;
        buffered->len = 0;
        if (cap >= sizeof buffered->data)
            return buffered->source->read(buffered->source->context, data, cap, ret_len, err);
        if (!buffered->source->read(buffered->source->context, buffered->data, sizeof buffered->data, &buffered->len, err))
            return false;
    }
    size_t left = buffered->len - buffered->at;
    *ret_len = cap < left ? cap : left;
    memcpy(data, buffered->data + buffered->at, *ret_len);
    buffered->at += *ret_len;
    return true;
}

bool seal_open(const struct seal_identities *identities, const struct seal_source *source, const struct seal_sink *sink, struct err *err) {
    CLEANUP(buf_free) struct buf header = BUF_INIT(SEAL_HEADER_MAX);
    CLEANUP(stream_close) struct stream stream = {0};
    struct buffered buffered = {.source = source};
    struct seal_source from = {.read = buffered_read, .context = &buffered};
    uint8_t file_key[SEAL_FILE_KEY_SIZE];
    uint8_t salt[PAYLOAD_SALT_SIZE];
    if (!read_header(&from, &header, err) || !seal_header_open(header.data, header.len, identities, file_key, err))
        return false;
    bool fine = read_salt(&from, salt, err) && stream_start(&stream, file_key, salt, err);
    OPENSSL_cleanse(file_key, sizeof file_key);
    return fine && open_chunks(&stream, &from, sink, err);
}
