/* Sealed images: the age v1 format (age-encryption.org/v1) with X25519 recipients, as streams with flat memory (trust.md §4). */
#ifndef PAWL_TRUST_SEAL_H
#define PAWL_TRUST_SEAL_H

#include "common/buf.h"

enum {
    SEAL_KEY_SIZE = 32,
    SEAL_RECIPIENTS_MAX = 64,
    SEAL_IDENTITIES_MAX = 64,
    SEAL_CHUNK_SIZE = 65536,     /* of plain text; sealed it is 16 bytes longer */
    SEAL_HEADER_MAX = 64 * 1024, /* of a file that is opened */
    SEAL_TEXT_SIZE = 80,         /* "age1…", "AGE-SECRET-KEY-1…" with the NUL */
};

/* Whom to seal to. */
struct seal_recipient {
    uint8_t public_key[SEAL_KEY_SIZE];
};

/* Who can open. Secret: OPENSSL_cleanse() or explicit_bzero() what holds one. */
struct seal_identity {
    uint8_t secret_key[SEAL_KEY_SIZE];
};

struct seal_recipients {
    size_t count;
    struct seal_recipient items[SEAL_RECIPIENTS_MAX];
};

struct seal_identities {
    size_t count;
    struct seal_identity items[SEAL_IDENTITIES_MAX];
};

/* "age1…"; ERR_INVALID names what is wrong with it. */
bool seal_recipient_parse(const char *text, struct seal_recipient *ret_recipient, struct err *err) MUST_USE;
void seal_recipient_text(const struct seal_recipient *recipient, char ret_text[SEAL_TEXT_SIZE]);

bool seal_identity_generate(struct seal_identity *ret_identity, struct err *err) MUST_USE;
bool seal_identity_recipient(const struct seal_identity *identity, struct seal_recipient *ret_recipient, struct err *err) MUST_USE;
void seal_identity_text(const struct seal_identity *identity, char ret_text[SEAL_TEXT_SIZE]); /* secret: wipe it */

/* Adds the recipient unless it is there. ERR_TOO_LARGE at the ceiling. */
bool seal_recipients_add(struct seal_recipients *recipients, const char *text, struct err *err) MUST_USE;

/* One a line; empty lines and lines that begin with '#' are passed over. Errors name the line. */
bool seal_recipients_read(const char *path, struct seal_recipients *recipients, struct err *err) MUST_USE;

/* As above, "AGE-SECRET-KEY-1…". ERR_KEY when group or others can read the file, or when there is no identity in it. */
bool seal_identities_read(const char *path, struct seal_identities *ret_identities, struct err *err) MUST_USE;
void seal_identities_wipe(struct seal_identities *identities); /* fits CLEANUP */

/* Where bytes come from: fills up to cap bytes, *ret_len 0 is the end. */
struct seal_source {
    bool (*read)(void *context, void *data, size_t cap, size_t *ret_len, struct err *err);
    void *context;
};

/* Where they go. */
struct seal_sink {
    bool (*write)(void *context, const void *data, size_t len, struct err *err);
    void *context;
};

/* Seals the source for every recipient (1 to SEAL_RECIPIENTS_MAX). */
bool seal_seal(const struct seal_recipients *recipients, const struct seal_source *source, const struct seal_sink *sink, struct err *err) MUST_USE;

/* Opens what one of the identities can open. Each chunk is authenticated before its plain text reaches the sink, but only the return value says that
 * the whole was genuine and complete: on false throw away what the sink has. ERR_FORMAT: not an age file, or cut in its header. ERR_DECRYPT: no
 * identity opens it, or it was changed, cut, or extended. */
bool seal_open(const struct seal_identities *identities, const struct seal_source *source, const struct seal_sink *sink, struct err *err) MUST_USE;

#endif
