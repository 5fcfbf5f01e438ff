/* Commands of the device's maker: split without a shell, run with a clean environment and a deadline. */
#ifndef PAWL_AGENT_HOOK_H
#define PAWL_AGENT_HOOK_H

#include "common/arena.h"
#include "common/buf.h"

enum { AGENT_HOOK_ARGS_MAX = 64, AGENT_HOOK_ENV_MAX = 16 };

/* One PAWL_… variable; value NULL leaves it out. */
struct agent_hook_env {
    const char *name;
    const char *value;
};

struct agent_hook {
    const char *what;    /* for messages: "self-test" */
    const char *command; /* as configured */
    const char *last;    /* one more argument, whatever is in it; NULL: none */
    const struct agent_hook_env *env;
    size_t env_count;
    int64_t timeout_s;
};

/* Splits at blanks; '…' and "…" keep what is in them as it is (there is no escape character). The result ends in NULL. ERR_CONFIG: nothing in it, a
 * quote that is not closed, more than AGENT_HOOK_ARGS_MAX words. */
bool agent_hook_split(struct arena *arena, const char *command, char ***ret_argv, struct err *err) MUST_USE;

/* Runs it and waits. Its standard error goes where ours goes, its standard output into *output (may be NULL; what is over the buffer's ceiling is
 * dropped). The environment is PATH and the variables given. ERR_INSTALL: cannot start, another exit status than 0, or a signal; ERR_TIMEOUT:
 * killed, with its process group, when the time was over. */
bool agent_hook_run(const struct agent_hook *hook, struct buf *output, struct err *err) MUST_USE;

#endif
