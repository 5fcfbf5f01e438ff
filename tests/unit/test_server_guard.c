/* A mapped file that was cut short is an error, not a signal that kills. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/guard.h"

enum { PAGE = 4096 };

/* Two pages, of which the file holds only the first any more. */
static char *torn_mapping(void) {
    int fd = memfd_create("torn", MFD_CLOEXEC);
    assert_true(fd >= 0 && ftruncate(fd, 2 * PAGE) == 0 && write(fd, "whole", 5) == 5);
    char *data = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(data != MAP_FAILED && ftruncate(fd, PAGE) == 0);
    close(fd);
    return data;
}

static void test_copy(void **state) {
    struct err err;
    char out[2 * PAGE];
    char *data = torn_mapping();
    (void)state;
    assert_true(guard_start(&err));
    for (int i = 0; i < 3; i++) {
        assert_true(guard_copy(out, data, PAGE));
        assert_memory_equal(out, "whole", 5);
        assert_false(guard_copy(out, data, 2 * PAGE));
    }
    munmap(data, 2 * PAGE);
}

static void test_elsewhere_it_kills(void **state) {
    struct err err;
    char *data = torn_mapping();
    (void)state;
    assert_true(guard_start(&err));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        volatile char byte = data[PAGE];
        _exit(byte);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    munmap(data, 2 * PAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_copy), cmocka_unit_test(test_elsewhere_it_kills)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
