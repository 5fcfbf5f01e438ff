/* What an operator writes of phases and windows on the command line, as JSON. */
#ifndef PAWL_CLI_ROLLOUTS_PLAN_H
#define PAWL_CLI_ROLLOUTS_PLAN_H

#include "common/arena.h"
#include "common/buf.h"

/* "10%,success=95,errors=5%,soak=1h,deadline=1d" → {"percent":10,…}. ERR_USAGE naming the part that is not understood. */
bool cli_rollouts_plan_phase(struct arena *arena, const char *text, struct buf *out, struct err *err) MUST_USE;

/* "mon-fri 22:00-04:00 zone=Europe/Berlin tag=north" → {"days":"mon-fri",…}. ERR_USAGE; days and times are read by the server. */
bool cli_rollouts_plan_window(struct arena *arena, const char *text, struct buf *out, struct err *err) MUST_USE;

#endif
