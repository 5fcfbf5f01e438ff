/* Temporary folders for tests: below TMPDIR, and nobody else's. */
#ifndef PAWL_TESTS_UNIT_TEMPORARY_H
#define PAWL_TESTS_UNIT_TEMPORARY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/defs.h"

enum { TEMPORARY_SIZE = 96 };

UNUSED static void temporary_folder(char ret_path[TEMPORARY_SIZE]) {
    const char *base = getenv("TMPDIR");
    int len = snprintf(ret_path, TEMPORARY_SIZE, "%s/pawl-test-XXXXXX", base != NULL && *base != '\0' ? base : "/tmp");
    assert_in_range(len, 1, TEMPORARY_SIZE - 1);
    assert_non_null(mkdtemp(ret_path));
}

/* From now on they lie in memory, where there is /dev/shm: for thousands of commits in a test that cuts no power. */
UNUSED static void temporary_in_memory(void) {
    if (access("/dev/shm", W_OK) == 0)
        assert_int_equal(setenv("TMPDIR", "/dev/shm", 0), 0);
}

UNUSED static int temporary_remove_one(const char *path, UNUSED const struct stat *info, UNUSED int type, UNUSED struct FTW *at) {
    return remove(path);
}

/* A file, or a folder with all that stands in it. */
UNUSED static void temporary_remove(const char *path) {
    assert_int_equal(nftw(path, temporary_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
