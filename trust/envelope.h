/* The TUF envelope {"signatures":[{keyid,sig}…],"signed":{…}}: read, signed, and verified by counting distinct public keys. */
#ifndef PAWL_TRUST_ENVELOPE_H
#define PAWL_TRUST_ENVELOPE_H

#include "common/arena.h"
#include "trust/canon.h"
#include "trust/key.h"

enum { ENVELOPE_SIGNATURES_MAX = 64, ENVELOPE_KEYID_MAX = 128, ENVELOPE_SIGNED_MAX = 1048576 /* bytes of any signed part */ };

/* A key under the id that a document gives it. key is NULL for a type that is not known here: such a key verifies nothing and counts for nothing. */
struct signer {
    const char *id;
    struct key *key;
};

/* Who may sign a role, and how many of them must. Made by the parser only with 1 ≤ threshold ≤ number of distinct keys. */
struct signers {
    size_t count;
    const struct signer *const *items;
    size_t threshold;
};

/* The zero value is "refused", and only envelope_verify() says the other one. */
enum verdict { VERDICT_REFUSED = 0, VERDICT_VERIFIED = 0x5A17 };

struct envelope_signature {
    const char *keyid;
    const uint8_t *bytes;
    size_t len;
};

/* One document as received. Everything points into the arena it was parsed with, except root, which the envelope owns. */
struct envelope {
    struct json_t *root;          /* the whole document */
    const struct json_t *signed_; /* its "signed" object; borrowed from root */
    const char *type;             /* signed._type */
    const char *signed_bytes;     /* what the signatures cover */
    size_t signed_len;
    size_t signature_count;
    const struct envelope_signature *signatures;
};

/* Strict: the canonical file form, exactly the members "signatures" and "signed", no key id twice, lower-case hex of even length (an empty signature
 * is kept and verifies nothing). Errors of canon_parse(), else ERR_FORMAT. Free with envelope_free(). */
bool envelope_parse(struct arena *arena, const void *data, size_t len, size_t max, const char *what, struct envelope *ret_envelope,
                    struct err *err) MUST_USE;
void envelope_free(struct envelope *envelope);

/* Key ids stand in messages: 1 to ENVELOPE_KEYID_MAX visible characters. ERR_FORMAT naming the document. */
bool envelope_keyid_check(const char *keyid, const char *what, struct err *err) MUST_USE;

/* Counts the distinct public key bytes among signers that made a valid signature. ERR_SIGNATURE: none did; ERR_THRESHOLD: fewer than the threshold,
 * or the threshold itself is not within 1 … distinct keys. `what` names the document and `role` the keys in messages. */
enum verdict envelope_verify(const struct envelope *envelope, const struct signers *signers, const char *what, const char *role,
                             struct err *err) MUST_USE;

/* True when this key is one of them (by its bytes). */
bool signers_have(const struct signers *signers, const struct key *key) MUST_USE;

/* How many different public keys they are. */
size_t signers_distinct(const struct signers *signers);

/* Same keys (by bytes, in any order) and same threshold. */
bool signers_equal(const struct signers *a, const struct signers *b) MUST_USE;

/* One entry for "signatures": of this signature by the key, and made with the key. New reference, NULL and *err on failure. */
struct json_t *envelope_entry(const struct key *key, const struct key_signature *signature, struct err *err) MUST_USE;
struct json_t *envelope_signature(const struct json_t *signed_, const struct key *key, struct err *err) MUST_USE;

/* Appends the file bytes of {signed, signatures} with one signature by each key, in the order of the keys. `signed_` is borrowed. */
bool envelope_write(struct buf *out, const struct json_t *signed_, const struct key *const *keys, size_t key_count, struct err *err) MUST_USE;

#endif
