/* Which slot runs, which boots next, and how the device gets there: everything that touches the boot loader. */
#ifndef PAWL_AGENT_BOOT_H
#define PAWL_AGENT_BOOT_H

#include "agent/settings.h"
#include "agent/state.h"

enum { AGENT_BOOT_TEXT_SIZE = 65 };

/* What the running system says of itself. */
struct agent_boot {
    bool slot_known;
    char slot[AGENT_BOOT_TEXT_SIZE];    /* "a" or "b" with installer = slots; with a command, whatever it printed */
    char boot_id[AGENT_BOOT_TEXT_SIZE]; /* differs after a reboot */
};

/* Asks running_file or running_command, and boot_id_file. With installer = slots an answer that is not one of the two slots is ERR_INSTALL: nothing
 * may be written on a guess. */
bool agent_boot_read(const struct agent_settings *settings, struct agent_boot *ret_boot, struct err *err) MUST_USE;

/* Finds the slot in the text of running_file: "a", "b", or a word "pawl.slot=a" on a kernel command line. NULL when it says neither, or both. */
const char *agent_boot_slot_of(const char *text);

/* The slot that does not run, "b" for "a". */
const char *agent_boot_other(const char *slot);
const char *agent_boot_slot_path(const struct agent_settings *settings, const char *slot);

/* Points the boot loader at a slot: a new symbolic link renamed over the old one and the folder synced, or boot_command. Can be repeated. `action` is
 * "switch", "confirm" or "fall-back"; with a link, "confirm" has nothing to do. ERR_INSTALL, ERR_IO. */
bool agent_boot_point(const struct agent_settings *settings, const char *action, const char *slot, const struct agent_trial *trial,
                      struct err *err) MUST_USE;

/* Before the slot that does not run is overwritten: makes sure that the link points at the running one. boot_command knows for itself. */
bool agent_boot_hold(const struct agent_settings *settings, const char *running, struct err *err) MUST_USE;

/* Calls the reboot command; with reboot = exit there is nothing to call. */
bool agent_boot_reboot(const struct agent_settings *settings, const char *slot, const struct agent_trial *trial, struct err *err) MUST_USE;

/* Calls the self-test; true at once when there is none. ERR_SELFTEST. */
bool agent_boot_self_test(const struct agent_settings *settings, const struct agent_trial *trial, struct err *err) MUST_USE;

#endif
