/* The signing side's own view of the repository: a TUF client with a pinned root, fed by the administrator's API. The server is believed no more than
 * a device believes it. */
#ifndef PAWL_CLI_TUF_H
#define PAWL_CLI_TUF_H

#include "cli/client.h"
#include "trust/client.h"

struct cli_tuf {
    struct tuf_client *client;
    const struct trusted *trusted; /* borrowed from the client; stands until the next refresh */
    bool unpublished;              /* nothing was ever published: only root is there */
};

/* Opens (and at the first use pins root 1 of the key folder in) the state folder: the profile's state_dir, else one below the user's state folder
 * that is named by the hash of root 1, so that each repository has its own. */
bool cli_tuf_open(struct cli *cli, const char *key_folder, struct cli_tuf *ret_tuf, struct err *err) MUST_USE;
void cli_tuf_close(struct cli_tuf *tuf); /* fits CLEANUP */

/* The whole client workflow against the server. */
bool cli_tuf_refresh(struct cli *cli, struct cli_tuf *tuf, int64_t now, struct err *err) MUST_USE;

/* The release of that product with the highest sequence; false: there is none. */
bool cli_tuf_last_release(const struct trusted_releases *releases, const char *product, struct release *ret_release);

#endif
