/* What the commands over the whole store share: a line that tells how far they are, and an end on SIGINT and SIGTERM that leaves nothing behind. */
#ifndef PAWL_SERVER_ARCHIVE_H
#define PAWL_SERVER_ARCHIVE_H

#include "db/work.h"

struct archive_work {
    struct db_work work; /* its context points here: not to be copied */
    const char *what;
    bool shown; /* standard error is a terminal */
    int64_t drawn_ms;
};

void archive_begin(struct archive_work *archive, const char *what, int64_t rate);
void archive_end(const struct archive_work *archive); /* clears the line */

#endif
