#include "agent/daemon.h"

#include <stdio.h>
#include <time.h>

#include "agent/backoff.h"
#include "agent/enrol.h"
#include "agent/state.h"
#include "common/file.h"
#include "common/log.h"
#include "common/random.h"

enum { LOCK_RETRY_MS = 500 };

/* A signal handler can reach nothing but a global. */
volatile sig_atomic_t agent_daemon_stop = 0;

static void on_signal(UNUSED int number) {
    agent_daemon_stop = 1;
}

void agent_daemon_catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
    action.sa_handler = SIG_DFL; /* whoever started this process may ignore it, and then no command could be waited for */
    (void)sigaction(SIGCHLD, &action, NULL);
}

/* The signals are blocked between the question and the wait, so that none is missed. */
static void wait_ms(int64_t ms) {
    const struct timespec timeout = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, &before);
    if (agent_daemon_stop == 0 && sigtimedwait(&signals, NULL, &timeout) > 0)
        agent_daemon_stop = 1;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
}

static int64_t next_wait_ms(const struct agent_settings *settings, const struct agent_outcome *outcome, int64_t failures) {
    uint64_t random = random_below(UINT64_MAX);
    if (outcome->result == AGENT_RESULT_CHANGED) /* soon, but a release that is offered again and again must not keep the device busy */
        return settings->retry_min_s * 1000;
    if (outcome->result == AGENT_RESULT_FAILED || outcome->result == AGENT_RESULT_FELL_BACK)
        return agent_backoff_ms(outcome->result == AGENT_RESULT_FELL_BACK ? outcome->attempts : failures, settings->retry_min_s * 1000,
                                settings->retry_max_s * 1000, agent_backoff_asked_ms(outcome->retry_after_s, settings->poll_max_s), random);
    return agent_backoff_poll_ms(agent_backoff_asked_ms(outcome->poll_after_s, settings->poll_max_s), settings->poll_interval_s * 1000,
                                 settings->poll_max_s * 1000, random);
}

/* Somebody else's verdict may come while this process has nothing to do: it needs the lock. False when a signal came first. */
static bool wait_unlocked(const struct agent_settings *settings, int64_t ms, int *lock_fd) {
    struct err err = {0};
    file_close(lock_fd);
    *lock_fd = -1;
    wait_ms(ms);
    while (agent_daemon_stop == 0 && !agent_state_lock(settings->state, lock_fd, &err)) {
        if (err.code != ERR_BUSY)
            log_err(LOG_WARN, "the state folder cannot be locked", &err);
        wait_ms(LOCK_RETRY_MS);
    }
    return agent_daemon_stop == 0;
}

/* What waiting does not mend. */
static bool is_hopeless(enum err_code code) {
    return code == ERR_CONFIG || code == ERR_KEY || code == ERR_INVALID || code == ERR_NO_MEMORY;
}

bool agent_daemon_enrol(const struct agent_settings *settings, int *lock_fd, struct err *err) {
    int64_t failures = 0, retry_after_s = 0;
    while (!agent_enrol_ensure(settings, &agent_daemon_stop, &retry_after_s, err)) {
        if (agent_daemon_stop != 0 || is_hopeless(err->code))
            return false;
        failures++;
        int64_t ms = agent_backoff_ms(failures, settings->retry_min_s * 1000, settings->retry_max_s * 1000,
                                      agent_backoff_asked_ms(retry_after_s, settings->poll_max_s), random_below(UINT64_MAX));
        log_err(LOG_WARN, "not enrolled yet", err);
        if (!wait_unlocked(settings, ms, lock_fd))
            return err_set(err, ERR_BUSY, "stopped");
    }
    return true;
}

void agent_daemon_run(struct agent *agent, int *lock_fd) {
    const struct agent_settings *settings = agent->settings;
    int64_t failures = 0;
    int64_t ms = (int64_t)random_below((uint64_t)settings->poll_splay_s * 1000 + 1);
    while (wait_unlocked(settings, ms, lock_fd)) {
        struct agent_outcome outcome;
        struct err err = {0};
        char seconds[24];
        failures = agent_update_run(agent, &outcome, &err) ? 0 : failures + 1;
        if (outcome.result == AGENT_RESULT_REBOOTING && settings->reboot == AGENT_REBOOT_EXIT) {
            log_event(LOG_INFO, "ended for the reboot", (char *)NULL);
            return;
        }
        ms = next_wait_ms(settings, &outcome, failures);
        snprintf(seconds, sizeof(seconds), "%lld", (long long)((ms + 999) / 1000));
        log_event(LOG_DEBUG, "waiting", "seconds", seconds, (char *)NULL);
    }
    log_event(LOG_INFO, "stopped by a signal", (char *)NULL);
}
