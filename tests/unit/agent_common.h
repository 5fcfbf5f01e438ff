/* What the agent's unit tests share: cmocka's includes, and a folder that lives as long as one test. */
#ifndef PAWL_TESTS_UNIT_AGENT_COMMON_H
#define PAWL_TESTS_UNIT_AGENT_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/defs.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static char folder[64];
static char scratch[4][256]; /* for in_folder(); good until the fourth next call */

static inline const char *in_folder(const char *name) {
    static size_t next;
    char *place = scratch[next++ % 4];
    snprintf(place, sizeof(scratch[0]), "%s/%s", folder, name);
    return place;
}

static inline void write_file(const char *path, const void *data, size_t len, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static inline void write_text(const char *path, const char *text) {
    write_file(path, text, strlen(text), 0600);
}

static inline size_t read_file(const char *path, char *out, size_t size) {
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t got = read(fd, out, size - 1);
    assert_true(got >= 0);
    out[got] = '\0';
    close(fd);
    return (size_t)got;
}

static inline int folder_make(UNUSED void **state) {
    snprintf(folder, sizeof(folder), "/tmp/pawl-agent-test-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static inline int folder_remove_one(const char *path, UNUSED const struct stat *info, UNUSED int type, UNUSED struct FTW *at) {
    return remove(path);
}

static inline int folder_drop(UNUSED void **state) {
    return nftw(folder, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
