#include "server/guard.h"

#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>

static _Thread_local sigjmp_buf guard_return;
static _Thread_local volatile sig_atomic_t guard_active;

static void on_bus_error(int number, siginfo_t *info, void *context) {
    const ucontext_t *interrupted = context;
    (void)info;
    if (guard_active) {
        guard_active = 0;
        pthread_sigmask(SIG_SETMASK, &interrupted->uc_sigmask, NULL); /* as a return from here would have */
        siglongjmp(guard_return, 1);
    }
    signal(number, SIG_DFL); /* the instruction runs again, and this time it kills */
}

bool guard_start(struct err *err) {
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, NULL) == 0 || err_errno(err, "handler of SIGBUS");
}

bool guard_copy(void *to, const void *from, size_t len) {
    if (sigsetjmp(guard_return, 0) != 0)
        return false;
    guard_active = 1;
    atomic_signal_fence(memory_order_seq_cst); /* the copy stays between the two */
    memcpy(to, from, len);
    atomic_signal_fence(memory_order_seq_cst);
    guard_active = 0;
    return true;
}
