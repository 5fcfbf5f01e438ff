/* The filter of system calls, each test in a process of its own: it cannot be taken off again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/sandbox.h"

enum { INACTIVE = 77 };

/* Runs behind the filter; its result is the child's exit code. */
static void behind(bool connects, int (*run)(void)) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct err err;
        bool active = false;
        bool done = sandbox_early(&err) && sandbox_syscalls(connects, &active, &err);
        _exit(!done ? 1 : !active ? INACTIVE : run());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == INACTIVE) {
        print_message("no filter here: sanitized, or the kernel has none\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void *nothing(void *arg) {
    return arg;
}

static int start_thread(void) {
    pthread_t thread;
    return pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0 ? 0 : 2;
}

static int start_process(void) {
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return child < 0 && errno == ENOSYS ? 0 : 2;
}

static int execute(void) {
    char *const argv[] = {(char[]){"true"}, NULL};
    execv("/bin/true", argv);
    return errno == ENOSYS ? 0 : 2;
}

static int connect_somewhere(void) {
    const struct sockaddr nowhere = {.sa_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = connect(fd, &nowhere, sizeof(nowhere)) == 0 ? 0 : errno;
    close(fd);
    return result;
}

static int is_closed(void) {
    return connect_somewhere() == ENOSYS ? 0 : 2;
}

static int is_open(void) {
    return connect_somewhere() != ENOSYS ? 0 : 2;
}

static void test_threads_start(void **state) {
    (void)state;
    behind(true, start_thread);
}

static void test_no_process_starts(void **state) {
    (void)state;
    behind(true, start_process);
    behind(true, execute);
}

static void test_connect_is_for_webhooks_alone(void **state) {
    (void)state;
    behind(false, is_closed);
    behind(true, is_open);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_start),
        cmocka_unit_test(test_no_process_starts),
        cmocka_unit_test(test_connect_is_for_webhooks_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
