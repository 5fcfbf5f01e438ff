/* pawl seal, unseal and keys identity over real files: round trips, and nothing left behind by what proves false. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those four before it */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/file.h"
#include "tests/unit/folder.h"

static const char *const names[] = {"id", "other", "rec", "plain", "sealed", "opened", "cut"};

static int set_up(void **state) {
    setenv("HOME", "/nonexistent", 1);
    unsetenv("PAWL_CONFIG");
    return folder_make(state);
}

static int tear_down(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unlink(in_folder(names[i]));
    assert_int_equal(rmdir(folder), 0); /* nothing else was left */
    return 0;
}

/* Runs `pawl a b c d e f` with standard output in the file "rec". */
static int run(const char *a, const char *b, const char *c, const char *d, const char *e, const char *f) {
    const char *words[] = {"pawl", a, b, c, d, e, f, NULL};
    char *argv[8] = {NULL};
    char kept[8][TEMPORARY_SIZE + 128];
    int argc = 0;
    for (; words[argc] != NULL; argc++) {
        snprintf(kept[argc], sizeof(kept[argc]), "%s", words[argc]);
        argv[argc] = kept[argc];
    }
    fflush(stdout);
    int terminal = dup(STDOUT_FILENO);
    assert_non_null(freopen(in_folder("rec"), "w", stdout));
    int code = cli_run(argc, argv);
    fflush(stdout);
    assert_true(dup2(terminal, STDOUT_FILENO) >= 0);
    close(terminal);
    return code;
}

static void write_plain(size_t len) {
    struct err err;
    char *data = malloc(len + 1);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 7 + i / 251);
    assert_true(file_write_atomic(in_folder("plain"), data, len, 0600, &err));
    free(data);
}

static void assert_same(const char *a, const char *b) {
    struct err err;
    CLEANUP(buf_free) struct buf first = BUF_INIT(1 << 22);
    CLEANUP(buf_free) struct buf second = BUF_INIT(1 << 22);
    assert_true(file_read(in_folder(a), &first, &err));
    assert_true(file_read(in_folder(b), &second, &err));
    assert_int_equal(first.len, second.len);
    if (first.len > 0)
        assert_memory_equal(first.data, second.data, first.len);
}

static void round_trip(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 300000};
    struct stat info;
    assert_int_equal(run("keys", "identity", in_folder("id"), NULL, NULL, NULL), EXIT_OK);
    assert_int_equal(stat(in_folder("id"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0400);
    assert_int_equal(rename(in_folder("rec"), in_folder("other")), 0); /* the recipient that was printed */
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        write_plain(sizes[i]);
        assert_int_equal(run("seal", in_folder("plain"), "-R", in_folder("other"), "-o", in_folder("sealed")), EXIT_OK);
        assert_int_equal(run("unseal", in_folder("sealed"), "-i", in_folder("id"), "-o", in_folder("opened")), EXIT_OK);
        assert_same("plain", "opened");
        unlink(in_folder("sealed"));
        unlink(in_folder("opened"));
    }
}

static void what_proves_false_leaves_nothing(void **state) {
    (void)state;
    assert_int_equal(run("keys", "identity", in_folder("id"), NULL, NULL, NULL), EXIT_OK);
    assert_int_equal(rename(in_folder("rec"), in_folder("cut")), 0);
    write_plain(200000);
    assert_int_equal(run("seal", in_folder("plain"), "-R", in_folder("cut"), "-o", in_folder("sealed")), EXIT_OK);
    assert_int_equal(truncate(in_folder("sealed"), 150000), 0);
    assert_int_equal(run("unseal", in_folder("sealed"), "-i", in_folder("id"), "-o", in_folder("opened")), EXIT_TRUST);
    assert_false(file_exists(in_folder("opened")));

    assert_int_equal(run("keys", "identity", in_folder("other"), NULL, NULL, NULL), EXIT_OK);
    assert_int_equal(run("unseal", in_folder("sealed"), "-i", in_folder("other"), "-o", in_folder("opened")), EXIT_TRUST);
    assert_false(file_exists(in_folder("opened")));
    write_plain(10);
    assert_int_equal(run("unseal", in_folder("plain"), "-i", in_folder("id"), "-o", in_folder("opened")), EXIT_TRUST);
    assert_int_equal(chmod(in_folder("id"), 0644), 0);
    assert_int_equal(run("unseal", in_folder("sealed"), "-i", in_folder("id"), "-o", in_folder("opened")), EXIT_KEY);
}

static void nothing_is_overwritten(void **state) {
    (void)state;
    assert_int_equal(run("keys", "identity", in_folder("id"), NULL, NULL, NULL), EXIT_OK);
    assert_int_equal(rename(in_folder("rec"), in_folder("cut")), 0);
    assert_int_equal(run("keys", "identity", in_folder("id"), NULL, NULL, NULL), EXIT_LOCAL_IO);
    write_plain(10);
    assert_int_equal(run("seal", in_folder("plain"), "-R", in_folder("cut"), "-o", in_folder("plain")), EXIT_LOCAL_IO);
    assert_int_equal(run("seal", in_folder("plain"), "-r", "age1nobody", "-o", in_folder("sealed")), EXIT_USAGE);
    assert_int_equal(run("seal", in_folder("plain"), "-o", in_folder("sealed"), NULL, NULL), EXIT_USAGE);
    assert_int_equal(run("unseal", in_folder("plain"), "-o", in_folder("sealed"), NULL, NULL), EXIT_USAGE);
    assert_int_equal(run("seal", in_folder("nothing"), "-R", in_folder("cut"), "-o", in_folder("sealed")), EXIT_LOCAL_IO);
    assert_false(file_exists(in_folder("sealed")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_proves_false_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_overwritten, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
