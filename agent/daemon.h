/* The agent as a service: pass after pass until it is told to stop. */
#ifndef PAWL_AGENT_DAEMON_H
#define PAWL_AGENT_DAEMON_H

#include <signal.h>

#include "agent/update.h"

/* SIGTERM and SIGINT set *stop; a pass that runs ends at its next network step, a command of the device's maker is waited for. */
void agent_daemon_catch_signals(void);
extern volatile sig_atomic_t agent_daemon_stop;

/* Tries to enrol until the device has its certificate: true. False with *err when it was told to stop (ERR_BUSY), or when nothing but another
 * configuration helps. The lock is as below. */
bool agent_daemon_enrol(const struct agent_settings *settings, int *lock_fd, struct err *err) MUST_USE;

/* Returns when it was told to stop, or with reboot = exit when a reboot is wanted. *lock_fd is the lock of the state folder, held by the caller; it
 * is given away during each wait, so that `pawl-agent confirm` can do its work, and is −1 when somebody else has it at the end. */
void agent_daemon_run(struct agent *agent, int *lock_fd);

#endif
