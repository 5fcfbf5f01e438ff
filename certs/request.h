/* Certificate signing requests (PKCS#10): read by the server, which takes the key and nothing that the request asks for; made by the agent. */
#ifndef PAWL_CERTS_REQUEST_H
#define PAWL_CERTS_REQUEST_H

#include "common/arena.h"
#include "common/buf.h"

enum { CERTS_REQUEST_MAX = 16384, CERTS_REQUEST_NAME_SIZE = 65 /* CERTS_ID_SIZE */ };

struct certs_request {
    const uint8_t *spki; /* the key that it proved to have: SubjectPublicKeyInfo, DER, in the one form that a key has here; in the arena */
    size_t spki_len;
    uint8_t spki_sha256[32];                   /* the pin */
    char common_name[CERTS_REQUEST_NAME_SIZE]; /* of the subject; "": there is not exactly one, or it is no id */
};

/* Base64 of a request (armour and line breaks do not matter). ERR_INVALID: no request, no valid signature by its own key, a signature with SHA-1 or
 * weaker, a key that is not P-256, P-384, Ed25519 or RSA of 2,048 to 8,192 bits, or one in another encoding than everybody else's (a compressed
 * point would give one key two pins). */
bool certs_request_read(struct arena *arena, const void *body, size_t len, struct certs_request *ret_request, struct err *err) MUST_USE;

/* A new P-256 key, PKCS#8 PEM, not encrypted. */
bool certs_request_new_key(struct buf *ret_pem, struct err *err) MUST_USE;

/* A request signed by the private key of the PEM text, for this common name; base64 in lines. ERR_KEY. */
bool certs_request_make(const void *key_pem, size_t len, const char *common_name, struct buf *out, struct err *err) MUST_USE;

/* ERR_KEY unless the first certificate of one PEM text is for the private key in the other. */
bool certs_request_matches(const struct buf *certificate_pem, const struct buf *key_pem, struct err *err) MUST_USE;

#endif
