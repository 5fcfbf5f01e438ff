/* From the moment a new release is bootable until it is confirmed or given up: the reboot, the self-test, the way back. */
#ifndef PAWL_AGENT_TRIAL_H
#define PAWL_AGENT_TRIAL_H

#include "agent/boot.h"

/* What the facts ask for. The zero value does nothing. */
enum agent_trial_move {
    AGENT_TRIAL_NONE = 0, /* no trial */
    AGENT_TRIAL_REBOOT,   /* point the boot loader (again) at the slot wanted and ask for the reboot (again) */
    AGENT_TRIAL_TEST,     /* the new slot runs: test it */
    AGENT_TRIAL_WAIT,     /* it runs, and somebody else will confirm it */
    AGENT_TRIAL_GIVE_UP,  /* it was to boot, or to be confirmed, and was not: go back */
    AGENT_TRIAL_BACK,     /* there is no more to be done to go back */
};

enum { AGENT_TRIAL_REBOOTS_MAX = 10 };

/* The decision as a table over phase, running slot and boot id; pure. *err says why for GIVE_UP. */
enum agent_trial_move agent_trial_decide(const struct agent_settings *settings, const struct agent_trial *trial, const struct agent_boot *boot,
                                         int64_t mono_ms, struct err *err);

enum agent_trial_result {
    AGENT_TRIAL_FAILED = 0,
    AGENT_TRIAL_IDLE,      /* there is no trial */
    AGENT_TRIAL_CONFIRMED, /* it ended well */
    AGENT_TRIAL_OVER,      /* it ended, and the old release runs (or what was installed cannot be taken back) */
    AGENT_TRIAL_REBOOTING,
    AGENT_TRIAL_WAITING,
};

/* Makes the release that was written to `slot` the one that boots next, and asks for the reboot. `old_slot` NULL: unknown. */
enum agent_trial_result agent_trial_start(const struct agent_settings *settings, struct agent_state *state, const struct agent_boot *boot,
                                          const struct agent_release *release, const char *deployment, struct err *err);

/* At the start of each pass: one step further from where the last process was ended. Queues the reports. */
enum agent_trial_result agent_trial_resume(const struct agent_settings *settings, struct agent_state *state, const struct agent_boot *boot,
                                           struct err *err);

/* The word of an external self-test. ERR_CONFLICT when nothing waits for it. */
enum agent_trial_result agent_trial_verdict(const struct agent_settings *settings, struct agent_state *state, const struct agent_boot *boot,
                                            bool passed, struct err *err);

#endif
