/* Files: whole or not at all, also when the disk fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/file.h"
#include "tests/unit/folder.h"

/* The nth call of one of these fails with that errno; they stand before the C library's. */
static struct {
    int fsync_at, write_at, rename_at, number;
    bool short_writes, no_renameat2;
} fault;

static bool strikes(int *countdown) {
    if (*countdown == 0 || --*countdown > 0)
        return false;
    errno = fault.number;
    return true;
}

int fsync(int fd) {
    return strikes(&fault.fsync_at) ? -1 : (int)syscall(SYS_fsync, fd);
}

ssize_t write(int fd, const void *data, size_t len) {
    if (strikes(&fault.write_at))
        return -1;
    return syscall(SYS_write, fd, data, fault.short_writes && len > 3 ? 3 : len);
}

int rename(const char *from, const char *to) {
    return strikes(&fault.rename_at) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    if (fault.no_renameat2) {
        errno = EINVAL;
        return -1;
    }
    return strikes(&fault.rename_at) ? -1 : (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

static char path[PATH_MAX];

static int set_up(void **state) {
    memset(&fault, 0, sizeof(fault));
    folder_make(state);
    snprintf(path, sizeof(path), "%s/file", folder);
    return 0;
}

static int count_files(void) {
    int count = 0;
    DIR *listing = opendir(folder);
    assert_non_null(listing);
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(listing);
    return count;
}

static void assert_content(const char *expected) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(1000);
    struct err err;
    assert_true(file_read(path, &text, &err));
    assert_string_equal(text.data, expected);
}

static void test_write_and_read(void **state) {
    struct err err;
    struct stat info;
    (void)state;
    fault.short_writes = true;
    assert_false(file_exists(path));
    assert_true(file_write_atomic(path, "first text", 10, 0640, &err));
    assert_true(file_exists(path));
    assert_content("first text");
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    assert_true(file_write_atomic(path, "second", 6, 0600, &err));
    assert_content("second");
    assert_int_equal(count_files(), 1);
}

static void test_a_failure_leaves_the_old_file(void **state) {
    static const struct {
        int write_at, fsync_at, rename_at, number;
        enum err_code code;
    } cases[] = {{1, 0, 0, ENOSPC, ERR_NO_SPACE}, {0, 1, 0, EIO, ERR_IO}, {0, 0, 1, EDQUOT, ERR_NO_SPACE}};
    struct err err;
    (void)state;
    assert_true(file_write_atomic(path, "old", 3, 0600, &err));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fault.write_at = cases[i].write_at;
        fault.fsync_at = cases[i].fsync_at;
        fault.rename_at = cases[i].rename_at;
        fault.number = cases[i].number;
        assert_false(file_write_atomic(path, "new", 3, 0600, &err));
        assert_int_equal(err.code, cases[i].code);
        assert_non_null(strstr(err.text, path));
        assert_content("old");
        assert_int_equal(count_files(), 1);
    }
}

static void test_a_folder_that_cannot_be_synced_is_told(void **state) {
    struct err err;
    (void)state;
    fault.fsync_at = 2; /* the first is the file's */
    fault.number = EIO;
    assert_false(file_write_atomic(path, "new", 3, 0600, &err));
    assert_int_equal(err.code, ERR_IO);
}

static void test_new_never_replaces(void **state) {
    struct err err;
    (void)state;
    for (int way = 0; way < 2; way++) {
        fault.no_renameat2 = way == 1;
        assert_true(file_write_new(path, "first", 5, 0400, &err));
        assert_false(file_write_new(path, "second", 6, 0400, &err));
        assert_int_equal(err.code, ERR_CONFLICT);
        assert_content("first");
        assert_int_equal(count_files(), 1);
        assert_int_equal(unlink(path), 0);
    }
    fault.no_renameat2 = false;
    fault.rename_at = 1;
    fault.number = EIO;
    assert_false(file_write_new(path, "first", 5, 0400, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_int_equal(count_files(), 0);
}

static void test_missing_places(void **state) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(10);
    struct err err;
    (void)state;
    assert_false(file_read(path, &text, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_false(file_read(folder, &text, &err)); /* a folder */
    assert_int_equal(err.code, ERR_IO);
    assert_false(file_write_atomic("/nowhere/at/all", "x", 1, 0600, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_false(file_sync_parent("/nowhere/at/all", &err));
    assert_true(file_sync_parent(path, &err));
    assert_true(file_sync_parent("relative", &err));
    assert_true(file_sync_dir("/", &err));
}

static void test_read_ceiling(void **state) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(5);
    struct err err;
    (void)state;
    assert_true(file_write_atomic(path, "123456", 6, 0600, &err));
    assert_false(file_read(path, &text, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_true(file_write_atomic(path, "12345", 5, 0600, &err));
    buf_reset(&text);
    assert_true(file_read(path, &text, &err));
}

static void test_secrets_must_be_private(void **state) {
    static const mode_t open_modes[] = {0640, 0604, 0620, 0602, 0644, 0660};
    struct err err;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(open_modes); i++) {
        CLEANUP(buf_wipe) struct buf text = BUF_INIT(100);
        assert_true(file_write_atomic(path, "secret", 6, open_modes[i], &err));
        assert_false(file_read_secret(path, &text, &err));
        assert_int_equal(err.code, ERR_KEY);
        assert_int_equal(text.len, 0);
    }
    CLEANUP(buf_wipe) struct buf text = BUF_INIT(100);
    assert_true(file_write_atomic(path, "secret", 6, 0400, &err));
    assert_true(file_read_secret(path, &text, &err));
    assert_string_equal(text.data, "secret");
    char fifo[PATH_MAX];
    snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_false(file_read_secret(fifo, &text, &err)); /* and does not wait for a writer */
    assert_int_equal(err.code, ERR_KEY);
}

static void test_make_dirs(void **state) {
    char deep[PATH_MAX];
    struct err err;
    struct stat info;
    (void)state;
    snprintf(deep, sizeof(deep), "%s/a/b/c", folder);
    assert_true(file_make_dirs(deep, 0700, &err));
    assert_int_equal(stat(deep, &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    assert_true(file_make_dirs(deep, 0700, &err));
    assert_true(file_write_atomic(path, "x", 1, 0600, &err));
    assert_false(file_make_dirs(path, 0700, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    snprintf(deep, sizeof(deep), "%s/file/below", folder);
    assert_false(file_make_dirs(deep, 0700, &err));
    assert_false(file_make_dirs("", 0700, &err));
}

static void test_free_space(void **state) {
    int64_t bytes = -1;
    struct err err;
    (void)state;
    assert_true(file_free_space("/", &bytes, &err));
    assert_true(bytes >= 0);
    assert_true(file_free_space("/proc", &bytes, &err)); /* has no room at all */
    assert_int_equal(bytes, 0);
    assert_false(file_free_space("/nonexistent", &bytes, &err));
    assert_non_null(strstr(err.text, "/nonexistent"));
}

static void test_lock(void **state) {
    char lock[PATH_MAX];
    struct err err;
    int first = -1, second = -1;
    (void)state;
    snprintf(lock, sizeof(lock), "%s/lock", folder);
    assert_true(file_lock(lock, &first, &err));
    assert_false(file_lock(lock, &second, &err));
    assert_int_equal(err.code, ERR_BUSY);
    assert_int_equal(second, -1);
    file_close(&first);
    assert_int_equal(first, -1);
    assert_true(file_lock(lock, &second, &err));
    file_close(&second);
    file_close(&second);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, folder_drop)

static void test_sweeps_what_a_killed_process_left(void **state) {
    char left[PATH_MAX + 32];
    struct err err;
    (void)state;
    assert_true(file_write_atomic(path, "kept", 4, 0600, &err));
    for (int i = 0; i < 3; i++) {
        snprintf(left, sizeof(left), "%s/.tmp-%016d", folder, i);
        close(open(left, O_WRONLY | O_CREAT, 0600));
    }
    assert_int_equal(count_files(), 4);
    assert_true(file_sweep_temporaries(folder, &err));
    assert_int_equal(count_files(), 1);
    assert_content("kept");
    snprintf(left, sizeof(left), "%s/none", folder);
    assert_true(file_sweep_temporaries(left, &err));
    assert_false(file_sweep_temporaries(path, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_write_and_read),
        CASE(test_a_failure_leaves_the_old_file),
        CASE(test_a_folder_that_cannot_be_synced_is_told),
        CASE(test_sweeps_what_a_killed_process_left),
        CASE(test_new_never_replaces),
        CASE(test_missing_places),
        CASE(test_read_ceiling),
        CASE(test_secrets_must_be_private),
        CASE(test_make_dirs),
        CASE(test_free_space),
        CASE(test_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
