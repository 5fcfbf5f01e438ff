/* A POST that may carry a reason for the audit. */
#ifndef PAWL_CLI_REASON_H
#define PAWL_CLI_REASON_H

#include "cli/client.h"

/* reason NULL: no body. */
bool cli_reason_post(struct cli *cli, const char *path, const char *reason, struct cli_reply *ret_reply, struct err *err) MUST_USE;

/* The same under If-Match with the ETag of `before`, an earlier reply. */
bool cli_reason_post_seen(struct cli *cli, const char *path, const struct cli_reply *before, const char *reason, struct cli_reply *ret_reply,
                          struct err *err) MUST_USE;

#endif
