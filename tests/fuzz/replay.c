/* Runs a fuzzer's entry point over committed inputs: every file of the folders and files given. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 16 * 1024 * 1024 };

static bool replay_file(const char *path, struct err *err) {
    CLEANUP(buf_free) struct buf input = BUF_INIT(INPUT_MAX);
    if (!file_read(path, &input, err))
        return false;
    /* A copy of exactly that size, so that the sanitizer sees a read behind its end. */
    uint8_t *copy = malloc(input.len > 0 ? input.len : 1);
    if (copy == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < input.len; i++)
        copy[i] = (uint8_t)input.data[i];
    LLVMFuzzerTestOneInput(copy, input.len);
    free(copy);
    return true;
}

static bool replay(const char *path, int *count, struct err *err) {
    struct stat info;
    if (stat(path, &info) != 0)
        return err_errno(err, "look at %s", path);
    if (!S_ISDIR(info.st_mode)) {
        (*count)++;
        return replay_file(path, err);
    }
    DIR *folder = opendir(path);
    if (folder == NULL)
        return err_errno(err, "open folder %s", path);
    bool ok = true;
    for (struct dirent *entry = readdir(folder); ok && entry != NULL; entry = readdir(folder)) {
        char name[PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        ok = replay(name, count, err);
    }
    closedir(folder);
    return ok;
}

int main(int argc, char **argv) {
    struct err err;
    int count = 0;
    for (int i = 1; i < argc; i++) {
        if (!replay(argv[i], &count, &err)) {
            fprintf(stderr, "%s\n", err.text);
            return EXIT_FAILURE;
        }
    }
    printf("%d inputs\n", count);
    return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
