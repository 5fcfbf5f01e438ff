/* What every command line of ours shares: options by table, --help out of it, exit codes. */
#ifndef PAWL_COMMON_PROGRAM_H
#define PAWL_COMMON_PROGRAM_H

#include <stdio.h>

#include "common/err.h"

/* Exit codes, documented in the manual pages. */
enum program_exit {
    EXIT_OK = 0,
    EXIT_FAILED = 1,      /* anything not below */
    EXIT_USAGE = 2,       /* command line or configuration */
    EXIT_REFUSED = 3,     /* the server said no: credentials, scope, conflict, not found, invalid */
    EXIT_UNREACHABLE = 4, /* network, TLS, timeout */
    EXIT_TRUST = 5,       /* a signature, hash, version, expiry or threshold did not hold */
    EXIT_LOCAL_IO = 6,    /* a local file could not be read or written, or no space */
    EXIT_KEY = 7,         /* wrong passphrase, unusable or badly protected key */
    EXIT_PAUSED = 8,      /* the rollout that was watched is paused */
    EXIT_STOPPED = 9,     /* the same, stopped */
};

/* No core file of a process that has keys in memory. First thing in main(). */
void program_refuse_core(void);

int program_exit_code(const struct err *err); /* one of the above */

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_INT, OPTION_TEXTS };

struct option_texts {
    size_t count;
    const char *items[64];
};

/* One option: "--name VALUE". Its table is built on the stack, because the targets are. */
struct option {
    const char *name; /* without dashes */
    char letter;      /* 0: none */
    enum option_kind kind;
    void *target;      /* bool *, const char **, int64_t *, struct option_texts * */
    const char *value; /* name of the value in --help; NULL for flags */
    const char *help;
};

/* Takes options behind argv[0] (anywhere, "--name=value" too; "--" ends them) and leaves the operands in *ret_operands (borrowed from argv; at most
 * 64). ERR_USAGE for an unknown, doubled or value-less option. */
bool option_parse(const struct option *options, size_t count, int argc, char **argv, struct option_texts *ret_operands, struct err *err) MUST_USE;
void option_help(FILE *out, const struct option *options, size_t count);

#endif
