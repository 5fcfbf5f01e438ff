/* A rollout as the server shows it; what the files of `pawl rollouts` share. */
#ifndef PAWL_CLI_ROLLOUTS_H
#define PAWL_CLI_ROLLOUTS_H

#include "cli/view.h"

#define CLI_ROLLOUTS "/api/v1/rollouts"

struct cli_rollouts_counts {
    int64_t devices, waiting, in_flight, retrying, confirmed, failed, timed_out, cancelled, skipped;
};

struct cli_rollouts_phase {
    int64_t percent, count; /* 0: not by this */
    bool rest;
    int64_t success_percent, error_percent, error_count, soak_s, deadline_s;
    const char *state;
    int64_t opened_at, deadline_at, soaked_at;
    struct cli_rollouts_counts *counts;
};

struct cli_rollouts_window {
    const char *days, *from, *to, *zone, *tag;
};

struct cli_rollouts_rollout {
    const char *id, *name, *product, *version, *filter;
    struct json_texts ids;
    struct json_list phases;  /* struct cli_rollouts_phase */
    struct json_list windows; /* struct cli_rollouts_window */
    int64_t max_in_flight;
    const char *mode;
    bool continuous;
    int64_t start_at;
    const char *state, *reason, *waits_for;
    int64_t waits_until, phase;
    bool working;
    struct cli_rollouts_counts *counts;
    const char *approval, *approved_by, *created_by;
    int64_t created_at, started_at, paused_at, closed_at;
};
extern const struct json_shape cli_rollouts_shape;
extern const struct cli_view cli_rollouts_view;

/* "10 %", "50 devices", "the rest". */
enum { CLI_ROLLOUTS_SIZE_SIZE = 32 };
void cli_rollouts_size(char ret_text[CLI_ROLLOUTS_SIZE_SIZE], const struct cli_rollouts_phase *phase);

/* "90s", "15m", "6h", "1d": the largest unit that fits evenly. */
const char *cli_rollouts_duration(struct arena *arena, int64_t seconds);

#endif
