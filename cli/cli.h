/* What one run of `pawl` carries through its commands, and how a command is described: help, options and dispatch come from these tables. */
#ifndef PAWL_CLI_CLI_H
#define PAWL_CLI_CLI_H

#include <stdio.h>

#include "cli/profile.h"
#include "common/arena.h"
#include "common/program.h"

struct cli_client;

/* Ceiling of everything one command keeps: a list of 100,000 devices fits. */
enum { CLI_ARENA_BYTES = 512 << 20 };

struct cli {
    struct arena arena;         /* the whole run, but see cli_aside() */
    struct cli_profile profile; /* options over environment over the profile's section */
    bool json;                  /* print the API's JSON instead of tables */
    bool quiet;                 /* no progress, no notes */
    bool yes;                   /* do not ask */
    bool out_is_terminal;       /* tables are aligned only there */
    bool can_redraw;            /* standard output is a terminal that takes escape sequences */
    bool can_ask;               /* standard input and standard error are a terminal */
    bool can_show_progress;     /* the same of standard error, and nobody asked for quiet */
    FILE *out;                  /* results */
    FILE *notes;                /* what is only for people: progress, questions, notes */
    int exit_code;              /* of a command that was done: more than "done" in a few (enum program_exit) */
    struct cli_client *client;  /* opened by the first request; owned */
};

/* One option of a command; its value lands at .offset of the command's argument struct (zeroed before). */
struct cli_option {
    const char *name;
    char letter;
    enum option_kind kind;
    size_t offset;
    const char *value; /* its name in --help; NULL for flags */
    const char *help;
};

struct cli_options {
    const struct cli_option *rows;
    size_t count;
    size_t size; /* of the argument struct */
};

#define CLI_OPTIONS(type, table)                                                                                                                     \
    { .rows = (table), .count = ARRAY_LEN(table), .size = sizeof(type) }

struct cli_command {
    const char *group;
    const char *verb; /* "" when the group is the command */
    const char *operands;
    size_t min_operands, max_operands;
    const char *summary;               /* one line */
    const char *detail;                /* further lines of --help; NULL: none */
    const struct cli_options *options; /* NULL: none but the global ones */
    bool (*run)(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err);
};

/* The whole command line in one table (commands.c), rows of a group side by side. */
extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;

/* What a group is about, for `pawl --help`; NULL when there is no such group. */
const char *cli_group_summary(const char *group);

/* NULL when there is no such row. */
const struct cli_command *cli_command_find(const char *group, const char *verb);

/* The options of every command, --version included, without places for their values; ret_options holds at least 16. */
size_t cli_global_options(struct option *ret_options);

/* Runs one command line; prints errors as one line on standard error and returns the exit code. */
int cli_run(int argc, char **argv);

/* Runs one of many looks at the same thing; what it has taken of the arena is given back, so that a day of them needs no more memory than one.
 * Nothing of it may be kept but in *context. */
bool cli_aside(struct cli *cli, bool (*look)(struct cli *cli, void *context, struct err *err), void *context, struct err *err) MUST_USE;

/* Help out of the tables. */
void cli_help_program(FILE *out);
void cli_help_group(FILE *out, const char *group);
void cli_help_command(FILE *out, const struct cli_command *command);

/* A sentence for people on standard error, unless --quiet. */
void cli_note(const struct cli *cli, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
