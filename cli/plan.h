/* What is going to be signed, in words: the difference between the last release of a product and the next one. Pure. */
#ifndef PAWL_CLI_PLAN_H
#define PAWL_CLI_PLAN_H

#include "common/buf.h"
#include "trust/release.h"

struct cli_plan {
    const struct release *last; /* NULL: the first of its product */
    const struct release *next;
    bool first_of_repository; /* nothing was ever published with this root */
    const char *role;         /* that says so; NULL: "targets" */
    int64_t targets_version;  /* that the new metadata will have */
};

/* One line a field, "old -> new" where it changes, and a line that begins with "!" for what deserves a second look. */
void cli_plan_text(const struct cli_plan *plan, struct buf *out);

/* ERR_DOWNGRADE: the sequence is not higher than the last one's, or the security version lower. */
bool cli_plan_check(const struct cli_plan *plan, struct err *err) MUST_USE;

#endif
