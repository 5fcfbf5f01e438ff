/* Between the header (trust/seal_header.c) and the payload (trust/seal.c) of an age file. */
#ifndef PAWL_TRUST_SEAL_INTERNAL_H
#define PAWL_TRUST_SEAL_INTERNAL_H

#include "trust/seal.h"

enum { SEAL_FILE_KEY_SIZE = 16, SEAL_TAG_SIZE = 16, SEAL_NONCE_SIZE = 12 };

/* HKDF-SHA-256 (RFC 5869) to 32 bytes. */
bool seal_derive(const void *secret, size_t secret_len, const void *salt, size_t salt_len, const char *info, uint8_t ret_key[SEAL_KEY_SIZE],
                 struct err *err) MUST_USE;

/* ChaCha20-Poly1305 (RFC 8439) without additional data; the output is 16 bytes longer. */
bool seal_encrypt(const uint8_t key[SEAL_KEY_SIZE], const uint8_t nonce[SEAL_NONCE_SIZE], const void *plain, size_t len, uint8_t *ret_sealed,
                  struct err *err) MUST_USE;

/* False without an error: not authentic. len includes the tag. */
bool seal_decrypt(const uint8_t key[SEAL_KEY_SIZE], const uint8_t nonce[SEAL_NONCE_SIZE], const void *sealed, size_t len,
                  uint8_t *ret_plain) MUST_USE;

/* The whole header for these recipients, appended. */
bool seal_header_write(struct buf *out, const struct seal_recipients *recipients, const uint8_t file_key[SEAL_FILE_KEY_SIZE],
                       struct err *err) MUST_USE;

/* A whole header, from the version line to the line feed behind its authentication code: who can open it, and is it genuine? */
bool seal_header_open(const char *header, size_t len, const struct seal_identities *identities, uint8_t ret_file_key[SEAL_FILE_KEY_SIZE],
                      struct err *err) MUST_USE;

#endif
