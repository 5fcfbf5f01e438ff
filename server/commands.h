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

/* Options alone: an operand is ERR_USAGE. */
bool commands_parse(const struct option *options, size_t count, int argc, char **argv, struct err *err) MUST_USE;

/* Loads the configuration that --config names. */
bool commands_config(const char *path, struct server_config *ret_config, struct err *err) MUST_USE;

#endif
