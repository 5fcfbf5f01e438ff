/* One signing key: made, kept encrypted on disk, written and read in its TUF form, used to sign and to verify. */
#ifndef PAWL_TRUST_KEY_H
#define PAWL_TRUST_KEY_H

#include "common/buf.h"

enum key_type {
    KEY_NONE = 0,
    KEY_ECDSA_P256, /* keytype "ecdsa", scheme "ecdsa-sha2-nistp256": DER signatures over SHA-256 */
    KEY_ED25519,    /* keytype and scheme "ed25519" */
    KEY_RSA,        /* keytype "rsa", scheme "rsassa-pss-sha256", 2048 to 4096 bits; verifies only */
};

enum {
    KEY_ID_SIZE = 65,         /* 64 hex digits and a NUL */
    KEY_PUBLIC_MAX = 1024,    /* bytes of the public part as text */
    KEY_SIGNATURE_MAX = 512,  /* bytes of any signature (RSA 4096) */
    KEY_FILE_MAX = 8192,      /* bytes of a private key file */
    KEY_PASSPHRASE_MIN = 8,   /* bytes; a shorter one is refused when a key is saved */
    KEY_PASSPHRASE_MAX = 1024 /* bytes */
};

struct json_t; /* jansson's */

/* Immutable once made; any number of threads may sign and verify with one key. */
struct key;

struct key_signature {
    size_t len;
    uint8_t bytes[KEY_SIGNATURE_MAX];
};

/* A new private key; ERR_KEY for KEY_RSA. */
bool key_generate(enum key_type type, struct key **ret_key, struct err *err) MUST_USE;

/* PKCS#8 PEM ("ENCRYPTED PRIVATE KEY"; scrypt or PBKDF2). ERR_KEY: group or others can read the file, it is not encrypted, or no P-256 or Ed25519
 * key is in it. ERR_PASSPHRASE: the passphrase does not open it. ERR_NOT_FOUND: no such file. The passphrase is any bytes, without the line end. */
bool key_load_private(const char *path, const void *passphrase, size_t passphrase_len, struct key **ret_key, struct err *err) MUST_USE;

/* Writes path (mode 0400, ERR_CONFLICT when it exists), encrypted with AES-256 and scrypt. ERR_PASSPHRASE when the passphrase is too short. */
bool key_save_private(const struct key *key, const char *path, const void *passphrase, size_t passphrase_len, struct err *err) MUST_USE;

/* From the three values of a TUF key object. ERR_NOT_IMPLEMENTED: a keytype or scheme that is not known here; ERR_KEY: the public part is not exactly
 * one key of that type in its one form (PEM SubjectPublicKeyInfo, uncompressed point; 64 lower-case hex digits). */
bool key_from_public(const char *keytype, const char *scheme, const char *public_text, struct key **ret_key, struct err *err) MUST_USE;

void key_free(struct key *key);     /* NULL is fine; wipes */
void key_cleanup(struct key **key); /* fits CLEANUP(key_cleanup) */

enum key_type key_type(const struct key *key);
const char *key_keytype(const struct key *key); /* as in TUF: "ecdsa" */
const char *key_scheme(const struct key *key);  /* as in TUF: "ecdsa-sha2-nistp256" */
const char *key_public(const struct key *key);  /* keyval.public: PEM (ends in a line feed) or hex */

/* The key object of TUF; new reference, NULL without memory. */
struct json_t *key_object(const struct key *key) MUST_USE;

/* TUF key id: SHA-256 over the canonical form of that object, in hex. */
const char *key_id(const struct key *key);

/* True when both hold the same public key bytes (DER SubjectPublicKeyInfo), whatever their ids say. This is what signatures are counted by. */
bool key_same(const struct key *a, const struct key *b) MUST_USE;

/* ERR_KEY when there is no private part. */
bool key_sign(const struct key *key, const void *data, size_t len, struct key_signature *ret_signature, struct err *err) MUST_USE;

/* True only for a valid signature by this key over exactly these bytes. A mere false says why in no detail. */
bool key_verify(const struct key *key, const void *data, size_t len, const void *signature, size_t signature_len) MUST_USE;

/* ERR_INVALID for a file that may have no detached signature: one that begins with '{', as the signed bytes of all metadata do. Its signature would
 * be one of that metadata. Reads one byte. */
bool key_check_file(int fd, struct err *err) MUST_USE;

/* Detached signature of a whole file, ECDSA P-256 over SHA-256 as `openssl dgst -sha256 -verify` takes it; the file is streamed. fd is read from
 * its start. ERR_KEY for another type of key; ERR_INVALID as key_check_file(). */
bool key_sign_file(const struct key *key, int fd, struct key_signature *ret_signature, struct err *err) MUST_USE;

/* Verifies one by the file's SHA-256, 32 bytes; ERR_SIGNATURE. There is no signing of a digest: whoever signs must see that the file is no metadata.
 */
bool key_verify_digest(const struct key *key, const uint8_t digest[32], const void *signature, size_t signature_len, struct err *err) MUST_USE;

/* From PEM SubjectPublicKeyInfo as key_export_pem() and OpenSSL write it; P-256 or Ed25519. ERR_KEY. */
bool key_from_pem(const char *pem, struct key **ret_key, struct err *err) MUST_USE;

/* Writes the public half as PEM SubjectPublicKeyInfo, whatever the type (for `pawl keys export`, `openssl dgst -verify`). */
bool key_export_pem(const struct key *key, struct buf *out, struct err *err) MUST_USE;

#endif
