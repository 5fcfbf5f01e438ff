/* The answer to a preview, as a table: whom a rollout would reach, and whom not, for which reason. */
#ifndef PAWL_CLI_ROLLOUTS_PREVIEW_H
#define PAWL_CLI_ROLLOUTS_PREVIEW_H

#include "cli/client.h"

/* With --json as it came. */
bool cli_rollouts_preview_show(struct cli *cli, const struct cli_reply *reply, struct err *err) MUST_USE;

#endif
