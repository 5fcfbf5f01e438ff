/* Digests: SHA-256 for everything Pawl decides on; SHA-1 and MD5 only because existing clients ask for them. */
#ifndef PAWL_COMMON_HASH_H
#define PAWL_COMMON_HASH_H

#include "common/err.h"

enum { SHA256_SIZE = 32, SHA256_HEX_SIZE = 65, SHA1_HEX_SIZE = 41, MD5_HEX_SIZE = 33 };

/* One pass over a stream. Zero value: not started. */
struct hash {
    void *context; /* EVP_MD_CTX */
};

/* All three digests of one stream, in lower-case hex. */
struct hash_triple {
    struct hash sha256, sha1, md5;
};

bool hash_sha256_begin(struct hash *hash, struct err *err) MUST_USE;
bool hash_update(struct hash *hash, const void *data, size_t len, struct err *err) MUST_USE;
bool hash_sha256_end(struct hash *hash, uint8_t ret_digest[SHA256_SIZE], struct err *err) MUST_USE; /* frees the context */
void hash_free(struct hash *hash);                                                                  /* fits CLEANUP */

bool hash_triple_begin(struct hash_triple *triple, struct err *err) MUST_USE;
bool hash_triple_update(struct hash_triple *triple, const void *data, size_t len, struct err *err) MUST_USE;
bool hash_triple_end(struct hash_triple *triple, char ret_sha256[SHA256_HEX_SIZE], char ret_sha1[SHA1_HEX_SIZE], char ret_md5[MD5_HEX_SIZE],
                     struct err *err) MUST_USE;
void hash_triple_free(struct hash_triple *triple);

/* In one call. */
bool hash_sha256(const void *data, size_t len, uint8_t ret_digest[SHA256_SIZE], struct err *err) MUST_USE;
bool hash_sha256_hex(const void *data, size_t len, char ret_hex[SHA256_HEX_SIZE], struct err *err) MUST_USE;
bool hash_sha256_fd(int fd, char ret_hex[SHA256_HEX_SIZE], struct err *err) MUST_USE; /* from the start of the file to its end */

/* HMAC-SHA256 (RFC 2104). */
bool hash_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t ret_digest[SHA256_SIZE], struct err *err) MUST_USE;

/* In constant time. */
bool hash_equal(const void *a, const void *b, size_t len) MUST_USE;

#endif
