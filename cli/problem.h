/* A refusal of the server (RFC 9457) as one line and an error code. */
#ifndef PAWL_CLI_PROBLEM_H
#define PAWL_CLI_PROBLEM_H

#include "common/err.h"

/* Sets *err from a reply that is not 2xx and returns false: "refused: <detail> (<type>)" with the fields at fault behind it. A body that is no
 * problem document gives the status alone. */
bool cli_problem_set(struct err *err, long status, const char *body, size_t len);

/* The status as an error code, so that the exit code says "refused" for every 4xx. */
enum err_code cli_problem_code(long status);

#endif
