/* What key.c, key_file.c and key_sign.c share: the inside of a key. */
#ifndef PAWL_TRUST_KEY_INTERNAL_H
#define PAWL_TRUST_KEY_INTERNAL_H

#include <openssl/evp.h>

#include "trust/key.h"

struct key {
    enum key_type type;
    EVP_PKEY *pkey;
    bool private_part;
    char id[KEY_ID_SIZE];
    uint8_t identity[32]; /* SHA-256 of the DER SubjectPublicKeyInfo */
    char public_text[KEY_PUBLIC_MAX];
};

/* Empties OpenSSL's queue of this thread (TLS code on the same thread must not find our failures) and returns err_set() with the text. */
bool key_failed(struct err *err, enum err_code code, const char *format, ...) PRINTF_LIKE(3, 4);

/* A key out of a private EVP_PKEY, which is taken, also on failure. */
bool key_take_private(enum key_type type, EVP_PKEY *pkey, struct key **ret_key, struct err *err) MUST_USE;

/* KEY_NONE for any type that is not known here. */
enum key_type key_type_of(const EVP_PKEY *pkey);

#endif
