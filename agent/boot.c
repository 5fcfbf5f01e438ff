#include "agent/boot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/hook.h"
#include "common/file.h"
#include "common/text.h"

enum { TEXT_MAX = 8192, PATH_MAX_BYTES = 4096 };

const char *agent_boot_other(const char *slot) {
    return text_equal(slot, "a") ? "b" : "a";
}

const char *agent_boot_slot_path(const struct agent_settings *settings, const char *slot) {
    return text_equal(slot, "a") ? settings->slot_a : settings->slot_b;
}

/* The length of the word at `at`. */
static size_t word_length(const char *at) {
    return strcspn(at, " \t\r\n");
}

static const char *slot_of_word(const char *word, size_t len, bool only_word) {
    static const char prefix[] = "pawl.slot=";
    size_t skip = sizeof(prefix) - 1;
    if (len == skip + 1 && strncmp(word, prefix, skip) == 0)
        word += skip;
    else if (len != 1 || !only_word)
        return NULL;
    return *word == 'a' ? "a" : *word == 'b' ? "b" : NULL;
}

const char *agent_boot_slot_of(const char *text) {
    const char *found = NULL;
    size_t words = 0;
    for (const char *at = text + strspn(text, " \t\r\n"); *at != '\0'; at += strspn(at, " \t\r\n")) {
        size_t len = word_length(at);
        words++;
        const char *slot = slot_of_word(at, len, words == 1 && at[len + strspn(at + len, " \t\r\n")] == '\0');
        if (slot != NULL && found != NULL && slot != found)
            return NULL;
        found = slot != NULL ? slot : found;
        at += len;
    }
    return found;
}

static bool read_running(const struct agent_settings *settings, struct buf *text, struct err *err) {
    if (settings->running_file != NULL)
        return agent_settings_read("[install] running_file", settings->running_file, false, text, err);
    const struct agent_hook hook = {.what = "running_command", .command = settings->running_command, .timeout_s = settings->hook_timeout_s};
    return agent_hook_run(&hook, text, err);
}

/* One line of text without the blanks around it. */
static bool copy_line(const char *what, const struct buf *text, char ret_line[AGENT_BOOT_TEXT_SIZE], struct err *err) {
    const char *from = text->len > 0 ? text->data : "";
    from += strspn(from, " \t\r\n");
    size_t len = word_length(from);
    if (len == 0 || len >= AGENT_BOOT_TEXT_SIZE)
        return err_set(err, ERR_INSTALL, "%s: one word of 1 to %d bytes is expected", what, AGENT_BOOT_TEXT_SIZE - 1);
    memcpy(ret_line, from, len);
    ret_line[len] = '\0';
    return true;
}

bool agent_boot_read(const struct agent_settings *settings, struct agent_boot *ret_boot, struct err *err) {
    CLEANUP(buf_free) struct buf running = BUF_INIT(TEXT_MAX);
    CLEANUP(buf_free) struct buf boot_id = BUF_INIT(TEXT_MAX);
    struct agent_boot boot = {0};
    if (!agent_settings_read("[install] boot_id_file", settings->boot_id_file, false, &boot_id, err) ||
        !copy_line("boot_id_file", &boot_id, boot.boot_id, err))
        return false;
    boot.slot_known = settings->running_file != NULL || settings->running_command != NULL;
    if (boot.slot_known) {
        if (!read_running(settings, &running, err))
            return false;
        const char *slot = agent_boot_slot_of(running.len > 0 ? running.data : "");
        if (slot != NULL)
            text_copy(boot.slot, sizeof(boot.slot), slot);
        else if (settings->installer == AGENT_INSTALLER_SLOTS)
            return err_set(err, ERR_INSTALL, "the running slot is unknown: %s says neither a nor b",
                           settings->running_file != NULL ? settings->running_file : "running_command");
        else if (!copy_line("running slot", &running, boot.slot, err))
            return false;
    }
    *ret_boot = boot;
    return true;
}

static bool run_hook(const struct agent_settings *settings, const char *what, const char *command, const char *action, const char *slot,
                     const struct agent_trial *trial, struct err *err) {
    char sequence[24];
    snprintf(sequence, sizeof(sequence), "%lld", (long long)trial->release->sequence);
    bool slots = settings->installer == AGENT_INSTALLER_SLOTS;
    const struct agent_hook_env env[] = {
        {"PAWL_ACTION", action},
        {"PAWL_SLOT", slots ? slot : NULL},
        {"PAWL_SLOT_PATH", slots && slot != NULL ? agent_boot_slot_path(settings, slot) : NULL},
        {"PAWL_PRODUCT", trial->release->product},
        {"PAWL_VERSION", trial->release->version},
        {"PAWL_SEQUENCE", sequence},
        {"PAWL_SHA256", trial->release->sha256},
        {"PAWL_DEPLOYMENT", trial->deployment},
    };
    const struct agent_hook hook = {.what = what, .command = command, .env = env, .env_count = ARRAY_LEN(env), .timeout_s = settings->hook_timeout_s};
    return agent_hook_run(&hook, NULL, err);
}

static bool point_link(const char *link, const char *target, struct err *err) {
    CLEANUP(buf_free) struct buf temporary = BUF_INIT(PATH_MAX_BYTES);
    buf_printf(&temporary, "%s.new", link);
    if (!buf_ok(&temporary, "boot_pointer", err))
        return false;
    if (unlink(temporary.data) != 0 && errno != ENOENT)
        return err_errno(err, "%s", temporary.data);
    if (symlink(target, temporary.data) != 0 || rename(temporary.data, link) != 0)
        return err_errno(err, "boot_pointer %s", link);
    return file_sync_parent(link, err);
}

bool agent_boot_point(const struct agent_settings *settings, const char *action, const char *slot, const struct agent_trial *trial, struct err *err) {
    if (settings->boot_command != NULL)
        return run_hook(settings, "boot_command", settings->boot_command, action, slot, trial, err);
    if (settings->installer != AGENT_INSTALLER_SLOTS || text_equal(action, "confirm"))
        return true;
    return point_link(settings->boot_pointer, agent_boot_slot_path(settings, slot), err);
}

bool agent_boot_hold(const struct agent_settings *settings, const char *running, struct err *err) {
    const char *target = agent_boot_slot_path(settings, running);
    char there[PATH_MAX_BYTES];
    if (settings->boot_pointer == NULL)
        return true;
    ssize_t len = readlink(settings->boot_pointer, there, sizeof(there) - 1);
    if (len < 0 && errno != ENOENT)
        return err_errno(err, "boot_pointer %s", settings->boot_pointer);
    if (len >= 0) {
        there[len] = '\0';
        if (text_equal(there, target))
            return true;
    }
    return point_link(settings->boot_pointer, target, err);
}

bool agent_boot_reboot(const struct agent_settings *settings, const char *slot, const struct agent_trial *trial, struct err *err) {
    if (settings->reboot != AGENT_REBOOT_COMMAND)
        return true;
    return run_hook(settings, "reboot", settings->reboot_command, "reboot", slot, trial, err);
}

bool agent_boot_self_test(const struct agent_settings *settings, const struct agent_trial *trial, struct err *err) {
    if (settings->self_test_command == NULL)
        return true;
    if (run_hook(settings, "self-test", settings->self_test_command, "self-test", trial->slot, trial, err))
        return true;
    err->code = ERR_SELFTEST;
    return false;
}
