/* A temporary folder that lives as long as a test, or a group of tests: folder_make() and folder_drop() are their set-up and tear-down. */
#ifndef PAWL_TESTS_UNIT_FOLDER_H
#define PAWL_TESTS_UNIT_FOLDER_H

#include "tests/unit/temporary.h"

static char folder[TEMPORARY_SIZE];

UNUSED static int folder_make(UNUSED void **state) {
    temporary_folder(folder);
    return 0;
}

UNUSED static int folder_drop(UNUSED void **state) {
    temporary_remove(folder);
    return 0;
}

/* The path of something in it, good until the eighth next call. */
UNUSED static const char *in_folder(const char *name) {
    static char paths[8][TEMPORARY_SIZE + 128];
    static size_t next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

#endif
