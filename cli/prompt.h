/* Questions to the person at the terminal: yes or no, and passphrases that are not shown. */
#ifndef PAWL_CLI_PROMPT_H
#define PAWL_CLI_PROMPT_H

#include "cli/cli.h"
#include "common/buf.h"

/* Where a passphrase comes from: a file, a descriptor, or (both unset) the terminal. */
struct cli_passphrase_source {
    const char *file;
    const char *fd;                      /* a number, as given */
    const char *file_option, *fd_option; /* their names, for messages */
};

/* True when the answer is yes, or --yes was given. ERR_USAGE when there is nobody to ask; ERR_NO_MEMORY for a NULL (an arena that is full). */
bool cli_prompt_confirm(struct cli *cli, const char *question, struct err *err) MUST_USE;

/* Reads one line (the line end is not part of it). `twice`: asked for again on a terminal, and shorter than KEY_PASSPHRASE_MIN is refused.
 * The caller wipes *ret. ERR_PASSPHRASE, ERR_KEY (file open to others), ERR_USAGE. */
bool cli_prompt_passphrase(struct cli *cli, const struct cli_passphrase_source *source, const char *what, bool twice, struct buf *ret,
                           struct err *err) MUST_USE;

#endif
