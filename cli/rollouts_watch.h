/* The lines that `pawl rollouts watch` draws, as pure functions. */
#ifndef PAWL_CLI_ROLLOUTS_WATCH_H
#define PAWL_CLI_ROLLOUTS_WATCH_H

#include "cli/rollouts.h"

enum { CLI_ROLLOUTS_WATCH_LINE_SIZE = 512, CLI_ROLLOUTS_WATCH_BAR_MAX = 40 };

/* "phase 1  10 %   soaking  [######>>!..]  6 of 10 confirmed, 2 in flight, 1 failed", at most `columns` wide (0: no bar, any width). */
void cli_rollouts_watch_phase(char ret_line[CLI_ROLLOUTS_WATCH_LINE_SIZE], const struct cli_rollouts_phase *phase, size_t number, size_t columns);

/* "rollout 7  router 1.1.0  running, waits for soak until 12:00:00Z". */
void cli_rollouts_watch_head(char ret_line[CLI_ROLLOUTS_WATCH_LINE_SIZE], const struct cli_rollouts_rollout *rollout);

#endif
