/* The private keys of a folder that may sign one role, opened together. */
#ifndef PAWL_CLI_SIGNING_H
#define PAWL_CLI_SIGNING_H

#include "cli/keyring.h"
#include "trust/repository.h"

enum { CLI_SIGNING_KEYS_MAX = 16 };

struct cli_signing_keys {
    size_t count;
    struct key *keys[CLI_SIGNING_KEYS_MAX];
};

/* Opens as many keys of the role as the threshold asks for, out of those that root (by `signers`) names. ERR_KEY when the folder has too few. */
bool cli_signing_open(struct arena *arena, const struct cli_keyring *ring, const char *role, const struct signers *signers,
                      const struct cli_keyring_secret *secret, struct cli_signing_keys *ret_keys, struct err *err) MUST_USE;
void cli_signing_close(struct cli_signing_keys *keys); /* fits CLEANUP */

bool cli_signing_sign(const struct cli_signing_keys *keys, struct draft *draft, struct err *err) MUST_USE;

/* The first P-256 key, for detached signatures of images; NULL: there is none. */
const struct key *cli_signing_image_key(const struct cli_signing_keys *keys);

#endif
