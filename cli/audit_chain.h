/* An export of the audit, line by line: does each row continue the chain, and does the chain meet the checkpoint? */
#ifndef PAWL_CLI_AUDIT_CHAIN_H
#define PAWL_CLI_AUDIT_CHAIN_H

#include "trust/checkpoint.h"

enum { CLI_AUDIT_LINE_MAX = 1 << 20 };

/* Begins as all zero but for the checkpoint. */
struct cli_audit_chain {
    const struct checkpoint *checkpoint; /* its signature is verified; NULL: none */
    struct chain_row last;               /* seq and hash */
    bool met;                            /* the checkpoint's row was there, with its hash */
};

/* One line without its line feed. ERR_HASH naming the row that does not fit, ERR_FORMAT for a line that is no row. */
bool cli_audit_chain_line(struct cli_audit_chain *chain, const char *line, size_t len, struct err *err) MUST_USE;

/* ERR_HASH when the export ends before the checkpoint's row. */
bool cli_audit_chain_end(const struct cli_audit_chain *chain, struct err *err) MUST_USE;

#endif
