/* Any bytes as an answer to a check, under a key of which only the public half is left: nothing but the signed seeds can be accepted. */
#include <stdlib.h>

#include "trust/directive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The key of the committed corpus; its private half was thrown away. */
static const char public_hex[] = "7a8a8908b8b01e7e3453cac32743fe7314898a039dbdb9cc3859fdeeb7ac5921";
static const char device[] = "gw-0001";
static const char spki[] = "1111111111111111111111111111111111111111111111111111111111111111";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct key *key;
    struct err err;
    if (key == NULL && !key_from_public("ed25519", "ed25519", public_hex, &key, &err))
        abort();
    struct signer signer = {.id = key_id(key), .key = key};
    const struct signer *items[] = {&signer};
    struct signers signers = {.count = 1, .items = items, .threshold = 1};
    struct directive_expect expect = {.signers = &signers, .device = device, .spki_sha256 = spki, .has_clock = true, .now = 1790000001};
    struct directive directive;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    if (directive_verify(&arena, data, size, &expect, &directive, &err)) {
        /* Only the committed seeds are really signed. */
        if (directive.action == DIRECTIVE_INSTALL && directive.path == NULL)
            abort();
    }
    arena_clear(&arena);
    return 0;
}
