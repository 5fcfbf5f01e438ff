/* What `pawld` can be asked to do; each takes its own arguments and returns an exit code (common/program.h). */
#ifndef PAWL_SERVER_COMMANDS_H
#define PAWL_SERVER_COMMANDS_H

#include "common/program.h"
#include "server/config.h"

int commands_serve(int argc, char **argv);
int commands_init(int argc, char **argv);
int commands_check_config(int argc, char **argv);
int commands_print_config(int argc, char **argv);
int commands_migrate(int argc, char **argv);
int commands_backup(int argc, char **argv);
int commands_restore(int argc, char **argv);
int commands_scrub(int argc, char **argv);
int commands_health(int argc, char **argv);

/* Where the configuration is when --config does not say: this file, or, when it is not there, none. */
#define COMMANDS_CONFIG "/etc/pawl/pawld.conf"

/* Prints one line on standard error and returns the exit code of the error. */
int commands_fail(const struct err *err);

/* What a command takes beside --config and --help, which all have. */
struct commands_line {
    const char *usage;            /* the text above the options in --help */
    const char *operand;          /* the name of its one operand; NULL: it takes none */
    const struct option *options; /* its own, at most COMMANDS_MAX_OPTIONS */
    size_t option_count;
};

enum { COMMANDS_MAX_OPTIONS = 4 };

/* *ret_config_path: of --config; NULL: the usual one. *ret_operand (NULL where there is none to come) is borrowed from argv. False: the command is
 * over with *ret_code; it was help, or a fault that has been told. */
bool commands_parse(const struct commands_line *line, int argc, char **argv, const char **ret_config_path, const char **ret_operand,
                    int *ret_code) MUST_USE;

/* Loads the configuration that --config named. */
bool commands_config(const char *path, struct server_config *ret_config, struct err *err) MUST_USE;

#endif
