/* A secret that the server shows once: a token, a claim. It goes to one place only, a file or standard output. */
#ifndef PAWL_CLI_SECRET_H
#define PAWL_CLI_SECRET_H

#include <sys/types.h>

#include "cli/client.h"

struct cli_secret {
    const char *kind; /* "token": the member beside "secret", and the word for people */
    const char *out;  /* a new file; NULL: standard output */
    mode_t mode;      /* of that file */
};

/* Out of the reply {"<kind>": {"id": …}, "secret": …}. ERR_CONFLICT: the reply is a replay without the secret. */
bool cli_secret_hand_over(struct cli *cli, const struct cli_secret *secret, const struct cli_reply *reply, struct err *err) MUST_USE;

#endif
