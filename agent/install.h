/* Putting a verified image where it runs from: the slot that is not running, or the command of an installer. */
#ifndef PAWL_AGENT_INSTALL_H
#define PAWL_AGENT_INSTALL_H

#include "agent/settings.h"
#include "agent/state.h"
#include "trust/release.h"

/* ERR_LENGTH or ERR_HASH when the open file is not exactly the signed image. The descriptor stays open for the installer, so that what was checked is
 * what is used. */
bool agent_install_verify(int fd, const struct release *release, struct err *err) MUST_USE;

/* Copies `length` bytes from the start of image_fd to the slot, syncs, reads the slot back past the page cache and compares SHA-256 with `sha256`.
 * `running` is the path of the slot that runs: the same file or device under any name is ERR_INSTALL, and so is a block device in use (mounted).
 * ERR_NO_SPACE: the slot is too small. ERR_HASH: what was read back differs; the slot must not boot. */
bool agent_install_slot(int image_fd, int64_t length, const char *sha256, const char *slot, const char *running, struct err *err) MUST_USE;

/* Hands the file to install.command as last argument and in PAWL_IMAGE. ERR_INSTALL, ERR_TIMEOUT. */
bool agent_install_command(const struct agent_settings *settings, const char *image, const struct release *release, const char *deployment,
                           struct err *err) MUST_USE;

/* Reads exactly length bytes from the medium, not from the cache, and compares. ERR_LENGTH when there are fewer, ERR_HASH. */
bool agent_install_compare(const char *slot, int64_t length, const char *sha256, struct err *err) MUST_USE;

#endif
