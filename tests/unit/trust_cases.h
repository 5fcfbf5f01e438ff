/* Bad inputs as files: every "<E_CODE>.<case>.json" of a folder, and what must come of it. */
#ifndef PAWL_TESTS_TRUST_CASES_H
#define PAWL_TESTS_TRUST_CASES_H

#include <dirent.h>

#include "tests/unit/trust_simulator.h"

/* What is done with one file; false and *err as the function under test says. */
typedef bool cases_run(const char *path, const struct buf *file, struct err *err);

UNUSED static void cases_read(const char *path, struct buf *out) {
    buf_init(out, SIM_FILE_MAX);
    SIM_OK(file_read(path, out, &sim_err));
}

UNUSED static void cases_check(const char *path, const char *name, cases_run *run, bool valid) {
    struct buf file;
    struct err err = {0};
    cases_read(path, &file);
    /* A copy of exactly that size, so that the sanitizer sees a read behind its end. */
    char *copy = malloc(file.len > 0 ? file.len : 1);
    assert_non_null(copy);
    memcpy(copy, file.data != NULL ? file.data : "", file.len);
    struct buf exact = {.data = copy, .len = file.len};
    bool fine = run(path, &exact, &err);
    free(copy);
    buf_free(&file);
    if (valid && !fine)
        fail_msg("%s was refused: %s: %s", path, err_tag(err.code), err.text);
    if (!valid) {
        char code[64];
        snprintf(code, sizeof code, "%.*s", (int)(strchr(name, '.') - name), name);
        if (fine || strcmp(code, err_tag(err.code)) != 0)
            fail_msg("%s: expected %s, got %s: %s", path, code, fine ? "no error" : err_tag(err.code), fine ? "" : err.text);
        if (strchr(err.text, '\n') != NULL || err.text[0] == '\0')
            fail_msg("%s: the message is not one line: %s", path, err.text);
    }
}

/* Runs every ".json" of tests/data/trust/<folder>; at least `least` must be there. */
UNUSED static void cases_walk(const char *folder, size_t least, bool valid, cases_run *run) {
    char path[512];
    size_t count = 0;
    snprintf(path, sizeof path, PAWL_TEST_DATA "/trust/%s", folder);
    DIR *dir = opendir(path);
    if (dir == NULL)
        fail_msg("no folder %s", path);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        size_t len = strlen(entry->d_name);
        if (len < 5 || strcmp(entry->d_name + len - 5, ".json") != 0)
            continue;
        snprintf(path, sizeof path, PAWL_TEST_DATA "/trust/%s/%s", folder, entry->d_name);
        cases_check(path, entry->d_name, run, valid);
        count++;
    }
    closedir(dir);
    assert_true(count >= least);
}

#endif
