#include "db/work.h"

#include <errno.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/hex.h"

enum { BLOCK = 256 * 1024, NAP_MAX_MS = 1000 };

bool db_work_step(const struct db_work *work, int64_t done, int64_t total) {
    return !work || !work->step || work->step(work->context, done, total);
}

void db_work_pace(const struct db_work *work, int64_t started_ms, int64_t done) {
    if (!work || work->rate <= 0)
        return;
    int64_t due_ms = started_ms + done / work->rate * 1000 + done % work->rate * 1000 / work->rate;
    int64_t nap_ms = due_ms - clock_mono_ms();
    if (nap_ms > 0)
        clock_sleep_ms(nap_ms < NAP_MAX_MS ? nap_ms : NAP_MAX_MS);
}

/* One block: read, hashed, written. *ret_got 0: the end. */
static bool copy_block(int fd, int out_fd, size_t want, struct hash *hash, char *block, size_t *ret_got, struct err *err) {
    ssize_t got;

    do {
        got = read(fd, block, want);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_errno(err, "read");
    *ret_got = (size_t)got;
    return hash_update(hash, block, (size_t)got, err) && (out_fd < 0 || file_write_all(out_fd, block, (size_t)got, err));
}

bool db_work_copy(struct db_work_copy *copy, int fd, int out_fd, int64_t max, char ret_sha256[65], int64_t *ret_length, struct err *err) {
    CLEANUP(hash_free) struct hash hash = {0};
    uint8_t digest[SHA256_SIZE];
    char block[BLOCK];
    int64_t length = 0;
    if (!hash_sha256_begin(&hash, err))
        return false;
    while (length < max) {
        int64_t left = max - length;
        size_t got;

        if (!copy_block(fd, out_fd, left < BLOCK ? (size_t)left : BLOCK, &hash, block, &got, err))
            return false;
        if (got == 0)
            break;
        length += (int64_t)got;
        copy->done += (int64_t)got;
        if (!db_work_step(copy->work, copy->done, copy->total))
            return err_set(err, ERR_BUSY, "stopped");
        db_work_pace(copy->work, copy->started_ms, copy->done);
    }
    if (!hash_sha256_end(&hash, digest, err))
        return false;
    hex_encode(digest, sizeof digest, ret_sha256);
    *ret_length = length;
    return true;
}
