/* The signing side's own view of the repository: a TUF client with a pinned root, fed by the administrator's API. The server is believed no more than
 * a device believes it. */
#ifndef PAWL_CLI_TUF_H
#define PAWL_CLI_TUF_H

#include "cli/bundle.h"
#include "cli/client.h"
#include "trust/client.h"

struct cli_tuf {
    struct tuf_client *client;
    const struct trusted *trusted; /* borrowed from the client; stands until the next refresh */
    bool unpublished;              /* nothing was ever published, as far as this machine ever saw: only root is there */
    const char *marker;            /* file that says otherwise for good */
};

/* Opens (and at the first use pins that root in) the state folder: the profile's state_dir, else one below the user's state folder that is named by
 * the hash of root 1, so that each repository has its own. */
bool cli_tuf_open(struct cli *cli, const char *root_path, struct cli_tuf *ret_tuf, struct err *err) MUST_USE;
void cli_tuf_close(struct cli_tuf *tuf); /* fits CLEANUP */

/* The whole client workflow, against the server, or against what a bundle brought along. */
bool cli_tuf_refresh(struct cli *cli, struct cli_tuf *tuf, const struct cli_bundle *bundle, int64_t now, struct err *err) MUST_USE;

/* Everything that another client needs to come from root 1 to the same state, as a bundle carries it. */
bool cli_tuf_collect(struct cli *cli, const struct cli_tuf *tuf, struct json_list *ret_files, struct err *err) MUST_USE;

/* The release of that product with the highest sequence; false: there is none. */
bool cli_tuf_last_release(const struct trusted_releases *releases, const char *product, struct release *ret_release);

#endif
