#include "agent/trial.h"

#include "agent/report.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"

/* Which system runs, seen from the trial. */
enum system { SYSTEM_OLD = 1, SYSTEM_NEW = 2, SYSTEM_UNKNOWN = 4, SYSTEM_ANY = 7 };
enum when { SAME_BOOT = 1, OTHER_BOOT = 2, ANY_BOOT = 3 };

/* Read top-down; the first row that fits decides. `late` rows fit only once the limit of reboots or of time is passed. */
static const struct {
    const char *phase;
    unsigned system;
    unsigned when;
    bool late;
    enum agent_trial_move move;
    enum err_code code;
    const char *text;
} table[] = {
    /* The boot loader may or may not have been told when the last process ended. */
    {"switching", SYSTEM_NEW, ANY_BOOT, false, AGENT_TRIAL_TEST, ERR_NONE, NULL},
    {"switching", SYSTEM_ANY, ANY_BOOT, true, AGENT_TRIAL_GIVE_UP, ERR_INSTALL, "the boot loader could not be told"},
    {"switching", SYSTEM_ANY, ANY_BOOT, false, AGENT_TRIAL_REBOOT, ERR_NONE, NULL},

    /* It was told. */
    {"rebooting", SYSTEM_NEW, ANY_BOOT, false, AGENT_TRIAL_TEST, ERR_NONE, NULL},
    {"rebooting", SYSTEM_OLD, OTHER_BOOT, false, AGENT_TRIAL_GIVE_UP, ERR_SELFTEST, "the device rebooted into the old slot"},
    {"rebooting", SYSTEM_UNKNOWN, OTHER_BOOT, false, AGENT_TRIAL_TEST, ERR_NONE, NULL},
    {"rebooting", SYSTEM_ANY, SAME_BOOT, true, AGENT_TRIAL_GIVE_UP, ERR_INSTALL, "the device was asked to reboot and did not"},
    {"rebooting", SYSTEM_ANY, SAME_BOOT, false, AGENT_TRIAL_REBOOT, ERR_NONE, NULL},

    {"testing", SYSTEM_OLD, ANY_BOOT, false, AGENT_TRIAL_GIVE_UP, ERR_SELFTEST, "the device went back to the old slot before it confirmed"},
    {"testing", SYSTEM_ANY, ANY_BOOT, true, AGENT_TRIAL_GIVE_UP, ERR_SELFTEST, "the new release was not confirmed in time"},
    {"testing", SYSTEM_ANY, ANY_BOOT, false, AGENT_TRIAL_TEST, ERR_NONE, NULL},

    /* In the old slot the loader is still told, which may point at the one that failed. */
    {"falling-back", SYSTEM_UNKNOWN, OTHER_BOOT, false, AGENT_TRIAL_BACK, ERR_NONE, NULL},
    {"falling-back", SYSTEM_ANY, ANY_BOOT, true, AGENT_TRIAL_BACK, ERR_NONE, NULL},
    {"falling-back", SYSTEM_ANY, ANY_BOOT, false, AGENT_TRIAL_REBOOT, ERR_NONE, NULL},
};

static unsigned system_of(const struct agent_settings *settings, const struct agent_trial *trial, const struct agent_boot *boot) {
    if (!boot->slot_known || trial->old_slot == NULL)
        return SYSTEM_UNKNOWN;
    if (settings->reboot == AGENT_REBOOT_NONE) /* the system stays; only the self-test can tell */
        return SYSTEM_UNKNOWN;
    return text_equal(boot->slot, trial->old_slot) ? SYSTEM_OLD : SYSTEM_NEW;
}

static bool is_late(const struct agent_settings *settings, const struct agent_trial *trial, bool same_boot, int64_t mono_ms) {
    bool external = text_equal(trial->phase, "testing") && settings->confirm == AGENT_CONFIRM_EXTERNAL;
    return trial->reboots >= AGENT_TRIAL_REBOOTS_MAX || (external && same_boot && mono_ms - trial->testing_ms > settings->confirm_within_s * 1000);
}

enum agent_trial_move agent_trial_decide(const struct agent_settings *settings, const struct agent_trial *trial, const struct agent_boot *boot,
                                         int64_t mono_ms, struct err *err) {
    if (trial == NULL)
        return AGENT_TRIAL_NONE;
    unsigned system = system_of(settings, trial, boot);
    bool same_boot = text_equal(trial->boot_id, boot->boot_id);
    bool late = is_late(settings, trial, same_boot, mono_ms);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        bool fits = text_equal(table[i].phase, trial->phase) && (table[i].system & system) != 0 &&
                    (table[i].when & (same_boot ? SAME_BOOT : OTHER_BOOT)) != 0 && (late || !table[i].late);
        if (!fits)
            continue;
        if (table[i].text != NULL)
            (void)err_set(err, table[i].code, "%s: %s", trial->release->path, table[i].text);
        if (table[i].move == AGENT_TRIAL_TEST && settings->confirm == AGENT_CONFIRM_EXTERNAL)
            return AGENT_TRIAL_WAIT;
        return table[i].move;
    }
    return AGENT_TRIAL_NONE;
}

/* A phase begins, or goes on after a reboot. */
static bool enter(struct agent_state *state, const char *phase, const struct agent_boot *boot, int64_t reboots, struct err *err) {
    struct agent_trial *trial = state->trial;
    trial->boot_id = arena_strdup(state->arena, boot->boot_id);
    if (trial->boot_id == NULL)
        return err_no_memory(err);
    trial->phase = phase;
    trial->reboots = reboots;
    trial->testing_ms = clock_mono_ms();
    return agent_state_save(state, err);
}

static enum agent_trial_result end_trial(struct agent_state *state, struct err *err) {
    state->trial = NULL;
    return agent_state_save(state, err) ? AGENT_TRIAL_OVER : AGENT_TRIAL_FAILED;
}

/* The phase that begins with *trial. The state says "switching" or "falling-back" before the boot loader is touched, so that a crash in between is
 * taken up again here, and counts the try, so that a loader that can never be told ends it; and only once the loader was told does a reboot into the
 * old slot mean that it has given the new one up. */
static enum agent_trial_result go(const struct agent_settings *settings, struct agent_state *state, const struct agent_boot *boot, struct err *err) {
    struct agent_trial *trial = state->trial;
    bool back = text_equal(trial->phase, "falling-back");
    const char *slot = back ? trial->old_slot : trial->slot;
    if (!enter(state, trial->phase, boot, trial->reboots + 1, err) || !agent_boot_point(settings, back ? "fall-back" : "switch", slot, trial, err))
        return AGENT_TRIAL_FAILED;
    if (back && system_of(settings, trial, boot) == SYSTEM_OLD) {
        log_event(LOG_INFO, "fell back", "release", trial->release->path, "running", boot->slot, (char *)NULL);
        return end_trial(state, err);
    }
    bool told = back || text_equal(trial->phase, "rebooting") || enter(state, "rebooting", boot, trial->reboots, err);
    if (!told || !agent_boot_reboot(settings, slot, trial, err))
        return AGENT_TRIAL_FAILED;
    log_event(LOG_INFO, back ? "falling back: reboot asked for" : "installed: reboot asked for", "release", trial->release->path, "slot", slot,
              (char *)NULL);
    return AGENT_TRIAL_REBOOTING;
}

/* Can this device be sent back at all? */
static bool has_way_back(const struct agent_settings *settings, const struct agent_trial *trial) {
    return settings->reboot != AGENT_REBOOT_NONE &&
           (settings->boot_command != NULL || (settings->installer == AGENT_INSTALLER_SLOTS && trial->old_slot != NULL));
}

static bool count_failure(struct agent_state *state, const struct err *why, struct err *err) {
    const struct agent_trial *trial = state->trial;
    const struct agent_report report = {.state = "failed", .progress = -1, .error = why};
    log_event(LOG_WARN, "failed", "release", trial->release->path, "code", err_tag(why->code), "why", why->text, (char *)NULL);
    return agent_state_add_attempt(state, trial->release->path, err_tag(why->code), err) &&
           agent_report_queue(state, trial->deployment, &report, err);
}

static enum agent_trial_result fail_trial(const struct agent_settings *settings, struct agent_state *state, const struct agent_boot *boot,
                                          const struct err *why, struct err *err) {
    if (!count_failure(state, why, err))
        return AGENT_TRIAL_FAILED;
    if (!has_way_back(settings, state->trial))
        return end_trial(state, err);
    state->trial->phase = "falling-back";
    state->trial->reboots = 0;
    return go(settings, state, boot, err);
}

/* The boot loader hears it first: it can be told twice, and the floor must not rise for a system that the loader may still give up. */
static enum agent_trial_result confirm(const struct agent_settings *settings, struct agent_state *state, struct err *err) {
    struct agent_trial *trial = state->trial;
    const struct agent_release *release = trial->release;
    const struct agent_report report = {.state = "confirmed", .progress = -1, .installed = release->version, .sequence = release->sequence};
    if (!agent_boot_point(settings, "confirm", trial->slot, trial, err) ||
        !agent_state_raise_floor(state, release->product, release->sequence, release->security_version, err) ||
        !agent_report_queue(state, trial->deployment, &report, err))
        return AGENT_TRIAL_FAILED;
    agent_state_forget_attempts(state, release->path);
    state->installed = trial->release;
    state->trial = NULL;
    if (!agent_state_save(state, err))
        return AGENT_TRIAL_FAILED;
    log_event(LOG_INFO, "confirmed", "release", release->path, "slot", trial->slot, (char *)NULL);
    return AGENT_TRIAL_CONFIRMED;
}

static bool enter_testing(struct agent_state *state, const struct agent_boot *boot, struct err *err) {
    const struct agent_trial *trial = state->trial;
    bool already = text_equal(trial->phase, "testing");
    if (already && text_equal(trial->boot_id, boot->boot_id))
        return true;
    return enter(state, "testing", boot, already ? trial->reboots + 1 : 0, err);
}

static enum agent_trial_result test(const struct agent_settings *settings, struct agent_state *state, const struct agent_boot *boot,
                                    struct err *err) {
    struct err why = {0};
    if (!enter_testing(state, boot, err))
        return AGENT_TRIAL_FAILED;
    log_event(LOG_INFO, "testing", "release", state->trial->release->path, "slot", state->trial->slot, (char *)NULL);
    if (agent_boot_self_test(settings, state->trial, &why))
        return confirm(settings, state, err);
    return fail_trial(settings, state, boot, &why, err);
}

enum agent_trial_result agent_trial_resume(const struct agent_settings *settings, struct agent_state *state, const struct agent_boot *boot,
                                           struct err *err) {
    struct err why = {0};
    switch (agent_trial_decide(settings, state->trial, boot, clock_mono_ms(), &why)) {
    case AGENT_TRIAL_NONE:
        return AGENT_TRIAL_IDLE;
    case AGENT_TRIAL_REBOOT:
        return go(settings, state, boot, err);
    case AGENT_TRIAL_TEST:
        return test(settings, state, boot, err);
    case AGENT_TRIAL_WAIT:
        return enter_testing(state, boot, err) ? AGENT_TRIAL_WAITING : AGENT_TRIAL_FAILED;
    case AGENT_TRIAL_GIVE_UP:
        return fail_trial(settings, state, boot, &why, err);
    case AGENT_TRIAL_BACK:
        log_event(LOG_INFO, "fell back", "release", state->trial->release->path, "running", boot->slot, (char *)NULL);
        return end_trial(state, err);
    }
    (void)err_set(err, ERR_INTERNAL, "an unknown move of a trial");
    return AGENT_TRIAL_FAILED;
}

enum agent_trial_result agent_trial_start(const struct agent_settings *settings, struct agent_state *state, const struct agent_boot *boot,
                                          const struct agent_release *release, const char *deployment, struct err *err) {
    const struct agent_report report = {.state = "rebooting", .progress = -1};
    struct agent_trial *trial = arena_alloc(state->arena, sizeof(*trial));
    bool slots = settings->installer == AGENT_INSTALLER_SLOTS;
    if (trial == NULL) {
        (void)err_no_memory(err);
        return AGENT_TRIAL_FAILED;
    }
    trial->slot = slots ? agent_boot_other(boot->slot) : "-";
    trial->old_slot = boot->slot_known ? arena_strdup(state->arena, boot->slot) : NULL;
    trial->deployment = arena_strdup(state->arena, deployment);
    if (trial->deployment == NULL || (boot->slot_known && trial->old_slot == NULL)) {
        (void)err_no_memory(err);
        return AGENT_TRIAL_FAILED;
    }
    if (!agent_state_copy_release(state, release, &trial->release, err) || !agent_report_queue(state, deployment, &report, err))
        return AGENT_TRIAL_FAILED;
    state->trial = trial;
    if (settings->reboot == AGENT_REBOOT_NONE)
        return enter(state, "testing", boot, 0, err) ? agent_trial_resume(settings, state, boot, err) : AGENT_TRIAL_FAILED;
    trial->phase = "switching";
    return go(settings, state, boot, err);
}

enum agent_trial_result agent_trial_verdict(const struct agent_settings *settings, struct agent_state *state, const struct agent_boot *boot,
                                            bool passed, struct err *err) {
    struct err why = {0};
    if (agent_trial_decide(settings, state->trial, boot, clock_mono_ms(), &why) != AGENT_TRIAL_WAIT) {
        (void)err_set(err, ERR_CONFLICT, "nothing waits for a confirmation%s%s", why.text[0] != '\0' ? ": " : "", why.text);
        return AGENT_TRIAL_FAILED;
    }
    if (!enter_testing(state, boot, err))
        return AGENT_TRIAL_FAILED;
    if (passed)
        return confirm(settings, state, err);
    (void)err_set(&why, ERR_SELFTEST, "%s: the self-test said no", state->trial->release->path);
    return fail_trial(settings, state, boot, &why, err);
}
