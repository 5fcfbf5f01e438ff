/* What a signature would add to the world, in words: the difference between metadata that was verified and a draft, and a short hash of exactly that
 * draft, by which two people can tell over the telephone that they speak of the same one. Pure. */
#ifndef PAWL_CLI_DIFF_H
#define PAWL_CLI_DIFF_H

#include "trust/trusted.h"

enum { CLI_DIFF_HASH_SIZE = 40, CLI_DIFF_TEXT_MAX = 1 << 20 }; /* eight groups of four digits: "1234-5678-…" */

/* A draft of targets, or of a delegated role. */
struct cli_diff {
    const struct metadata *base; /* NULL: the first file of its role */
    const struct metadata *next;
    const struct trusted_releases *releases; /* all that are verified, of every role */
    bool first_of_repository;
};

/* Appends the difference. Refuses what no honest draft holds: ERR_ROLLBACK unless it is the version after the base, ERR_CONFLICT for a published
 * release that is gone or changed, ERR_DOWNGRADE for counters that do not rise, ERR_FORMAT for a key under an id that is not its own or of a type
 * that is not known here, ERR_TARGET. ret_added: the new releases, in the arena. */
bool cli_diff_targets(struct arena *arena, const struct cli_diff *diff, struct buf *out, struct trusted_releases *ret_added,
                      struct err *err) MUST_USE;

/* The same for root: base NULL is the first one. ERR_ROLLBACK unless it is the version after the base; ERR_FORMAT. */
bool cli_diff_root(const struct metadata *base, const struct metadata *next, struct buf *out, struct err *err) MUST_USE;

/* Of the bytes that signatures cover. */
bool cli_diff_hash(const struct metadata *next, char ret_hash[CLI_DIFF_HASH_SIZE], struct err *err) MUST_USE;

/* Does what somebody typed name this hash? Dashes and case do not count; all 32 digits are needed (128 bits:
 * fewer could be met by somebody who makes many drafts). */
bool cli_diff_same_hash(const char *hash, const char *typed) MUST_USE;

#endif
