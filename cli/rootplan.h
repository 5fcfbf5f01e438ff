/* A root in the making: the roles of the one before it, changed by what the command line says. */
#ifndef PAWL_CLI_ROOTPLAN_H
#define PAWL_CLI_ROOTPLAN_H

#include "common/program.h"
#include "trust/repository.h"

enum { CLI_ROOTPLAN_KEYS_MAX = 32, CLI_ROOTPLAN_ROLES = 5 };

struct cli_rootplan_role {
    size_t count;
    const struct key *keys[CLI_ROOTPLAN_KEYS_MAX];
    size_t threshold;
};

struct cli_rootplan {
    struct cli_rootplan_role roles[CLI_ROOTPLAN_ROLES]; /* by cli_rootplan_names */
    size_t owned_count;
    struct key *owned[CLI_ROOTPLAN_ROLES * CLI_ROOTPLAN_KEYS_MAX]; /* read from files */
};

extern const char *const cli_rootplan_names[CLI_ROOTPLAN_ROLES]; /* root, targets, snapshot, timestamp, directive */

/* The keys and threshold of that role; index by cli_rootplan_names. */
const struct signers *cli_rootplan_signers(const struct metadata *root, size_t role);

/* From the root before (its keys are borrowed). ERR_NOT_IMPLEMENTED when it names a key of a type that is not known here. */
bool cli_rootplan_from(const struct metadata *root, struct cli_rootplan *ret_plan, struct err *err) MUST_USE;
void cli_rootplan_free(struct cli_rootplan *plan); /* fits CLEANUP */

/* "ROLE=FILE" (PEM), "ROLE=KEYID" (its first 8 digits or more), "ROLE=N". ERR_USAGE says what is wrong with it; ERR_KEY for a file that is no key. */
bool cli_rootplan_add(struct cli_rootplan *plan, const char *what, struct err *err) MUST_USE;
bool cli_rootplan_remove(struct cli_rootplan *plan, const char *what, struct err *err) MUST_USE;
bool cli_rootplan_threshold(struct cli_rootplan *plan, const char *what, struct err *err) MUST_USE;

/* The unsigned file. ERR_THRESHOLD. */
bool cli_rootplan_draft(const struct cli_rootplan *plan, int64_t version, int64_t expires_at, struct draft **ret_draft, struct err *err) MUST_USE;

#endif
