/* A secret that the server shows once: a token, a claim, a webhook's. It goes to one place only, a file or standard output. */
#ifndef PAWL_CLI_SECRET_H
#define PAWL_CLI_SECRET_H

#include <sys/types.h>

#include "cli/client.h"

struct cli_secret {
    const char *kind; /* "token": the member beside "secret", and the word for people */
    const char *out;  /* a new file; NULL: standard output */
    mode_t mode;      /* of that file */
};

/* POSTs what makes one and hands it over. body may be NULL. ERR_IO, before anything is asked of the server, when the file is there already. */
bool cli_secret_make(struct cli *cli, const struct cli_secret *secret, const char *path, const struct buf *body, struct err *err) MUST_USE;

/* The parts of the above, for another request than this POST. The reply is {"<kind>": {"id": …}, "secret": …}; ERR_CONFLICT: it is a replay without
 * the secret. */
bool cli_secret_check(const struct cli_secret *secret, struct err *err) MUST_USE;
bool cli_secret_hand_over(struct cli *cli, const struct cli_secret *secret, const struct cli_reply *reply, struct err *err) MUST_USE;

#endif
