/* Which server, and with which credentials: a profile of ~/.config/pawl/config, overridden by options. */
#ifndef PAWL_CLI_PROFILE_H
#define PAWL_CLI_PROFILE_H

#include "common/arena.h"
#include "common/err.h"

struct cli_profile {
    const char *name;
    const char *server;     /* "https://host:port", no slash at the end */
    const char *ca;         /* PEM file: the only authorities that are believed */
    const char *token_file; /* mode 0400 or 0600 */
    const char *state_dir;  /* verified metadata; NULL: below the user's state folder */
};

/* Fills what is still NULL in *profile from section [name] of the text of a configuration file. A section is a profile; the keys are server,
 * ca, token_file, state_dir; "#" and ";" begin comments; "~/" is the home folder. ERR_CONFIG names file and line; a missing section is
 * an error only when `required`. */
bool cli_profile_parse(struct arena *arena, const char *path, const char *text, size_t len, const char *name, bool required,
                       struct cli_profile *profile, struct err *err) MUST_USE;

/* The same from PAWL_CONFIG or ~/.config/pawl/config (none: nothing to fill), after PAWL_TOKEN_FILE. profile->name NULL means "default". */
bool cli_profile_load(struct arena *arena, struct cli_profile *profile, struct err *err) MUST_USE;

/* "https://HOST[:PORT]" and nothing else; a slash at the end is cut off. */
bool cli_profile_check_server(struct arena *arena, const char *server, const char **ret_server, struct err *err) MUST_USE;

#endif
