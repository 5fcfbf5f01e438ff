#include "agent/update.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/check.h"
#include "agent/download.h"
#include "agent/enrol.h"
#include "agent/hook.h"
#include "agent/install.h"
#include "agent/report.h"
#include "agent/state.h"
#include "agent/trial.h"
#include "agent/unseal.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/text.h"

enum { ARENA_MAX = 64 << 20, PEM_MAX = 262144, PATH_MAX_BYTES = 4096 };

/* One pass. */
struct pass {
    struct agent *agent;
    struct arena arena;
    struct agent_state state;
    struct agent_boot boot;
    struct tuf_client *tuf;
    struct tuf_fetch fetch;
    int64_t now; /* UTC; with clock = none what the directive says */
    struct directive directive;
    struct release release;
    const char *image; /* path of the verified download … */
    int image_fd;      /* … and itself */
    struct agent_outcome *outcome;
};

/* What a step says. */
enum step { STEP_FAILED = 0, STEP_ON, STEP_END };

static enum step on(bool ok) {
    return ok ? STEP_ON : STEP_FAILED;
}

/* What the server does not hear now it hears later. */
static void send_reports(struct pass *pass) {
    struct err later;
    if (!agent_report_send(&pass->state, pass->agent->transport, &later))
        log_err(LOG_WARN, "report kept for later", &later);
}

/* Queues, saves, and sends if that is possible. */
static bool tell(struct pass *pass, const char *state, int64_t progress, const struct err *error, struct err *err) {
    const struct agent_report report = {.state = state, .progress = progress, .error = error};
    if (!agent_report_queue(&pass->state, pass->directive.deployment, &report, err) || !agent_state_save(&pass->state, err))
        return false;
    send_reports(pass);
    return true;
}

/* The last step of a release that will not be installed. The server hears it once per deployment. */
static enum step refuse(struct pass *pass, struct err *err) {
    const struct err why = *err;
    struct err ignored;
    bool told = text_equal(pass->state.deployment, pass->directive.deployment) && text_equal(pass->state.reported, "failed");
    if (!told && !tell(pass, "failed", -1, &why, &ignored))
        log_err(LOG_WARN, "the refusal could not be recorded", &ignored);
    return STEP_FAILED;
}

/* Sends what it can and ends the pass: the next attempt has to wait for a while. */
static enum step fell_back(struct pass *pass, const char *path) {
    send_reports(pass);
    pass->outcome->result = AGENT_RESULT_FELL_BACK;
    pass->outcome->attempts = agent_state_attempts(&pass->state, path, NULL);
    return STEP_END;
}

static enum step step_boot(struct pass *pass, struct err *err) {
    const struct agent_settings *settings = pass->agent->settings;
    const struct agent_trial *trial = pass->state.trial;
    if (!agent_boot_read(settings, &pass->boot, err))
        return STEP_FAILED;
    switch (agent_trial_resume(settings, &pass->state, &pass->boot, err)) {
    case AGENT_TRIAL_IDLE:
        return STEP_ON;
    case AGENT_TRIAL_OVER:
        return fell_back(pass, trial->release->path);
    case AGENT_TRIAL_CONFIRMED:
        return on(agent_download_discard(&pass->state, NULL, err));
    case AGENT_TRIAL_REBOOTING:
        pass->outcome->result = AGENT_RESULT_REBOOTING;
        return STEP_END;
    case AGENT_TRIAL_WAITING:
        log_event(LOG_INFO, "nothing to do: waiting for `pawl-agent confirm`", "release", pass->state.trial->release->path, (char *)NULL);
        pass->outcome->result = AGENT_RESULT_WAITING;
        return STEP_END;
    case AGENT_TRIAL_FAILED:
        send_reports(pass); /* of what failed before this did */
        break;
    }
    return STEP_FAILED;
}

/* A report that the server cannot take must not keep the device from a better release. */
static enum step step_reports(struct pass *pass, UNUSED struct err *err) {
    send_reports(pass);
    return STEP_ON;
}

/* What is trusted may have gone on; the state has to know before anything is built on it. Older than the state knows: somebody has taken the metadata
 * away, and the pinned root must not count again, whose keys may long be in other hands. */
static bool keep_root(struct pass *pass, struct err *err) {
    int64_t version = tuf_client_trusted(pass->tuf)->root->version;
    if (version < pass->state.root_version)
        return err_set(err, ERR_IO, "%s/tuf: root %lld is there, this device has trusted root %lld: restore it, or provision anew",
                       pass->state.folder, (long long)version, (long long)pass->state.root_version);
    if (version == pass->state.root_version)
        return true;
    pass->state.root_version = version;
    return agent_state_save(&pass->state, err);
}

/* Whatever came of it: each root that was verified on the way is trusted. */
static bool with_root(struct pass *pass, bool ok, struct err *err) {
    struct err kept;
    if (keep_root(pass, &kept))
        return ok;
    *err = kept;
    return false;
}

static enum step step_root(struct pass *pass, struct err *err) {
    return on(with_root(pass, tuf_client_walk_root(pass->tuf, &pass->fetch, err), err));
}

/* 0: none was ever seen. */
static int64_t timestamp_version(const struct pass *pass) {
    const struct metadata *timestamp = tuf_client_trusted(pass->tuf)->timestamp;
    return timestamp != NULL ? timestamp->version : 0;
}

/* A server that has published nothing yet has no timestamp; once there was one, its absence is a fault. */
static enum step step_metadata(struct pass *pass, struct err *err) {
    bool ok = tuf_client_refresh(pass->tuf, &pass->fetch, pass->now, err);
    return on(with_root(pass, ok || (err->code == ERR_NOT_FOUND && timestamp_version(pass) == 0), err));
}

static enum step step_check(struct pass *pass, struct err *err) {
    struct agent *agent = pass->agent;
    bool ok = agent_check_directive(agent->settings, &agent->identity, &pass->state, agent->transport,
                                    &tuf_client_trusted(pass->tuf)->root->directive, pass->now, &pass->arena, &pass->directive, err);
    pass->outcome->poll_after_s = agent_transport_last(agent->transport)->poll_after_s;
    if (ok && agent->settings->clock == AGENT_CLOCK_NONE)
        pass->now = pass->directive.issued_at;
    return on(ok);
}

/* The directive may be newer than the metadata fetched a moment ago: once more, but no further. */
static enum step step_freshness(struct pass *pass, struct err *err) {
    int64_t said = pass->directive.timestamp_version;
    if (said <= timestamp_version(pass))
        return STEP_ON;
    if (!with_root(pass, tuf_client_refresh(pass->tuf, &pass->fetch, pass->now, err), err))
        return STEP_FAILED;
    int64_t have = timestamp_version(pass);
    if (said > have)
        return on(err_set(err, ERR_FREEZE, "the directive names timestamp %lld, the newest to be had is %lld", (long long)said, (long long)have));
    return STEP_ON;
}

static enum step step_action(struct pass *pass, UNUSED struct err *err) {
    if (pass->directive.action == DIRECTIVE_INSTALL)
        return STEP_ON;
    log_event(LOG_INFO, pass->directive.action == DIRECTIVE_HOLD ? "nothing to do: the server says hold" : "nothing to do: the server has no update",
              "installed", pass->state.installed != NULL ? pass->state.installed->path : NULL, (char *)NULL);
    pass->outcome->result = AGENT_RESULT_NOTHING;
    return STEP_END;
}

/* What the server offers counts only as far as the offline keys said the same. */
static enum step step_release(struct pass *pass, struct err *err) {
    if (!tuf_client_release(pass->tuf, &pass->fetch, pass->now, &pass->arena, pass->directive.path, &pass->release, err) ||
        !directive_check_release(&pass->directive, &pass->release, err))
        return refuse(pass, err);
    return STEP_ON;
}

/* A deployment that was confirmed here is done, whatever the server remembers. */
static enum step step_done_before(struct pass *pass, UNUSED struct err *err) {
    const struct agent_state *state = &pass->state;
    bool same = state->installed != NULL && text_equal(state->installed->sha256, pass->release.sha256) &&
                text_equal(state->deployment, pass->directive.deployment) && text_equal(state->reported, "confirmed");
    if (!same)
        return STEP_ON;
    log_event(LOG_INFO, "nothing to do: this deployment is confirmed", "installed", state->installed->path, (char *)NULL);
    pass->outcome->result = AGENT_RESULT_NOTHING;
    return STEP_END;
}

static enum step step_eligible(struct pass *pass, struct err *err) {
    if (!agent_check_eligible(pass->agent->settings, &pass->state, &pass->release, err) ||
        !agent_check_repair(&pass->state, &pass->release, pass->now, err))
        return refuse(pass, err);
    return STEP_ON;
}

/* An optional update waits until the device's user agrees; asked once a deployment, or again as long as the answer is "later". */
static enum step step_consent(struct pass *pass, UNUSED struct err *err) {
    const struct agent_settings *settings = pass->agent->settings;
    const struct directive *directive = &pass->directive;
    bool agreed = text_equal(pass->state.deployment, directive->deployment);
    if (!directive->optional || settings->consent_command == NULL || agreed)
        return STEP_ON;
    const struct agent_hook_env env[] = {
        {"PAWL_VERSION", pass->release.version}, {"PAWL_PATH", pass->release.path}, {"PAWL_DEPLOYMENT", directive->deployment}};
    const struct agent_hook hook = {
        .what = "consent", .command = settings->consent_command, .env = env, .env_count = ARRAY_LEN(env), .timeout_s = settings->hook_timeout_s};
    struct err answer;
    if (agent_hook_run(&hook, NULL, &answer))
        return STEP_ON;
    log_event(LOG_INFO, "postponed by the device's user", "release", pass->release.path, "answer", answer.text, (char *)NULL);
    pass->outcome->result = AGENT_RESULT_NOTHING;
    return STEP_END;
}

static enum step step_space(struct pass *pass, struct err *err) {
    const struct release *release = &pass->release;
    bool opens_file = release->encryption != RELEASE_PLAIN && pass->agent->settings->installer == AGENT_INSTALLER_COMMAND;
    if (agent_download_check_space(&pass->state, release, opens_file ? release->plain_length : 0, err))
        return STEP_ON;
    const struct err why = *err;
    struct err ignored;
    if (!tell(pass, "downloading", -1, &why, &ignored))
        log_err(LOG_WARN, "the lack of space could not be recorded", &ignored);
    return STEP_FAILED;
}

static enum step step_download(struct pass *pass, struct err *err) {
    int64_t have = agent_download_have(&pass->state, &pass->release);
    if (have == pass->release.length)
        return STEP_ON;
    if (!tell(pass, "downloading", have * 100 / pass->release.length, NULL, err))
        return STEP_FAILED;
    return on(agent_download_fetch(&pass->state, pass->agent->transport, &pass->release, err));
}

/* Opened once: what is hashed here is what is installed. A wrong file is thrown away, or it would be resumed for ever. */
static enum step step_verify(struct pass *pass, struct err *err) {
    if (!agent_download_open(&pass->state, &pass->release, &pass->image, &pass->image_fd, err))
        return STEP_FAILED;
    if (agent_install_verify(pass->image_fd, &pass->release, err)) {
        log_event(LOG_INFO, "downloaded and verified", "release", pass->release.path, "sha256", pass->release.sha256, (char *)NULL);
        return on(tell(pass, "downloaded", 100, NULL, err));
    }
    const struct err why = *err;
    struct err ignored;
    if (!agent_download_discard(&pass->state, NULL, &ignored) || !tell(pass, "downloading", 0, &why, &ignored))
        log_err(LOG_WARN, "a wrong download could not be put away", &ignored);
    return STEP_FAILED;
}

/* An installation that failed is an attempt; the slot that runs and the boot loader were not touched. */
static enum step install_failed(struct pass *pass, struct err *err) {
    const struct err why = *err;
    struct err ignored;
    if (!agent_state_add_attempt(&pass->state, pass->release.path, err_tag(why.code), &ignored) || !tell(pass, "failed", -1, &why, &ignored))
        log_err(LOG_WARN, "the failure could not be recorded", &ignored);
    return STEP_FAILED;
}

/* An installer gets the verified file; of a sealed one the opened file, for as long as it runs. */
static bool run_installer(struct pass *pass, struct err *err) {
    const struct agent_settings *settings = pass->agent->settings;
    const struct release *release = &pass->release;
    if (release->encryption == RELEASE_PLAIN)
        return agent_install_command(settings, pass->image, release, pass->directive.deployment, err);
    const char *opened = agent_download_opened_path(&pass->state, release);
    if (opened == NULL)
        return err_no_memory(err);
    bool ok = agent_unseal_file(settings, pass->image_fd, opened, release, err) &&
              agent_install_command(settings, opened, release, pass->directive.deployment, err);
    (void)unlink(opened);
    return ok;
}

static enum step step_install(struct pass *pass, struct err *err) {
    const struct agent_settings *settings = pass->agent->settings;
    const struct release *release = &pass->release;
    bool ok;
    if (!tell(pass, "installing", -1, NULL, err))
        return STEP_FAILED;
    if (settings->installer == AGENT_INSTALLER_COMMAND) {
        log_event(LOG_INFO, "installing", "release", release->path, "by", "command", (char *)NULL);
        ok = run_installer(pass, err);
    } else {
        const char *running = agent_boot_slot_path(settings, pass->boot.slot);
        const char *slot = agent_boot_slot_path(settings, agent_boot_other(pass->boot.slot));
        log_event(LOG_INFO, "installing", "release", release->path, "slot", slot, (char *)NULL);
        ok = agent_boot_hold(settings, pass->boot.slot, err) && agent_install_slot(settings, pass->image_fd, release, slot, running, err);
    }
    return ok ? STEP_ON : install_failed(pass, err);
}

/* The last reports go out before the reboot; then the boot loader is told. */
static enum step step_switch(struct pass *pass, struct err *err) {
    const struct release *release = &pass->release;
    const struct agent_release installed = {.path = release->path,
                                            .product = release->product,
                                            .version = release->version,
                                            .sha256 = release->sha256,
                                            .sequence = release->sequence,
                                            .security_version = release->security_version};
    if (agent_check_is_repair(&pass->state, release))
        pass->state.repaired_at = pass->now; /* saved with the trial */
    switch (agent_trial_start(pass->agent->settings, &pass->state, &pass->boot, &installed, pass->directive.deployment, err)) {
    case AGENT_TRIAL_FAILED:
        return STEP_FAILED;
    case AGENT_TRIAL_REBOOTING:
        pass->outcome->result = AGENT_RESULT_REBOOTING;
        break;
    case AGENT_TRIAL_WAITING:
        pass->outcome->result = AGENT_RESULT_WAITING;
        break;
    case AGENT_TRIAL_OVER:
        return fell_back(pass, release->path);
    case AGENT_TRIAL_CONFIRMED:
    case AGENT_TRIAL_IDLE:
        pass->outcome->result = AGENT_RESULT_CHANGED;
        if (!agent_download_discard(&pass->state, NULL, err))
            return STEP_FAILED;
        break;
    }
    send_reports(pass);
    return STEP_END;
}

typedef enum step (*step_function)(struct pass *pass, struct err *err);

static const step_function with_clock[] = {
    step_boot,        /* what runs now, and how the last update went */
    step_reports,     /* what the server has not heard yet */
    step_metadata,    /* root chain, timestamp, snapshot, targets */
    step_check,       /* the directive, for a fresh nonce */
    step_freshness,   /* no older metadata than the directive knows */
    step_action,      /* is there anything to do? */
    step_release,     /* the directive's release is what the release keys signed */
    step_done_before, /* not what was confirmed already */
    step_eligible,    /* product, hardware, stepping stone, floor, attempts */
    step_consent,     /* may it be now? */
    step_space,       /* room for the signed length */
    step_download,    /* resumed where it was cut */
    step_verify,      /* length and hash of what was stored */
    step_install,     /* the slot that does not run, read back */
    step_switch,      /* boot loader and reboot */
};

/* The same with the directive first: the signed answer to a fresh nonce is the time by which expiry is judged. */
static const step_function without_clock[] = {
    step_boot,        step_reports,  step_root,    step_check, step_metadata, step_freshness, step_action,  step_release,
    step_done_before, step_eligible, step_consent, step_space, step_download, step_verify,    step_install, step_switch,
};

static bool tuf_folder(const struct agent_settings *settings, struct buf *path, struct err *err) {
    buf_printf(path, "%s/tuf", settings->state);
    return buf_ok(path, "the metadata folder", err);
}

static bool open_pass(struct pass *pass, struct agent *agent, struct err *err) {
    CLEANUP(buf_free) struct buf folder = BUF_INIT(PATH_MAX_BYTES);
    arena_init(&pass->arena, ARENA_MAX);
    pass->agent = agent;
    pass->image_fd = -1;
    pass->now = clock_now();
    pass->fetch = agent_check_fetch(agent->transport);
    return agent_state_load(&pass->arena, agent->settings->state, &pass->state, err) && tuf_folder(agent->settings, &folder, err) &&
           tuf_client_open(folder.data, &pass->tuf, err) && keep_root(pass, err);
}

static void close_pass(struct pass *pass) {
    file_close(&pass->image_fd);
    tuf_client_free(pass->tuf);
    arena_clear(&pass->arena);
}

/* Between steps nothing is half done. */
static bool interrupted(const struct agent *agent) {
    return agent->stop != NULL && *agent->stop != 0;
}

static bool run_steps(struct pass *pass, struct err *err) {
    bool clock = pass->agent->settings->clock == AGENT_CLOCK_SYSTEM;
    const step_function *steps = clock ? with_clock : without_clock;
    size_t count = clock ? ARRAY_LEN(with_clock) : ARRAY_LEN(without_clock);
    for (size_t i = 0; i < count; i++) {
        if (interrupted(pass->agent))
            return err_set(err, ERR_BUSY, "stopped");
        switch (steps[i](pass, err)) {
        case STEP_FAILED:
            return false;
        case STEP_END:
            return true;
        case STEP_ON:
            break;
        }
    }
    return err_set(err, ERR_INTERNAL, "the last step did not end the pass");
}

/* A refusal is a verdict on what the server offered; a failure is a fault that may pass. */
static bool is_refusal(enum err_code code) {
    return code >= ERR_DEVICE_PENDING && code != ERR_SLOW && code != ERR_INSTALL;
}

/* A disk so full that the state cannot be written stays full for ever when the room is taken by a download that was cut. */
static void make_room(struct pass *pass) {
    struct err err = {0};
    if (pass->state.folder == NULL || agent_state_save(&pass->state, &err) || err.code != ERR_NO_SPACE)
        return;
    if (agent_download_drop(pass->state.folder, &err))
        log_event(LOG_WARN, "the disk is full: the unfinished download was given up", "folder", pass->state.folder, (char *)NULL);
    else
        log_err(LOG_WARN, "the disk is full, and the unfinished download could not be given up", &err);
}

bool agent_update_run(struct agent *agent, struct agent_outcome *ret_outcome, struct err *err) {
    struct pass pass = {0};
    *ret_outcome = (struct agent_outcome){.result = AGENT_RESULT_FAILED};
    pass.outcome = ret_outcome;
    if (!agent_update_follow_certificate(agent, err))
        log_err(LOG_WARN, "the certificate that is there now cannot be used", err);
    agent_enrol_renew(agent);
    bool ok = open_pass(&pass, agent, err) && run_steps(&pass, err);
    if (!ok && err->code == ERR_NO_SPACE)
        make_room(&pass);
    close_pass(&pass);
    if (!ok) {
        ret_outcome->result = AGENT_RESULT_FAILED;
        ret_outcome->retry_after_s = agent_transport_last(agent->transport)->retry_after_s;
        bool by_signal = interrupted(agent);
        const char *message = by_signal ? "interrupted by a signal" : is_refusal(err->code) ? "refused" : "stopped";
        log_event(by_signal ? LOG_INFO : LOG_ERROR, message, "code", err_tag(err->code), "why", err->text, (char *)NULL);
    }
    return ok;
}

bool agent_update_confirm(struct agent *agent, bool passed, struct agent_outcome *ret_outcome, struct err *err) {
    struct pass pass = {0};
    enum agent_trial_result result = AGENT_TRIAL_FAILED;
    *ret_outcome = (struct agent_outcome){.result = AGENT_RESULT_FAILED};
    if (open_pass(&pass, agent, err) && agent_boot_read(agent->settings, &pass.boot, err))
        result = agent_trial_verdict(agent->settings, &pass.state, &pass.boot, passed, err);
    bool ok = result != AGENT_TRIAL_FAILED && (result != AGENT_TRIAL_CONFIRMED || agent_download_discard(&pass.state, NULL, err));
    if (ok) {
        ret_outcome->result = result == AGENT_TRIAL_REBOOTING ? AGENT_RESULT_REBOOTING : AGENT_RESULT_CHANGED;
        send_reports(&pass);
    }
    close_pass(&pass);
    return ok;
}

/* Is a root pinned in the folder? False with *err only when that cannot be said. */
static bool is_pinned(const char *folder, bool *ret_pinned, struct err *err) {
    struct tuf_client *client = NULL;
    *ret_pinned = tuf_client_open(folder, &client, err);
    tuf_client_free(client);
    return *ret_pinned || err->code == ERR_NOT_FOUND;
}

/* May the root be pinned? Only on a device that has never trusted one. */
static bool is_new(const struct agent_settings *settings, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct agent_state state;
    arena_init(&arena, ARENA_MAX);
    if (!agent_state_load(&arena, settings->state, &state, err))
        return false;
    bool used = state.root_version > 0 || state.directive_keys != NULL || state.floors.count > 0;
    return !used || err_set(err, ERR_IO, "%s/tuf is gone, though this device has been used (root %lld): restore it, or provision anew",
                            settings->state, (long long)state.root_version);
}

/* The state is made before the root is pinned: a root without a state means that the state was lost, and with it the floor. */
static bool provision(const struct agent_settings *settings, struct err *err) {
    CLEANUP(buf_free) struct buf folder = BUF_INIT(PATH_MAX_BYTES);
    CLEANUP(buf_free) struct buf root = BUF_INIT(METADATA_ROOT_MAX);
    bool pinned = false, has_state = agent_state_exists(settings->state);
    if (!tuf_folder(settings, &folder, err) || !file_sweep_temporaries(settings->state, err) || !file_sweep_temporaries(folder.data, err) ||
        !agent_download_sweep(settings->state, err) || !is_pinned(folder.data, &pinned, err))
        return false;
    if (pinned && !has_state)
        return err_set(err, ERR_IO, "%s/state is gone, though this device has been used: its floor is lost; restore it, or provision anew",
                       settings->state);
    if (pinned)
        return true;
    return (has_state ? is_new(settings, err) : agent_state_create(settings->state, err)) &&
           agent_settings_read("[device] trust_root", settings->trust_root, false, &root, err) &&
           tuf_client_pin(folder.data, root.data, root.len, err);
}

bool agent_update_examine_trust(const struct agent_settings *settings, struct err *err) {
    CLEANUP(buf_free) struct buf root = BUF_INIT(METADATA_ROOT_MAX);
    CLEANUP(tuf_client_cleanup) struct tuf_client *client = NULL;
    if (!agent_settings_read("[device] trust_root", settings->trust_root, false, &root, err))
        return false;
    if (!tuf_client_open_memory(root.data, root.len, &client, err))
        return err_prefix(err, "[device] trust_root %s", settings->trust_root);
    return agent_unseal_examine(settings, err);
}

static bool read_identity(const struct agent_settings *settings, struct certs_pem_identity *ret_identity, struct err *err) {
    CLEANUP(buf_wipe) struct buf pem = BUF_INIT(PEM_MAX); /* may have the key beside it */
    return agent_settings_read("[device] certificate", settings->certificate, false, &pem, err) &&
           certs_pem_device(pem.data, pem.len, settings->certificate, settings->identity == AGENT_IDENTITY_CN, ret_identity, err);
}

bool agent_update_follow_certificate(struct agent *agent, struct err *err) {
    struct certs_pem_identity now;
    struct agent_transport *transport = NULL;
    char until[CLOCK_RFC3339_SIZE];
    if (!read_identity(agent->settings, &now, err))
        return false;
    if (text_equal(now.spki_sha256, agent->identity.spki_sha256) && now.not_after == agent->identity.not_after)
        return true;
    if (!text_equal(now.id, agent->identity.id))
        return err_set(err, ERR_IDENTITY, "%s is for device '%s' now, and this is '%s'", agent->settings->certificate, now.id, agent->identity.id);
    if (!agent_transport_open(agent->settings, agent->stop, &transport, err))
        return false;
    agent_transport_free(agent->transport);
    agent->transport = transport;
    agent->identity = now;
    clock_rfc3339(now.not_after, until);
    log_event(LOG_INFO, "certificate renewed", "device", now.id, "until", until, (char *)NULL);
    return true;
}

bool agent_update_examine(const struct agent_settings *settings, const volatile sig_atomic_t *stop, struct agent *ret_agent, struct err *err) {
    struct agent agent = {.settings = settings, .stop = stop};
    if (!agent_update_examine_trust(settings, err) || !read_identity(settings, &agent.identity, err) ||
        !agent_transport_open(settings, stop, &agent.transport, err))
        return false;
    *ret_agent = agent;
    return true;
}

bool agent_update_open(const struct agent_settings *settings, const volatile sig_atomic_t *stop, struct agent *ret_agent, struct err *err) {
    struct agent agent = {0};
    if (!agent_update_examine(settings, stop, &agent, err))
        return false;
    if (!provision(settings, err)) {
        agent_update_close(&agent);
        return false;
    }
    *ret_agent = agent;
    return true;
}

void agent_update_close(struct agent *agent) {
    agent_transport_free(agent->transport);
    agent->transport = NULL;
}
