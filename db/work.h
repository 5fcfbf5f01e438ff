/* Long work over the whole store (backup, restore, scrub): told as it goes, held to a rate, stopped between two blocks. */
#ifndef PAWL_DB_WORK_H
#define PAWL_DB_WORK_H

#include "common/err.h"

struct db_work {
    /* May be NULL. In bytes or pages of the present stage. False: stop. */
    bool (*step)(void *context, int64_t done, int64_t total);
    void *context;
    int64_t rate; /* bytes of images a second at most; 0: as fast as it goes */
};

/* True to go on. work NULL: always. */
bool db_work_step(const struct db_work *work, int64_t done, int64_t total);

/* Called after each block: sleeps so that `done` bytes since started_ms (monotonic) keep to the rate. */
void db_work_pace(const struct db_work *work, int64_t started_ms, int64_t done);

/* Reads up to max bytes of fd (or to its end) into SHA-256 and, when out_fd ≥ 0, into that file. copy->done goes on counting. ERR_BUSY: stopped.
 * *ret_length: what was read. */
struct db_work_copy {
    const struct db_work *work;
    int64_t started_ms; /* monotonic */
    int64_t done, total;
};
bool db_work_copy(struct db_work_copy *copy, int fd, int out_fd, int64_t max, char ret_sha256[65], int64_t *ret_length, struct err *err) MUST_USE;

#endif
